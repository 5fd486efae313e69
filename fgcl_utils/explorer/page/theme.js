// Light or dark: chosen here, else the book's around this page, else the system's.

import { announce } from "./messages.js";
import { repaint } from "./paint.js";
import { rgb } from "./palette.js";
import { state, viewChanged } from "./state.js";

const root = document.documentElement;
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
let bookTheme = null;

// The style sheet's colours, for what is drawn.
export const theme = { hex: {}, rgb: {} };

export function setTheme(value) {
  state.theme = ["light", "dark"].includes(value) ? value : "auto";
  const around = bookTheme ?? (systemIsDark.matches ? "dark" : "light");
  root.dataset.theme = state.theme === "auto" ? around : state.theme;
  const style = getComputedStyle(root);
  for (const name of ["page", "ink", "soft", "accent", "warn", "dim"]) {
    theme.hex[name] = style.getPropertyValue(`--${name}`).trim();
    theme.rgb[name] = rgb(theme.hex[name]);
  }
  repaint();
}

export function nextTheme() {
  const other = root.dataset.theme === "dark" ? "light" : "dark";
  setTheme(state.theme === "auto" ? other : "auto");
  const words = state.theme === "auto" ? "as the page around it or the system" : state.theme;
  announce(`Theme: ${words}`, true);
  viewChanged();
}

export function followTheme() {
  systemIsDark.addEventListener("change", () => setTheme(state.theme));
  if (window === window.parent) return;
  window.addEventListener("message", ({ source, data }) => {
    if (source === window.parent && data?.type === "theme") fromBook(data.theme);
  });
  try {
    // The same origin: read it off the page.
    const book = window.parent.document.documentElement;
    const read = () => fromBook(book.dataset.theme);
    new MutationObserver(read).observe(book, { attributeFilter: ["data-theme"] });
    read();
  } catch {
    // On file:// and in a sandbox the page around has to tell.
    window.parent.postMessage({ type: "explorer-ready" }, "*");
  }
}

function fromBook(value) {
  bookTheme = ["light", "dark"].includes(value) ? value : null;
  setTheme(state.theme);
}
