// The selected photos as a gallery.

import { classesNow } from "./colours.js";
import { el } from "./dom.js";
import { saveCSV } from "./download.js";
import { plural } from "./format.js";
import { clearSelection } from "./lasso.js";
import { state } from "./state.js";
import { methodName } from "./steps.js";
import { tiles } from "./tiles.js";
import { isOutlier, outlierWord } from "./verdicts.js";

export function showSelection(panel) {
  const list = state.selection;
  if (!list.length) {
    panel.replaceChildren(
      el("h2", "A gallery of your choice"),
      el(
        "p.soft",
        "Press Lasso and draw around points on the map, or type in Find and press Enter.",
      ),
    );
    return;
  }
  const { names, colours, codes } = classesNow();
  const parts = names
    .map((name, c) => ({
      name,
      colour: colours[c],
      size: list.filter((i) => codes[i] === c).length,
    }))
    .filter(({ size }) => size);
  const words = parts
    .toSorted((a, b) => b.size - a.size)
    .map(({ name, size }) => `${name} ${size}`)
    .join(", ");
  const out = list.filter((i) => isOutlier(i, state.method)).length;
  panel.replaceChildren(
    el(
      "div.row",
      el("h2", plural(list.length, "image")),
      el("button", { onclick: () => saveCSV(list) }, "CSV"),
      el("button", { onclick: clearSelection }, "Clear"),
    ),
    el("div.mix", { "aria-hidden": "true" }, ...parts.map(share)),
    el("p.soft", `${words}. ${plural(out, outlierWord())} under ${methodName(state.method)}.`),
    ...tiles(list),
  );
}

function share({ colour, size }) {
  const part = el("span");
  part.style.cssText = `flex:${size};background:${colour}`;
  return part;
}
