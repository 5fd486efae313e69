// Any column of the table as a filter: the values that are wanted, or a range of numbers.

import { colouringOf, COLOURINGS, iconOfClass } from "./colours.js";
import { coarsest, levels, meta, sizesOf } from "./data.js";
import { el } from "./dom.js";
import { capital, grouped } from "./format.js";
import { state, update } from "./state.js";

const MOST_BUTTONS = 1000;
let sought = ""; // among the values

export function showOnly(panel) {
  const from = panel.scrollTop;
  const column = colouringOf(state.column);
  const chosen = column.name in state.only;
  const clear = el("button", { onclick: () => setOnly(column.name, null) }, "Clear");
  panel.replaceChildren(
    el("div.row", el("h2", "Show only"), columnSelect(column), chosen ? clear : null),
    ...(column.ends ? rangeOf(column) : valuesOf(column)),
  );
  panel.scrollTop = from;
}

function columnSelect({ name }) {
  const options = COLOURINGS.map((other) => el("option", { value: other.name }, other.name));
  const onchange = ({ target }) => update({ column: target.value });
  const list = el("select", { id: "column", "aria-label": "Column", onchange });
  list.append(...options.toReversed()); // the finest level first
  list.value = name;
  return list;
}

function setOnly(name, wanted) {
  const { [name]: _, ...others } = state.only;
  update({ only: wanted ? { ...others, [name]: wanted } : others });
}

function rangeOf({ name, ends: [low, high] }) {
  const [from, to] = state.only[name] ?? [low, high];
  const input = (label, value, change) =>
    el(
      "label.row",
      label,
      el("input", { type: "number", step: "any", min: low, max: high, value, onchange: change }),
    );
  const number = ({ target }, otherwise) =>
    Number.isFinite(target.valueAsNumber) ? target.valueAsNumber : otherwise;
  return [
    el("p.soft", `From ${low} to ${high}. Images without a number are left out of a range.`),
    input("at least", from, (event) => setOnly(name, [number(event, low), to])),
    input("at most", to, (event) => setOnly(name, [from, number(event, high)])),
  ];
}

function valuesOf(column) {
  const { name, classes } = column;
  const sizes = sizesOf(classes.codes, classes.names.length);
  const some = [...classes.names.keys()].filter((c) => sizes[c]);
  const groups = [...grouping(column, some.slice(0, MOST_BUTTONS))].map(([parent, own]) =>
    el(
      "div.group",
      parent === null ? null : el("h3.row", classWithIcon(1, parent)),
      ...own.map((c) => valueButton(column, c, sizes[c])),
    ),
  );
  const search = el("input", {
    type: "search",
    placeholder: `Find ${name}`,
    "aria-label": `Find among the values of ${name}`,
    value: sought,
    oninput: ({ target }) => find(groups, target.value),
  });
  find(groups, sought);
  const left = some.length - MOST_BUTTONS;
  return [
    el("p.soft", `Press a ${name} to dim the others.`),
    search,
    ...groups,
    ...(left > 0 ? [el("p.soft", `and ${grouped(left)} more: use Find`)] : []),
  ];
}

// Of the finest level by what they belong to, parent → codes; else all together.
function grouping({ level }, codes) {
  const groups = new Map();
  for (const c of codes) {
    const parent = level === 0 && coarsest ? (meta.parents[0][c] ?? null) : null;
    if (!groups.has(parent)) groups.set(parent, []);
    groups.get(parent).push(c);
  }
  return [...groups].sort(([a], [b]) => a - b);
}

const classWithIcon = (l, c) => el("span.classes", iconOfClass(l, c), levels[l].names[c]);

function valueButton({ name, level, classes }, c, size) {
  const wanted = state.only[name];
  const onclick = () => {
    const next = new Set(wanted);
    if (!next.delete(c)) next.add(c);
    setOnly(name, next.size ? next : null);
  };
  const named = level !== undefined && c < levels[level].names.length;
  return el(
    "button.value",
    { "aria-pressed": String(Boolean(wanted?.has(c))), onclick },
    named ? iconOfClass(level, c) : el("i"),
    el("span", classes.names[c]),
    el("small.soft", grouped(size)),
  );
}

function find(groups, text) {
  sought = text;
  const words = text.trim().toLowerCase();
  for (const group of groups) {
    const buttons = [...group.querySelectorAll(".value")];
    for (const button of buttons) button.hidden = !button.textContent.toLowerCase().includes(words);
    group.hidden = buttons.every(({ hidden }) => hidden);
  }
}

// What the filter of a column says, "habitat: wood, meadow".
export function onlyWords(name, wanted) {
  const { classes, ends } = colouringOf(name);
  if (ends) return `${name} from ${wanted[0]} to ${wanted[1]}`;
  const names = [...wanted].map((c) => classes.names[c]);
  const text = names.length > 2 ? `${names.length} values` : names.join(", ");
  return `${capital(name)}: ${text}`;
}
