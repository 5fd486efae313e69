// What lies over the points: rings, pins, lines. Each part draws its own, in the order that
// start.js gives, on each map.

import { $ } from "./dom.js";
import { panesNow, screenOf } from "./map.js";
import { cleared, clipTo, strokePath, traceCircle } from "./pen.js";
import { theme } from "./theme.js";

const overlays = [];
export const onOverlay = (...drawers) => overlays.push(...drawers);

export function drawOverlay() {
  const context = cleared($("overlay"));
  for (const pane of panesNow()) {
    context.save();
    clipTo(context, pane);
    for (const draw of overlays) draw(context, pane);
    context.restore();
  }
}

export function halo(context, pane, i, beyond, colour, width) {
  context.beginPath();
  traceCircle(context, ...screenOf(i, pane), pane.radius + beyond);
  strokePath(context, theme.hex.page, width + 2.5);
  strokePath(context, colour, width);
}
