// Cards above the page. Each is a <dialog>, in which the browser keeps the focus and which Escape closes.

import { $ } from "./dom.js";

export function startCards() {
  for (const dialog of document.querySelectorAll("dialog.card")) {
    dialog.querySelector("[data-close]")?.addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.id !== "login-card" && dialog.close());
  }
}

/** Fill a card and show it. */
export function open(name, title, ...children) {
  $(`${name}-title`).textContent = title;
  $(`${name}-body`).replaceChildren(...children.filter((child) => child != null));
  if (!$(`${name}-card`).open) $(`${name}-card`).showModal();
}

export const close = (name) => $(`${name}-card`).close();
