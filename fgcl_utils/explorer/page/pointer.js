// Mouse, pen and fingers on the map, and the buttons below it.

import { hideCard, hover } from "./card.js";
import { choose } from "./choice.js";
import { togglePin } from "./compare.js";
import { $ } from "./dom.js";
import { scaleOf } from "./geometry.js";
import { beginLasso, extendLasso, finishLasso, lasso, toggleLasso } from "./lasso.js";
import { firstPane, paneAt, pointAt, setView, settled, showWhole, zoomBy } from "./map.js";
import { announce, hideHint } from "./messages.js";
import { state } from "./state.js";

const pointers = new Map(); // those that are down, id → spot
let drag = null;

export function listenToPointers() {
  const surface = $("overlay");
  surface.addEventListener("pointerdown", pointerDown);
  surface.addEventListener("pointermove", pointerMove);
  surface.addEventListener("pointerup", pointerUp);
  surface.addEventListener("pointercancel", pointerUp);
  surface.addEventListener("pointerleave", ({ pointerType }) => {
    if (pointerType === "mouse") pointTo(-1);
  });
  surface.addEventListener("wheel", wheel, { passive: false });
  $("zoom-in").onclick = () => zoomBy(1.5);
  $("zoom-out").onclick = () => zoomBy(1 / 1.5);
  $("zoom-fit").onclick = showWhole;
  $("lasso").onclick = toggleLasso;
}

function spotOf(event) {
  const box = $("overlay").getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function pointerDown(event) {
  if (event.button > 0) return;
  hideHint();
  const here = spotOf(event);
  pointers.set(event.pointerId, here);
  $("overlay").setPointerCapture(event.pointerId);
  if (lasso.on && pointers.size === 1) beginLasso(here);
  else drag = { from: here, pane: paneAt(here), moved: false };
}

function pointerMove(event) {
  const here = spotOf(event);
  if (!pointers.has(event.pointerId)) {
    if (settled() && event.pointerType === "mouse") pointTo(pointAt(here));
    return;
  }
  const before = pointers.get(event.pointerId);
  if (lasso.drawing) {
    extendLasso(here);
  } else if (pointers.size > 1) {
    pinch(event.pointerId, before, here);
  } else if (drag) {
    drag.moved ||= Math.hypot(here[0] - drag.from[0], here[1] - drag.from[1]) > 5;
    if (drag.moved) pan(before[0] - here[0], before[1] - here[1], drag.pane);
  }
  pointers.set(event.pointerId, here);
}

export function pan(dx, dy, pane = firstPane) {
  hideCard();
  $("map").classList.add("drag");
  const { x, y, z } = pane.view;
  const scale = scaleOf(pane);
  setView({ x: x + dx / scale, y: y - dy / scale, z }, pane);
}

function pinch(id, before, here) {
  drag = { from: here, pane: paneAt(here), moved: true };
  const other = [...pointers].find(([key]) => key !== id)[1];
  const span = (p) => Math.max(20, Math.hypot(p[0] - other[0], p[1] - other[1]));
  pan((before[0] - here[0]) / 2, (before[1] - here[1]) / 2, drag.pane);
  zoomBy(span(here) / span(before), [(here[0] + other[0]) / 2, (here[1] + other[1]) / 2]);
}

function pointerUp(event) {
  pointers.delete(event.pointerId);
  $("map").classList.remove("drag");
  if (lasso.drawing) {
    finishLasso();
  } else if (drag && !drag.moved && event.type === "pointerup") {
    const reach = event.pointerType === "mouse" ? 14 : 26;
    press(pointAt(spotOf(event), reach), event.pointerType);
  }
  if (!pointers.size) drag = null;
}

// A finger has no hover: its first tap looks, the second one on the same point pins.
function press(i, pointerType) {
  if (i < 0) {
    hideCard();
    if (state.chosen >= 0) choose(-1);
  } else if (pointerType !== "mouse" && state.chosen !== i) {
    choose(i);
    hover(i);
    announce("Tap it again to pin", true);
  } else {
    togglePin(i);
  }
}

function pointTo(i) {
  $("map").classList.toggle("point", i >= 0);
  hover(i);
}

function wheel(event) {
  // Inside a book's page the wheel belongs to the page, until the reader has clicked the map.
  const framed = window !== window.parent;
  if (framed && !event.ctrlKey && document.activeElement !== $("map")) {
    announce("Click the map, then scroll to zoom", true);
    return;
  }
  event.preventDefault();
  hideCard();
  zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0018)), spotOf(event));
}
