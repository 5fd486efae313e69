// From one method to the next every point travels, and so keeps its identity.

import { hideCard } from "./card.js";
import { n } from "./data.js";
import { eased } from "./geometry.js";
import { tween } from "./map.js";
import { repaint } from "./paint.js";
import { state, update } from "./state.js";

let journey = 0; // the latest one; those before it end where they are

export const switchMethod = (method) => update({ method });

export function travel(_, before) {
  if (state.method === before.method) return;
  hideCard();
  Object.assign(tween, { from: before.method, t: 0 });
  const id = ++journey;
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return arrive();
  const began = performance.now();
  const length = n > 100000 ? 450 : 700;
  const advance = (now) => {
    if (journey !== id) return;
    const part = Math.max(0, Math.min(1, (now - began) / length));
    tween.t = eased(part);
    repaint();
    if (part < 1) requestAnimationFrame(advance);
  };
  requestAnimationFrame(advance);
}

export function arrive() {
  tween.t = 1;
  journey++;
}
