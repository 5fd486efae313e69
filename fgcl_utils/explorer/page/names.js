// What the points are called, and how two of them are related.

import { coarsest, codesOf, levels } from "./data.js";
import { listedOr } from "./format.js";

export const isNamed = (i, l) => codesOf[l][i] < levels[l].names.length;
export const unnamed = (l) => `${levels[l].name} not named`;
export const className = (i, l) => levels[l].names[codesOf[l][i]] ?? unnamed(l);

// By the finest level at which it has a name: "Amanita sp. 07", "Amanita (species not named)".
export function nameOf(i) {
  const finest = levels.findIndex((_, l) => isNamed(i, l));
  if (finest === 0) return className(i, 0);
  return finest < 0 ? "not named" : `${className(i, finest)} (${unnamed(0)})`;
}
// All of its classes, finest first.
export const namesOf = (i) => levels.map((_, l) => className(i, l));

// By the finest level that both share: {kin, sign, words}.
export function kinship(i, j) {
  const shared = levels.findIndex((_, l) => isNamed(i, l) && codesOf[l][i] === codesOf[l][j]);
  if (shared < 0) {
    if (!isNamed(i, coarsest) || !isNamed(j, coarsest)) {
      return { kin: "unknown", sign: "?", words: unnamed(coarsest) };
    }
    return { kin: "other", sign: "≠", words: `another ${levels[coarsest].name}` };
  }
  const kin = levels[shared].name;
  if (!shared) return { kin, sign: "=", words: `same ${kin}` };
  const below = shared - 1;
  const differs = isNamed(i, below) && isNamed(j, below);
  const words = differs ? `same ${kin}, another ${levels[below].name}` : `same ${kin}`;
  return { kin, sign: "~", words };
}

const coarserNames = listedOr(levels.slice(1).map(({ name }) => name));
export const SIGNS = [
  `= same ${levels[0].name}`,
  ...(coarserNames ? [`~ same ${coarserNames}`] : []),
  `≠ another ${levels[coarsest].name}`,
].join(", ");
