// Photos as buttons, in strips and galleries.

import { hover } from "./card.js";
import { choose } from "./choice.js";
import { iconOf } from "./colours.js";
import { coarsest } from "./data.js";
import { el } from "./dom.js";
import { withoutGenus } from "./format.js";
import { bringIntoView } from "./map.js";
import { className, isNamed, namesOf } from "./names.js";
import { photo } from "./photo.js";

// The symbol already says the genus, so that the label need not.
export function tile(i, { sign, label = shortName(i) } = {}) {
  const [finest, ...above] = namesOf(i);
  const button = el(
    "button.tile",
    {
      title: above.length ? `${finest} (${above.join(", ")})` : finest,
      onclick: () => {
        choose(i);
        bringIntoView(i);
      },
      onmouseenter: () => hover(i),
      onmouseleave: () => hover(-1),
      onfocus: () => hover(i),
      onblur: () => hover(-1),
    },
    photo(i),
    el("small", sign ? el("b", sign) : null, iconOf(i), el("span", label)),
  );
  button.dataset.point = i;
  return button;
}

function shortName(i) {
  if (!isNamed(i, 0)) return "not named";
  return withoutGenus(className(i, 0), coarsest ? className(i, 1) : undefined);
}

// Lists grow on demand: a thousand photos at once would be a thousand decoded images.
export function tiles(list, options = () => ({}), most = 60) {
  const grid = el("div.tiles");
  const more = el("button", { onclick: () => extend() });
  const extend = () => {
    const from = grid.childElementCount;
    for (const i of list.slice(from, from + most)) grid.append(tile(i, options(i)));
    const left = list.length - grid.childElementCount;
    more.hidden = left <= 0;
    more.textContent = `Show ${Math.min(left, most)} more of ${left}`;
  };
  extend();
  return [grid, more];
}
