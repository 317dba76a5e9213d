// The taught classes: one card each, with its shots, how reliable it is, and its actions.

import { shotCrop } from "./api.js";
import { $, el, icon, syncChildren, picture, setVariables, setText } from "./dom.js";
import { act } from "./notices.js";
import { on, store, writable } from "./store.js";
import { number, said, t } from "./words.js";

const ENOUGH_VIEWS = 5; // after which a class is called reliable, see runtime/explain.py

const MANY = 12; // with more classes a search field is shown

export function startClasses() {
  on("changed", render);
  on("link", render);
  $("find").addEventListener("input", render);
}

function render() {
  const classes = store.state?.classes ?? [];
  setText($("n-classes"), classes.length ? `(${number(classes.length)})` : "");
  $("no-classes").hidden = !store.state || classes.length > 0 || Boolean(store.state.gallery.mismatch);
  $("find").hidden = classes.length <= MANY;
  const wanted = $("find").hidden ? "" : $("find").value.trim().toLowerCase();
  const found = wanted ? classes.filter(({ label }) => label.toLowerCase().includes(wanted)) : classes;
  syncChildren($("classes"), found, (each) => each.label, make, update);
}

function make({ label }) {
  const more = el("div", { class: "more", hidden: true });
  const open = el("button", { type: "button", class: "plain square", "aria-expanded": "false", "aria-label": t("class.more", { label }), onclick: () => toggle(open, more, label) }, icon("more"));
  return el("li", {},
    el("div", { class: "row" },
      el("div", { class: "blank" }),
      el("div", {},
        el("h3", {}, el("span", {}, label), el("span", { class: "soft" })),
        el("div", { class: "bar", "aria-hidden": "true" }, el("i")),
        el("small")),
      open),
    more);
}

function update(card, each) {
  const { label, shots, views, reliable, advice, crops } = each;
  const [image, text] = card.querySelector(".row").children;
  if (String(crops[0] ?? "") !== (image.dataset.shot ?? "")) {
    const fresh = crops.length ? picture(shotCrop(crops[0]), "") : el("div", { class: "blank" });
    if (crops.length) fresh.dataset.shot = crops[0];
    image.replaceWith(fresh);
  }
  const [title, bar, small] = text.children;
  setText(title.lastElementChild, number(shots));
  title.lastElementChild.title = t("shots", { n: shots });
  setVariables(bar, { full: reliable ? 1 : Math.min(views / ENOUGH_VIEWS, 0.9) });
  setText(small, said(advice));
  small.title = t("views.in", { views: t("views", { n: Math.round(views) }), shots: t("shots", { n: shots }) });
  const row = card.querySelector(".crops");
  if (row) syncChildren(row, crops, (id) => id, (id) => el("li", {}, picture(shotCrop(id), t("view.of", { label }))), () => {});
  for (const button of card.querySelectorAll(".acts button")) button.disabled = !writable();
}

function toggle(open, more, label) {
  const show = more.hidden;
  more.hidden = !show;
  open.setAttribute("aria-expanded", String(show));
  more.replaceChildren();
  if (!show) return;
  const acts = el("div", { class: "acts" });
  more.append(el("ul", { class: "crops" }), acts);
  act(import("./class_actions.js").then(({ offer }) => (offer(acts, label), render())));
}
