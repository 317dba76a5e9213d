// What a person says about an answer that may be right: *Yes*, *No*, or *It is…* with another name.

import { answerCrop, call } from "./api.js";
import { close, open } from "./cards.js";
import { $, el, picture } from "./dom.js";
import { act } from "./notices.js";
import { answer, on, settled, stateOf, writable } from "./store.js";
import { said, t } from "./words.js";

export function startConfirm() {
  $("yes").addEventListener("click", () => confirm(suggested()));
  $("no").addEventListener("click", () => reject(suggested()));
  $("other").addEventListener("click", () => ask(suggested()));
  for (const name of ["changed", "link"]) on(name, () => ["yes", "no", "other"].forEach((id) => ($(id).disabled = !writable())));
}

/** The newest answer that the device remembers and that suggests what is shown. */
function suggested() {
  const each = settled();
  const { certainty, name } = answer() ? stateOf(answer()) : {};
  return certainty === "maybe" && each?.candidate === name ? each : null;
}

const path = ({ id }, verb) => `answers/${encodeURIComponent(id)}/${verb}`;

async function confirm(each, label = null) {
  if (!each) return;
  const result = ({ label: taught, accepted, rejected }) =>
    accepted.length ? t("confirmed", { label: taught }) : t("confirm.none", { reason: said(rejected[0]?.reason ?? "same view") });
  const enrollment = await act(call("POST", path(each, "confirm"), { label }), result);
  if (label && enrollment?.similar?.length) act(import("./similar.js").then(({ askSimilar }) => askSimilar(enrollment)));
}

async function reject(each) {
  if (each) await act(call("POST", path(each, "reject")), t("rejected", { label: each.candidate }));
}

/** Ask for the right name of the picture. */
function ask(each) {
  if (!each) return;
  const field = el("input", { list: "names", maxlength: 100, placeholder: t("name.hint"), "aria-label": t("name.thing"), autocomplete: "off", autocapitalize: "off", enterkeyhint: "done", required: true });
  const send = async (event) => {
    event.preventDefault();
    const label = field.value.trim();
    if (!label) return;
    close("confirm");
    await confirm(each, label);
  };
  open("confirm", t("what"),
    el("div", { class: "shots" }, el("figure", {}, picture(answerCrop(each.id), t("name.picture")))),
    el("form", { class: "inline", onsubmit: send }, field, el("button", { class: "primary" }, t("name.add"))));
  field.focus();
}
