// Colours and the marks that carry them. The book's figures use the same, in the same order.

// Okabe and Ito: told apart with any colour vision.
const OKABE_ITO = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442"];
export const FEW = OKABE_ITO.length;
export const classColour = (code) => OKABE_ITO[code % OKABE_ITO.length];
export const NO_CLASS = "#8a929a";

// For classes too many to tell by colour: neighbouring codes at least get distant hues.
export const distantColour = (code) =>
  hslToHex((code * 137.508) % 360, [0.62, 0.5, 0.75][code % 3], [0.5, 0.4, 0.6][code % 3]);

// For a class within another: the other's hue, nearly, in a shade of its own. The steps of the
// golden ratio and its kin spread any number of places, the first of which has the colour itself.
export function shadeOf(hex, place) {
  const [hue, saturation, lightness] = hexToHsl(hex);
  const spread = (ratio) => ((0.5 + place * ratio) % 1) - 0.5;
  const light = reflected(lightness + 0.36 * spread(0.755), 0.28, 0.72);
  return hslToHex((hue + 14 * spread(0.618) + 360) % 360, saturation, light);
}

const reflected = (value, low, high) =>
  value < low ? 2 * low - value : value > high ? 2 * high - value : value;

// For numbers, from 0 to 1: ever lighter, and seen on a light page and on a dark one.
const RAMP = ["#7b3fd0", "#c0408f", "#e8735a", "#f2b134"].map(rgb);
export function rampColour(part) {
  const place = part * (RAMP.length - 1);
  const from = Math.min(RAMP.length - 2, Math.floor(place));
  return hexOf(RAMP[from].map((v, c) => v + (place - from) * (RAMP[from + 1][c] - v)));
}

const hexOf = (channels) =>
  `#${channels.map((v) => Math.round(v).toString(16).padStart(2, "0")).join("")}`;

function hslToHex(hue, saturation, lightness) {
  const channel = (k0) => {
    const k = (k0 + hue / 30) % 12;
    const reach = saturation * Math.min(lightness, 1 - lightness);
    return 255 * (lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return hexOf([0, 8, 4].map(channel));
}

function hexToHsl(hex) {
  const [r, g, b] = rgb(hex).map((v) => v / 255);
  const high = Math.max(r, g, b);
  const range = high - Math.min(r, g, b);
  const lightness = high - range / 2;
  if (!range) return [0, 0, lightness];
  const turns =
    high === r ? (g - b) / range : high === g ? 2 + (b - r) / range : 4 + (r - g) / range;
  return [(60 * turns + 360) % 360, range / (1 - Math.abs(2 * lightness - 1)), lightness];
}

export function rgb(hex) {
  return [1, 3, 5].map((from) => parseInt(hex.slice(from, from + 2), 16));
}

// Outlines of the symbols in units of the marker's radius, y down, for SVG and the 2-D canvas. One
// more symbol than colours, so that the pairs repeat only after 56 classes.
export const OUTLINES = (() => {
  const turn = (points, angle) =>
    points.map(([x, y]) => [
      x * Math.cos(angle) - y * Math.sin(angle),
      x * Math.sin(angle) + y * Math.cos(angle),
    ]);
  // Corners on one circle, or by turns on two.
  const around = (corners, radii, start = -Math.PI / 2) =>
    Array.from({ length: corners }, (_, c) => {
      const angle = start + (c * 2 * Math.PI) / corners;
      const r = radii[c % radii.length];
      return [r * Math.cos(angle), r * Math.sin(angle)];
    });
  const [w, l] = [0.36, 0.98];
  const arm = [
    [w, -l],
    [w, -w],
    [l, -w],
  ];
  const plus = [0, 1, 2, 3].flatMap((quarter) => turn(arm, (quarter * Math.PI) / 2));
  return [
    around(24, [0.92]), // circle
    around(4, [1.16], Math.PI / 4), // square
    around(4, [1.14]), // diamond
    around(3, [1.2]), // triangle
    plus,
    around(3, [1.2], Math.PI / 2), // triangle on its head
    turn(plus, Math.PI / 4), // x
    around(10, [1.2, 0.55]), // star
  ];
})();
export const symbolOf = (code) => code % OUTLINES.length;
export const PAIRS = FEW * OUTLINES.length;

export function symbolIcon(symbol, colour) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "-1.3 -1.3 2.6 2.6");
  svg.setAttribute("class", "symbol");
  svg.setAttribute("aria-hidden", "true");
  const polygon = document.createElementNS(svg.namespaceURI, "polygon");
  polygon.setAttribute("points", OUTLINES[symbol].map((p) => p.join()).join(" "));
  polygon.setAttribute("fill", colour);
  svg.append(polygon);
  return svg;
}
