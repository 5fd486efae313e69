// The outliers of each method, counted and listed.

import {
  columns,
  genusOf,
  isOutlier,
  meta,
  methods,
  n,
  nearestName,
  outlierCount,
} from "./data.js";
import { el } from "./dom.js";
import { filterNow, shown } from "./filters.js";
import { percent } from "./format.js";
import { state, update } from "./state.js";
import { tiles } from "./tiles.js";

export function showOutliers(panel) {
  const filtered = state.filter !== "all";
  const subject = filtered ? filterNow().label : `outliers under ${methods[state.method].name}`;
  const list = shown().filter((i) => filtered || isOutlier(i, state.method));
  // Where they were drawn to: under the method the filter is about, else under the one in view.
  const about = Number(state.filter.split(":")[1] ?? state.method);
  if (meta.has_nearest) {
    // The same mistake side by side.
    const to = columns.nearest[about];
    list.sort((a, b) => genusOf[a] - genusOf[b] || to[a] - to[b] || a - b);
  }
  const label = (i) => {
    const near = isOutlier(i, about) ? nearestName(i, about) : null;
    return near ? { label: `→ ${near}` } : {};
  };
  const all = el("button", { onclick: () => update({ filter: "all" }) }, "Show all photos");
  panel.replaceChildren(
    el("h2", "Genus outliers"),
    el("p.soft", meta.outlier_rule),
    el("div", ...methods.map(bar)),
    el("div.row", el("h2", { id: "listed" }, `${list.length} ${subject}`), filtered ? all : null),
    ...tiles(list, label),
  );
}

function bar({ name }, m) {
  const pressed = state.filter === `out:${m}`;
  const filled = el("b");
  filled.style.width = `${(100 * outlierCount[m]) / Math.max(1, ...outlierCount)}%`;
  return el(
    "button.bar",
    {
      "aria-pressed": String(pressed),
      onclick: () => update({ filter: pressed ? "all" : `out:${m}` }),
    },
    el("span", name),
    el("i", { "aria-hidden": "true" }, filled),
    el("span", `${outlierCount[m]}`, el("small.soft", `  ${percent(outlierCount[m], n)}`)),
  );
}
