// The map as a PNG at twice the page's resolution, with a title above and the legend below.

import { legendNow } from "./colours.js";
import { meta, n, sizesOf } from "./data.js";
import { $, el } from "./dom.js";
import { download } from "./download.js";
import { filterNow } from "./filters.js";
import { plural } from "./format.js";
import { camera, panesNow } from "./map.js";
import { paintNow, repaint } from "./paint.js";
import { symbolOf } from "./palette.js";
import { fillPath, traceSymbol } from "./pen.js";
import { state } from "./state.js";
import { methodName } from "./steps.js";
import { theme } from "./theme.js";
import { judgedName, outlierCounts } from "./verdicts.js";

const HEAD = 58; // pixels for the title
const LINE = 24; // and for a line of the legend
const FONT = "13px system-ui, sans-serif";

export function savePNG() {
  const names = panesNow().map(({ method }) => methodName(method));
  const sheet = el("canvas", { width: 2 * camera.width });
  const context = sheet.getContext("2d");
  context.font = FONT;
  const places = legendPlaces(context);
  sheet.height = 2 * (HEAD + camera.height + LINE * ((places.at(-1)?.row ?? 0) + 1) + 12);
  context.fillStyle = theme.hex.page;
  context.fillRect(0, 0, sheet.width, sheet.height);
  drawMap(context);
  context.scale(2, 2);
  drawTitle(context, names.join(" | "));
  if (legendNow().ramp) drawRamp(context);
  for (const place of places) drawClass(context, place);
  const file = `map-${names.join("-").replace(/[^\w-]+/g, "_")}.png`;
  sheet.toBlob((blob) => download(blob, file));
}

function drawMap(context) {
  const usual = camera.pixel;
  camera.pixel = 2;
  paintNow(); // a WebGL canvas holds its picture only until the browser shows it
  context.drawImage($("points"), 0, 2 * HEAD);
  context.drawImage($("overlay"), 0, 2 * HEAD);
  camera.pixel = usual;
  repaint();
}

function drawTitle(context, names) {
  context.fillStyle = theme.hex.ink;
  context.font = "600 17px system-ui, sans-serif";
  context.fillText(`${meta.title}: ${names}`, 16, 26);
  context.fillStyle = theme.hex.soft;
  context.font = FONT;
  const outliers = panesNow()
    .map(({ method }) => plural(outlierCounts()[method], `${judgedName()} outlier`))
    .join(" | ");
  const about = state.filter === "all" ? "" : `; shown: ${filterNow().words()}`;
  context.fillText(`${outliers} (ringed) among ${plural(n, "image")}${about}`, 16, 46);
}

function drawClass(context, { c, x, row }) {
  const { names, colours } = legendNow();
  const y = HEAD + camera.height + LINE * (row + 0.5);
  context.beginPath();
  traceSymbol(context, symbolOf(c), x, y, 6);
  fillPath(context, colours[c]);
  context.fillStyle = theme.hex.ink;
  context.fillText(names[c], x + 12, y + 5);
}

function drawRamp(context) {
  const { title, ramp, ends } = legendNow();
  const y = HEAD + camera.height + LINE / 2;
  ramp.forEach((colour, place) => {
    context.fillStyle = colour;
    context.fillRect(22 + 3 * place, y - 6, 3, 12);
  });
  context.fillStyle = theme.hex.ink;
  context.fillText(`${title}: ${ends.join(" to ")}`, 32 + 3 * ramp.length, y + 5);
}

function legendPlaces(context) {
  const { names, codes } = legendNow();
  const sizes = sizesOf(codes, Math.max(1, names.length));
  let x = 22;
  let row = 0;
  return names.flatMap((name, c) => {
    if (!sizes[c]) return [];
    const width = context.measureText(name).width + 40;
    if (x > 22 && x + width > camera.width) [x, row] = [22, row + 1];
    x += width;
    return [{ c, x: x - width, row }];
  });
}
