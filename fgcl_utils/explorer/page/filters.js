// Which points are shown.

import { count, genusOf, isOutlier, meta, methods, n, speciesOf } from "./data.js";
import { state } from "./state.js";

// Each point has a level: 0 hidden, 1 dimmed by a filter, 2 shown.
export const level = new Uint8Array(n).fill(2);
export const ringed = (i) => level[i] === 2 && isOutlier(i, state.method);

const methodPairs = methods
  .flatMap((_, from) => methods.map((_, to) => [from, to]))
  .filter(([from, to]) => from !== to);

export const FILTERS = [
  { key: "all", label: "photos", test: () => true },
  ...methods.map(({ name }, m) => ({
    key: `out:${m}`,
    label: `outliers under ${name}`,
    test: (i) => isOutlier(i, m),
  })),
  ...methodPairs.map(([from, to]) => ({
    key: `mended:${from}:${to}`,
    label: `outliers under ${methods[from].name}, mended by ${methods[to].name}`,
    test: (i) => isOutlier(i, from) && !isOutlier(i, to),
  })),
  {
    key: "every",
    label: "outliers under every method",
    test: (i) => methods.every((_, m) => isOutlier(i, m)),
  },
]
  .slice(0, methods.length > 1 ? undefined : -1)
  .map((filter) => ({ ...filter, size: count(filter.test) }));

export const filterNow = () => FILTERS.find(({ key }) => key === state.filter) ?? FILTERS[0];

export function relevel() {
  const { test } = filterNow();
  const words = state.query.trim().toLowerCase();
  const names = (s) => [meta.species[s], meta.genera[meta.genus_of_species[s]]];
  const found = meta.species.map((_, s) =>
    names(s).some((name) => name.toLowerCase().includes(words)),
  );
  for (let i = 0; i < n; i++) {
    const species = speciesOf[i];
    const passes = test(i) && found[species] && (!state.marked.size || state.marked.has(species));
    level[i] = state.hidden.has(genusOf[i]) ? 0 : passes ? 2 : 1;
  }
}

export function shown() {
  const list = [];
  for (let i = 0; i < n; i++) if (level[i] === 2) list.push(i);
  return list;
}
