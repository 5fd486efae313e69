// The points where there is no WebGL. A canvas, since thousands of SVG nodes would make it crawl.

import { colourOf, legendNow } from "./colours.js";
import { n } from "./data.js";
import { $, el } from "./dom.js";
import { ringed, visibility } from "./filters.js";
import { panesNow, screenOf } from "./map.js";
import { symbolOf } from "./palette.js";
import { cleared, clipTo, fillPath, strokePath, traceCircle, traceSymbol } from "./pen.js";
import { theme } from "./theme.js";

export class CanvasPoints {
  static instead() {
    const fresh = el("canvas"); // a canvas that has held WebGL gives no other context
    $("points").replaceWith(fresh);
    fresh.id = "points";
    return new CanvasPoints(fresh);
  }

  constructor(canvas) {
    this.name = "canvas";
    this.canvas = canvas;
  }

  restyle() {
    this.groups = panesNow().map(({ method }) => groupsUnder(method));
  }

  draw() {
    const context = cleared(this.canvas);
    for (const pane of panesNow()) {
      context.save();
      clipTo(context, pane);
      for (const group of this.groups[pane.place]) drawGroup(context, pane, group);
      context.restore();
    }
  }
}

// One path for each look; dimmed first, ringed last.
function groupsUnder(method) {
  const { codes } = legendNow();
  const groups = new Map();
  for (let i = 0; i < n; i++) {
    if (!visibility[i]) continue;
    const layer = visibility[i] === 1 ? 0 : ringed(i, method) ? 2 : 1;
    const symbol = symbolOf(codes[i]);
    const key = `${layer} ${layer ? colourOf(i) : ""} ${symbol}`;
    if (!groups.has(key)) groups.set(key, { layer, symbol, first: i, members: [] });
    groups.get(key).members.push(i);
  }
  return [...groups.values()].sort((a, b) => a.layer - b.layer);
}

function drawGroup(context, pane, { layer, symbol, first, members }) {
  const { radius } = pane;
  const alpha = layer ? 1 : 0.55;
  context.beginPath();
  for (const i of members) {
    traceSymbol(context, symbol, ...screenOf(i, pane), layer ? radius : radius * 0.62);
  }
  if (radius > 2.5) strokePath(context, theme.hex.page, 1.4, alpha);
  fillPath(context, layer ? colourOf(first) : theme.hex.dim, alpha);
  if (layer < 2) return;
  context.beginPath();
  for (const i of members) traceCircle(context, ...screenOf(i, pane), radius * 1.5 + 1);
  strokePath(context, theme.hex.ink, 1.3);
}
