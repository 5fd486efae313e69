// What the points are coloured by: a level of their labels, or a further column of the table. A
// colouring has a code for each point, a colour for each code, and a legend: the classes that its
// reader can tell apart, whose codes give the points their symbols, or a ramp. For filters it has all
// of its classes, or the numbers and their ends.

import { codesOf, coarsest, columns, levels, meta, n } from "./data.js";
import { unnamed } from "./names.js";
import {
  classColour,
  distantColour,
  FEW,
  NO_CLASS,
  PAIRS,
  rampColour,
  shadeOf,
  symbolIcon,
  symbolOf,
} from "./palette.js";
import { state, update } from "./state.js";

// Of each level; the last of its classes are the points that have no name there.
const levelClasses = levels.map(({ plural: title, names }, l) => ({
  title,
  level: l,
  names: [...names, unnamed(l)],
  codes: codesOf[l],
}));
for (let l = coarsest; l >= 0; l--) levelClasses[l].colours = [...levelColours(l), NO_CLASS];

// Few classes have colours of their own, many are shades of what they belong to. So is the finest
// level even if its classes are few: the legend then shows those that they belong to.
function levelColours(l) {
  const { names } = levels[l];
  if (l === coarsest && names.length > PAIRS) return names.map((_, c) => distantColour(c));
  if (l === coarsest || (l && names.length <= FEW)) return names.map((_, c) => classColour(c));
  const places = new Map(); // how many classes of each parent have been met
  return names.map((_, c) => {
    const parent = meta.parents[l][c];
    const place = places.get(parent) ?? 0;
    places.set(parent, place + 1);
    return shadeOf(levelClasses[l + 1].colours[parent], place);
  });
}

function legendLevel(l) {
  const many = l === 0 || levels[l].names.length > PAIRS;
  return many && l < coarsest ? legendLevel(l + 1) : l;
}

const byLevel = levels.map(({ name }, l) => {
  const legend = levelClasses[legendLevel(l)];
  const { names, codes, colours } = levelClasses[l];
  return { name, level: l, classes: { names, codes }, codes, colours, legend };
});

const NO_VALUE = 65535;
const STEPS = 64; // of a ramp

function byCategory({ name, values }, given) {
  const names = [...values, "not given"];
  const codes = given.map((c) => Math.min(c, values.length));
  const colourAt = values.length > PAIRS ? distantColour : classColour;
  const colours = [...values.map((_, c) => colourAt(c)), NO_CLASS];
  const legend = { title: name, names, codes, colours };
  return { name, classes: legend, codes, colours, legend, textOf: (i) => names[codes[i]] };
}

function byNumber({ name, low, high }, given) {
  const ramp = Array.from({ length: STEPS }, (_, place) => rampColour(place / (STEPS - 1)));
  const legend = { title: name, names: [], codes: new Uint8Array(n), ramp, ends: [low, high] };
  const stepOf = (c) => (c === NO_VALUE ? STEPS : Math.round((c / NO_VALUE) * (STEPS - 1)));
  const number = (c) => Number((low + (c / (NO_VALUE - 1)) * (high - low)).toPrecision(4));
  return {
    name,
    ends: [low, high],
    valueOf: (i) => (given[i] === NO_VALUE ? NaN : number(given[i])),
    codes: Uint8Array.from(given, stepOf),
    colours: [...ramp, NO_CLASS],
    legend,
    textOf: (i) => (given[i] === NO_VALUE ? "not given" : String(number(given[i]))),
  };
}

// From the coarsest level to the finest, then the columns.
export const COLOURINGS = [
  ...byLevel.toReversed(),
  ...meta.columns.map((column, place) =>
    (column.values ? byCategory : byNumber)(column, columns.further[place]),
  ),
];

export const colouringOf = (wanted) => COLOURINGS.find(({ name }) => name === wanted);
export const colouring = () => colouringOf(state.colour);
export const legendNow = () => colouring().legend;
// The classes to count by: the legend's, if it has any.
export const classesNow = () => (legendNow().ramp ? levelClasses[meta.judged[0]] : legendNow());

export function colourOf(i) {
  const { codes, colours } = colouring();
  return colours[codes[i]];
}

export function iconOf(i) {
  const { codes, colours } = classesNow();
  return symbolIcon(symbolOf(codes[i]), colours[codes[i]]);
}

// Of a level's class, or of the one above it that the legend shows.
export function iconOfClass(l, c) {
  const target = legendNow().level ?? meta.judged[0];
  let above = c;
  for (let up = l; up < target; up++) above = meta.parents[up][above];
  const own = state.colour === levels[l].name;
  const colour = own ? levelClasses[l].colours[c] : levelClasses[target].colours[above];
  return symbolIcon(symbolOf(above), colour);
}

// What the legend hides stays hidden: in another legend, the classes that have no other points.
export function colourBy(name) {
  const { codes } = legendNow();
  const next = colouringOf(name).legend;
  const met = new Set();
  const seen = new Set();
  for (let i = 0; i < n; i++) {
    met.add(next.codes[i]);
    if (!state.hidden.has(codes[i])) seen.add(next.codes[i]);
  }
  update({
    colour: name,
    hidden: next.ramp ? new Set() : new Set([...met].filter((c) => !seen.has(c))),
  });
}
