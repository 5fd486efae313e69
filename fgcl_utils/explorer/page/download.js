// What the reader takes along as a file.

import { methods, levels, meta } from "./data.js";
import { el } from "./dom.js";
import { factsOf } from "./facts.js";
import { isNamed, namesOf } from "./names.js";
import { state } from "./state.js";
import { methodName } from "./steps.js";
import { isOutlier, nearestName } from "./verdicts.js";

const UTF8_MARK = "\ufeff"; // tells spreadsheets what they read

export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

// A row a photo: its file and names, and for each method whether it is an outlier at the level that
// is judged, and whose centroid is nearest.
export async function saveCSV(list) {
  const level = levels[state.judged].name;
  const ofMethods = methods.flatMap((_, m) => [
    `outlier ${methodName(m)}`,
    ...(meta.has_nearest ? [`nearest ${level} ${methodName(m)}`] : []),
  ]);
  const rows = [["image", ...levels.map(({ name }) => name), ...ofMethods]];
  for (const i of list) rows.push(await rowOf(i));
  const text = rows.map((row) => row.map(cell).join(",")).join("\r\n");
  download(new Blob([UTF8_MARK, text, "\r\n"], { type: "text/csv" }), "photos.csv");
}

async function rowOf(i) {
  const { image } = await factsOf(i);
  const names = namesOf(i).map((name, l) => (isNamed(i, l) ? name : ""));
  const verdicts = methods.flatMap((_, m) => [
    Number(isOutlier(i, m)),
    ...(meta.has_nearest ? [nearestName(i, m)] : []),
  ]);
  return [image, ...names, ...verdicts];
}

function cell(value) {
  const text = String(value);
  return /[",\r\n]/.test(text) ? ['"', text.replaceAll('"', '""'), '"'].join("") : text;
}
