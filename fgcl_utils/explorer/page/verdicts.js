// Outliers, at the level that the reader has chosen to judge them at, and at the finest one.

import { codesOf, columns, count, levels, meta, methods } from "./data.js";
import { isNamed } from "./names.js";
import { state } from "./state.js";
import { mapOf } from "./steps.js";

// Whose nearest class is not its own; who has no name at this level is none.
export function isOutlier(i, m, l = state.judged) {
  if (!columns.nearest) return Boolean((columns.outliers[i] >> mapOf(m)) & 1);
  const own = codesOf[l][i];
  return own < levels[l].names.length && columns.nearest[l][mapOf(m)][i] !== own;
}
export const judgedName = () => levels[state.judged].name;
export const ownCode = (i) => codesOf[state.judged][i];
export const nearestCode = (i, m, l = state.judged) => columns.nearest[l][mapOf(m)][i];
export const nearestName = (i, m, l = state.judged) =>
  columns.nearest ? levels[l].names[nearestCode(i, m, l)] : null;
export const ruleNow = () => meta.outlier_rules[meta.judged.indexOf(state.judged)];

// "outlier"; where there is a choice, of what.
export const outlierWord = () => (meta.judged.length > 1 ? `${judgedName()} outlier` : "outlier");

// Of those that have a name at this level: no other can be an outlier.
const totals = new Map();
function totalsOf(l) {
  const key = `${l} ${state.steps}`;
  if (!totals.has(key)) {
    totals.set(key, {
      outliers: methods.map((_, m) => count((i) => isOutlier(i, m, l))),
      named: count((i) => isNamed(i, l)),
    });
  }
  return totals.get(key);
}
export const outlierCounts = (l = state.judged) => totalsOf(l).outliers;
export const namedCount = (l = state.judged) => totalsOf(l).named;
