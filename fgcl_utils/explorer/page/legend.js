// The classes that the map's colours stand for: their symbols and numbers; pressed, they hide and
// show. Or the ends of a ramp.

import { legendNow } from "./colours.js";
import { sizesOf } from "./data.js";
import { $, el } from "./dom.js";
import { capital, grouped } from "./format.js";
import { symbolIcon, symbolOf } from "./palette.js";
import { state, update } from "./state.js";

const MOST_CHIPS = 300;
let built = null;

export function showLegend() {
  const legend = legendNow();
  if (built !== legend) buildLegend(legend);
  built = legend;
  for (const chip of $("legend").querySelectorAll(".chip")) {
    chip.setAttribute("aria-pressed", String(!state.hidden.has(Number(chip.dataset.code))));
  }
}

function buildLegend(legend) {
  const { title, names, codes, ramp } = legend;
  $("legend").setAttribute(
    "aria-label",
    `${capital(title)}${ramp ? "" : ": press to hide or show"}`,
  );
  if (ramp) return $("legend").replaceChildren(rampBar(legend));
  const sizes = sizesOf(codes, names.length);
  const some = [...sizes.keys()].filter((c) => sizes[c]);
  const left = some.length - MOST_CHIPS;
  $("legend").replaceChildren(
    ...some.slice(0, MOST_CHIPS).map((c) => chipOf(legend, c, sizes[c])),
    ...(left > 0 ? [el("span.soft", `and ${grouped(left)} more: use Find`)] : []),
  );
}

function chipOf({ names, colours }, c, size) {
  const chip = el(
    "button.chip",
    {
      title: "Press to hide or show, double-press to see it alone",
      onclick: ({ detail }) => (detail > 1 ? isolate(c) : toggle(c)),
    },
    symbolIcon(symbolOf(c), colours[c]),
    el("span", names[c]),
    el("small.soft", grouped(size)),
  );
  chip.dataset.code = c;
  return chip;
}

function rampBar({ title, ramp, ends: [low, high] }) {
  const strip = el("i");
  strip.style.background = `linear-gradient(to right, ${ramp.join()})`;
  return el(
    "span.ramp",
    el("span", title),
    el("span.soft", String(low)),
    strip,
    el("span.soft", String(high)),
  );
}

function toggle(c) {
  const hidden = new Set(state.hidden);
  if (!hidden.delete(c)) hidden.add(c);
  update({ hidden });
}

function isolate(c) {
  const others = legendNow()
    .names.map((_, other) => other)
    .filter((other) => other !== c);
  // The double press has hidden it and brought the count to all but one: decide by the others.
  const alone = others.every((other) => state.hidden.has(other));
  update({ hidden: new Set(alone ? [] : others) });
}
