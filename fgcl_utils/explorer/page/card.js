// The card beside the point under the pointer.

import { meta } from "./data.js";
import { $, el } from "./dom.js";
import { camera, screenOf } from "./map.js";
import { drawOverlay, halo } from "./overlay.js";
import { nameLines, photo } from "./photo.js";
import { state } from "./state.js";
import { theme } from "./theme.js";
import { isOutlier, nearestName, outlierWord } from "./verdicts.js";

let hovered = -1;
let lingering = 0;

export function hover(i) {
  if (i === hovered) return;
  hovered = i;
  drawOverlay(); // at once: the points themselves do not change
  if (i < 0) hideCard();
  else showCard(i);
}

export function drawHovered(context) {
  if (hovered >= 0) halo(context, hovered, camera.radius + 4, theme.hex.ink, 2);
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
  const [x, y] = screenOf(i);
  const gap = camera.radius + 14;
  const left = x + gap + 180 < camera.width ? x + gap : x - gap - 178;
  const top = Math.min(Math.max(6, y - 90), camera.height - camera.foot - card.offsetHeight - 6);
  const [dx, dy] = [left, top].map((v) => Math.round(Math.max(4, v)));
  card.style.transform = `translate(${dx}px, ${dy}px)`;
}

export function hideCard() {
  clearTimeout(lingering);
  $("card").hidden = true;
  delete $("card").dataset.point;
  hovered = -1;
}
