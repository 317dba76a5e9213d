// Strangers that were seen repeatedly: one that gets a name is taught, others are dismissed.

import { call, strangerCrop } from "./api.js";
import { $, el, icon, syncChildren, picture, span, setText } from "./dom.js";
import { act } from "./notices.js";
import { askSimilar } from "./similar.js";
import { on, store, writable } from "./store.js";
import { t } from "./words.js";

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
  const field = el("input", { placeholder: t("stranger.hint"), list: "names", maxlength: 100, "aria-label": t("stranger.name"), autocomplete: "off", autocapitalize: "off", enterkeyhint: "done", required: true });
  const name = async (event) => {
    event.preventDefault();
    const label = field.value.trim();
    if (label) askSimilar(await act(call("POST", `${path}/name`, { label }), t("stranger.known", { label })));
  };
  return el("li", {},
    el("div", { class: "row" },
      picture(strangerCrop(id), t("stranger")),
      el("div", {}, el("h3"), el("small")),
      el("button", { type: "button", class: "plain square", "aria-label": t("dismiss"), title: t("dismiss"), onclick: () => act(call("DELETE", path)) }, icon("close"))),
    el("div", { class: "more" }, el("form", { class: "inline", onsubmit: name }, field, el("button", { class: "plain" }, t("stranger.do")))));
}

function update(card, { seen, last_s }) {
  setText(card.querySelector("h3"), t("stranger.seen", { n: seen }));
  setText(card.querySelector("small"), t("stranger.last", { span: span(Date.now() / 1000 - last_s) }));
  for (const input of card.querySelectorAll("input, .inline button")) input.disabled = !writable();
}
