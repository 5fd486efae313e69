// Marching squares: the lines on which a grid of numbers, `side` by `side`, has a value, as
// segments [x, y, x, y] in cells.

// Which edges of a cell a line joins, by which of its corners lie above: 0 to 3 are the edges
// between the corners (0, 0), (1, 0), (1, 1), (0, 1) and the next.
const JOINED = [
  ...[
    [],
    [[3, 0]],
    [[0, 1]],
    [[3, 1]],
    [[1, 2]],
    [
      [3, 0],
      [1, 2],
    ],
    [[0, 2]],
    [[3, 2]],
  ],
  ...[
    [[2, 3]],
    [[2, 0]],
    [
      [0, 1],
      [2, 3],
    ],
    [[2, 1]],
    [[1, 3]],
    [[1, 0]],
    [[0, 3]],
    [],
  ],
];
const CORNERS = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];

export function contours(grid, side, value) {
  const lines = [];
  for (let y = 0; y + 1 < side; y++) {
    for (let x = 0; x + 1 < side; x++) {
      const heights = CORNERS.map(([dx, dy]) => grid[(y + dy) * side + x + dx]);
      const above = heights.reduce((sum, height, c) => sum + (height > value ? 1 << c : 0), 0);
      for (const edges of JOINED[above]) {
        lines.push(edges.flatMap((edge) => crossing(heights, edge, value, x, y)));
      }
    }
  }
  return lines;
}

// Where on an edge the value is, by straight lines between the corners.
function crossing(heights, edge, value, x, y) {
  const next = (edge + 1) % 4;
  const part = (value - heights[edge]) / (heights[next] - heights[edge]);
  const [from, to] = [CORNERS[edge], CORNERS[next]];
  return [0, 1].map((d) => [x, y][d] + from[d] + part * (to[d] - from[d]));
}
