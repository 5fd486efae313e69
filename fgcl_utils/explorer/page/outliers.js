// The outliers of each method, counted and listed.

import { meta, methods } from "./data.js";
import { el } from "./dom.js";
import { saveCSV } from "./download.js";
import { filterNow, shown } from "./filters.js";
import { capital, percent } from "./format.js";
import { state, update } from "./state.js";
import { methodName } from "./steps.js";
import { tiles } from "./tiles.js";
import {
  isOutlier,
  judgedName,
  namedCount,
  nearestCode,
  nearestName,
  outlierCounts,
  outlierWord,
  ownCode,
  ruleNow,
} from "./verdicts.js";

export function showOutliers(panel) {
  const filtered = state.filter !== "all";
  const ofMethod = `${outlierWord()}s under ${methodName(state.method)}`;
  const subject = filtered ? filterNow().words() : ofMethod;
  const list = shown().filter((i) => filtered || isOutlier(i, state.method));
  // Where they were drawn to: under the method the filter is about, else under the one in view.
  const about = Number(state.filter.split(":")[1] ?? state.method);
  if (meta.has_nearest) {
    // The same mistake side by side.
    const to = (i) => nearestCode(i, about);
    list.sort((a, b) => ownCode(a) - ownCode(b) || to(a) - to(b) || a - b);
  }
  const label = (i) => {
    const near = isOutlier(i, about) ? nearestName(i, about) : null;
    return near ? { label: `→ ${near}` } : {};
  };
  const all = el("button", { onclick: () => update({ filter: "all" }) }, "Show all images");
  const csv = el("button", { onclick: () => saveCSV(list) }, "CSV");
  panel.replaceChildren(
    el("h2", `${capital(judgedName())} outliers`),
    el("p.soft", ruleNow()),
    el("div", ...methods.map(bar)),
    el(
      "div.row",
      el("h2", { id: "listed" }, `${list.length} ${subject}`),
      filtered ? all : null,
      csv,
    ),
    ...tiles(list, label),
  );
}

function bar({ name }, m) {
  const pressed = state.filter === `out:${m}`;
  const counts = outlierCounts();
  const filled = el("b");
  filled.style.width = `${(100 * counts[m]) / Math.max(1, ...counts)}%`;
  return el(
    "button.bar",
    {
      "aria-pressed": String(pressed),
      onclick: () => update({ filter: pressed ? "all" : `out:${m}` }),
    },
    el("span", name),
    el("i", { "aria-hidden": "true" }, filled),
    el("span", `${counts[m]}`, el("small.soft", `  ${percent(counts[m], namedCount())}`)),
  );
}
