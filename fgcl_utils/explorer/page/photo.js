// A photo on the page, and the line below it.

import { genusName, genusOf, speciesName } from "./data.js";
import { el } from "./dom.js";
import { symbolIcon } from "./palette.js";
import { photoURL } from "./shards.js";

// `kinds` in the order in which they replace each other.
export function photo(i, kinds = ["thumb"], ...extra) {
  const image = el("img", { alt: `${speciesName(i)}, ${genusName(i)}`, draggable: false });
  const box = el("div.photo", ...extra);
  box.dataset.point = image.dataset.point = i;
  (async () => {
    for (const kind of kinds) {
      const url = await photoURL(kind, i);
      if (!url) continue;
      image.src = url;
      image.dataset.kind = kind;
      if (!image.isConnected) box.append(image);
    }
    if (!image.src) box.append(el("span", "no photo"));
  })();
  return box;
}

export const genusLine = (i) => el("div.genus", symbolIcon(genusOf[i]), el("span", genusName(i)));
