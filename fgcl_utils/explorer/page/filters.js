// Which points are shown.

import { legendNow } from "./colours.js";
import { codesOf, columns, count, levels, meta, methods, n } from "./data.js";
import { unnamed } from "./names.js";
import { state } from "./state.js";
import { isOutlier, outlierWord } from "./verdicts.js";

// Each point is 0 hidden, 1 dimmed by a filter or 2 shown.
export const visibility = new Uint8Array(n).fill(2);
export const ringed = (i) => visibility[i] === 2 && isOutlier(i, state.method);

const methodPairs = methods
  .flatMap((_, from) => methods.map((_, to) => [from, to]))
  .filter(([from, to]) => from !== to);

// Words and sizes follow the level at which outliers are judged.
export const FILTERS = [
  { key: "all", words: () => "photos", test: () => true },
  ...methods.map(({ name }, m) => ({
    key: `out:${m}`,
    words: () => `${outlierWord()}s under ${name}`,
    test: (i) => isOutlier(i, m),
  })),
  ...methodPairs.map(([from, to]) => ({
    key: `mended:${from}:${to}`,
    words: () => `${outlierWord()}s under ${methods[from].name}, mended by ${methods[to].name}`,
    test: (i) => isOutlier(i, from) && !isOutlier(i, to),
  })),
  {
    key: "every",
    words: () => `${outlierWord()}s under every method`,
    test: (i) => methods.every((_, m) => isOutlier(i, m)),
  },
].slice(0, methods.length > 1 ? undefined : -1);

const filterSizes = new Map();
export function sizeOf({ key, test }) {
  const place = `${state.judged} ${key}`;
  if (!filterSizes.has(place)) filterSizes.set(place, count(test));
  return filterSizes.get(place);
}

export const filterNow = () => FILTERS.find(({ key }) => key === state.filter) ?? FILTERS[0];

export function refilter() {
  const { test } = filterNow();
  const { hidden, marked } = state;
  const words = state.query.trim().toLowerCase();
  const nameIn = (path, l) => levels[l].names[path[l]] ?? unnamed(l);
  const found = meta.paths.map((path) =>
    levels.some((_, l) => nameIn(path, l).toLowerCase().includes(words)),
  );
  const { codes } = legendNow();
  const finest = codesOf[0];
  for (let i = 0; i < n; i++) {
    const passes = test(i) && found[columns.labels[i]] && (!marked.size || marked.has(finest[i]));
    visibility[i] = hidden.has(codes[i]) ? 0 : passes ? 2 : 1;
  }
}

export function shown() {
  const list = [];
  for (let i = 0; i < n; i++) if (visibility[i] === 2) list.push(i);
  return list;
}
