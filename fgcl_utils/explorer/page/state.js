// The view's state, and the two doors through which it changes. Whoever changes it need not know
// who shows it: those listen, in the order that start.js gives.

import { levels, meta } from "./data.js";
import { wholeMap } from "./geometry.js";

export const state = {
  method: 0,
  colour: levels[meta.judged[0]].name, // of a level, or of a further column
  judged: meta.judged[0], // the level whose outliers are ringed
  filter: "all", // all | every | out:m | mended:a:b
  hidden: new Set(), // codes switched off in the legend
  marked: new Set(), // codes at the finest level; if any, the others are dimmed
  query: "",
  chosen: -1,
  pins: [],
  selection: [], // from the lasso or the search
  tab: "compare",
  view: wholeMap(),
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
