// What stands over the maps: whose map each is where there are two, and the sliders of methods that
// have one.

import { levels, methods } from "./data.js";
import { $, el } from "./dom.js";
import { percent, plural } from "./format.js";
import { measure, panesNow } from "./map.js";
import { state, update, viewChanged } from "./state.js";
import { hasSlider, stepLabel, stepTo } from "./steps.js";
import { namedCount, outlierCounts, outlierWord } from "./verdicts.js";

const ROOM = 900; // pixels of the page from which two maps are the usual

// The method with the fewest outliers beside the first one, or −1 for one map.
export function usualBeside() {
  const counts = outlierCounts();
  const best = counts.lastIndexOf(Math.min(...counts.slice(1)));
  return methods.length > 1 && window.innerWidth >= ROOM ? best : -1;
}

const heads = []; // of each pane: {head, name, slider, label, figures}

export function buildPanes() {
  for (const place of [0, 1]) heads.push(buildHead(place));
  $("panes").append(...heads.map(({ head }) => el("div.pane", head)));
  $("two").hidden = methods.length < 2;
  $("two").onclick = toggleSecond;
  $("together").onclick = toggleTogether;
}

function buildHead(place) {
  const name = place ? methodSelect() : el("b");
  const named = "What each level counts for";
  const slider = el("input", { type: "range", min: 0, step: 1, "aria-label": named });
  slider.oninput = () => stepTo(methodAt(place), slider.valueAsNumber);
  const [label, figures] = [el("span"), el("span.soft")];
  const head = el("div.head", name, el("label.slider", label, slider, figures));
  return { head, name, slider, label, figures };
}

const methodAt = (place) => (place ? state.beside : state.method);

function methodSelect() {
  const options = methods.map(({ name }, m) => el("option", { value: m }, name));
  const change = ({ target }) => update({ beside: Number(target.value) });
  const list = el("select", { "aria-label": "Method of the second map", onchange: change });
  list.append(...options);
  return list;
}

function toggleSecond() {
  const other = state.method === 0 ? methods.length - 1 : 0;
  const usual = usualBeside();
  const next = usual < 0 || usual === state.method ? other : usual;
  update({ beside: state.beside < 0 ? next : -1, besideView: null });
}

function toggleTogether() {
  state.besideView = state.besideView ? null : { ...state.view };
  showPanes();
  viewChanged();
}

export function showPanes() {
  const shownPanes = panesNow();
  const two = shownPanes.length > 1;
  $("map").classList.toggle("two", two);
  $("two").setAttribute("aria-pressed", String(two));
  $("together").hidden = !two;
  $("together").setAttribute("aria-pressed", String(!state.besideView));
  heads.forEach((head, place) => showHead(head, shownPanes[place], two));
  measure();
}

function showHead({ head, name, slider, label, figures }, pane, two) {
  head.parentElement.hidden = !pane || !(two || hasSlider(pane.method));
  if (head.parentElement.hidden) return;
  const { method } = pane;
  name.hidden = !two;
  if (pane.place) name.value = method;
  else name.textContent = methods[method].name;
  slider.parentElement.hidden = !hasSlider(method);
  if (!hasSlider(method)) return;
  slider.max = methods[method].maps.length - 1;
  slider.value = state.steps[method];
  slider.setAttribute("aria-valuetext", stepLabel(method));
  label.textContent = stepLabel(method);
  figures.textContent = figuresOf(method);
}

// "14 genus outliers, species right: 71.3 %".
function figuresOf(m) {
  const right = namedCount(0) - outlierCounts(0)[m];
  const outliers = plural(outlierCounts()[m], outlierWord());
  return `${outliers}, ${levels[0].name} right: ${percent(right, namedCount(0))}`;
}
