// Pairs of classes that are taken for each other, counted under each method; and the photos of one
// pair side by side.

import { codesOf, columns, levels, methods, n } from "./data.js";
import { el } from "./dom.js";
import { grouped } from "./format.js";
import { methodPairs } from "./filters.js";
import { state, update } from "./state.js";
import { mapOf, methodName } from "./steps.js";
import { tiles } from "./tiles.js";
import { isOutlier, nearestCode } from "./verdicts.js";

const MOST_PAIRS = 100;

// At a level: [{pair: [a, b], counts}], how many of both are nearest to the other's centroid, a
// number for each method.
const counted = new Map();
function confusionsAt(l) {
  const key = `${l} ${state.steps}`;
  if (!counted.has(key)) counted.set(key, countConfusions(l));
  return counted.get(key);
}

function countConfusions(l) {
  const many = levels[l].names.length;
  const own = codesOf[l];
  const found = new Map();
  for (const m of methods.keys()) {
    const nearest = columns.nearest[l][mapOf(m)];
    for (let i = 0; i < n; i++) {
      if (own[i] === nearest[i] || own[i] >= many) continue;
      const pair = [Math.min(own[i], nearest[i]), Math.max(own[i], nearest[i])];
      const place = pair[0] * many + pair[1];
      if (!found.has(place)) found.set(place, { pair, counts: methods.map(() => 0) });
      found.get(place).counts[m]++;
    }
  }
  return [...found.values()];
}

const ORDERS = [
  ...methods.map((_, m) => ({
    key: String(m),
    words: () => `most under ${methodName(m)}`,
    score: (counts) => counts[m],
  })),
  ...methodPairs.map(([more, less]) => ({
    key: `${more}:${less}`,
    words: () => `${methodName(more)} more than ${methodName(less)}`,
    score: (counts) => counts[more] - counts[less],
  })),
];
const orderNow = () => ORDERS.find(({ key }) => key === state.pairOrder) ?? ORDERS[state.method];

export function showConfusions(panel) {
  if (!columns.nearest) {
    const why = "This page was given outliers, but not which class each is taken for.";
    panel.replaceChildren(el("h2", "What is taken for what"), el("p.soft", why));
    return;
  }
  const { name, plural: many } = levels[state.pairLevel];
  const { score } = orderNow();
  const pairs = confusionsAt(state.pairLevel)
    .map((confusion) => ({ ...confusion, score: score(confusion.counts) }))
    .sort((a, b) => b.score - a.score || b.counts[state.method] - a.counts[state.method]);
  panel.replaceChildren(
    el("h2", "What is taken for what"),
    el(
      "p.soft",
      `Pairs of ${many}, and how many images of either have the other's ${name} centroid nearest.`,
    ),
    el("div.row", levels.length > 1 ? levelSelect() : null, orderSelect()),
    ...(state.pair ? galleries() : []),
    pairs.length ? pairTable(pairs) : el("p", "No image is taken for another class."),
    ...(pairs.length > MOST_PAIRS
      ? [el("p.soft", `and ${grouped(pairs.length - MOST_PAIRS)} more pairs.`)]
      : []),
  );
}

function levelSelect() {
  const options = levels.map(({ plural: many }, l) => el("option", { value: l }, many));
  const onchange = ({ target }) => update({ pairLevel: Number(target.value), pair: null });
  const list = el("select", { id: "pair-level", "aria-label": "Level of the pairs", onchange });
  list.append(...options);
  list.value = state.pairLevel;
  return list;
}

function orderSelect() {
  const options = ORDERS.map(({ key, words }) => el("option", { value: key }, words()));
  const onchange = ({ target }) => update({ pairOrder: target.value });
  const list = el("select", { id: "pair-order", "aria-label": "Order of the pairs", onchange });
  list.append(...options);
  list.value = orderNow().key;
  return list;
}

function pairTable(pairs) {
  const header = ["pair", ...methods.map(({ name }) => name)];
  return el(
    "div.wide",
    el(
      "table.confusions",
      el("tr", ...header.map((word) => el("th", { scope: "col" }, word))),
      ...pairs.slice(0, MOST_PAIRS).map(confusionRow),
    ),
  );
}

function confusionRow({ pair, counts }) {
  const { names } = levels[state.pairLevel];
  const chosen = String(state.pair) === String(pair);
  const button = el(
    "button.pair",
    {
      "aria-pressed": String(chosen),
      title: chosen ? "Show all images" : "Show the images of both",
      onclick: () => update({ pair: chosen ? null : pair }),
    },
    ...pair.map((c) => el("span", names[c])),
  );
  return el("tr", el("th", { scope: "row" }, button), ...counts.map((size) => el("td", `${size}`)));
}

// Those that are taken for the other class come first, with the methods that do it.
function galleries() {
  const close = el("button", { onclick: () => update({ pair: null }) }, "Show all images");
  const [a, b] = state.pair;
  return [el("div.pair-photos", gallery(a, b), gallery(b, a)), close];
}

function gallery(own, other) {
  const l = state.pairLevel;
  const taken = (i, m) => isOutlier(i, m, l) && nearestCode(i, m, l) === other;
  const blind = (i) => [...methods.keys()].filter((m) => taken(i, m));
  const members = [];
  for (let i = 0; i < n; i++) if (codesOf[l][i] === own) members.push({ i, under: blind(i) });
  members.sort((x, y) => y.under.length - x.under.length);
  const labels = new Map(members.map(({ i, under }) => [i, under]));
  const label = (i) => {
    const under = labels.get(i).map((m) => methods[m].name);
    return { label: under.length ? `wrong under ${under.join(" · ")}` : "right" };
  };
  const wrong = members.filter(({ under }) => under.length).length;
  const words = `${wrong} of ${members.length} taken for ${levels[l].names[other]}`;
  return el(
    "section",
    el("h3", levels[l].names[own]),
    el("p.soft", words),
    ...tiles(
      members.map(({ i }) => i),
      label,
      12,
    ),
  );
}
