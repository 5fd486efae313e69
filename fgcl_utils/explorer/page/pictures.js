// Photos on the map, where few enough points are in view: zoomed in, or few in all. Those that
// would cover another stay points, on top of it.

import { colourOf } from "./colours.js";
import { columns, n } from "./data.js";
import { ringed, visibility } from "./filters.js";
import { toMap } from "./geometry.js";
import { screenOf } from "./map.js";
import { drawMarker } from "./neighbours.js";
import { repaint } from "./paint.js";
import { strokePath } from "./pen.js";
import { photoURL } from "./shards.js";
import { state } from "./state.js";
import { mapOf } from "./steps.js";
import { theme } from "./theme.js";

const MOST = 160; // points in view, from which on there are no photos
const MOST_HELD = 800; // decoded photos
const SIZES = [
  [24, 84], // up to so many points in view, a photo's side in pixels
  [60, 60],
  [MOST, 44],
];

export function drawPictures(context, pane) {
  pane.reach = 0;
  if (!state.pictures || pane.t < 1) return;
  const inView = pointsInView(pane);
  const [, side] = SIZES.find(([many]) => inView.length <= many) ?? [];
  if (!side) return;
  pane.reach = side / 2;
  const placed = [];
  const points = [];
  for (const i of inView) {
    const [x, y] = screenOf(i, pane);
    const covers = placed.some((p) => Math.abs(p.x - x) < side && Math.abs(p.y - y) < side);
    const image = covers ? null : imageOf(i);
    if (!image) {
      points.push(i);
      continue;
    }
    placed.push({ x, y });
    drawPicture(context, image, x, y, side);
    context.strokeStyle = ringed(i, pane.method) ? theme.hex.ink : colourOf(i);
    context.strokeRect(x - side / 2, y - side / 2, side, side);
  }
  for (const i of points) {
    drawMarker(context, pane, i);
    strokePath(context, ringed(i, pane.method) ? theme.hex.ink : theme.hex.page, 1.4);
  }
}

// Shown points, or more than are wanted of them. Of tens of thousands at every frame, hence the
// plain arithmetic.
function pointsInView(pane) {
  const xy = columns.positions[mapOf(pane.method)];
  const corners = [
    [pane.left, pane.height],
    [pane.left + pane.width, 0],
  ].map((spot) => toMap(pane, spot).map((v) => v * 32767));
  const [[left, low], [right, high]] = corners;
  const found = [];
  for (let i = 0; i < n && found.length <= MOST; i++) {
    const x = xy[2 * i];
    const y = xy[2 * i + 1];
    if (x < left || x > right || y < low || y > high || visibility[i] !== 2) continue;
    found.push(i);
  }
  return found;
}

// The middle of the photo fills a square.
function drawPicture(context, image, x, y, side) {
  const { naturalWidth: w, naturalHeight: h } = image;
  const cut = Math.min(w, h);
  const from = [(w - cut) / 2, (h - cut) / 2];
  context.drawImage(image, ...from, cut, cut, x - side / 2, y - side / 2, side, side);
  context.lineWidth = 2.5;
  context.globalAlpha = 1;
}

// null while it is on its way, or if there is none.
const images = new Map();
function imageOf(i) {
  if (!images.has(i)) load(i);
  return images.get(i);
}

async function load(i) {
  images.set(i, null);
  if (images.size > MOST_HELD) images.delete(images.keys().next().value);
  const url = await photoURL("thumb", i);
  if (!url) return;
  const image = new Image();
  image.src = url;
  await image.decode();
  images.set(i, image);
  repaint();
}
