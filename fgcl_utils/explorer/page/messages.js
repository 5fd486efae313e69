// Short messages: spoken by screen readers, and seen where they say what to do next.

import { $ } from "./dom.js";

let fading = 0;
export function announce(text, visible = false) {
  $("live").textContent = text;
  if (!visible) return;
  $("hint").textContent = text;
  $("hint").hidden = false;
  clearTimeout(fading);
  fading = setTimeout(hideHint, 2600);
}

export function hideHint() {
  $("hint").hidden = true;
}
