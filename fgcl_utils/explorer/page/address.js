// The page's address holds the view, so that a link opens it again.

import { COLOURINGS } from "./colours.js";
import { MOST_PINS } from "./compare.js";
import { levels, meta, methods, n } from "./data.js";
import { $ } from "./dom.js";
import { FILTERS } from "./filters.js";
import { decode, encode } from "./hash.js";
import { announce } from "./messages.js";
import { TABS } from "./panel.js";
import { usualBeside } from "./panes.js";
import { state, update } from "./state.js";
import { setTheme } from "./theme.js";

const possible = {
  beside: usualBeside(),
  steps: methods.map(({ maps, start }) => ({ many: maps.length, start })),
  pairs: meta.has_nearest ? levels.map(({ names }) => names.length) : [],
  methods: methods.map(({ name }) => name),
  colours: coloursFromFirst(),
  judged: meta.judged.map((l) => levels[l].name),
  filters: FILTERS.map(({ key }) => key),
  tabs: Object.keys(TABS),
  hidden: Math.max(...COLOURINGS.map(({ legend }) => legend.names.length)),
  columns: Object.fromEntries(
    COLOURINGS.map(({ name, classes }) => [name, classes?.names.length ?? Infinity]),
  ),
  points: n,
  pins: MOST_PINS,
};

function coloursFromFirst() {
  const names = COLOURINGS.map(({ name }) => name);
  return [state.colour, ...names.filter((name) => name !== state.colour)];
}

let saving = 0;
let stepped = false; // whether the reader has done something since, that Back undoes
const PASSING = new Set(["chosen", "tab"]);

export function followAddress() {
  $("alone").hidden = window === window.parent;
  restore();
  window.addEventListener("popstate", ({ state: kept }) => restore(kept?.selection));
}

function restore(selection = []) {
  const { theme: light, judged, ...view } = decode(location.hash, possible);
  setTheme(light);
  update({ ...view, judged: meta.judged[judged], selection });
  stepped = false;
}

export function noteChange(change) {
  stepped ||= Object.keys(change).some((key) => !PASSING.has(key));
}

export function saveSoon() {
  clearTimeout(saving);
  saving = setTimeout(save, 250);
}

// The address says nothing of the selection, which may be long: the browser's history keeps it.
function save() {
  const hash = encode({ ...state, judged: meta.judged.indexOf(state.judged) }, possible);
  const address = hash || location.pathname + location.search;
  try {
    history[stepped ? "pushState" : "replaceState"]({ selection: state.selection }, "", address);
  } catch {
    // A sandboxed frame may not write its address.
  }
  stepped = false;
  $("alone").href = location.href;
}

export async function copyLink() {
  save();
  const what = meta.standalone ? "file" : "folder";
  const along = location.protocol === "file:" ? `. Send the ${what} along: the link opens it` : "";
  try {
    await navigator.clipboard.writeText(location.href);
    announce(`Link to this view copied${along}`, true);
  } catch {
    announce(`The address bar holds the link to this view${along}`, true);
  }
}
