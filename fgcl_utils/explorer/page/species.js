// The classes of the finest level, by what they belong to, to mark some and dim the others.

import { iconOfClass } from "./colours.js";
import { codesOf, coarsest, levels, meta, sizesOf } from "./data.js";
import { el } from "./dom.js";
import { grouped } from "./format.js";
import { state, update } from "./state.js";

const MOST_BUTTONS = 1000;

export function showSpecies(panel) {
  const from = panel.scrollTop;
  const { name, plural: many } = levels[0];
  const left = levels[0].names.length - MOST_BUTTONS;
  const clear = el("button", { onclick: () => update({ marked: new Set() }) }, "Clear");
  panel.replaceChildren(
    el("div.row", el("h2", `Mark ${many}`), state.marked.size ? clear : null),
    el("p.soft", `Press a ${name} to dim the others.`),
    ...speciesGroups(),
    ...(left > 0 ? [el("p.soft", `and ${grouped(left)} more: use Find`)] : []),
  );
  panel.scrollTop = from;
}

function speciesGroups() {
  const sizes = sizesOf(codesOf[0], levels[0].names.length + 1);
  const buttons = new Map(); // by parent
  for (const [c, name] of levels[0].names.slice(0, MOST_BUTTONS).entries()) {
    if (!sizes[c]) continue;
    const parent = coarsest ? meta.parents[0][c] : 0;
    if (!buttons.has(parent)) buttons.set(parent, []);
    buttons.get(parent).push(classButton(c, name, sizes[c]));
  }
  return [...buttons]
    .sort(([a], [b]) => a - b)
    .map(([parent, own]) => el("div.group", coarsest ? groupHeading(parent) : null, ...own));
}

const groupHeading = (c) => el("h3.row", el("span.classes", iconOfClass(1, c), levels[1].names[c]));

const classButton = (c, name, size) =>
  el(
    "button.species",
    { "aria-pressed": String(state.marked.has(c)), onclick: () => toggleSpecies(c) },
    iconOfClass(0, c),
    el("span", name),
    el("small.soft", String(size)),
  );

function toggleSpecies(c) {
  const marked = new Set(state.marked);
  if (!marked.delete(c)) marked.add(c);
  update({ marked });
}
