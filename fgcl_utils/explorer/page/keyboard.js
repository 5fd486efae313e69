// Keys. help.js lists them.

import { unfiltered } from "./active.js";
import { hideCard } from "./card.js";
import { choose, step } from "./choice.js";
import { colourBy, COLOURINGS } from "./colours.js";
import { togglePin } from "./compare.js";
import { methods } from "./data.js";
import { $ } from "./dom.js";
import { showHelp } from "./help.js";
import { clearSelection, dropLasso, lasso, toggleLasso } from "./lasso.js";
import { showWhole, zoomBy } from "./map.js";
import { repaint } from "./paint.js";
import { pan } from "./pointer.js";
import { state, update } from "./state.js";
import { switchMethod } from "./travel.js";

const SHIFT = 60; // pixels
const ANYWHERE = {
  n: () => step(1),
  p: () => step(-1),
  Escape: escape,
  c: nextColour,
  o: toggleOutliers,
  b: () => $("two").click(),
  v: () => $("pictures").click(),
  m: () => $("names").click(),
  l: toggleLasso,
  "/": () => $("search").focus(),
  "?": showHelp,
  "+": () => zoomBy(1.4),
  "=": () => zoomBy(1.4),
  "-": () => zoomBy(1 / 1.4),
  0: showWhole,
};
// Elsewhere these scroll, or press a button.
const ON_THE_MAP = {
  Enter: () => state.chosen >= 0 && togglePin(state.chosen),
  ArrowLeft: () => pan(-SHIFT, 0),
  ArrowRight: () => pan(SHIFT, 0),
  ArrowUp: () => pan(0, -SHIFT),
  ArrowDown: () => pan(0, SHIFT),
};

export function listenToKeys() {
  document.addEventListener("keydown", keyDown);
}

function keyDown(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("dialog").open) return;
  if (event.target.matches("input, select, textarea")) {
    if (event.key === "Escape") $("map").focus();
    return;
  }
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const free = !event.target.closest("button, [role=tabpanel]");
  const act =
    ANYWHERE[name] ??
    (free ? ON_THE_MAP[name] : undefined) ??
    (methods[name - 1] ? () => switchMethod(name - 1) : undefined);
  if (!act) return;
  event.preventDefault();
  act();
  $("map").classList.remove("drag");
}

// Clears one thing at a time.
function escape() {
  if (lasso.on || lasso.drawing) dropLasso();
  else if (state.selection.length) clearSelection();
  else if (state.pins.length) update({ pins: [] });
  else if (state.chosen >= 0) choose(-1);
  else update(unfiltered());
  hideCard();
  repaint();
}

function nextColour() {
  const names = COLOURINGS.map(({ name }) => name);
  colourBy(names[(names.indexOf(state.colour) + 1) % names.length]);
}

function toggleOutliers() {
  const own = `out:${state.method}`;
  update({ filter: state.filter === own ? "all" : own, tab: "outliers" });
}
