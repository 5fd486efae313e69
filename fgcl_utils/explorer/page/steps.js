// A method may have a slider, such as level blocks for what each level counts for. It then stands
// for another map at each step, with neighbours and outliers of its own.

import { meta, methods } from "./data.js";
import { state, update } from "./state.js";

export const mapOf = (m, steps = state.steps) => methods[m].maps[steps[m]];
export const aboutMap = (m) => meta.maps[mapOf(m)];
export const hasSlider = (m) => methods[m].maps.length > 1;
export const stepLabel = (m) => methods[m].steps[state.steps[m]];

export const stepTo = (m, place) => update({ steps: state.steps.with(m, place) });

// As the methods are called in a sentence, with the step where it is not the one at first.
export function methodName(m) {
  const { name, start } = methods[m];
  return state.steps[m] === start ? name : `${name} (${stepLabel(m)})`;
}
