// Outliers, at the level that the reader has chosen to judge them at.

import { codesOf, columns, count, levels, meta, methods } from "./data.js";
import { isNamed } from "./names.js";
import { state } from "./state.js";

export const isOutlier = (i, m) => (columns.verdicts[state.judged].outliers[i] >> m) & 1;
export const judgedName = () => levels[state.judged].name;
export const ownCode = (i) => codesOf[state.judged][i];
export const nearestCode = (i, m) => columns.verdicts[state.judged].nearest[m][i];
export const nearestName = (i, m) =>
  meta.has_nearest ? levels[state.judged].names[nearestCode(i, m)] : null;
export const ruleNow = () => meta.outlier_rules[meta.judged.indexOf(state.judged)];

// "outlier"; where there is a choice, of what.
export const outlierWord = () => (meta.judged.length > 1 ? `${judgedName()} outlier` : "outlier");

// Of those that have a name at this level: no other can be an outlier.
const totals = new Map();
function totalsNow() {
  const l = state.judged;
  if (!totals.has(l)) {
    totals.set(l, {
      outliers: methods.map((_, m) => count((i) => isOutlier(i, m))),
      named: count((i) => isNamed(i, l)),
    });
  }
  return totals.get(l);
}
export const outlierCounts = () => totalsNow().outliers;
export const namedCount = () => totalsNow().named;
