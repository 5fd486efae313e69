// How far apart each method puts the pinned photos.

import { coarsest, levels, meta, methods, n } from "./data.js";
import { el } from "./dom.js";
import { distance, rankOf } from "./facts.js";
import { grouped, letter, rankText } from "./format.js";
import { kinship, SIGNS } from "./names.js";
import { state } from "./state.js";

export async function showDistances(board, pins) {
  const pairs = [];
  for (const [a, i] of pins.entries()) {
    for (const [b, j] of pins.entries()) if (a < b) pairs.push(await compared(a, i, b, j));
  }
  if (String(pins) !== String(state.pins) || state.tab !== "compare") return;
  const related = pairs.filter(({ sign }) => "=~".includes(sign));
  const strangers = pairs.filter(({ sign }) => sign === "≠");
  const header = ["pair", ...methods.map(({ name }) => name)];
  board.replaceChildren(
    el("h2", "How far apart"),
    ...finding(related, Math.min, "closest together"),
    ...finding(strangers, Math.max, "farthest apart"),
    el(
      "div.wide",
      el(
        "table",
        el("tr", ...header.map((name) => el("th", { scope: "col" }, name))),
        ...pairs.map(pairRow),
      ),
    ),
    el(
      "p.soft",
      "Cosine distance in the original space. # is the second photo's place " +
        `among the first one's ${grouped(n - 1)} neighbours; marked is the method that ` +
        `ranks the pair closest. ${SIGNS}.`,
    ),
  );
}

// a and b are the pins' places. One method after the other: each may read every vector.
async function compared(a, i, b, j) {
  const pair = { a, b, ...kinship(i, j), distances: [], ranks: [] };
  for (const m of methods.keys()) {
    pair.distances.push(await distance(i, j, m));
    pair.ranks.push(await rankOf(i, j, m));
  }
  return pair;
}

const rankLabel = (rank) => rankText(rank, meta.neighbours);

function pairRow({ a, b, sign, words, distances, ranks }) {
  const least = Math.min(...ranks);
  const badge = (pin) => el("span.badge.inline", letter(pin));
  return el(
    "tr",
    el("th", { scope: "row", title: words }, badge(a), ` ${sign} `, badge(b)),
    ...ranks.map((rank, m) =>
      el(
        "td",
        { className: rank === least && Number.isFinite(least) ? "best" : "" },
        distances[m].toFixed(2),
        el("small.soft", rankLabel(rank)),
      ),
    ),
  );
}

// Relatives should be close, photos that share no class far apart: who does it best?
function finding(pairs, best, words) {
  if (!pairs.length || methods.length < 2) return [];
  const mean = methods.map(
    (_, m) => pairs.reduce((sum, { ranks }) => sum + ranks[m], 0) / pairs.length,
  );
  const bestRank = best(...mean);
  const winners = methods.filter((_, m) => mean[m] === bestRank).map(({ name }) => name);
  const { name, plural: many } = levels[coarsest];
  const several = best === Math.min ? `of one ${name}` : `of different ${many}`;
  const kind = pairs.length > 1 ? several : pairs[0].words;
  const names = pairs.map(({ a, b }) => `${letter(a)} and ${letter(b)}`);
  const who = `${names.join(", ")} (${kind})`;
  if (winners.length === methods.length) {
    return [el("p.finding", `${who}: every method ranks them alike, ${rankLabel(bestRank)}.`)];
  }
  const others = methods.flatMap(({ name }, m) =>
    mean[m] === bestRank ? [] : [`${name} ${rankLabel(mean[m])}`],
  );
  const put = `${winners.join(" and ")} put${winners.length > 1 ? "" : "s"}`;
  const average = pairs.length > 1 ? " on average" : "";
  return [
    el(
      "p.finding",
      `${who}: ${put} them ${words}, ${rankLabel(bestRank)}${average}; ${others.join(", ")}.`,
    ),
  ];
}
