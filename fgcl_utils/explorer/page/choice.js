// The chosen photo: its neighbours are listed, and N and P step from it.

import { showCard } from "./card.js";
import { levels } from "./data.js";
import { shown } from "./filters.js";
import { bringIntoView } from "./map.js";
import { announce } from "./messages.js";
import { className } from "./names.js";
import { halo } from "./overlay.js";
import { state, update } from "./state.js";
import { methodName } from "./steps.js";
import { theme } from "./theme.js";
import { isOutlier, nearestName, outlierWord } from "./verdicts.js";

export function choose(i) {
  update({ chosen: i });
  if (i >= 0) announce(describe(i));
}

export function step(direction) {
  const list = state.selection.length ? state.selection : shown();
  if (!list.length) return;
  const place = list.indexOf(state.chosen);
  const next = place < 0 ? (direction > 0 ? 0 : list.length - 1) : place + direction;
  const i = list[(next + list.length) % list.length];
  choose(i);
  bringIntoView(i);
  showCard(i);
}

export function describe(i) {
  const above = levels.slice(1).map(({ name }, l) => `${name} ${className(i, l + 1)}`);
  const near = nearestName(i, state.method);
  const outlier = isOutlier(i, state.method) ? outlierWord() : `no ${outlierWord()}`;
  const place = isOutlier(i, state.method) && near ? `, nearest to ${near}` : "";
  const verdict = `${outlier} under ${methodName(state.method)}${place}`;
  return [className(i, 0), ...above, verdict].join(", ");
}

export function drawChosen(context, pane) {
  if (state.chosen >= 0) halo(context, pane, state.chosen, 5, theme.hex.accent, 3);
}
