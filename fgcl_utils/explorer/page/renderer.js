// Who draws the points: WebGL, or a canvas where there is none. Both have `restyle`, for what
// depends on the points' looks, and `draw`.

import { CanvasPoints } from "./canvas.js";
import { $ } from "./dom.js";
import { refilter } from "./filters.js";
import { repaint } from "./paint.js";
import { WebGLPoints } from "./webgl.js";

let renderer = null;

export function startRenderer() {
  // Browsers keep about 16 contexts and take the oldest away when a page asks for more.
  $("points").addEventListener("webglcontextlost", () => useRenderer(CanvasPoints.instead()));
  useRenderer(opened());
}

function opened() {
  try {
    return WebGLPoints.open($("points")) ?? new CanvasPoints($("points"));
  } catch (error) {
    console.warn("no WebGL map:", error);
    return CanvasPoints.instead();
  }
}

function useRenderer(chosen) {
  renderer = chosen;
  document.documentElement.dataset.renderer = renderer.name;
  renderer.restyle();
  repaint();
}

export const drawPoints = () => renderer.draw();

const STYLING = new Set([
  ...["method", "beside", "steps", "colour", "judged"],
  ...["filter", "hidden", "only", "query", "pair"],
]);
export function restylePoints(change) {
  if (!Object.keys(change).some((key) => STYLING.has(key))) return;
  refilter();
  renderer.restyle();
}
