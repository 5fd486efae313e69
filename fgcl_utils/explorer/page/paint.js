// When the map is drawn: once a frame at most, however many parts ask for it.

const painters = [];
export const onPaint = (...drawers) => painters.push(...drawers);

let pending = 0;
export function repaint() {
  pending ||= requestAnimationFrame(() => {
    pending = 0;
    paintNow();
  });
}

export function paintNow() {
  for (const paint of painters) paint();
}
