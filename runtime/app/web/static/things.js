// Things: every class as a tile; opened, every view of it, which can be enlarged, moved or deleted.

import { call, query, shotCrop } from "./api.js";
import { open } from "./cards.js";
import { $, el, picture, setText, syncChildren } from "./dom.js";
import { act } from "./notices.js";
import { labels, on, store, writable } from "./store.js";
import { locale, said, t } from "./words.js";

let opened = null; // the label of the class that is open
let shots = [];
let drawn = ""; // what the open class looked like when its shots were read

export function startThings() {
  on("place", (place) => place === "things" && render());
  on("changed", () => store.place === "things" && render());
  $("thing-back").addEventListener("click", () => show(null));
}

function render() {
  const classes = store.state?.classes ?? [];
  const one = classes.find((each) => each.label === opened);
  if (opened && !one) opened = null;
  $("thing-back").hidden = $("views").hidden = $("thing-advice").hidden = !one;
  $("thing-list").hidden = Boolean(one);
  $("no-things").hidden = classes.length > 0;
  setText($("things-title"), one ? one.label : t("things"));
  if (one) {
    setText($("thing-advice"), [t("thing.has", { views: t("views", { n: Math.round(one.views) }), shots: t("shots", { n: one.shots }) }), one.reliable ? t("thing.reliable") : t("thing.next", { advice: said(one.advice) })].join(t("space")));
    const key = JSON.stringify(one);
    if (key !== drawn) load(one.label, key);
  } else syncChildren($("thing-list"), classes, (each) => each.label, make, update);
}

function show(label) {
  [opened, shots, drawn] = [label, [], ""];
  $("views").replaceChildren();
  render();
  (label ? $("thing-back") : $("thing-list").querySelector("button"))?.focus();
}

const make = ({ label }) => el("li", {}, el("button", { type: "button", class: "tile", onclick: () => show(label) },
  el("div", { class: "blank" }), el("span", { class: "title" }, label), el("span", { class: "soft" })));

function update(card, { shots: count, advice, crops }) {
  const image = card.querySelector("img, .blank");
  if (crops.length && image.dataset.shot !== String(crops[0])) {
    const fresh = picture(shotCrop(crops[0]), "");
    fresh.dataset.shot = crops[0];
    image.replaceWith(fresh);
  }
  setText(card.querySelector(".soft"), `${t("shots", { n: count })} · ${said(advice)}`);
}

async function load(label, key) {
  drawn = key;
  const found = await act(call("GET", `classes/shots?${query({ label })}`));
  if (!found || opened !== label) return;
  shots = found;
  syncChildren($("views"), shots, (shot) => shot.id, view, (node) => {
    for (const control of node.querySelectorAll(".acts button, select")) control.disabled = !writable();
  });
}

function view(shot) {
  const { id, source, time_s, negative } = shot;
  const acts = el("div", { class: "acts" });
  const others = labels().filter((other) => other !== opened);
  if (!negative && others.length) acts.append(el("button", { type: "button", class: "plain", onclick: () => move(acts, id, others) }, t("move")));
  acts.append(el("button", { type: "button", class: "plain", onclick: () => act(call("DELETE", `shots/${id}`), t("view.deleted", { label: opened })) }, t("delete")));
  const when = new Date(time_s * 1000).toLocaleString(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
  return el("li", {}, el("figure", {},
    el("button", { type: "button", class: "thumb", "aria-label": t("view.enlarge", { when }), onclick: () => enlarge(shot, when) }, picture(shotCrop(id), "")),
    el("figcaption", {}, el("b", {}, negative ? t("visit.not", { label: opened }) : when), negative ? when : said(source))), negative ? "" : acts);
}

function enlarge({ id, source, quality }, when) {
  open("large", opened, el("figure", { class: "large" }, picture(shotCrop(id), t("view.of", { label: opened })), el("figcaption", {}, [when, said(source), t("sharpness", { n: Math.round(100 * quality) })].join(t("comma")))));
}

/** Show a field with the other classes in place of the actions. */
function move(acts, id, others) {
  const before = [...acts.children];
  const select = el("select", { class: "move", "aria-label": t("move.label"), onchange: () => {
    const label = select.value;
    if (label) act(call("POST", `shots/${id}/move`, { label }), t("view.moved", { label }));
  }, onkeydown: (event) => event.key === "Escape" && (acts.replaceChildren(...before), acts.firstElementChild.focus()) },
  el("option", { value: "" }, t("move.to")), ...others.map((value) => el("option", { value }, value)));
  acts.replaceChildren(select);
  select.focus();
}
