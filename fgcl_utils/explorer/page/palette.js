// Colours and the marks that carry them. The book's figures use the same, in the same order.

// Okabe and Ito: told apart with any colour vision.
const OKABE_ITO = ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442"];
export const genusColour = (genus) => OKABE_ITO[genus % OKABE_ITO.length];

// Species are too many to tell by colour; neighbouring codes at least get distant hues.
export const speciesColour = (s) =>
  hslToHex((s * 137.508) % 360, [0.62, 0.5, 0.75][s % 3], [0.5, 0.4, 0.6][s % 3]);

function hslToHex(hue, saturation, lightness) {
  const channel = (k0) => {
    const k = (k0 + hue / 30) % 12;
    const reach = saturation * Math.min(lightness, 1 - lightness);
    const value = lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return Math.round(255 * value)
      .toString(16)
      .padStart(2, "0");
  };
  return `#${channel(0)}${channel(8)}${channel(4)}`;
}

export const rgb = (hex) => [1, 3, 5].map((from) => parseInt(hex.slice(from, from + 2), 16));

// Outlines of the symbols in units of the marker's radius, y down, for SVG and the 2-D canvas. One
// more symbol than colours, so that the pairs repeat only after 56 genera.
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
export const symbolOf = (genus) => genus % OUTLINES.length;

export function symbolIcon(genus, colour = genusColour(genus)) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "-1.3 -1.3 2.6 2.6");
  svg.setAttribute("class", "symbol");
  svg.setAttribute("aria-hidden", "true");
  const polygon = document.createElementNS(svg.namespaceURI, "polygon");
  polygon.setAttribute("points", OUTLINES[symbolOf(genus)].map((p) => p.join()).join(" "));
  polygon.setAttribute("fill", colour);
  svg.append(polygon);
  return svg;
}
