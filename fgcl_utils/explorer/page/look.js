// One photo as large as it is held, in a window over the page.

import { togglePin, verdictLines } from "./compare.js";
import { $, el } from "./dom.js";
import { nameOf } from "./names.js";
import { nameLines, photo } from "./photo.js";
import { state } from "./state.js";

export function showPhoto(i) {
  const dialog = $("dialog");
  const pin = () => {
    togglePin(i, state.tab);
    dialog.close();
  };
  dialog.setAttribute("aria-label", nameOf(i));
  dialog.replaceChildren(
    photo(i, ["thumb", "photo"]),
    ...nameLines(i).filter(Boolean),
    verdictLines(i),
    el(
      "form.row",
      { method: "dialog" },
      el("button", { type: "button", onclick: pin }, state.pins.includes(i) ? "Unpin" : "Pin"),
      el("button", { autofocus: true }, "Close"),
    ),
  );
  dialog.showModal();
}
