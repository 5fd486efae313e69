// Species by genus, to mark some and dim the others.

import { meta, speciesOf } from "./data.js";
import { el } from "./dom.js";
import { genusColour, speciesColour, symbolIcon } from "./palette.js";
import { state, update } from "./state.js";

export function showSpecies(panel) {
  const from = panel.scrollTop;
  const sizes = new Uint32Array(meta.species.length);
  for (const s of speciesOf) sizes[s]++;
  const clear = el("button", { onclick: () => update({ marked: new Set() }) }, "Clear");
  panel.replaceChildren(
    el("div.row", el("h2", "Mark species"), state.marked.size ? clear : null),
    el("p.soft", "Press a species to dim the others."),
    ...meta.genera.map((name, g) => group(name, g, sizes)),
  );
  panel.scrollTop = from;
}

function group(name, g, sizes) {
  const own = [...sizes.keys()].filter((s) => meta.genus_of_species[s] === g && sizes[s]);
  return el(
    "div.group",
    el("h3.row", el("span.genus", symbolIcon(g), name)),
    ...own.map((s) =>
      el(
        "button.species",
        { "aria-pressed": String(state.marked.has(s)), onclick: () => toggleSpecies(s) },
        symbolIcon(g, state.colour === "species" ? speciesColour(s) : genusColour(g)),
        el("span", meta.species[s]),
        el("small.soft", String(sizes[s])),
      ),
    ),
  );
}

function toggleSpecies(s) {
  const marked = new Set(state.marked);
  if (!marked.delete(s)) marked.add(s);
  update({ marked });
  [...document.querySelectorAll(".species")].find((b) => b.matches(":hover"))?.focus();
}
