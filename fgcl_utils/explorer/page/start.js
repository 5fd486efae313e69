// The explorer's page: one script, no library, no request. Everything is in the page, or in script
// shards beside it.
//
// Here its parts are put together. A new one shows itself by a line in the lists below, a tab in
// panel.js, a colouring in colours.js or a filter in filters.js.

import { showActive } from "./active.js";
import { followAddress, noteChange, saveSoon } from "./address.js";
import { drawHovered } from "./card.js";
import { choose, drawChosen } from "./choice.js";
import { drawPins, togglePin } from "./compare.js";
import { buildControls, showControls } from "./controls.js";
import { methods, n } from "./data.js";
import { drawDensity } from "./density.js";
import { $ } from "./dom.js";
import { distance, factsOf } from "./facts.js";
import { shown } from "./filters.js";
import { listenToKeys } from "./keyboard.js";
import { drawSelection, lasso, showLasso } from "./lasso.js";
import { showLegend } from "./legend.js";
import { followSize, panesNow, positionOf, screenOf, settled } from "./map.js";
import { drawNeighbours, showNeighbours } from "./neighbours.js";
import { drawOverlay, onOverlay } from "./overlay.js";
import { onPaint, repaint } from "./paint.js";
import { showPanel } from "./panel.js";
import { buildPanes, showPanes } from "./panes.js";
import { drawPictures } from "./pictures.js";
import { drawPlaces } from "./places.js";
import { listenToPointers } from "./pointer.js";
import { showReading } from "./reading.js";
import { drawPoints, restylePoints, startRenderer } from "./renderer.js";
import { onChange, onView, state, update } from "./state.js";
import { aboutMap, mapOf } from "./steps.js";
import { followTheme, setTheme } from "./theme.js";
import { arrive, switchMethod, travel } from "./travel.js";
import { isOutlier } from "./verdicts.js";

onChange(travel, restylePoints); // before those who ask which points are shown
onChange(noteChange, showControls, showPanes, showLegend, showActive, showLasso);
onChange(showReading, showNeighbours, showPanel);
onView(repaint, saveSoon);
onPaint(drawPoints, drawOverlay);
onOverlay(
  drawDensity,
  drawPictures,
  drawPlaces,
  drawNeighbours,
  drawHovered,
  drawChosen,
  drawPins,
  drawSelection,
); // the last on top

buildControls();
buildPanes();
setTheme("auto");
startRenderer();
followTheme();
listenToPointers();
listenToKeys();
followSize();
followAddress();
panesNow().forEach(arrive); // a view from a link opens in place

// For tests, and for whoever writes a page around the map.
window.explorer = {
  state,
  methods: methods.map(({ name }) => name),
  get settled() {
    return settled();
  },
  get drawn() {
    return shown().length;
  },
  get lassoPath() {
    return lasso.path.map((spot) => toPlane(spot, lasso.pane));
  },
  coords: (place = 0) => {
    const pane = panesNow()[place];
    return Array.from({ length: n }, (_, i) => toPlane(positionOf(i, pane), pane));
  },
  screenOf: (i, place = 0) => {
    const box = $("overlay").getBoundingClientRect();
    const [x, y] = screenOf(i, panesNow()[place]);
    return [box.left + x, box.top + y];
  },
  neighbours: async (i, m = state.method) => [...(await factsOf(i)).neighbours[mapOf(m)]],
  distance: (i, j, m = state.method) => distance(i, j, m),
  outliers: (m = state.method) => [...Array(n).keys()].filter((i) => isOutlier(i, m)),
  shown,
  switchMethod,
  togglePin,
  choose,
  update,
};

// From the drawn square to the caller's coordinates.
function toPlane([x, y], { method }) {
  const { centre, half } = aboutMap(method);
  return [centre[0] + half * x, centre[1] + half * y];
}

requestAnimationFrame(() =>
  requestAnimationFrame(() => {
    document.documentElement.dataset.ready = "true";
  }),
);
