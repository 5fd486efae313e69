// Photos as buttons, in strips and galleries.

import { hover } from "./card.js";
import { choose } from "./choice.js";
import { genusName, genusOf, speciesName } from "./data.js";
import { el } from "./dom.js";
import { withoutGenus } from "./format.js";
import { bringIntoView } from "./map.js";
import { symbolIcon } from "./palette.js";
import { photo } from "./photo.js";

// The symbol already says the genus, so that the label need not.
export function tile(i, { sign, label = withoutGenus(speciesName(i), genusName(i)) } = {}) {
  const button = el(
    "button.tile",
    {
      title: `${speciesName(i)} (${genusName(i)})`,
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
    el("small", sign ? el("b", sign) : null, symbolIcon(genusOf[i]), el("span", label)),
  );
  button.dataset.point = i;
  return button;
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
