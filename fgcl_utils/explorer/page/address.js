// The page's address holds the view, so that a link opens it again.

import { COLOURINGS } from "./colours.js";
import { MOST_PINS } from "./compare.js";
import { levels, meta, methods, n } from "./data.js";
import { FILTERS } from "./filters.js";
import { decode, encode } from "./hash.js";
import { announce } from "./messages.js";
import { TABS } from "./panel.js";
import { state, update } from "./state.js";
import { setTheme } from "./theme.js";

const possible = {
  methods: methods.map(({ name }) => name),
  colours: coloursFromFirst(),
  judged: meta.judged.map((l) => levels[l].name),
  filters: FILTERS.map(({ key }) => key),
  tabs: Object.keys(TABS),
  hidden: Math.max(...COLOURINGS.map(({ legend }) => legend.names.length)),
  marked: levels[0].names.length,
  points: n,
  pins: MOST_PINS,
};

function coloursFromFirst() {
  const names = COLOURINGS.map(({ name }) => name);
  return [state.colour, ...names.filter((name) => name !== state.colour)];
}

let lastHash = "";
let saving = 0;

export function followAddress() {
  restore();
  window.addEventListener("hashchange", () => location.hash !== lastHash && restore());
}

function restore() {
  const { theme: light, judged, ...view } = decode(location.hash, possible);
  setTheme(light);
  update({ ...view, judged: meta.judged[judged] });
}

export function saveSoon() {
  clearTimeout(saving);
  saving = setTimeout(save, 250);
}

function save() {
  lastHash = encode({ ...state, judged: meta.judged.indexOf(state.judged) }, possible);
  try {
    history.replaceState(null, "", lastHash || location.pathname + location.search);
  } catch {
    // A sandboxed frame may not write its address.
  }
}

export async function copyLink() {
  save();
  try {
    await navigator.clipboard.writeText(location.href);
    announce("Link to this view copied", true);
  } catch {
    announce("The address bar holds the link to this view", true);
  }
}
