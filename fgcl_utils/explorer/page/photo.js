// A photo on the page, and what it is called.

import { colouring, iconOf, legendNow } from "./colours.js";
import { levels } from "./data.js";
import { el } from "./dom.js";
import { className, isNamed, namesOf } from "./names.js";
import { photoURL } from "./shards.js";

// `kinds` in the order in which they replace each other.
export function photo(i, kinds = ["thumb"], ...extra) {
  const image = el("img", { alt: namesOf(i).join(", "), draggable: false });
  const box = el("div.photo", ...extra);
  box.dataset.point = image.dataset.point = i;
  (async () => {
    for (const kind of kinds) {
      const url = await photoURL(kind, i);
      if (!url) continue;
      image.src = url;
      image.dataset.kind = kind;
      if (!image.isConnected) box.append(image);
    }
    if (!image.src) box.append(el("span", "no image"));
  })();
  return box;
}

// Lines with its names: the finest, those above it, and what the column that colours the map says.
// The symbol stands before what the legend shows.
export function nameLines(i) {
  const { level, ramp } = legendNow();
  const { name, textOf } = colouring();
  const word = (l) =>
    el(
      isNamed(i, l) ? "span" : "span.unnamed",
      l === level ? iconOf(i) : null,
      el("span", className(i, l)),
    );
  const above = [...levels.keys()].slice(1);
  const value = textOf && el("span", ramp ? null : iconOf(i), el("span", `${name}: ${textOf(i)}`));
  return [
    el("div.name", word(0)),
    above.length ? el("div.classes", ...above.map(word)) : null,
    value ? el("div.classes", value) : null,
  ];
}
