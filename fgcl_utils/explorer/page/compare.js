// Pinned photos side by side.

import { describe } from "./choice.js";
import { levels, methods } from "./data.js";
import { showDistances } from "./distances.js";
import { el } from "./dom.js";
import { factsOf } from "./facts.js";
import { FILTERS, sizeOf } from "./filters.js";
import { letter, plural } from "./format.js";
import { screenOf } from "./map.js";
import { announce } from "./messages.js";
import { isNamed, nameOf } from "./names.js";
import { halo } from "./overlay.js";
import { fillPath, strokePath, traceCircle } from "./pen.js";
import { nameLines, photo } from "./photo.js";
import { state, update } from "./state.js";
import { theme } from "./theme.js";
import { isOutlier, judgedName, nearestName, outlierCounts } from "./verdicts.js";

export const MOST_PINS = 8;

// The reader then sees the pins side by side, unless told to stay.
export function togglePin(i, tab = "compare") {
  const pinned = state.pins.includes(i);
  if (!pinned && state.pins.length >= MOST_PINS) {
    announce(`${MOST_PINS} images are compared at most; unpin one first.`, true);
    return;
  }
  const pins = pinned ? state.pins.filter((pin) => pin !== i) : [...state.pins, i];
  update({ pins, chosen: i, tab });
  announce(`${pinned ? "Unpinned" : "Pinned"} ${describe(i)}`);
}

export function showCompare(panel) {
  const { pins } = state;
  if (!pins.length) {
    panel.replaceChildren(
      el("h2", "Compare images side by side"),
      el(
        "p.soft",
        "Click points to pin their images here. Two or more show what each method makes of them.",
      ),
      ...suggestion(),
    );
    return;
  }
  const board = el("div", { id: "distances" });
  panel.replaceChildren(
    el(
      "div.row",
      el("h2", plural(pins.length, "pinned image")),
      el("button", { onclick: () => update({ pins: [] }) }, "Unpin all"),
    ),
    el("div.pins", ...pins.map(pinCard)),
    board,
  );
  if (pins.length > 1) showDistances(board, pins);
  else board.append(el("p.soft", "Pin another image to compare."));
}

// A first step for whoever opens the page: photos that one method misplaces and another mends.
function suggestion() {
  const counts = outlierCounts();
  const worst = counts.indexOf(Math.max(...counts));
  const best = counts.lastIndexOf(Math.min(...counts));
  const story = FILTERS.find(({ key }) => key === `mended:${worst}:${best}`);
  if (!story || !sizeOf(story)) return [];
  const show = () => update({ filter: story.key, tab: "outliers" });
  return [
    el(
      "div.finding",
      el("p", `${sizeOf(story)} ${story.words()}.`),
      el("button", { onclick: show }, "Show them"),
    ),
  ];
}

function pinCard(i, place) {
  const image = el("div.id");
  factsOf(i).then(({ image: name }) => {
    image.textContent = name.split("/").at(-1);
    image.title = name;
  });
  const unpin = {
    "aria-label": `Unpin ${letter(place)}, ${nameOf(i)}`,
    title: "Unpin",
    onclick: () => togglePin(i),
  };
  const card = el(
    "article.pin",
    photo(i, ["thumb", "photo"], el("span.badge", letter(place)), el("button", unpin, "×")),
    ...nameLines(i),
    verdictLines(i),
    image,
  );
  card.dataset.point = i;
  return card;
}

export const verdictLines = (i) =>
  el(
    "div.verdicts",
    { title: `Nearest ${judgedName()} centroid under each method` },
    ...methods.flatMap(({ name }, m) => [el("span.soft", name), verdictOf(i, m)]),
  );

function verdictOf(i, m) {
  const near = nearestName(i, m);
  if (!isNamed(i, state.judged)) {
    const title = `${levels[state.judged].name} not named, nearest to ${near ?? "none"}`;
    return el("span.soft", { title }, near ? `→ ${near}` : "–");
  }
  const own = { title: `nearest to its own ${judgedName()}` };
  if (!isOutlier(i, m)) return el("span.good", own, "✓ own");
  const title = near ? `nearest to ${near}` : `nearest to another ${judgedName()}`;
  return el("span.warn", { title }, `◎ ${near ?? "outlier"}`);
}

export function drawPins(context, pane) {
  state.pins.forEach((i, place) => drawPin(context, pane, i, letter(place)));
}

function drawPin(context, pane, i, text) {
  const [x, y] = screenOf(i, pane);
  const foot = y - pane.radius - 4;
  const top = foot - 13;
  halo(context, pane, i, 4, theme.hex.ink, 2);
  context.beginPath();
  context.moveTo(x, foot);
  context.lineTo(x, top);
  strokePath(context, theme.hex.ink, 2);
  context.beginPath();
  traceCircle(context, x, top, 10);
  fillPath(context, theme.hex.ink);
  strokePath(context, theme.hex.page, 1.5);
  context.fillStyle = theme.hex.page;
  context.font = "700 12px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(text, x, top + 0.5);
}
