// Names on the map, where the middle of a class is: genera, and when zoomed in their species.

import { legendNow } from "./colours.js";
import { codesOf, columns, levels, meta, n } from "./data.js";
import { filtering, visibility } from "./filters.js";
import { toScreen } from "./geometry.js";
import { state } from "./state.js";
import { mapOf } from "./steps.js";
import { theme } from "./theme.js";

const CLOSE = 3; // the zoom from which on the finest level is named
const MOST_NAMES = 40;
const SAMPLE = 500; // members of a class that its middle is told by

export function drawPlaces(context, pane) {
  if (!state.names) return;
  const l = pane.view.z < CLOSE ? (legendNow().level ?? meta.judged[0]) : 0;
  const here = middles(pane.from, l);
  const there = middles(mapOf(pane.method), l);
  context.font = l ? "650 14px system-ui, sans-serif" : "600 12px system-ui, sans-serif";
  Object.assign(context, { textAlign: "center", textBaseline: "middle", lineJoin: "round" });
  const taken = [];
  for (const [c, end] of there) {
    const start = here.get(c) ?? end;
    const spot = [0, 1].map((d) => (1 - pane.t) * start[d] + pane.t * end[d]);
    if (taken.length < MOST_NAMES) drawName(context, pane, levels[l].names[c], spot, taken);
  }
}

function drawName(context, pane, text, spot, taken) {
  const [x, y] = toScreen(pane, spot);
  const half = context.measureText(text).width / 2 + 4;
  if (x - half < pane.left || x + half > pane.left + pane.width) return;
  if (y < pane.head || y > pane.height - 10) return;
  const covers = (other) => Math.abs(other.x - x) < half + other.half && Math.abs(other.y - y) < 18;
  if (taken.some(covers)) return;
  taken.push({ x, y, half });
  Object.assign(context, { globalAlpha: 0.9, lineWidth: 4, strokeStyle: theme.hex.page });
  context.strokeText(text, x, y);
  Object.assign(context, { globalAlpha: 1, fillStyle: theme.hex.ink });
  context.fillText(text, x, y);
}

// The medians of each class's shown points on a map, the largest class first: code → [x, y].
const knownMiddles = new Map();
function middles(map, l) {
  const key = `${map} ${l}`;
  if (knownMiddles.get(key)?.version !== filtering.version) {
    knownMiddles.set(key, {
      version: filtering.version,
      places: medians(columns.positions[map], l),
    });
  }
  return knownMiddles.get(key).places;
}

function medians(xy, l) {
  const members = new Map();
  for (let i = 0; i < n; i++) {
    const c = codesOf[l][i];
    if (visibility[i] !== 2 || c >= levels[l].names.length) continue;
    if (!members.has(c)) members.set(c, []);
    members.get(c).push(i);
  }
  const ranked = [...members].sort(([, a], [, b]) => b.length - a.length);
  return new Map(ranked.map(([c, own]) => [c, medianOf(xy, own)]));
}

function medianOf(xy, members) {
  const stride = Math.ceil(members.length / SAMPLE);
  const some = members.filter((_, place) => place % stride === 0);
  const middle = (d) => some.map((i) => xy[2 * i + d]).sort((a, b) => a - b)[some.length >> 1];
  return [middle(0) / 32767, middle(1) / 32767];
}
