// For how long forgotten things can be restored, and their deletion at once.

import { call } from "./api.js";
import { el } from "./dom.js";
import { act } from "./notices.js";

const CHOICES = { 0: "not at all", 5: "5 minutes", 30: "30 minutes", 1440: "a day" };

export function retention({ undo_minutes: now, writable }) {
  const choices = { ...CHOICES, [now]: CHOICES[now] ?? `${now} minutes` };
  const minutes = el("select", { id: "minutes", disabled: !writable, onchange: () => act(call("PUT", "gallery/undo-minutes", { minutes: Number(minutes.value) }), ({ what }) => what) },
    ...Object.entries(choices).map(([value, text]) => el("option", { value }, text)));
  minutes.value = String(now);
  const button = el("button", { type: "button", class: "plain", disabled: !writable, onclick: () => {
    if (button.dataset.sure) act(call("POST", "gallery/purge"), ({ what }) => what);
    else button.textContent = button.dataset.sure = "Delete for good?";
  } }, "Delete them now");
  return [el("label", { for: "minutes" }, "Forgotten things can be restored for "), minutes, " ", button];
}
