// Records that are read when they are wanted: photos, and the facts of a point.
//
// A shard holds the records of consecutive points: count + 1 offsets, then the bytes. In one file
// it is an inert <script id="thumb-3">; in a folder, a script that calls the function below
// (a script, because fetch() fails on file://).

import { bytesOf, meta } from "./data.js";
import { $, el } from "./dom.js";

const shards = new Map();
const arrivals = new Map();
window.explorerShard = (name, base64) => arrivals.get(name)?.(base64);

function shard(name) {
  if (!shards.has(name)) shards.set(name, loadShard(name));
  return shards.get(name);
}

async function loadShard(name) {
  const inline = $(name);
  const base64 = inline ? inline.textContent : await scriptShard(name);
  inline?.remove(); // decoded once; the text need not stay in memory
  return base64 === null ? null : bytesOf(base64);
}

function scriptShard(name) {
  return new Promise((resolve) => {
    const script = el("script", { onerror: () => finish(null), src: `shards/${name}.js` });
    const finish = (base64) => {
      arrivals.delete(name);
      script.remove();
      resolve(base64);
    };
    arrivals.set(name, finish);
    document.head.append(script);
  });
}

export async function record(kind, i) {
  const size = meta.shard_size[kind];
  const bytes = size ? await shard(`${kind}-${Math.floor(i / size)}`) : null;
  return bytes ? recordIn(bytes, i % size) : new Uint8Array(0);
}

function recordIn(bytes, j) {
  const view = new DataView(bytes.buffer);
  return bytes.subarray(view.getUint32(4 * j, true), view.getUint32(4 * j + 4, true));
}

// thumb: WebP for hover and lists. photo: larger, for pins; may be empty, then the thumb serves.
const urls = new Map();
export async function photoURL(kind, i) {
  const key = `${kind}-${i}`;
  if (!urls.has(key)) {
    const bytes = await record(kind, i);
    if (!bytes.length) return null;
    urls.set(key, URL.createObjectURL(new Blob([bytes], { type: "image/webp" })));
    if (urls.size > 1500) forgetOldest();
  }
  return urls.get(key);
}

function forgetOldest() {
  const [key, url] = urls.entries().next().value;
  URL.revokeObjectURL(url);
  urls.delete(key);
}
