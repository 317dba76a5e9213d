// Actions: what happens when something is seen. Rules are added, tested and removed here, with their newest results.

import { call, query } from "./api.js";
import { $, el, plural, setText, span, syncChildren } from "./dom.js";
import { act, notice } from "./notices.js";
import { labels, on, store } from "./store.js";

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
  select.replaceChildren(el("option", { value: "" }, "any class"), ...values.map((value) => el("option", { value }, value)), el("option", { value: UNKNOWN }, "something unknown"));
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
  if (!(await act(call("PUT", "actions", rule), `${rule.name} is in force`))) return;
  $("rule").reset();
  $("rule-more").open = false;
  renderFields();
  load();
}

function make({ name }) {
  const test = el("button", { type: "button", class: "plain", onclick: () => run(test, name) }, "Test");
  const remove = el("button", { type: "button", class: "plain", "data-remove": "", onclick: async () => (await act(call("DELETE", `actions?${query({ name })}`), `Removed ${name}`), load()) }, "Remove");
  return el("li", { class: "rule" },
    el("div", {}, el("h3", {}, name), el("p", { class: "when" }), el("p", { class: "soft target" })),
    el("p", { class: "acts" }, test, remove),
    el("ul", { class: "results" }));
}

function update(card, rule) {
  setText(card.querySelector(".when"), sentence(rule));
  setText(card.querySelector(".target"), `${KINDS[rule.kind]} ${rule.target}${rule.signed ? ", signed" : ""}${rule.fixed ? ", from the file of --actions" : ""}`);
  card.querySelector("[data-remove]").hidden = rule.fixed;
  const newest = rule.results.slice(0, 4);
  const waiting = rule.waiting ? [{ id: "waiting", text: `${plural(rule.waiting, "event")} waiting`, state: "" }] : [];
  const lines = [...waiting, ...newest.map((each) => ({ id: each.id, text: `${each.what}, ${span(Date.now() / 1000 - each.time_s)} ago${each.tries > 1 ? `, ${each.tries} tries` : ""}`, state: each.ok ? "good" : "bad" }))];
  const shown = lines.length ? lines : [{ id: "none", text: "Nothing has happened yet.", state: "" }];
  syncChildren(card.querySelector(".results"), shown, (line) => line.id, () => el("li"), (node, { text, state }) => {
    node.className = state;
    setText(node, text);
  });
}

const KINDS = { webhook: "Webhook to", mqtt: "MQTT to", channels: "Message by", command: "Program", csv: "File" };

function sentence({ label, certainty, camera, dwell_s }) {
  const what = certainty === "unknown" ? "something unknown" : label ?? "any class";
  const sure = certainty === "maybe" ? ", sure or not" : "";
  return `When ${what} is seen${dwell_s ? ` for ${span(dwell_s)}` : ""}${camera ? ` by ${camera}` : ""}${sure}`;
}

async function run(button, name) {
  button.disabled = true;
  const result = await act(call("POST", "actions/test", { name }));
  button.disabled = false;
  if (result) notice(result.ok ? `${name} works: ${result.what}` : `${name} does not work: ${result.what}`);
  load();
}
