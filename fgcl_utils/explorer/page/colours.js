// What the points are coloured by: a code for each point, and a colour for each code.

import { genusOf, meta, speciesOf } from "./data.js";
import { genusColour, speciesColour } from "./palette.js";
import { state } from "./state.js";
import { theme } from "./theme.js";

export const COLOURINGS = {
  genus: { codes: genusOf, colours: meta.genera.map((_, g) => genusColour(g)) },
  species: { codes: speciesOf, colours: meta.species.map((_, s) => speciesColour(s)) },
};

export const colouring = () => COLOURINGS[state.colour];

export function colourOf(i) {
  const { codes, colours } = colouring();
  return colours[codes[i]];
}

// The genus's symbol in a legend: grey where the colours say something else.
export const legendColour = (g) => (state.colour === "genus" ? genusColour(g) : theme.hex.soft);
