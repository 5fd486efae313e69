// The maps on the page, one or two side by side: their cameras, where each point is drawn, and
// which one is meant.

import { columns, n } from "./data.js";
import { $ } from "./dom.js";
import { visibility } from "./filters.js";
import { markerRadius, middleOf, scaleOf, toMap, toScreen, wholeMap, zoomed } from "./geometry.js";
import { repaint } from "./paint.js";
import { state, viewChanged } from "./state.js";
import { mapOf } from "./steps.js";

// The drawn area.
export const camera = {
  width: 1,
  height: 1,
  head: 0, // for what the maps are called, and their sliders
  foot: 40, // for the buttons below the map
  pixel: 1, // device pixels in one of the page
};

// The parts of it, each a frame of geometry.js. Points on their way from one map to another have t
// of the way behind them.
const panes = [0, 1].map((place) => ({
  place,
  left: 0,
  width: 1,
  from: 0, // place of a map among the columns
  t: 1,
  reach: 0, // pixels around a point that are its photo's
  get height() {
    return camera.height;
  },
  get head() {
    return camera.head;
  },
  get foot() {
    return camera.foot;
  },
  get view() {
    return (place && state.besideView) || state.view;
  },
  get method() {
    return place ? state.beside : state.method;
  },
  get radius() {
    return markerRadius(n, this.view.z); // of a marker, in pixels
  },
}));
export const firstPane = panes[0];
export const panesNow = () => (state.beside < 0 ? [firstPane] : panes);
export const paneAt = ([x]) => panesNow().findLast(({ left, place }) => !place || x >= left);
export const settled = () => panesNow().every(({ t }) => t === 1);

// On the square, as drawn at this moment.
export function positionOf(i, pane = firstPane) {
  const here = columns.positions[pane.from];
  const there = columns.positions[mapOf(pane.method)];
  const mix = (d) => ((1 - pane.t) * here[2 * i + d] + pane.t * there[2 * i + d]) / 32767;
  return [mix(0), mix(1)];
}

export const screenOf = (i, pane = firstPane) => toScreen(pane, positionOf(i, pane));

// The shown point nearest to a spot, −1 if none is within reach.
export function pointAt(spot, least = 14) {
  const pane = paneAt(spot);
  const reach = Math.max(least, pane.reach);
  const xy = columns.positions[mapOf(pane.method)];
  const [x, y] = toMap(pane, spot).map((v) => v * 32767);
  let best = -1;
  let nearest = ((reach / scaleOf(pane)) * 32767) ** 2;
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

// Of one map, or of both while these zoom together.
export function setView(view, pane = firstPane) {
  state[pane.place && state.besideView ? "besideView" : "view"] = view;
  viewChanged();
}
export function showWhole() {
  Object.assign(state, { view: wholeMap(), besideView: state.besideView && wholeMap() });
  viewChanged();
}
export function zoomBy(factor, spot) {
  const meant = spot ? [paneAt(spot)] : state.besideView ? panesNow() : [firstPane];
  for (const pane of meant) setView(zoomed(pane, factor, spot ?? middleOf(pane)), pane);
}

export function bringIntoView(i) {
  for (const pane of state.besideView ? panesNow() : [firstPane]) {
    const [px, py] = screenOf(i, pane);
    const within = px > pane.left + 20 && px < pane.left + pane.width - 20;
    if (within && py > 20 && py < pane.height - 20) continue;
    const [x, y] = positionOf(i, pane);
    setView({ ...pane.view, x, y }, pane);
  }
}

export function followSize() {
  measure();
  new ResizeObserver(measure).observe($("map"));
}

export function measure() {
  const { width, height } = $("map").getBoundingClientRect();
  Object.assign(camera, { width: Math.max(80, width), height: Math.max(80, height) });
  const high = [...$("panes").querySelectorAll(".head")].map(({ offsetHeight }) => offsetHeight);
  Object.assign(camera, { head: Math.max(...high), foot: $("zoom").offsetHeight + 8 });
  camera.pixel = Math.min(window.devicePixelRatio || 1, 2);
  divide();
  repaint();
}

function divide() {
  const width = camera.width / panesNow().length;
  for (const pane of panesNow()) Object.assign(pane, { left: pane.place * width, width });
}
