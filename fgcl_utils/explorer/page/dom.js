// Elements of the page. Names come from users' files, so text enters it as text, never as HTML.

export const $ = (id) => document.getElementById(id);

// el("p.soft", {title: "…"}, "text", child): properties may be left out, and a child may be null.
export function el(tag, ...content) {
  const [name, ...classes] = tag.split(".");
  const node = document.createElement(name);
  node.classList.add(...classes);
  const properties = content[0]?.constructor === Object ? content.shift() : {};
  for (const [property, value] of Object.entries(properties)) {
    if (property.startsWith("on")) node.addEventListener(property.slice(2), value);
    else if (property.includes("-") || property === "role") node.setAttribute(property, value);
    else node[property] = value;
  }
  node.append(...content.filter((child) => child !== null));
  return node;
}
