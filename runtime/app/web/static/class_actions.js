// What can be done with a class: another name, another class, forgetting it, and deleting it for good.

import { call, query } from "./api.js";
import { el } from "./dom.js";
import { act } from "./notices.js";
import { labels, store } from "./store.js";
import { said, t } from "./words.js";

const button = (text, onclick) => el("button", { type: "button", class: "plain", onclick }, text);

/** Offer the actions of a class. */
export function offer(acts, label) {
  acts.className = "acts";
  acts.replaceChildren(button(t("rename"), () => ask(acts, label, rename(label))));
  if (labels().length > 1) acts.append(button(t("merge"), () => ask(acts, label, merge(label))));
  acts.append(button(t("forget"), () => act(call("DELETE", `classes?${query({ label })}`), t("forgot", { label }))));
  acts.append(button(t("erase"), () => erase(acts, label)));
}

/** Show a field with its button and *Cancel* in place of the actions. */
function ask(acts, label, { field, verb, send }) {
  const back = () => {
    offer(acts, label);
    acts.querySelector("button").focus();
  };
  const form = el("form", { class: "inline", onsubmit: (event) => (event.preventDefault(), send(field.value.trim())), onkeydown: (event) => event.key === "Escape" && (event.stopPropagation(), back()) },
    field, el("button", { class: "primary" }, verb), button(t("cancel"), back));
  acts.className = "";
  acts.replaceChildren(form);
  field.focus();
  field.select?.();
}

function rename(label) {
  const field = el("input", { value: label, maxlength: 100, "aria-label": t("rename.label", { label }), autocomplete: "off", required: true });
  return { field, verb: t("rename"), send: (to) => to && to !== label && act(call("PATCH", `classes?${query({ label })}`, { label: to }), t("renamed", { label, to })) };
}

function merge(label) {
  const others = labels().filter((other) => other !== label);
  const field = el("select", { "aria-label": t("merge.label", { label }) }, ...others.map((other) => el("option", { value: other }, t("merge.into", { other }))));
  return { field, verb: t("merge"), send: (into) => act(call("POST", "classes/merge", { label, into }), t("merged", { label, into })) };
}

/** Say what would be deleted for good, and do it after another press. */
function erase(acts, label) {
  const { shots } = store.state.classes.find((each) => each.label === label);
  const back = () => (offer(acts, label), acts.lastElementChild.focus());
  const keep = button(t("cancel"), back);
  const sure = el("button", { type: "button", class: "plain bad", onclick: () => act(call("DELETE", `classes?${query({ label, now: true })}`), ({ what }) => said(what)) }, t("erase.sure"));
  acts.className = "";
  acts.replaceChildren(el("div", { class: "more", role: "group", "aria-label": t("erase"), onkeydown: (event) => event.key === "Escape" && back() },
    el("p", {}, t("erase.what", { label, shots: t("shots", { n: shots }) })), el("p", { class: "acts" }, keep, sure)));
  keep.focus();
}
