// What the page was given: its description, a column for each fact that every point has, and what
// follows from these.

import { $ } from "./dom.js";

export const meta = JSON.parse($("meta").textContent);
export const methods = meta.methods; // [{name, dimensions, centre, half, trustworthiness, …}]
export const n = meta.points;
export const columns = readColumns(bytesOf($("columns").textContent));
$("meta").remove();
$("columns").remove();

export const speciesOf = columns.species; // (n,)
export const genusOf = Uint16Array.from(speciesOf, (s) => meta.genus_of_species[s]); // (n,)
export const isOutlier = (i, m) => (columns.outliers[i] >> m) & 1;
export const outlierCount = methods.map((_, m) => count((i) => isOutlier(i, m)));

export function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  return Uint8Array.from(atob(base64.trim()), (character) => character.charCodeAt(0));
}

function readColumns(bytes) {
  let from = 0;
  const take = (Type, length) =>
    new Type(bytes.buffer.slice(from, (from += length * Type.BYTES_PER_ELEMENT)));
  return {
    positions: methods.map(() => take(Int16Array, 2 * n)), // per method (n, 2) of ±32767
    species: take(Uint16Array, n),
    nearest: methods.map(() => (meta.has_nearest ? take(Uint16Array, n) : null)), // genus codes
    outliers: take(Uint8Array, n), // bit m: outlier under method m
  };
}

export function count(test) {
  let total = 0;
  for (let i = 0; i < n; i++) if (test(i)) total++;
  return total;
}

export const speciesName = (i) => meta.species[speciesOf[i]];
export const genusName = (i) => meta.genera[genusOf[i]];
export const nearestName = (i, m) => (meta.has_nearest ? meta.genera[columns.nearest[m][i]] : null);

export function kinship(i, j) {
  if (speciesOf[i] === speciesOf[j]) return "species";
  return genusOf[i] === genusOf[j] ? "genus" : "other";
}
export const KIN = {
  species: ["=", "same species"],
  genus: ["~", "same genus, another species"],
  other: ["≠", "another genus"],
};
