// Photos as buttons, in strips and galleries.

import { hover } from "./card.js";
import { choose } from "./choice.js";
import { iconOf } from "./colours.js";
import { togglePin } from "./compare.js";
import { coarsest } from "./data.js";
import { el } from "./dom.js";
import { withoutGenus } from "./format.js";
import { showPhoto } from "./look.js";
import { bringIntoView } from "./map.js";
import { className, isNamed, nameOf, namesOf } from "./names.js";
import { photo } from "./photo.js";
import { state } from "./state.js";

// `name` and, below it, `label`. A strip's tiles are small: the symbol already says the genus.
export function tile(i, { sign, name = shortName(i), label } = {}) {
  const [finest, ...above] = namesOf(i);
  const open = el(
    "button.open",
    {
      title: above.length ? `${finest} (${above.join(", ")})` : finest,
      onclick: () => lookAt(i),
      onmouseenter: () => hover(i),
      onmouseleave: () => hover(-1),
      onfocus: () => hover(i),
      onblur: () => hover(-1),
    },
    photo(i),
    el("small", sign ? el("b", sign) : null, iconOf(i), el("span", name)),
    label ? el("small", el("span", label)) : null,
  );
  const pinned = state.pins.includes(i);
  const pin = el(
    "button.pin-it",
    {
      title: pinned ? "Unpin" : "Pin to compare",
      "aria-label": `Pin ${nameOf(i)}`,
      "aria-pressed": String(pinned),
      onclick: () => togglePin(i, state.tab),
    },
    pinned ? "−" : "+",
  );
  const box = el("div.tile", open, pin);
  box.dataset.point = i;
  return box;
}

// Without a hover, nor a map in view, the photo itself is what one wants to see.
function lookAt(i) {
  choose(i);
  bringIntoView(i);
  if (matchMedia("(hover: none)").matches) showPhoto(i);
}

function shortName(i) {
  if (!isNamed(i, 0)) return "not named";
  return withoutGenus(className(i, 0), coarsest ? className(i, 1) : undefined);
}

// With the genus, unless the species' name begins with it.
function wholeName(i) {
  if (!coarsest || !isNamed(i, 0) || !isNamed(i, 1)) return nameOf(i);
  const [species, genus] = namesOf(i);
  return species.startsWith(genus) ? species : `${species} (${genus})`;
}

// Lists grow on demand: a thousand photos at once would be a thousand decoded images.
export function tiles(list, options = () => ({}), most = 60) {
  const grid = el("div.tiles");
  const more = el("button", { onclick: () => extend() });
  const extend = () => {
    const from = grid.childElementCount;
    const next = list.slice(from, from + most);
    grid.append(...next.map((i) => tile(i, { name: wholeName(i), ...options(i) })));
    const left = list.length - grid.childElementCount;
    more.hidden = left <= 0;
    more.textContent = `Show ${Math.min(left, most)} more of ${left}`;
  };
  extend();
  return [grid, more];
}
