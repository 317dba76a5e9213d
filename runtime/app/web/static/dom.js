// Making elements. Text from outside goes through textContent only: a name can never become HTML.

export const $ = (id) => document.getElementById(id);

/** el("button", { class: "plain", onclick: f, "aria-label": "Close" }, "words", child, …) */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value != null) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.appendChild(document.createElementNS(svg.namespaceURI, "use")).setAttribute("href", `#i-${name}`);
  return svg;
}

/** An element whose picture may be missing: an empty tile of the same size then. */
export function picture(src, alt) {
  const img = el("img", { src, alt, loading: "lazy", decoding: "async" });
  img.addEventListener("error", () => img.replaceWith(el("div", { class: "blank", role: "img", "aria-label": alt })));
  return img;
}

/** Numbers for the stylesheet; the policy of the page allows no style attribute, but it allows this. */
export function vary(node, values) {
  for (const [name, value] of Object.entries(values)) node.style.setProperty(`--${name}`, value);
  return node;
}

/** Set text only when it changes, so that screen readers and selections are left alone. */
export function words(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Bring the children of `parent` in line with `items`, keeping those that stay: focus and open cards survive. */
export function keyed(parent, items, keyOf, make, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = old.get(key);
    old.delete(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  }
  for (const child of old.values()) child.remove();
}

export const plural = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** "4 s", "2 min", "3 h", "5 days" */
export function span(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}
