// Plotly draws its own colours into SVG, so the book's dark mode does not reach it.
// Recolour every figure when the theme changes, and give back the original colours in light mode.
(() => {
  const INK = "#ced6dd", GRID = "#3f464d", CLEAR = "rgba(0,0,0,0)";

  function darkColours(figure) {
    const change = {
      paper_bgcolor: CLEAR,
      plot_bgcolor: CLEAR,
      "font.color": INK,
      "legend.bgcolor": CLEAR,
    };
    for (const axis of Object.keys(figure._fullLayout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      for (const part of ["gridcolor", "linecolor", "zerolinecolor"]) change[`${axis}.${part}`] = GRID;
    }
    return change;
  }

  // The value at a dotted path, or null, which tells Plotly to fall back to its template.
  const valueAt = (layout, path) =>
    path.split(".").reduce((node, key) => (node == null ? null : node[key]), layout) ?? null;

  const original = new WeakMap(); // figure -> the colours it came with

  function recolour() {
    const dark = document.documentElement.dataset.theme === "dark";
    for (const figure of document.querySelectorAll(".plotly-graph-div.js-plotly-plot")) {
      if (dark && !original.has(figure)) {
        const change = darkColours(figure);
        const before = Object.keys(change).map((path) => [path, valueAt(figure.layout, path)]);
        original.set(figure, Object.fromEntries(before));
        Plotly.relayout(figure, change);
      } else if (!dark && original.has(figure)) {
        Plotly.relayout(figure, original.get(figure));
        original.delete(figure);
      }
    }
  }

  new MutationObserver(recolour).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  window.addEventListener("load", recolour);
})();
