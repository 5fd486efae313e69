// Camera arithmetic. The map is a square from −1 to 1. A frame is {left, width, height, head,
// foot, view}: the drawn area in the page's pixels, the strips at its head and foot that the whole
// map keeps clear of, and the view {x, y, z}, which is the centre and the zoom, 1 = all of it.

const LEAST_ZOOM = 0.5;
export const MOST_ZOOM = 200;
export const wholeMap = () => ({ x: 0, y: 0, z: 1 });

// Pixels for a unit of the map.
export const scaleOf = ({ width, height, head, foot, view }) =>
  0.475 * Math.min(width, height - head - foot) * view.z;

export const middleOf = ({ left, width, height, head, foot }) => [
  left + width / 2,
  (height + head - foot) / 2,
];

export function toScreen(frame, [x, y]) {
  const scale = scaleOf(frame);
  const [px, py] = middleOf(frame);
  return [px + (x - frame.view.x) * scale, py - (y - frame.view.y) * scale];
}

export function toMap(frame, [px, py]) {
  const scale = scaleOf(frame);
  const [cx, cy] = middleOf(frame);
  return [frame.view.x + (px - cx) / scale, frame.view.y - (py - cy) / scale];
}

// The view after a zoom that leaves the spot of the screen where it is.
export function zoomed(frame, factor, spot) {
  const z = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, frame.view.z * factor));
  const [x, y] = toMap(frame, spot);
  const [movedX, movedY] = toMap({ ...frame, view: { ...frame.view, z } }, spot);
  return { x: frame.view.x + x - movedX, y: frame.view.y + y - movedY, z };
}

// A marker's radius in pixels: smaller the more points there are, larger with the zoom.
export function markerRadius(points, zoom) {
  const whole = Math.max(1.3, Math.min(6, 210 / Math.sqrt(points)));
  return Math.min(11, whole * zoom ** 0.45);
}

// Is the point inside the closed path? Even-odd rule.
export function inside([x, y], path) {
  let within = false;
  for (let a = 0, b = path.length - 1; a < path.length; b = a++) {
    const [ax, ay] = path[a];
    const [bx, by] = path[b];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
  }
  return within;
}

// Slow at both ends: the part of the way after a part of the time.
export const eased = (part) => (part < 0.5 ? 4 * part ** 3 : 1 - (2 - 2 * part) ** 3 / 2);

// Where a box of this size, [width, height], lies in an area so that it hides the least of what is
// around the spots: beside them if there is room, else at an edge. Of equally good places the one
// nearest to the first spot.
export function clearestPlace([w, h], [width, height], spots, around) {
  const gap = 6;
  const within = (v, most) => Math.max(gap, Math.min(most - gap, v));
  const places = [];
  for (const [x, y] of spots) {
    for (const left of [x + around, x - around - w, gap, width - w - gap]) {
      for (const top of [y - h / 2, gap, height - h - gap]) {
        places.push([within(left, width - w), within(top, height - h)]);
      }
    }
  }
  const hidden = ([left, top]) =>
    spots.reduce((sum, [x, y]) => {
      const wide = Math.min(left + w, x + around) - Math.max(left, x - around);
      const high = Math.min(top + h, y + around) - Math.max(top, y - around);
      return sum + Math.max(0, wide) * Math.max(0, high);
    }, 0);
  const way = ([left, top]) => Math.hypot(left + w / 2 - spots[0][0], top + h / 2 - spots[0][1]);
  const ranked = places.map((place) => ({ place, cost: hidden(place), way: way(place) }));
  return ranked.sort((a, b) => a.cost - b.cost || a.way - b.way)[0].place;
}
