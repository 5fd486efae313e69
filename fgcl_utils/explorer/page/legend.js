// The genera: their symbols and numbers; pressed, they hide and show.

import { legendColour } from "./colours.js";
import { count, genusOf, meta } from "./data.js";
import { $, el } from "./dom.js";
import { grouped } from "./format.js";
import { symbolIcon } from "./palette.js";
import { state, update } from "./state.js";

export function buildLegend() {
  const chip = (name, g) =>
    el(
      "button.chip",
      {
        title: "Press to hide or show, double-press to see it alone",
        onclick: ({ detail }) => (detail > 1 ? isolate(g) : toggleGenus(g)),
      },
      symbolIcon(g),
      el("span", name),
      el("small.soft", grouped(count((i) => genusOf[i] === g))),
    );
  $("legend").append(...meta.genera.map(chip));
}

export function showLegend() {
  [...$("legend").children].forEach((chip, g) => {
    chip.setAttribute("aria-pressed", String(!state.hidden.has(g)));
    chip.querySelector("polygon").setAttribute("fill", legendColour(g));
  });
}

function toggleGenus(g) {
  const hidden = new Set(state.hidden);
  if (!hidden.delete(g)) hidden.add(g);
  update({ hidden });
}

function isolate(g) {
  const others = meta.genera.map((_, other) => other).filter((other) => other !== g);
  // The double press has hidden it and brought the count to all but one: decide by the others.
  const alone = others.every((other) => state.hidden.has(other));
  update({ hidden: new Set(alone ? [] : others) });
}
