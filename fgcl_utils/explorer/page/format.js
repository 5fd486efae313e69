// Numbers and names as the page writes them.

export const grouped = (number) => number.toLocaleString("en");

export const plural = (number, noun) => `${grouped(number)} ${noun}${number === 1 ? "" : "s"}`;

export const percent = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");

export const letter = (place) => String.fromCharCode(65 + place);

// "#12"; where only the first `listed` neighbours are known, the others are beyond.
export const rankText = (rank, listed) =>
  Number.isFinite(rank) ? `#${grouped(Math.round(rank))}` : `beyond #${listed}`;

// "a", "a or b", "a, b or c".
export const listedOr = (words) =>
  [words.slice(0, -1).join(", "), ...words.slice(-1)].filter(Boolean).join(" or ");

export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

// Beside the genus, "Mycena sp. 07" is "sp. 07" where there is little room.
export const withoutGenus = (species, genus = "") =>
  species.startsWith(`${genus} `) ? species.slice(genus.length + 1) : species;
