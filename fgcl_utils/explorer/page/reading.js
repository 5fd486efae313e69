// The line below the map: how many photos it shows, and how far it can be trusted.

import { methods, n } from "./data.js";
import { $ } from "./dom.js";
import { shown } from "./filters.js";
import { grouped, plural } from "./format.js";
import { state } from "./state.js";

export function showReading() {
  const visible = shown().length;
  const photos = plural(n, "photo");
  $("reading").textContent = [
    visible === n ? `All ${photos} shown.` : `${grouped(visible)} of ${photos} shown.`,
    ...flattery(methods[state.method]),
    "Outliers (ringed) and neighbours are computed in the original space.",
  ].join(" ");
}

function flattery({ name, trustworthiness, knn_preservation: kept, k }) {
  if (trustworthiness === undefined) return [];
  return [
    `The map flatters: under ${name} its trustworthiness is ${trustworthiness.toFixed(2)}, and ` +
      `${Math.round(100 * kept)} % of the ${k} nearest neighbours stay nearest on it.`,
  ];
}
