// What keeps photos from being shown, each with a button that ends it.

import { legendNow } from "./colours.js";
import { levels } from "./data.js";
import { $, el } from "./dom.js";
import { filterNow, shown } from "./filters.js";
import { onlyWords } from "./only.js";
import { state, update } from "./state.js";

const NONE = {
  filter: () => "all",
  query: () => "",
  only: () => ({}),
  hidden: () => new Set(),
  pair: () => null,
};

export const unfiltered = () =>
  Object.fromEntries(Object.entries(NONE).map(([key, none]) => [key, none()]));

// [words, what ends it] for each that is active.
function activeFilters() {
  const { filter, query, only, hidden, pair, pairLevel } = state;
  const without = (name) =>
    Object.fromEntries(Object.entries(only).filter(([key]) => key !== name));
  return [
    [filter !== "all" && filterNow().words(), "filter"],
    [query.trim() && `“${query.trim()}”`, "query"],
    ...Object.entries(only).map(([name, some]) => [onlyWords(name, some), { only: without(name) }]),
    [hidden.size && `without ${fewNames([...hidden], legendNow().names)}`, "hidden"],
    [pair && fewNames(pair, levels[pairLevel].names), "pair"],
  ]
    .filter(([words]) => words)
    .map(([words, ends]) => [words, typeof ends === "string" ? { [ends]: NONE[ends]() } : ends]);
}

const fewNames = (codes, names) =>
  codes.length > 2 ? `${codes.length} classes` : codes.map((c) => names[c]).join(", ");

export function showActive() {
  const active = activeFilters();
  $("active").hidden = !active.length;
  $("active").replaceChildren(...active.map(filterChip), active.length ? reset() : "");
  const nothing = active.length && !shown().length;
  $("nothing").hidden = !nothing;
  $("nothing").replaceChildren(...(nothing ? ["No image matches. ", reset()] : []));
}

function filterChip([words, change]) {
  return el(
    "button.active",
    { onclick: () => update(change), "aria-label": `${words}: show the others, too` },
    el("span", words),
    el("span", { "aria-hidden": "true" }, "×"),
  );
}

const reset = () => el("button", { onclick: () => update(unfiltered()) }, "Reset");
