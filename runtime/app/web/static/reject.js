// "Not this": shows what would change before it is applied.

import { answerCrop, call } from "./api.js";
import { close, open } from "./cards.js";
import { el, picture } from "./dom.js";
import { act } from "./notices.js";
import { settled, writable } from "./store.js";

const SHOWN = 60;

export async function show() {
  const { id, label } = settled() ?? {};
  if (!label || !writable()) return;
  const path = `answers/${encodeURIComponent(id)}/reject`;
  const preview = await act(call("POST", `${path}/preview`, { label }));
  if (preview) open("reject", `Not ${label}`, ...body(path, label, preview));
}

function body(path, label, { of, changes }) {
  const shown = changes.slice(0, SHOWN).map(({ answer: id, before, after }) =>
    el("figure", {}, picture(answerCrop(id), ""), el("figcaption", {}, el("b", {}, after), `was ${before}`)));
  const apply = el("button", { type: "button", class: "primary", onclick: async () => {
    close("reject");
    await act(call("POST", path, { label }), `This view is not ${label}`);
  } }, "Apply");
  return [
    el("p", { class: "lead" }, `This changes ${changes.length.toLocaleString("en")} of the last ${of.toLocaleString("en")} answers.`),
    shown.length ? el("div", { class: "changes", tabindex: "0", role: "group", "aria-label": "Answers that change" }, ...shown) : null,
    changes.length > SHOWN ? el("p", { class: "soft" }, `The newest ${SHOWN} are shown.`) : null,
    el("div", { class: "buttons" }, el("button", { type: "button", class: "plain", onclick: () => close("reject") }, "Cancel"), apply),
  ];
}
