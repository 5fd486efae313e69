// From one map to the next every point travels, and so keeps its identity.

import { hideCard } from "./card.js";
import { n } from "./data.js";
import { eased } from "./geometry.js";
import { panesNow } from "./map.js";
import { repaint } from "./paint.js";
import { state, update } from "./state.js";
import { mapOf } from "./steps.js";

const journeys = [0, 0]; // each pane's latest one; those before it end where they are

// The method of the second map changes places with the first's: two equal maps tell nothing.
export const switchMethod = (method) =>
  update({ method, beside: method === state.beside ? state.method : state.beside });

export function travel(_, before) {
  for (const pane of panesNow()) {
    const left = pane.place ? before.beside : before.method;
    if (left < 0) arrive(pane);
    else if (mapOf(left, before.steps) !== mapOf(pane.method)) {
      depart(pane, mapOf(left, before.steps));
    }
  }
}

function depart(pane, from) {
  hideCard();
  Object.assign(pane, { from, t: 0 });
  const id = ++journeys[pane.place];
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return arrive(pane);
  const began = performance.now();
  const length = n > 100000 ? 450 : 700;
  const advance = (now) => {
    if (journeys[pane.place] !== id) return;
    const part = Math.max(0, Math.min(1, (now - began) / length));
    pane.t = eased(part);
    repaint();
    if (part < 1) requestAnimationFrame(advance);
  };
  requestAnimationFrame(advance);
}

export function arrive(pane) {
  pane.t = 1;
  journeys[pane.place]++;
}
