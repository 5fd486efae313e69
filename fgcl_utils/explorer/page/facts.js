// What the original space says of a point: its neighbours and its vector, for each map. And the
// name of its photo, which comes with them.

import { meta, n } from "./data.js";
import { record } from "./shards.js";
import { mapOf } from "./steps.js";

const facts = new Map();
export async function factsOf(i) {
  if (!facts.has(i)) facts.set(i, readFacts(await record("facts", i)));
  return facts.get(i);
}
export const factsAtHand = (i) => facts.get(i);

// Neighbours (uint16 or 32), vectors (a scale, then int8), name.
function readFacts(bytes) {
  const listed = meta.neighbours;
  let from = meta.index_bytes * meta.maps.length * listed;
  const Index = meta.index_bytes === 2 ? Uint16Array : Uint32Array;
  const ids = new Index(bytes.slice(0, from).buffer);
  const vectors = meta.maps.map((about) => {
    const [scale] = new Float32Array(bytes.slice(from, (from += 4)).buffer);
    const stored = new Int8Array(bytes.slice(from, (from += about.stored_dimensions)).buffer);
    return Float32Array.from(stored, (v) => v * scale);
  });
  return {
    neighbours: meta.maps.map((_, k) => ids.subarray(k * listed, (k + 1) * listed)),
    vectors,
    image: new TextDecoder().decode(bytes.subarray(from)),
  };
}

function similarity(a, b) {
  let sum = 0;
  for (let d = 0; d < a.length; d++) sum += a[d] * b[d];
  return sum;
}

// Cosine distance in the original space.
export const distance = async (i, j, m) =>
  1 - similarity((await factsOf(i)).vectors[mapOf(m)], (await factsOf(j)).vectors[mapOf(m)]);

// Place of j among i's neighbours, 1 = nearest: exact in one file, else only within the list.
export async function rankOf(i, j, m) {
  const own = await factsOf(i);
  const map = mapOf(m);
  const place = own.neighbours[map].indexOf(j);
  if (place >= 0) return place + 1;
  if (!meta.standalone) return Infinity;
  const limit = similarity(own.vectors[map], (await factsOf(j)).vectors[map]);
  let closer = 0;
  for (let other = 0; other < n; other++) {
    if (other === i || other === j) continue;
    // Without a turn of the event loop for those that are there.
    const { vectors } = facts.get(other) ?? (await factsOf(other));
    if (similarity(own.vectors[map], vectors[map]) > limit) closer++;
  }
  return Math.max(closer + 1, meta.neighbours + 1);
}
