// A view as the fragment of the page's address, and back. What is as it was at first is left out.
//
// `known` has what there is: lists of methods, colours, filters, tabs and levels that are judged,
// each beginning with the one at first, and the numbers of points, of codes that may be hidden or
// marked, and of pins at most. Methods and levels are told by their place among these.

import { MOST_ZOOM, wholeMap } from "./geometry.js";

const THEMES = ["auto", "light", "dark"];

export function encode(now, known) {
  const { x, y, z } = now.view;
  const whole = !x && !y && z === 1;
  const unlessFirst = (value, list) => (value === list[0] ? "" : value);
  const fields = {
    m: unlessFirst(known.methods[now.method], known.methods),
    c: unlessFirst(now.colour, known.colours),
    o: unlessFirst(known.judged[now.judged], known.judged),
    f: unlessFirst(now.filter, known.filters),
    g: [...now.hidden].join("."),
    s: [...now.marked].join("."),
    q: now.query,
    i: now.chosen >= 0 ? now.chosen : "",
    pin: now.pins.join("."),
    tab: unlessFirst(now.tab, known.tabs),
    v: whole ? "" : [x, y, z].map((v) => +v.toPrecision(4)).join("_"),
    theme: unlessFirst(now.theme, THEMES),
  };
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
  const [x, y, z] = (fields.get("v") ?? "").split("_").map(Number);
  const sound = [x, y, z].every(Number.isFinite) && z > 0;
  return {
    method: known.methods.indexOf(among("m", known.methods)),
    colour: among("c", known.colours),
    judged: known.judged.indexOf(among("o", known.judged)),
    filter: among("f", known.filters),
    hidden: new Set(codes("g", known.hidden)),
    marked: new Set(codes("s", known.marked)),
    query: fields.get("q") ?? "",
    chosen: codes("i", known.points)[0] ?? -1,
    pins: [...new Set(codes("pin", known.points))].slice(0, known.pins),
    tab: among("tab", known.tabs),
    view: sound ? { x, y, z: Math.min(MOST_ZOOM, z) } : wholeMap(),
    theme: among("theme", THEMES),
  };
}
