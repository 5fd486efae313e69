// The header: method, colours, filter, search, and the page's tools.

import { copyLink } from "./address.js";
import { COLOURINGS } from "./colours.js";
import { meta, methods, outlierCount } from "./data.js";
import { $, el } from "./dom.js";
import { FILTERS, filterNow, shown } from "./filters.js";
import { grouped, plural } from "./format.js";
import { showHelp } from "./help.js";
import { select } from "./lasso.js";
import { savePNG } from "./picture.js";
import { state, update } from "./state.js";
import { nextTheme } from "./theme.js";
import { switchMethod } from "./travel.js";

const colourNames = Object.keys(COLOURINGS);

export function buildControls() {
  $("title").textContent = meta.title;
  radio(
    $("methods"),
    methods.map(({ name }, m) => [name, el("small.soft", plural(outlierCount[m], "outlier"))]),
    switchMethod,
  );
  radio(
    $("colours"),
    colourNames.map((name) => [name]),
    (place) => update({ colour: colourNames[place] }),
  );
  $("filter").append(
    ...FILTERS.map(({ key, size, label }) =>
      el("option", { value: key }, `${grouped(size)} ${label}`),
    ),
  );
  $("filter").onchange = ({ target: { value } }) =>
    update({ filter: value, tab: value === "all" ? state.tab : "outliers" });
  $("search").oninput = ({ target }) => update({ query: target.value });
  $("search").onkeydown = ({ key }) => {
    if (key !== "Enter" || !state.query.trim()) return;
    select(shown());
    $("map").focus();
  };
  $("png").onclick = savePNG;
  $("link").onclick = copyLink;
  $("theme").onclick = nextTheme;
  $("help").onclick = showHelp;
}

export function showControls() {
  markRadio($("methods"), state.method);
  markRadio($("colours"), colourNames.indexOf(state.colour));
  $("filter").value = filterNow().key;
  if ($("search").value !== state.query) $("search").value = state.query;
}

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
