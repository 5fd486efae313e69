// The header: method, colours, level of the outliers, filter, search, and the page's tools.

import { copyLink } from "./address.js";
import { colourBy, COLOURINGS } from "./colours.js";
import { levels, meta, methods } from "./data.js";
import { $, el } from "./dom.js";
import { FILTERS, filterNow, outlierFilters, shown, sizeOf, wrongFilters } from "./filters.js";
import { capital, grouped, listedOr, plural } from "./format.js";
import { showHelp } from "./help.js";
import { select } from "./lasso.js";
import { savePNG } from "./picture.js";
import { state, update } from "./state.js";
import { nextTheme } from "./theme.js";
import { switchMethod } from "./travel.js";
import { outlierCounts } from "./verdicts.js";

const colourNames = COLOURINGS.map(({ name }) => name);
const MOST_LETTERS = 28; // of colourings side by side; more of them are a list

export function buildControls() {
  $("title").textContent = meta.title;
  radio(
    $("methods"),
    methods.map(({ name }) => [name, el("small.soft")]),
    switchMethod,
  );
  buildColours();
  buildJudged();
  $("filter").append(
    el("option", { value: "all" }),
    ...filterGroup("Outliers", outlierFilters),
    ...filterGroup(`${capital(levels[0].name)} right or wrong`, wrongFilters),
  );
  $("filter").onchange = ({ target: { value } }) =>
    update({ filter: value, tab: value === "all" ? state.tab : "outliers" });
  const names = levels.map(({ name }) => name);
  $("search").placeholder = `Find ${names.join(", ")}`;
  $("search").setAttribute("aria-label", `Find ${listedOr(names)}`);
  $("search").oninput = ({ target }) => update({ query: target.value });
  $("search").onkeydown = ({ key }) => {
    if (key !== "Enter" || !state.query.trim()) return;
    select(shown());
    $("map").focus();
  };
  for (const key of ["pictures", "names"]) $(key).onclick = () => update({ [key]: !state[key] });
  $("png").onclick = savePNG;
  $("link").onclick = copyLink;
  $("theme").onclick = nextTheme;
  $("help").onclick = showHelp;
  tellCounts();
}

function buildColours() {
  $("colours").hidden = colourNames.length < 2;
  if (colourNames.join("").length <= MOST_LETTERS) {
    const contents = colourNames.map((name) => [name]);
    return radio($("colours"), contents, (place) => colourBy(colourNames[place]));
  }
  const options = colourNames.map((name) => el("option", { value: name }, `colours: ${name}`));
  const change = ({ target }) => colourBy(target.value);
  const list = el("select", { id: "colours", onchange: change, "aria-label": "Colour by" });
  list.append(...options);
  $("colours").replaceWith(list);
}

function buildJudged() {
  $("judged").hidden = meta.judged.length < 2;
  const options = meta.judged.map((l) => el("option", { value: l }, `outliers: ${levels[l].name}`));
  $("judged").append(...options);
  $("judged").onchange = ({ target }) => update({ judged: Number(target.value) });
}

export function showControls(change) {
  if ("judged" in change || "steps" in change) tellCounts();
  for (const key of ["pictures", "names"]) $(key).setAttribute("aria-pressed", String(state[key]));
  markRadio($("methods"), state.method);
  if ($("colours").matches("select")) $("colours").value = state.colour;
  else markRadio($("colours"), colourNames.indexOf(state.colour));
  $("judged").value = state.judged;
  $("filter").value = filterNow().key;
  if ($("search").value !== state.query) $("search").value = state.query;
}

function tellCounts() {
  [...$("methods").children].forEach((button, m) => {
    button.lastChild.textContent = plural(outlierCounts()[m], "outlier");
  });
  [...$("filter").options].forEach((option, place) => {
    const filter = FILTERS[place];
    option.textContent = `${grouped(sizeOf(filter))} ${filter.words()}`;
  });
}

const filterGroup = (label, filters) =>
  filters.length
    ? [el("optgroup", { label }, ...filters.map(({ key }) => el("option", { value: key })))]
    : [];

// Buttons, built once and then only marked, so that focus and double presses survive a change.
function radio(parent, contents, pick) {
  const move = (event) => {
    const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!way) return;
    event.preventDefault();
    event.stopPropagation();
    const next = [...parent.children].indexOf(event.target) + way;
    parent.children[(next + contents.length) % contents.length].focus();
    document.activeElement.click();
  };
  parent.append(
    ...contents.map((content, place) =>
      el("button", { role: "radio", onclick: () => pick(place), onkeydown: move }, ...content),
    ),
  );
}

function markRadio(parent, chosen) {
  [...parent.children].forEach((button, place) => {
    button.setAttribute("aria-checked", String(place === chosen));
    button.tabIndex = place === chosen ? 0 : -1;
  });
}
