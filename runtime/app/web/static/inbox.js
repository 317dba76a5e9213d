// Strangers that were seen repeatedly: one that gets a name is taught, others are dismissed.

import { call, strangerCrop } from "./api.js";
import { $, el, icon, syncChildren, picture, plural, span, setText } from "./dom.js";
import { act } from "./notices.js";
import { askSimilar } from "./similar.js";
import { on, store, writable } from "./store.js";

export function startInbox() {
  on("changed", render);
  on("link", render);
  render();
}

function render() {
  const strangers = store.state?.inbox ?? [];
  $("unknown").hidden = !strangers.length;
  syncChildren($("strangers"), strangers, (each) => each.id, make, update);
}

function make({ id }) {
  const path = `inbox/${encodeURIComponent(id)}`;
  const field = el("input", { placeholder: "Name it…", list: "names", maxlength: 100, "aria-label": "Name of this stranger", autocomplete: "off", autocapitalize: "off", enterkeyhint: "done", required: true });
  const name = async (event) => {
    event.preventDefault();
    const label = field.value.trim();
    if (label) askSimilar(await act(call("POST", `${path}/name`, { label }), `${label} is known now`));
  };
  return el("li", {},
    el("div", { class: "row" },
      picture(strangerCrop(id), "A stranger"),
      el("div", {}, el("h3"), el("small")),
      el("button", { type: "button", class: "plain square", "aria-label": "Dismiss", title: "Dismiss", onclick: () => act(call("DELETE", path)) }, icon("close"))),
    el("div", { class: "more" }, el("form", { class: "inline", onsubmit: name }, field, el("button", { class: "plain" }, "Name"))));
}

function update(card, { seen, last_s }) {
  setText(card.querySelector("h3"), `seen ${seen.toLocaleString("en")}×`);
  setText(card.querySelector("small"), `last ${span(Date.now() / 1000 - last_s)} ago`);
  for (const input of card.querySelectorAll("input, .inline button")) input.disabled = !writable();
}
