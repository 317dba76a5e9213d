// For how long forgotten things can be restored, and their deletion at once.

import { call } from "./api.js";
import { el } from "./dom.js";
import { act } from "./notices.js";
import { said, t } from "./words.js";

const CHOICES = [0, 5, 30, 1440]; // minutes
const done = ({ what }) => said(what);

export function retention({ undo_minutes: now, writable }) {
  const choices = [...new Set([...CHOICES, now])].sort((a, b) => a - b);
  const minutes = el("select", { id: "minutes", disabled: !writable, onchange: () => act(call("PUT", "gallery/undo-minutes", { minutes: Number(minutes.value) }), done) },
    ...choices.map((n) => el("option", { value: String(n) }, n ? t("retention.minutes", { n }) : t("retention.never"))));
  minutes.value = String(now);
  const button = el("button", { type: "button", class: "plain", disabled: !writable, onclick: () => {
    if (button.dataset.sure) act(call("POST", "gallery/purge"), done);
    else button.textContent = button.dataset.sure = t("retention.sure");
  } }, t("retention.now"));
  return [el("label", { for: "minutes" }, t("retention")), minutes, " ", button];
}
