// The site that shares the gallery among devices: whether it answers, and its conflicts, which a person can decide.

import { call } from "./api.js";
import { $, el, setText, syncChildren } from "./dom.js";
import { act, sentence } from "./notices.js";
import { labels, on, store, writable } from "./store.js";
import { said, t } from "./words.js";

const MOST = 20; // conflicts that are listed

const list = el("ul", { id: "conflicts", class: "cards", hidden: true });
const opener = el("button", { type: "button", id: "conflicts-open", class: "plain", "aria-controls": "conflicts", onclick: toggle });
let drawn = ""; // what the device looked like when its conflicts were read

$("site").after(opener, list);
for (const name of ["changed", "link"]) on(name, render);
render();

function render() {
  const site = store.state?.gallery.site;
  $("site").hidden = !site;
  opener.hidden = !site?.conflicts;
  if (opener.hidden) list.hidden = true;
  opener.setAttribute("aria-expanded", String(!list.hidden));
  if (!site) return;
  setText($("site"), line(site));
  setText(opener, t("site.conflicts", { n: site.conflicts }));
  const key = JSON.stringify([site, labels(), store.state.undo]);
  if (!list.hidden && key !== drawn) load(key);
  for (const button of list.querySelectorAll("button")) button.disabled = !writable();
}

function line({ address, connected, unsent, crops_to_come: coming }) {
  if (!connected) return unsent ? t("site.away", { n: unsent }) : t("site.alone");
  const shared = t("site.on", { site: address.replace(/^.*\/\/(.*@)?/, "") });
  return coming ? `${shared} · ${t("site.coming", { n: coming })}` : shared;
}

function toggle() {
  list.hidden = !list.hidden;
  drawn = "";
  render();
}

async function load(key) {
  drawn = key;
  const found = await act(call("GET", "site/conflicts"));
  if (!found || key !== drawn) return;
  const newest = found.reverse().slice(0, MOST);
  syncChildren(list, newest, (conflict) => JSON.stringify(conflict), make, () => {});
  if (found.length > MOST) list.append(el("li", { class: "soft" }, t("changes.newest", { n: MOST })));
  render();
}

function make({ text, changes }) {
  return el("li", {}, el("p", {}, said(text)), ...changes.map((change) => offer(el("div"), change)));
}

/** Show one side of a conflict in a node, with the button that takes it back. */
function offer(node, change) {
  const { device, what, can_take_back: can } = change;
  const text = t("site.side", { device, what: said(what) });
  node.className = "inline";
  node.replaceChildren(el("span", { class: "soft" }, text));
  if (can) node.append(el("button", { type: "button", class: "plain teacher", disabled: !writable(), "aria-label": t("site.back.what", { what: text }), onclick: () => ask(node, change, text) }, t("site.back")));
  return node;
}

/** Say what would happen, and do it after another press. */
function ask(node, change, text) {
  const { origin, n } = change;
  const back = () => (offer(node, change), node.querySelector("button").focus());
  const send = async () => {
    await act(call("POST", "site/conflicts/take-back", { origin, n }), ({ what }) => sentence(said(what)));
    drawn = "";
    render();
    if (!opener.hidden) opener.focus();
  };
  const keep = el("button", { type: "button", class: "plain", onclick: back }, t("cancel"));
  node.className = "";
  node.replaceChildren(el("div", { class: "more", role: "group", "aria-label": t("site.back.what", { what: text }), onkeydown: (event) => event.key === "Escape" && back() },
    el("p", {}, t("site.sure", { what: text })), el("p", { class: "acts" }, keep, el("button", { type: "button", class: "plain bad", onclick: send }, t("site.back")))));
  keep.focus();
}
