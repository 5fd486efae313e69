// What keeps photos from being shown, each with a button that ends it.

import { legendNow } from "./colours.js";
import { levels } from "./data.js";
import { $, el } from "./dom.js";
import { filterNow, shown } from "./filters.js";
import { state, update } from "./state.js";

const NONE = {
  filter: () => "all",
  query: () => "",
  marked: () => new Set(),
  hidden: () => new Set(),
  pair: () => null,
};

export const unfiltered = () =>
  Object.fromEntries(Object.entries(NONE).map(([key, none]) => [key, none()]));

// Words for each that is active.
function activeFilters() {
  const { filter, query, marked, hidden, pair, pairLevel } = state;
  const words = {
    filter: filter === "all" ? "" : filterNow().words(),
    query: query.trim() && `“${query.trim()}”`,
    marked: fewNames(marked, levels[0].names),
    hidden: hidden.size ? `without ${fewNames(hidden, legendNow().names)}` : "",
    pair: pair ? fewNames(new Set(pair), levels[pairLevel].names) : "",
  };
  return Object.entries(words).filter(([, said]) => said);
}

const fewNames = (codes, names) =>
  codes.size > 2 ? `${codes.size} classes` : [...codes].map((c) => names[c]).join(", ");

export function showActive() {
  const active = activeFilters();
  $("active").hidden = !active.length;
  $("active").replaceChildren(...active.map(filterChip), active.length ? reset() : "");
  const nothing = active.length && !shown().length;
  $("nothing").hidden = !nothing;
  $("nothing").replaceChildren(...(nothing ? ["No photo matches. ", reset()] : []));
}

function filterChip([key, said]) {
  const end = () => update({ [key]: NONE[key]() });
  return el(
    "button.active",
    { onclick: end, "aria-label": `${said}: show the others, too` },
    el("span", said),
    el("span", { "aria-hidden": "true" }, "×"),
  );
}

const reset = () => el("button", { onclick: () => update(unfiltered()) }, "Reset");
