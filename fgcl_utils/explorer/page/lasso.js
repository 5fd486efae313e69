// Photos gathered into a selection: drawn around on the map, or found.

import { hideCard } from "./card.js";
import { $ } from "./dom.js";
import { shown } from "./filters.js";
import { plural } from "./format.js";
import { inside, toMap, toScreen } from "./geometry.js";
import { paneAt, positionOf, screenOf } from "./map.js";
import { announce } from "./messages.js";
import { drawOverlay } from "./overlay.js";
import { repaint } from "./paint.js";
import { fillPath, strokePath, traceCircle } from "./pen.js";
import { state, update } from "./state.js";
import { theme } from "./theme.js";

const MOST_DRAWN = 3000; // selected points

// On: the next drag draws. The path is on the square of one map, and stays with its selection.
export const lasso = { on: false, drawing: false, path: [], pane: null };

export function select(selection) {
  update({ selection, tab: "selection" });
  announce(`${plural(selection.length, "image")} selected`);
}

export function clearSelection() {
  lasso.path = [];
  update({ selection: [] });
}

export function toggleLasso() {
  if (lasso.on) return setLasso({ on: false });
  setLasso({ on: true, path: [] });
  announce("Draw around points", true);
}

export const dropLasso = () => setLasso({ on: false, drawing: false, path: [] });

function setLasso(change) {
  Object.assign(lasso, change);
  showLasso();
  repaint();
}

export function showLasso() {
  $("lasso").setAttribute("aria-pressed", String(lasso.on));
  $("map").classList.toggle("lasso", lasso.on);
}

export function beginLasso(spot) {
  const pane = paneAt(spot);
  Object.assign(lasso, { drawing: true, pane, path: [toMap(pane, spot)] });
  hideCard();
}

export function extendLasso(spot) {
  lasso.path.push(toMap(lasso.pane, spot));
  drawOverlay();
}

export function finishLasso() {
  const path = lasso.path.length < 3 ? [] : lasso.path;
  Object.assign(lasso, { drawing: false, on: false, path });
  select(shown().filter((i) => inside(positionOf(i, lasso.pane), path)));
}

// The selected points on every map, with the path on the one where it was drawn.
export function drawSelection(context, pane) {
  context.beginPath();
  for (const i of state.selection.slice(0, MOST_DRAWN)) {
    traceCircle(context, ...screenOf(i, pane), pane.radius + 2);
  }
  strokePath(context, theme.hex.accent, 1.6);
  drawPath(context, pane);
}

function drawPath(context, pane) {
  if (!lasso.path.length || lasso.pane !== pane) return;
  context.beginPath();
  lasso.path.forEach((p, c) => context[c ? "lineTo" : "moveTo"](...toScreen(pane, p)));
  context.closePath();
  fillPath(context, theme.hex.accent, 0.14);
  strokePath(context, theme.hex.accent, 2);
}
