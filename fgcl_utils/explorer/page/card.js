// The card of the point under the pointer. It lies where it hides the least of the points around
// this one, on either map.

import { meta } from "./data.js";
import { $, el } from "./dom.js";
import { clearestPlace } from "./geometry.js";
import { camera, panesNow, screenOf } from "./map.js";
import { drawOverlay, halo } from "./overlay.js";
import { nameLines, photo } from "./photo.js";
import { state } from "./state.js";
import { theme } from "./theme.js";
import { isOutlier, nearestName, outlierWord } from "./verdicts.js";

const AROUND = 70; // pixels around the point that the card keeps clear of, if it can
let hovered = -1;
let lingering = 0;

export function hover(i) {
  if (i === hovered) return;
  hovered = i;
  drawOverlay(); // at once: the points themselves do not change
  if (i < 0) hideCard();
  else showCard(i);
}

export function drawHovered(context, pane) {
  if (hovered >= 0) halo(context, pane, hovered, 4, theme.hex.ink, 2);
}

export function showCard(i) {
  const card = $("card");
  const near = nearestName(i, state.method);
  const verdict = `◎ ${outlierWord()}` + (near ? `: nearest to ${near}` : "");
  card.replaceChildren(
    photo(i),
    el("div.text", ...nameLines(i), isOutlier(i, state.method) ? el("small.warn", verdict) : null),
  );
  card.dataset.point = i;
  card.hidden = false;
  placeCard(i);
  clearTimeout(lingering); // who stays gets the sharper photo
  if (meta.shard_size.photo) {
    lingering = setTimeout(() => {
      if (card.dataset.point === String(i) && !card.hidden) {
        card.firstChild.replaceWith(photo(i, ["thumb", "photo"]));
      }
    }, 250);
  }
}

function placeCard(i) {
  const card = $("card");
  const size = [card.offsetWidth, card.offsetHeight];
  const area = [camera.width, camera.height - camera.foot];
  const spots = panesNow().map((pane) => screenOf(i, pane));
  const [x, y] = clearestPlace(size, area, spots, AROUND).map(Math.round);
  card.style.transform = `translate(${x}px, ${y}px)`;
}

export function hideCard() {
  clearTimeout(lingering);
  $("card").hidden = true;
  delete $("card").dataset.point;
  hovered = -1;
}
