// Pages opened from disk may not look into each other, so a framed page cannot see the book's
// theme: tell it, when it says that it is ready and whenever the reader switches.
(() => {
  const tell = () => {
    const message = { type: "theme", theme: document.documentElement.dataset.theme };
    // "*": a page from disk has no origin to name, and the theme is no secret.
    document.querySelectorAll("iframe").forEach((f) => f.contentWindow.postMessage(message, "*"));
  };
  addEventListener("message", (event) => event.data?.type === "explorer-ready" && tell());
  new MutationObserver(tell).observe(document.documentElement, { attributeFilter: ["data-theme"] });
})();
