// What lies over the points: rings, pins, lines. Each part draws its own, in the order that
// start.js gives.

import { $ } from "./dom.js";
import { screenOf } from "./map.js";
import { cleared, strokePath, traceCircle } from "./pen.js";
import { theme } from "./theme.js";

const overlays = [];
export const onOverlay = (...drawers) => overlays.push(...drawers);

export function drawOverlay() {
  const context = cleared($("overlay"));
  for (const draw of overlays) draw(context);
}

export function halo(context, i, radius, colour, width) {
  context.beginPath();
  traceCircle(context, ...screenOf(i), radius);
  strokePath(context, theme.hex.page, width + 2.5);
  strokePath(context, colour, width);
}
