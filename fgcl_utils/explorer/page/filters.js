// Which points are shown.

import { colouringOf, legendNow } from "./colours.js";
import { coarsest, codesOf, columns, count, levels, meta, methods, n } from "./data.js";
import { isNamed, unnamed } from "./names.js";
import { state } from "./state.js";
import { methodName } from "./steps.js";
import { isOutlier, outlierWord } from "./verdicts.js";

// Each point is 0 hidden, 1 dimmed by a filter or 2 shown.
export const visibility = new Uint8Array(n).fill(2);
export const ringed = (i, m) => visibility[i] === 2 && isOutlier(i, m);

export const methodPairs = methods
  .flatMap((_, from) => methods.map((_, to) => [from, to]))
  .filter(([from, to]) => from !== to);

// Words and sizes follow the level at which outliers are judged; the finest level has its own.
export const outlierFilters = [
  ...methods.map((_, m) => ({
    key: `out:${m}`,
    words: () => `${outlierWord()}s under ${methodName(m)}`,
    test: (i) => isOutlier(i, m),
  })),
  ...methodPairs.map(([from, to]) => ({
    key: `mended:${from}:${to}`,
    words: () => `${outlierWord()}s under ${methodName(from)}, mended by ${methodName(to)}`,
    test: (i) => isOutlier(i, from) && !isOutlier(i, to),
  })),
  {
    key: "every",
    words: () => `${outlierWord()}s under every method`,
    test: (i) => methods.every((_, m) => isOutlier(i, m)),
  },
].slice(0, methods.length > 1 ? undefined : -1);

const finestName = levels[0].name;
const ifWrong = [
  ...methods.map((_, m) => ({
    key: `wrong:${m}`,
    words: () => `wrong ${finestName} under ${methodName(m)}`,
    test: (i) => isOutlier(i, m, 0),
  })),
  ...methodPairs.map(([right, wrong]) => ({
    key: `worse:${right}:${wrong}`,
    words: () => `${finestName} right under ${methodName(right)}, wrong under ${methodName(wrong)}`,
    test: (i) => isNamed(i, 0) && !isOutlier(i, right, 0) && isOutlier(i, wrong, 0),
  })),
];

// With one level they would be the same.
export const wrongFilters = meta.has_nearest && coarsest ? ifWrong : [];

const noFilter = { key: "all", words: () => "images", test: () => true };
export const FILTERS = [noFilter, ...outlierFilters, ...wrongFilters];

const filterSizes = new Map();
export function sizeOf({ key, test }) {
  const place = `${state.judged} ${state.steps} ${key}`;
  if (!filterSizes.has(place)) filterSizes.set(place, count(test));
  return filterSizes.get(place);
}

export const filterNow = () => FILTERS.find(({ key }) => key === state.filter) ?? FILTERS[0];

const withinOf = ({ classes, valueOf }, some) =>
  classes
    ? (i) => some.has(classes.codes[i])
    : (i) => valueOf(i) >= some[0] && valueOf(i) <= some[1];

export const filtering = { version: 0 }; // for what is worked out of the points that are shown

export function refilter() {
  filtering.version++;
  const { test } = filterNow();
  const { hidden, only } = state;
  const wanted = Object.entries(only).map(([name, some]) => withinOf(colouringOf(name), some));
  const words = state.query.trim().toLowerCase();
  const nameIn = (path, l) => levels[l].names[path[l]] ?? unnamed(l);
  const found = meta.paths.map((path) =>
    levels.some((_, l) => nameIn(path, l).toLowerCase().includes(words)),
  );
  const { codes } = legendNow();
  const { pair, pairLevel } = state;
  for (let i = 0; i < n; i++) {
    const passes =
      test(i) &&
      found[columns.labels[i]] &&
      wanted.every((within) => within(i)) &&
      (!pair || pair.includes(codesOf[pairLevel][i]));
    visibility[i] = hidden.has(codes[i]) ? 0 : passes ? 2 : 1;
  }
}

export function shown() {
  const list = [];
  for (let i = 0; i < n; i++) if (visibility[i] === 2) list.push(i);
  return list;
}
