// Drawing on the 2-D canvas.

import { camera } from "./map.js";
import { OUTLINES } from "./palette.js";

// Gives the canvas the camera's size in device pixels; how many of these are one of the page.
export function resizeCanvas(canvas) {
  const width = Math.round(camera.width * camera.pixel);
  const height = Math.round(camera.height * camera.pixel);
  // Setting a size takes time, even if it is the same.
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return camera.pixel;
}

// The canvas's context, empty and in the page's pixels.
export function cleared(canvas) {
  const pixel = resizeCanvas(canvas);
  const context = canvas.getContext("2d");
  context.setTransform(pixel, 0, 0, pixel, 0, 0);
  context.clearRect(0, 0, camera.width, camera.height);
  return context;
}

export function clipTo(context, { left, width, height }) {
  context.beginPath();
  context.rect(left, 0, width, height);
  context.clip();
}

export function traceSymbol(context, symbol, x, y, radius) {
  OUTLINES[symbol].forEach(([dx, dy], c) =>
    context[c ? "lineTo" : "moveTo"](x + dx * radius, y + dy * radius),
  );
  context.closePath();
}

export function traceCircle(context, x, y, radius) {
  context.moveTo(x + radius, y);
  context.arc(x, y, radius, 0, 2 * Math.PI);
}

export function fillPath(context, fillStyle, globalAlpha = 1) {
  Object.assign(context, { fillStyle, globalAlpha });
  context.fill();
}

export function strokePath(context, strokeStyle, lineWidth, globalAlpha = 1) {
  Object.assign(context, { strokeStyle, lineWidth, globalAlpha });
  context.stroke();
}
