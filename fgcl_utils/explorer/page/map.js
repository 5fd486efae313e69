// The map on the page: its camera, where each point is drawn, and which one is meant.

import { columns, n } from "./data.js";
import { $ } from "./dom.js";
import { visibility } from "./filters.js";
import { markerRadius, middleOf, scaleOf, toMap, toScreen, wholeMap, zoomed } from "./geometry.js";
import { repaint } from "./paint.js";
import { state, viewChanged } from "./state.js";

export const camera = {
  width: 1,
  height: 1,
  foot: 40, // for the buttons below the map
  pixel: 1, // device pixels in one of the page
  get view() {
    return state.view;
  },
  get radius() {
    return markerRadius(n, state.view.z); // of a marker, in pixels
  },
};

// Points on their way from the method before to the one in view: t of the way is behind them.
export const tween = { from: 0, t: 1 };

// On the square, as drawn at this moment.
export function positionOf(i) {
  const here = columns.positions[tween.from];
  const there = columns.positions[state.method];
  const mix = (d) => ((1 - tween.t) * here[2 * i + d] + tween.t * there[2 * i + d]) / 32767;
  return [mix(0), mix(1)];
}

export const screenOf = (i) => toScreen(camera, positionOf(i));

// The shown point nearest to a spot, −1 if none is within reach.
export function pointAt(spot, reach = 14) {
  const xy = columns.positions[state.method];
  const [x, y] = toMap(camera, spot).map((v) => v * 32767);
  let best = -1;
  let nearest = ((reach / scaleOf(camera)) * 32767) ** 2;
  // 300,000 points take a millisecond: no index needed.
  for (let i = 0; i < n; i++) {
    if (visibility[i] !== 2) continue;
    const dx = xy[2 * i] - x;
    const dy = xy[2 * i + 1] - y;
    const apart = dx * dx + dy * dy;
    if (apart < nearest) {
      best = i;
      nearest = apart;
    }
  }
  return best;
}

export const setView = (view) => {
  state.view = view;
  viewChanged();
};
export const showWhole = () => setView(wholeMap());
export const zoomBy = (factor, spot = middleOf(camera)) => setView(zoomed(camera, factor, spot));

export function bringIntoView(i) {
  const [px, py] = screenOf(i);
  if (px > 20 && py > 20 && px < camera.width - 20 && py < camera.height - 20) return;
  const [x, y] = positionOf(i);
  setView({ ...state.view, x, y });
}

export function followSize() {
  measure();
  new ResizeObserver(measure).observe($("map"));
}

function measure() {
  const { width, height } = $("map").getBoundingClientRect();
  Object.assign(camera, { width: Math.max(80, width), height: Math.max(80, height) });
  camera.pixel = Math.min(window.devicePixelRatio || 1, 2);
  repaint();
}
