// What the page was given: its description, a column for each fact that every point has, and what
// follows from these.

import { $ } from "./dom.js";

export const meta = JSON.parse($("meta").textContent);
// [{name, maps, steps, start}]: places in meta.maps, which has {dimensions, centre, half, …}, with
// a label for each, and the one that opens. Most have one map.
export const methods = meta.methods;
export const levels = meta.levels; // of the labels, finest first: [{name, plural, names}]
export const coarsest = levels.length - 1;
export const n = meta.points;
export const columns = readColumns(bytesOf($("columns").textContent));
$("meta").remove();
$("columns").remove();

// Each level's codes (n,): places in its names, or one more where the point has no name there.
export const codesOf = levels.map(({ names }, l) => {
  const ofPath = meta.paths.map((path) => (path[l] < 0 ? names.length : path[l]));
  const codes = new Uint32Array(n);
  for (let i = 0; i < n; i++) codes[i] = ofPath[columns.labels[i]]; // `from` takes five times that
  return codes;
});

export function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  return Uint8Array.from(atob(base64.trim()), (character) => character.charCodeAt(0));
}

function readColumns(bytes) {
  let from = 0;
  const take = (Type, length) =>
    new Type(bytes.buffer.slice(from, (from += length * Type.BYTES_PER_ELEMENT)));
  return {
    positions: meta.maps.map(() => take(Int16Array, 2 * n)), // per map (n, 2) of ±32767
    labels: take(meta.paths.length <= 65536 ? Uint16Array : Uint32Array, n), // places in the paths
    // Per level and map the nearest class of each point; where there is none to tell, outliers of
    // the level that is judged, bit k on map k.
    nearest: meta.has_nearest && levels.map(() => meta.maps.map(() => take(Uint16Array, n))),
    outliers: !meta.has_nearest && take(Uint16Array, n),
    further: meta.columns.map(() => take(Uint16Array, n)), // 65535: no value
  };
}

export function count(test) {
  let total = 0;
  for (let i = 0; i < n; i++) if (test(i)) total++;
  return total;
}

// How many points each of so many codes has.
export function sizesOf(codes, many) {
  const sizes = new Uint32Array(many);
  for (const code of codes) sizes[code]++;
  return sizes;
}
