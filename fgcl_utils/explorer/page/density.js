// Lines of equal density, where there are so many points that they hide each other.

import { columns, n } from "./data.js";
import { filtering, visibility } from "./filters.js";
import { contours } from "./contours.js";
import { middleOf, scaleOf } from "./geometry.js";
import { mapOf } from "./steps.js";
import { theme } from "./theme.js";

const LEAST = 36000; // points
const CELLS = 128; // along each side of the map
const BLUR = 2; // cells, three times
const PARTS = [0.03, 0.1, 0.25, 0.5, 0.75]; // of the greatest density

export function drawDensity(context, pane) {
  if (n < LEAST || pane.t < 1) return;
  const scale = scaleOf(pane);
  const [x, y] = middleOf(pane);
  context.save();
  context.translate(x - pane.view.x * scale, y + pane.view.y * scale);
  context.scale(scale, -scale);
  Object.assign(context, { globalAlpha: 0.55, lineWidth: 1.2 / scale });
  context.strokeStyle = theme.hex.ink;
  context.stroke(linesOn(mapOf(pane.method)));
  context.restore();
}

const drawnLines = new Map();
function linesOn(map) {
  if (drawnLines.get(map)?.version !== filtering.version) {
    drawnLines.set(map, { version: filtering.version, path: pathOf(columns.positions[map]) });
  }
  return drawnLines.get(map).path;
}

function pathOf(xy) {
  let grid = new Float32Array(CELLS * CELLS);
  const cellOf = (v) => Math.min(CELLS - 1, Math.floor(((v / 32767 + 1) / 2) * CELLS));
  for (let i = 0; i < n; i++) {
    if (visibility[i] === 2) grid[cellOf(xy[2 * i + 1]) * CELLS + cellOf(xy[2 * i])]++;
  }
  for (let round = 0; round < 3; round++) grid = blurred(blurred(grid));
  const most = grid.reduce((a, b) => Math.max(a, b), 0);
  const path = new Path2D();
  const onSquare = (v) => (2 * (v + 0.5)) / CELLS - 1;
  for (const part of most ? PARTS : []) {
    for (const [ax, ay, bx, by] of contours(grid, CELLS, part * most)) {
      path.moveTo(onSquare(ax), onSquare(ay));
      path.lineTo(onSquare(bx), onSquare(by));
    }
  }
  return path;
}

// The means along each row, and the square turned, so that twice is both ways.
function blurred(grid) {
  const next = new Float32Array(grid.length);
  for (let row = 0; row < CELLS; row++) {
    for (let column = 0; column < CELLS; column++) {
      let sum = 0;
      for (let d = -BLUR; d <= BLUR; d++) {
        if (column + d >= 0 && column + d < CELLS) sum += grid[row * CELLS + column + d];
      }
      next[column * CELLS + row] = sum / (2 * BLUR + 1);
    }
  }
  return next;
}
