// The side panel and its tabs.

import { showCompare } from "./compare.js";
import { showConfusions } from "./confusions.js";
import { $, el } from "./dom.js";
import { showOnly } from "./only.js";
import { showOutliers } from "./outliers.js";
import { showSelection } from "./selection.js";
import { state, update } from "./state.js";

// Label, a number to show beside it, and what fills the panel. The first opens with the page.
export const TABS = {
  compare: ["Compare", () => state.pins.length, showCompare],
  outliers: ["Outliers", () => 0, showOutliers],
  confusions: ["Confusions", () => 0, showConfusions],
  selection: ["Selection", () => state.selection.length, showSelection],
  only: ["Filter", () => Object.keys(state.only).length, showOnly],
};

export function showPanel() {
  const focused = $("tabs").contains(document.activeElement);
  $("tabs").replaceChildren(
    ...Object.entries(TABS).map(([key, [label, size]]) =>
      el(
        "button",
        {
          role: "tab",
          id: `tab-${key}`,
          "aria-selected": String(state.tab === key),
          "aria-controls": "panel",
          tabIndex: state.tab === key ? 0 : -1,
          onclick: () => update({ tab: key }),
          onkeydown: moveTab,
        },
        label,
        size() ? ` ${size()}` : "",
      ),
    ),
  );
  $("panel").setAttribute("aria-labelledby", `tab-${state.tab}`);
  if (focused) $(`tab-${state.tab}`).focus();
  const [, , fill] = TABS[state.tab];
  keepingFocus($("panel"), () => fill($("panel")));
}

// A panel is filled anew at each change: whoever has pressed a button in it stays there.
function keepingFocus(panel, act) {
  const controls = () => [...panel.querySelectorAll("button, select, input")];
  const place = controls().indexOf(document.activeElement);
  act();
  if (place >= 0) controls()[place]?.focus();
}

function moveTab(event) {
  const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!way) return;
  event.preventDefault();
  event.stopPropagation();
  const keys = Object.keys(TABS);
  update({ tab: keys[(keys.indexOf(state.tab) + way + keys.length) % keys.length] });
  $(`tab-${state.tab}`).focus();
}
