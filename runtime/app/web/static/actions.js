// Actions: what happens when something is seen. Rules are added, tested and removed here, with their newest results.

import { call, query } from "./api.js";
import { $, el, setText, span, syncChildren } from "./dom.js";
import { act, notice } from "./notices.js";
import { labels, on, store } from "./store.js";
import { said, t } from "./words.js";

const EVERY_MS = 3000;
const UNKNOWN = "\u0000unknown";
const FIELDS = { webhook: ["rule-url", "rule-secret"], mqtt: ["rule-url", "rule-topic"], channels: ["rule-url"] };
const ADDRESS = { webhook: `${location.protocol}//192.168.1.5/hook`, mqtt: "mqtt://user:password@broker", channels: "mailto://… or tgram://…" };
let rules = [];

export function startActions() {
  on("place", (place) => place === "actions" && load());
  on("changed", () => store.place === "actions" && renderChoices());
  setInterval(() => store.place === "actions" && store.link === "online" && load(), EVERY_MS);
  $("rule-kind").addEventListener("change", renderFields);
  $("rule").addEventListener("submit", add);
  renderFields();
}

async function load() {
  renderChoices();
  const found = await call("GET", "actions").catch(() => null);
  if (!found) return;
  rules = found.rules;
  $("rules-memory").hidden = found.durable;
  $("no-rules").hidden = rules.length > 0;
  syncChildren($("rules"), rules, (rule) => rule.name, make, update);
}

function renderChoices() {
  const values = labels();
  const select = $("rule-label");
  if (select.dataset.key === values.join("\n") && select.children.length) return;
  const before = select.value;
  select.dataset.key = values.join("\n");
  select.replaceChildren(el("option", { value: "" }, t("rule.any")), ...values.map((value) => el("option", { value }, value)), el("option", { value: UNKNOWN }, t("rule.unknown")));
  select.value = [...values, UNKNOWN].includes(before) ? before : "";
}

function renderFields() {
  const kind = $("rule-kind").value;
  $("rule-url").placeholder = ADDRESS[kind];
  for (const id of ["rule-url", "rule-secret", "rule-topic"]) $(id).closest("label").hidden = !FIELDS[kind].includes(id);
}

async function add(event) {
  event.preventDefault();
  const [kind, label, url, secret, topic] = ["rule-kind", "rule-label", "rule-url", "rule-secret", "rule-topic"].map((id) => $(id).value.trim());
  const unknown = $("rule-label").value === UNKNOWN;
  const target = { webhook: { url, secret: secret || null }, mqtt: { url, topic: topic || "edgefs/seen" }, channels: { urls: [url] } }[kind];
  const rule = { name: $("rule-name").value.trim(), label: unknown ? null : label || null, certainty: unknown ? "unknown" : $("rule-certainty").value, dwell_s: Number($("rule-dwell").value) || 0, do: { kind, ...target } };
  if (!(await act(call("PUT", "actions", rule), t("rule.added", { name: rule.name })))) return;
  $("rule").reset();
  $("rule-more").open = false;
  renderFields();
  load();
}

function make({ name }) {
  const test = el("button", { type: "button", class: "plain", onclick: () => run(test, name) }, t("rule.test"));
  const remove = el("button", { type: "button", class: "plain", "data-remove": "", onclick: async () => (await act(call("DELETE", `actions?${query({ name })}`), t("removed", { name })), load()) }, t("remove"));
  return el("li", { class: "rule" },
    el("div", {}, el("h3", {}, name), el("p", { class: "when" }), el("p", { class: "soft target" })),
    el("p", { class: "acts" }, test, remove),
    el("ul", { class: "results" }));
}

function update(card, rule) {
  setText(card.querySelector(".when"), sentence(rule));
  setText(card.querySelector(".target"), [t(`rule.to.${rule.kind}`, { target: rule.target }), rule.signed && t("rule.signed"), rule.fixed && t("rule.fixed")].filter(Boolean).join(t("comma")));
  card.querySelector("[data-remove]").hidden = rule.fixed;
  const newest = rule.results.slice(0, 4);
  const waiting = rule.waiting ? [{ id: "waiting", text: t("rule.waiting", { n: rule.waiting }), state: "" }] : [];
  const lines = [...waiting, ...newest.map((each) => ({ id: each.id, text: [said(each.what), t("ago", { span: span(Date.now() / 1000 - each.time_s) }), each.tries > 1 && t("rule.tries", { n: each.tries })].filter(Boolean).join(t("comma")), state: each.ok ? "good" : "bad" }))];
  const shown = lines.length ? lines : [{ id: "none", text: t("rule.nothing"), state: "" }];
  syncChildren(card.querySelector(".results"), shown, (line) => line.id, () => el("li"), (node, { text, state }) => {
    node.className = state;
    setText(node, text);
  });
}

function sentence({ label, certainty, camera, dwell_s }) {
  const what = certainty === "unknown" ? t("rule.unknown") : label ?? t("rule.any");
  const parts = [t("rule.when", { what }), dwell_s && t("rule.dwell", { span: span(dwell_s) }), camera && t("rule.by", { camera }), certainty === "maybe" && t("rule.maybe")];
  return parts.filter(Boolean).join(t("comma"));
}

async function run(button, name) {
  button.disabled = true;
  const result = await act(call("POST", "actions/test", { name }));
  button.disabled = false;
  if (result) notice(t(result.ok ? "rule.works" : "rule.fails", { name, what: said(result.what) }));
  load();
}
