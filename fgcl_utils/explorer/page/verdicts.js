// Outliers, at the level that the reader has chosen to judge them at, and at the finest one.

import { codesOf, columns, count, levels, meta, methods, n } from "./data.js";
import { isNamed } from "./names.js";
import { state } from "./state.js";
import { mapOf } from "./steps.js";

export const isOutlier = (i, m, l = state.judged) => Boolean((bitsAt(l)[i] >> m) & 1);

// Bit m of each point: outlier under method m as its slider stands. Worked out once a level.
const bits = { steps: null, ofLevel: [] };
function bitsAt(l) {
  if (bits.steps !== state.steps) Object.assign(bits, { steps: state.steps, ofLevel: [] });
  return (bits.ofLevel[l] ??= outlierBits(l));
}

// Whose nearest class is not its own; who has no name at this level is none.
function outlierBits(l) {
  const found = new Uint8Array(n);
  const own = codesOf[l];
  const known = levels[l].names.length;
  for (const m of methods.keys()) {
    const map = mapOf(m);
    const nearest = columns.nearest && columns.nearest[l][map];
    for (let i = 0; i < n; i++) {
      const out = nearest
        ? own[i] < known && nearest[i] !== own[i]
        : (columns.outliers[i] >> map) & 1;
      if (out) found[i] |= 1 << m;
    }
  }
  return found;
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
