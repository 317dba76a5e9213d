// Cards above the page. Each is a <dialog>, in which the browser keeps the focus and which Escape closes.

import { $, el, icon } from "./dom.js";
import { t } from "./words.js";

/** Fill a card, which is made when it is first needed, and show it. Returns the card. */
export function open(name, title, ...children) {
  const card = $(`${name}-card`) ?? make(name);
  $(`${name}-title`).textContent = title;
  $(`${name}-body`).replaceChildren(...children.filter((child) => child != null));
  if (!card.open) card.showModal();
  return card;
}

export const close = (name) => $(`${name}-card`)?.close();

function make(name) {
  const shut = el("button", { type: "button", class: "plain square", "aria-label": t("close"), onclick: () => card.close() }, icon("close"));
  const card = el("dialog", { id: `${name}-card`, class: "card", "aria-labelledby": `${name}-title`, onclick: ({ target }) => target === card && card.close() },
    el("div", { class: "head" }, el("h2", { id: `${name}-title` }), shut),
    el("div", { id: `${name}-body` }));
  document.body.append(card);
  return card;
}
