// A view as the fragment of the page's address, and back. What is as it was at first is left out.
//
// `known` has what there is: lists of methods, colours, filters, tabs and levels that are judged,
// each beginning with the one at first; the numbers of points, of codes that may be hidden, of
// classes of each level whose pairs are compared, of values of each column (∞ for numbers), and of
// pins at most; the second map's method at first, and how many steps each method has, with the
// first of them. Methods and levels are told by their place among these.

import { MOST_ZOOM, wholeMap } from "./geometry.js";

const HIDABLE = ["pictures", "names"];
const THEMES = ["auto", "light", "dark"];

export function encode(now, known) {
  const { x, y, z } = now.view;
  const whole = !x && !y && z === 1;
  const place = (view) => [view.x, view.y, view.z].map((v) => +v.toPrecision(4)).join("_");
  const moved = now.steps.some((at, m) => at !== known.steps[m].start);
  const unlessFirst = (value, list) => (value === list[0] ? "" : value);
  const fields = {
    m: unlessFirst(known.methods[now.method], known.methods),
    c: unlessFirst(now.colour, known.colours),
    b: now.beside === known.beside ? "" : (known.methods[now.beside] ?? "none"),
    w: moved ? now.steps.join(".") : "",
    o: unlessFirst(known.judged[now.judged], known.judged),
    f: unlessFirst(now.filter, known.filters),
    g: [...now.hidden].join("."),
    q: now.query,
    i: now.chosen >= 0 ? now.chosen : "",
    pin: now.pins.join("."),
    tab: unlessFirst(now.tab, known.tabs),
    pair: now.pair ? [now.pairLevel, ...now.pair].join(".") : "",
    by: now.pairOrder,
    v: whole ? "" : place(now.view),
    bv: now.besideView ? place(now.besideView) : "",
    hide: HIDABLE.filter((key) => !now[key]).join("."),
    theme: unlessFirst(now.theme, THEMES),
  };
  for (const [name, wanted] of Object.entries(now.only)) {
    fields[`only.${name}`] = wanted instanceof Set ? [...wanted].join(".") : wanted.join("_");
  }
  const parts = Object.entries(fields).filter(([, value]) => value !== "");
  return parts.length ? `#${new URLSearchParams(parts)}` : "";
}

// What is not known opens as it was at first.
export function decode(fragment, known) {
  const fields = new URLSearchParams(fragment.slice(1));
  const among = (name, list) => (list.includes(fields.get(name)) ? fields.get(name) : list[0]);
  const codes = (name, limit) =>
    (fields.get(name) ?? "")
      .split(".")
      .filter(Boolean)
      .map(Number)
      .filter((code) => Number.isInteger(code) && code >= 0 && code < limit);
  const place = (name) => {
    const [x, y, z] = (fields.get(name) ?? "").split("_").map(Number);
    const sound = [x, y, z].every(Number.isFinite) && z > 0;
    return sound ? { x, y, z: Math.min(MOST_ZOOM, z) } : null;
  };
  const hidden = (fields.get("hide") ?? "").split(".");
  const beside = fields.get("b");
  const second = beside === "none" ? -1 : known.methods.indexOf(beside);
  const steps = codes("w", Infinity);
  return {
    method: known.methods.indexOf(among("m", known.methods)),
    beside: second < 0 && beside !== "none" ? known.beside : second,
    steps: known.steps.map(({ many, start }, m) => (steps[m] < many ? steps[m] : start)),
    colour: among("c", known.colours),
    judged: known.judged.indexOf(among("o", known.judged)),
    filter: among("f", known.filters),
    hidden: new Set(codes("g", known.hidden)),
    only: onlyIn(fields, known.columns),
    query: fields.get("q") ?? "",
    chosen: codes("i", known.points)[0] ?? -1,
    pins: [...new Set(codes("pin", known.points))].slice(0, known.pins),
    tab: among("tab", known.tabs),
    ...pairIn(codes("pair", Infinity), known.pairs),
    pairOrder: orderIn(fields.get("by") ?? "", known.methods.length),
    view: place("v") ?? wholeMap(),
    besideView: place("bv"),
    ...Object.fromEntries(HIDABLE.map((key) => [key, !hidden.includes(key)])),
    theme: among("theme", THEMES),
  };
}

function pairIn([level, ...codes], sizes) {
  const sound = codes.length === 2 && codes.every((code) => code < sizes[level]);
  return sound ? { pair: codes, pairLevel: level } : { pair: null, pairLevel: 0 };
}

function orderIn(text, many) {
  const order = text.split(":").map(Number);
  return text && order.every((m) => Number.isInteger(m) && m >= 0 && m < many) ? text : "";
}

// A set of codes, or two numbers in order, for each column that there is.
function onlyIn(fields, sizes) {
  const only = {};
  for (const [name, size] of Object.entries(sizes)) {
    const text = fields.get(`only.${name}`);
    if (!text) continue;
    const parts = text.split(size === Infinity ? "_" : ".").map(Number);
    const sound =
      size === Infinity
        ? parts.length === 2 && parts[0] <= parts[1]
        : parts.every((code) => Number.isInteger(code) && code >= 0 && code < size);
    if (sound) only[name] = size === Infinity ? parts : new Set(parts);
  }
  return only;
}
