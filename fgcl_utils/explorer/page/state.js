// The view's state, and the two doors through which it changes. Whoever changes it need not know
// who shows it: those listen, in the order that start.js gives.

import { levels, meta, methods } from "./data.js";
import { wholeMap } from "./geometry.js";

export const state = {
  method: 0,
  beside: -1, // method of the second map, −1 for one map
  steps: methods.map(({ start }) => start), // of the methods' sliders
  colour: levels[meta.judged[0]].name, // of a level, or of a further column
  judged: meta.judged[0], // the level whose outliers are ringed
  filter: "all", // all | every | out:m | mended:a:b
  hidden: new Set(), // codes switched off in the legend
  only: {}, // column → a set of codes, or [from, to]: photos that are not within are dimmed
  query: "",
  chosen: -1,
  pins: [],
  pair: null, // codes of two classes that are taken for each other
  pairLevel: 0, // their level
  pairOrder: "", // of such pairs: m | a:b, "" as the maps show
  selection: [], // from the lasso or the search
  tab: "compare",
  column: levels[0].name, // that the filters' tab is about
  view: wholeMap(),
  besideView: null, // the second map's own; null: both have the first's
  pictures: true, // photos on the map where there is room
  names: true, // of classes on the map
  theme: "auto",
};

const changeListeners = [];
const viewListeners = [];
export const onChange = (...listeners) => changeListeners.push(...listeners);
export const onView = (...listeners) => viewListeners.push(...listeners);

export function update(change) {
  const before = { ...state };
  Object.assign(state, change);
  for (const listener of changeListeners) listener(change, before);
  viewChanged();
}

// For what moves at every event of the pointer: the panels do not depend on it.
export function viewChanged() {
  for (const listener of viewListeners) listener();
}
