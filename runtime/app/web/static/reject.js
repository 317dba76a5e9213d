// "Not this": shows what would change before it is applied.

import { answerCrop, call } from "./api.js";
import { close, open } from "./cards.js";
import { el, picture } from "./dom.js";
import { act } from "./notices.js";
import { settled, writable } from "./store.js";
import { t } from "./words.js";

const SHOWN = 60;

export function show() {
  const { id, label } = settled() ?? {};
  const path = `answers/${encodeURIComponent(id)}/reject`;
  const apply = () => act(call("POST", path, { label }), t("rejected", { label }));
  return label && writable() ? askReject(label, `${path}/preview`, apply) : null;
}

/** Show what "not this" would change, as the device answers to `path`, and apply it when a person says so. */
export async function askReject(label, path, apply) {
  const preview = await act(call("POST", path, { label }));
  if (preview) open("reject", t("reject.title", { label }), ...body(preview, apply));
}

const answered = (text) => (text === "unknown" ? t("unknown") : text);

function body({ of, changes }, apply) {
  const shown = changes.slice(0, SHOWN).map(({ answer: id, before, after }) =>
    el("figure", {}, picture(answerCrop(id), ""), el("figcaption", {}, el("b", {}, answered(after)), t("was", { label: answered(before) }))));
  const button = el("button", { type: "button", class: "primary", onclick: () => (close("reject"), apply()) }, t("apply"));
  return [
    el("p", { class: "lead" }, t("changes", { n: changes.length, of })),
    shown.length ? el("div", { class: "changes", tabindex: "0", role: "group", "aria-label": t("changes.label") }, ...shown) : null,
    changes.length > SHOWN ? el("p", { class: "soft" }, t("changes.newest", { n: SHOWN })) : null,
    el("div", { class: "buttons" }, el("button", { type: "button", class: "plain", onclick: () => close("reject") }, t("cancel")), button),
  ];
}
