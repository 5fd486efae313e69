// The selected photos as a gallery.

import { genusOf, isOutlier, meta, methods } from "./data.js";
import { el } from "./dom.js";
import { plural } from "./format.js";
import { clearSelection } from "./lasso.js";
import { genusColour } from "./palette.js";
import { state } from "./state.js";
import { tiles } from "./tiles.js";

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
  const sizes = meta.genera
    .map((name, g) => ({ name, g, size: list.filter((i) => genusOf[i] === g).length }))
    .filter(({ size }) => size);
  const words = sizes
    .toSorted((a, b) => b.size - a.size)
    .map(({ name, size }) => `${name} ${size}`)
    .join(", ");
  const out = list.filter((i) => isOutlier(i, state.method)).length;
  panel.replaceChildren(
    el(
      "div.row",
      el("h2", plural(list.length, "photo")),
      el("button", { onclick: clearSelection }, "Clear"),
    ),
    el("div.mix", { "aria-hidden": "true" }, ...sizes.map(share)),
    el("p.soft", `${words}. ${plural(out, "outlier")} under ${methods[state.method].name}.`),
    ...tiles(list),
  );
}

function share({ g, size }) {
  const part = el("span");
  part.style.cssText = `flex:${size};background:${genusColour(g)}`;
  return part;
}
