// What the page is, its keys, and the photos that could not be read.

import { COLOURINGS, legendNow } from "./colours.js";
import { levels, meta } from "./data.js";
import { $, el } from "./dom.js";
import { listedOr, plural } from "./format.js";

const coloursText = listedOr(COLOURINGS.map(({ name }) => name));
const KEYS = [
  ["N  P", "next, previous image among those shown or selected"],
  ["Enter", "pin or unpin the image"],
  ["Escape", "clear, one thing at a time: lasso, selection, pins, choice, filters"],
  ["1  2  3", "method"],
  ["C", `colour by ${coloursText}`],
  ["O", "outliers of this method, or all images"],
  ["B", "two maps side by side, or one"],
  ["V  M", "images, names on the map, or not"],
  ["L", "lasso"],
  ["/", "find"],
  ["+  −  0", "zoom in, out, whole map"],
  ["← ↑ → ↓", "move the map"],
];

const shownKind = () => levels[legendNow().level]?.name ?? legendNow().title;

export function showHelp() {
  const { count: unread, names } = meta.unreadable;
  $("dialog").setAttribute("aria-label", "Help and keys");
  $("dialog").replaceChildren(
    el("h2", meta.title),
    el(
      "p",
      "Each point is an image, placed so that images which the network finds similar lie close. " +
        `${legendNow().ramp ? "Colour tells" : "Shape and colour tell"} the ${shownKind()}; a ring ` +
        "marks an outlier. Switch the method and every point travels to its new place; two maps " +
        "show two methods at once.",
    ),
    el(
      "div.keys",
      ...KEYS.flatMap(([keys, text]) => [
        el("span", ...keys.split(/ +/).map((key) => el("kbd", key))),
        el("span", text),
      ]),
    ),
    el("p.soft", meta.map_note),
    ...(unread
      ? [
          el("p.warn", `${plural(unread, "image")} could not be read:`),
          el("ul", ...names.map((name) => el("li.id", name))),
        ]
      : []),
    el("p.soft", "This page holds everything it shows and makes no request to any server."),
    el("form", { method: "dialog" }, el("button", { autofocus: true }, "Close")),
  );
  $("dialog").showModal();
}
