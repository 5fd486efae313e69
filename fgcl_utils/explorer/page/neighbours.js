// The chosen photo's nearest neighbours in the original space: a strip of photos, lines on the map.

import { colourOf } from "./colours.js";
import { genusOf, KIN, kinship, methods, speciesName } from "./data.js";
import { $, el } from "./dom.js";
import { factsAtHand, factsOf } from "./facts.js";
import { camera, screenOf } from "./map.js";
import { drawOverlay } from "./overlay.js";
import { symbolOf } from "./palette.js";
import { fillPath, strokePath, traceSymbol } from "./pen.js";
import { state } from "./state.js";
import { theme } from "./theme.js";
import { tile } from "./tiles.js";

export async function showNeighbours() {
  const { chosen, method } = state;
  if (chosen < 0) {
    const how =
      "Click a point, or press N, for the photos that the network finds most similar to it.";
    $("neighbours").replaceChildren(heading("Nearest neighbours", how));
    return;
  }
  const near = [...(await factsOf(chosen)).neighbours[method]];
  if (state.chosen !== chosen || state.method !== method) return;
  const kin = near.map((j) => kinship(chosen, j));
  const same = kin.filter((k) => k === "species").length;
  const genus = kin.filter((k) => k !== "other").length;
  const { name, dimensions } = methods[method];
  $("neighbours").replaceChildren(
    heading(
      `Nearest to ${speciesName(chosen)} under ${name}`,
      `in the original ${dimensions} dimensions, not on the map: ` +
        `${same} of ${near.length} of its species (=), ${genus} of its genus (=, ~)`,
    ),
    el("div.strip", ...near.map((j, place) => neighbour(j, place, kin[place]))),
  );
  drawOverlay();
}

const heading = (title, words) => el("div.head", el("h2", title), el("span.soft", words));

function neighbour(j, place, kin) {
  const [sign, words] = KIN[kin];
  const button = tile(j, { sign });
  button.dataset.kin = kin;
  button.setAttribute("aria-label", `neighbour ${place + 1}: ${speciesName(j)}, ${words}`);
  return button;
}

export function drawNeighbours(context) {
  const near = factsAtHand(state.chosen)?.neighbours[state.method];
  if (!near) return;
  for (const j of near) {
    const stranger = kinship(state.chosen, j) === "other";
    context.beginPath();
    context.setLineDash(stranger ? [5, 4] : []);
    context.moveTo(...screenOf(state.chosen));
    context.lineTo(...screenOf(j));
    strokePath(context, stranger ? theme.hex.warn : theme.hex.soft, 1.3, 0.7);
    context.setLineDash([]);
    drawMarker(context, j);
    strokePath(context, theme.hex.ink, 1.2);
  }
  drawMarker(context, state.chosen);
}

function drawMarker(context, i) {
  context.beginPath();
  traceSymbol(context, symbolOf(genusOf[i]), ...screenOf(i), camera.radius + 1);
  fillPath(context, colourOf(i));
}
