// The chosen photo's nearest neighbours in the original space: a strip of photos, lines on the map.

import { colourOf, legendNow } from "./colours.js";
import { coarsest, levels } from "./data.js";
import { $, el } from "./dom.js";
import { factsAtHand, factsOf } from "./facts.js";
import { screenOf } from "./map.js";
import { isNamed, kinship, nameOf } from "./names.js";
import { drawOverlay } from "./overlay.js";
import { symbolOf } from "./palette.js";
import { fillPath, strokePath, traceSymbol } from "./pen.js";
import { state } from "./state.js";
import { aboutMap, mapOf, methodName } from "./steps.js";
import { theme } from "./theme.js";
import { tile } from "./tiles.js";

export async function showNeighbours() {
  const { chosen, method } = state;
  const map = mapOf(method);
  if (chosen < 0) {
    const how =
      "Click a point, or press N, for the images that the network finds most similar to it.";
    $("neighbours").replaceChildren(heading("Nearest neighbours", how));
    return;
  }
  const near = [...(await factsOf(chosen)).neighbours[map]];
  if (state.chosen !== chosen || mapOf(state.method) !== map) return;
  const relations = near.map((j) => kinship(chosen, j));
  $("neighbours").replaceChildren(
    heading(
      `Nearest to ${nameOf(chosen)} under ${methodName(method)}`,
      `in ${aboutMap(method).dimensions} dimensions, not on the map: ${sharing(chosen, relations)}`,
    ),
    el("div.strip", ...near.map((j, place) => neighbour(j, place, relations[place]))),
  );
  drawOverlay();
}

const heading = (title, words) =>
  el("div.head", el("h2", title), el("span.soft", { title: words }, words));

// "3 of 12 of its species (=), 9 of its genus (=, ~)", as far as it is named.
function sharing(i, relations) {
  const named = [...levels.keys()].filter((l) => isNamed(i, l));
  const counts = named.map((l, place) => {
    const within = levels.slice(0, l + 1).map(({ name }) => name);
    const some = relations.filter(({ kin }) => within.includes(kin)).length;
    const all = place ? "" : ` of ${relations.length}`;
    const signs = l === coarsest ? " (=, ~)" : "";
    return `${some}${all} of its ${levels[l].name}${l ? signs : " (=)"}`;
  });
  return counts.join(", ") || "it is not named";
}

function neighbour(j, place, { kin, sign, words }) {
  const box = tile(j, { sign });
  box.dataset.kin = kin;
  box.classList.add(sign === "~" ? "relative" : sign === "≠" ? "stranger" : "same");
  box.firstChild.setAttribute("aria-label", `neighbour ${place + 1}: ${nameOf(j)}, ${words}`);
  return box;
}

export function drawNeighbours(context, pane) {
  const near = factsAtHand(state.chosen)?.neighbours[mapOf(pane.method)];
  if (!near) return;
  for (const j of near) {
    const stranger = kinship(state.chosen, j).sign === "≠";
    context.beginPath();
    context.setLineDash(stranger ? [5, 4] : []);
    context.moveTo(...screenOf(state.chosen, pane));
    context.lineTo(...screenOf(j, pane));
    strokePath(context, stranger ? theme.hex.warn : theme.hex.soft, 1.3, 0.7);
    context.setLineDash([]);
    drawMarker(context, pane, j);
    strokePath(context, theme.hex.ink, 1.2);
  }
  drawMarker(context, pane, state.chosen);
}

export function drawMarker(context, pane, i) {
  context.beginPath();
  traceSymbol(context, symbolOf(legendNow().codes[i]), ...screenOf(i, pane), pane.radius + 1);
  fillPath(context, colourOf(i));
}
