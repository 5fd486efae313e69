// The line below the map: how many photos it shows, and how far it can be trusted.

import { n } from "./data.js";
import { $ } from "./dom.js";
import { shown } from "./filters.js";
import { grouped, plural } from "./format.js";
import { panesNow } from "./map.js";
import { aboutMap, methodName } from "./steps.js";

export function showReading() {
  const visible = shown().length;
  const total = plural(n, "image");
  $("reading").textContent = [
    visible === n ? `All ${total} shown.` : `${grouped(visible)} of ${total} shown.`,
    ...flattery(panesNow().map(({ method }) => method)),
    "Outliers (ringed) and neighbours are computed in the original space.",
  ].join(" ");
}

function flattery(shownMethods) {
  const { k } = aboutMap(shownMethods[0]);
  if (!k) return [];
  const kept = shownMethods.map((m) => {
    const { trustworthiness, knn_preservation: part } = aboutMap(m);
    const trust = `trustworthiness ${trustworthiness.toFixed(2)}`;
    return `${Math.round(100 * part)} % under ${methodName(m)} (${trust})`;
  });
  return [`The map flatters: of ${k} nearest neighbours it keeps ${kept.join(", ")}.`];
}
