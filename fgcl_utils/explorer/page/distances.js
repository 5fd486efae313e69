// How far apart each method puts the pinned photos.

import { coarsest, levels, meta, methods, n } from "./data.js";
import { el } from "./dom.js";
import { distance, rankOf } from "./facts.js";
import { capital, grouped, letter, rankText } from "./format.js";
import { kinship, SIGNS } from "./names.js";
import { state } from "./state.js";
import { methodName } from "./steps.js";

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
    ...finding(related, true),
    ...finding(strangers, false),
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
      `# is the second image's place among the first one's ${grouped(n - 1)} neighbours in the ` +
        "original space; point at it for the cosine distance. Marked is the better method: " +
        "relatives should be close, strangers far. Distances have a scale of their own under " +
        `each method, so that ranks compare better. ${SIGNS}.`,
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
  const best = sign === "?" ? [] : bestOf(ranks, sign !== "≠");
  const badge = (pin) => el("span.badge.inline", letter(pin));
  return el(
    "tr",
    el("th", { scope: "row", title: words }, badge(a), ` ${sign} `, badge(b)),
    ...ranks.map((rank, m) =>
      el(
        "td",
        {
          className: best.includes(m) ? "best" : "",
          title: `cosine distance ${distances[m].toFixed(2)} under ${methodName(m)}`,
        },
        rankLabel(rank),
        best.includes(m) ? el("span.unseen", " (better)") : null,
      ),
    ),
  );
}

// Relatives are best close, strangers best far; none is better where all rank alike.
function bestOf(ranks, close) {
  const wanted = close ? Math.min(...ranks) : Math.max(...ranks);
  const best = [...ranks.keys()].filter((m) => ranks[m] === wanted);
  return best.length < ranks.length ? best : [];
}

// Which method does better for all pairs of a kind.
function finding(pairs, close) {
  if (!pairs.length || methods.length < 2) return [];
  const mean = methods.map(
    (_, m) => pairs.reduce((sum, { ranks }) => sum + ranks[m], 0) / pairs.length,
  );
  const names = pairs.map(({ a, b }) => `${letter(a)} and ${letter(b)}`).join(", ");
  const { name, plural: many } = levels[coarsest];
  const several = close ? `of one ${name}` : `of different ${many}`;
  const who = `${names} (${pairs.length > 1 ? several : pairs[0].words})`;
  const best = bestOf(mean, close);
  if (!best.length) {
    return [el("p.finding", `${who}: every method ranks them alike, ${rankLabel(mean[0])}.`)];
  }
  const told = (m) => `${methodName(m)} ${rankLabel(mean[m])}`;
  const others = [...methods.keys()].filter((m) => !best.includes(m));
  const words = `${close ? "closest" : "farthest apart"}${pairs.length > 1 ? " on average" : ""}`;
  return [
    el(
      "p.finding",
      `${who} should be ${close ? "close" : "far apart"}. ${capital(words)} under `,
      el("b", best.map(told).join(", ")),
      `; ${others.map(told).join(", ")}.`,
    ),
  ];
}
