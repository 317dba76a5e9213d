// Review: visits, newest first. A person confirms or corrects them, one or several at once.

import { BASE, call, query } from "./api.js";
import { close, open } from "./cards.js";
import { $, el, picture, setText, span, syncChildren } from "./dom.js";
import { startInbox } from "./inbox.js";
import { act, notice, undo } from "./notices.js";
import { plots } from "./plots.js";
import { short } from "./preview.js";
import { askReject } from "./reject.js";
import { labels, on, store, writable } from "./store.js";
import { locale, number, t } from "./words.js";

const EVERY_MS = 5000;
const PAGE = 60;
const chosen = new Set();
let visits = [];
let wanted = PAGE; // how many are shown

export const visitCrop = (id) => `${BASE}visits/${encodeURIComponent(id)}/crop`;

export function startReview() {
  startInbox();
  on("place", (place) => place === "review" && load());
  on("changed", () => store.place === "review" && (renderFilters(), render()));
  for (const id of ["visit-class", "visit-certainty", "visit-camera", "visit-new"]) $(id).addEventListener("change", () => (chosen.clear(), (wanted = PAGE), load()));
  $("visit-days").addEventListener("change", loadPlots);
  $("visits-more").addEventListener("click", () => ((wanted += PAGE), load()));
  for (const button of $("visit-bar").querySelectorAll("[data-say]")) button.addEventListener("click", () => bulk(button.dataset.say));
  $("visit-remove").addEventListener("click", remove);
  $("visit-none").addEventListener("click", () => (chosen.clear(), render()));
  setInterval(() => store.place === "review" && store.link === "online" && !chosen.size && !document.querySelector("dialog[open]") && load(), EVERY_MS);
}

function filters() {
  const [label, certainty, camera] = ["visit-class", "visit-certainty", "visit-camera"].map((id) => $(id).value);
  return Object.fromEntries(Object.entries({ label, certainty, camera, unreviewed: $("visit-new").checked ? "true" : "" }).filter(([, value]) => value));
}

async function load() {
  renderFilters();
  const found = await call("GET", `visits?${query({ ...filters(), limit: Math.min(wanted, 500) })}`).catch((error) => void notice(error.message));
  if (!found) return;
  visits = found;
  for (const id of chosen) if (!visits.some((visit) => visit.id === id)) chosen.delete(id);
  for (const kind of ["csv", "json"]) $(`visits-${kind}`).href = `${BASE}visits/export.${kind}?${query(filters())}`;
  render();
  loadPlots();
}

async function loadPlots() {
  const days = Number($("visit-days").value);
  const hours = await call("GET", `visits/statistics?days=${days}`).catch(() => null);
  if (!hours) return;
  const drawn = plots(hours, days * 24);
  $("visit-plots").replaceChildren(...(drawn.length ? drawn : [el("p", { class: "soft" }, t("visits.none"))]));
}

function renderFilters() {
  choices($("visit-class"), t("every.class"), labels());
  choices($("visit-camera"), t("every.camera"), [...new Set(store.state?.cameras.map((each) => each.name) ?? [])]);
}

function choices(select, all, values) {
  const key = values.join("\n");
  if (select.dataset.key === key && select.children.length) return;
  const before = select.value;
  select.dataset.key = key;
  select.replaceChildren(el("option", { value: "" }, all), ...values.map((value) => el("option", { value }, value)));
  select.value = values.includes(before) ? before : "";
}

function render() {
  $("no-visits").hidden = visits.length > 0;
  $("visits-more").hidden = visits.length < wanted || wanted >= 500;
  syncChildren($("visits"), visits, (visit) => visit.id, make, update);
  $("visit-bar").hidden = !chosen.size;
  setText($("visit-count"), t("selected", { n: chosen.size }));
  for (const button of $("visit-bar").querySelectorAll("[data-say]")) button.disabled = !writable();
}

function make({ id }) {
  const box = el("input", { type: "checkbox", "aria-label": t("select"), onchange: () => (box.checked ? chosen.add(id) : chosen.delete(id), render()) });
  const image = el("button", { type: "button", class: "thumb", "aria-label": t("enlarge"), onclick: () => enlarge(id) }, picture(visitCrop(id), ""));
  return el("li", { class: "visit" }, el("label", { class: "check" }, box), image, el("div", { class: "said" }, el("h3"), el("small", { class: "soft" })), el("p", { class: "acts" }));
}

function update(row, visit) {
  const { id, label, certainty, review } = visit;
  row.querySelector("input").checked = chosen.has(id);
  row.classList.toggle("now", chosen.has(id));
  setText(row.querySelector("h3"), nameOf(visit));
  row.querySelector("h3").className = review ? "" : certainty;
  setText(row.querySelector("small"), `${when(visit)} · ${span(Math.max(1, visit.ended_s - visit.begun_s))} · ${short(visit.camera)}`);
  const acts = row.querySelector(".acts");
  const key = JSON.stringify([label, visit.suggestion, review, visit.review_label, writable()]);
  if (acts.dataset.key === key) return;
  acts.dataset.key = key;
  acts.replaceChildren(...(review ? [el("span", { class: "soft" }, REVIEWED[review](visit))] : offers(visit)));
}

const nameOf = ({ label, certainty, review, review_label }) =>
  review === "yes" || review === "is" ? review_label : review ? t("unknown") : certainty === "maybe" ? t("maybe", { name: label }) : label ?? t("unknown");

const REVIEWED = {
  yes: () => t("visit.yes"),
  is: ({ label }) => (label ? t("visit.is", { label }) : t("visit.named")),
  not: ({ label }) => t("visit.not", { label }),
  stranger: () => t("visit.stranger"),
};

function* offers(visit) {
  const { id, label, suggestion } = visit;
  const button = (text, run) => el("button", { type: "button", class: "plain", disabled: !writable(), onclick: run }, text);
  if (label) yield button(t("yes"), () => say([id], "yes"));
  else if (suggestion) yield button(t("it.is", { name: suggestion }), () => say([id], "is", suggestion));
  yield button(t("it"), () => ask([id]));
  yield label ? button(t("not"), () => askReject(label, `visits/${id}/not/preview`, () => say([id], "not"))) : button(t("stranger.say"), () => say([id], "stranger"));
}

function when({ begun_s }) {
  const time = new Date(begun_s * 1000);
  const today = time.toDateString() === new Date().toDateString();
  return time.toLocaleString(locale, today ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

async function say(ids, word, label = null) {
  const result = await act(call("POST", "visits/review", { ids, say: word, label }));
  if (!result) return;
  const back = async () => {
    for (const id of [...result.operations].reverse()) await undo(id);
    load();
  };
  notice(t(`visits.${word}`, { n: result.visits }), result.operations.length ? { label: t("undo"), run: back } : null);
  chosen.clear();
  load();
}

function bulk(word) {
  const ids = [...chosen];
  if (word === "is") return ask(ids);
  const fit = ids.filter((id) => word === "stranger" || visits.find((visit) => visit.id === id)?.label);
  if (fit.length) return say(fit, word);
  return notice(t("visits.unfit"));
}

async function remove() {
  await act(call("POST", "visits/remove", { ids: [...chosen] }), t("visits.removed", { n: chosen.size }));
  chosen.clear();
  load();
}

/** Ask for the name of visits. */
function ask(ids) {
  const field = el("input", { list: "names", maxlength: 100, placeholder: t("name.hint"), "aria-label": t("name.thing"), autocomplete: "off", autocapitalize: "off", enterkeyhint: "done", required: true });
  const send = (event) => {
    event.preventDefault();
    const label = field.value.trim();
    if (!label) return;
    close("confirm");
    say(ids, "is", label);
  };
  open("confirm", t("what"),
    el("div", { class: "shots" }, ...ids.slice(0, 4).map((id) => el("figure", {}, picture(visitCrop(id), t("name.visit"))))),
    ids.length > 4 ? el("p", { class: "soft" }, t("and", { n: ids.length - 4 })) : null,
    el("form", { class: "inline", onsubmit: send }, field, el("button", { class: "primary" }, t(ids.length > 1 ? "name.them" : "name.it"))));
  field.focus();
}

function enlarge(id) {
  const visit = visits.find((each) => each.id === id);
  if (!visit) return;
  open("large", nameOf(visit), el("figure", { class: "large" }, picture(visitCrop(id), nameOf(visit)),
    el("figcaption", {}, [new Date(visit.begun_s * 1000).toLocaleString(locale), short(visit.camera), t("frames", { n: visit.frames }), visit.score != null && t("visit.best", { score: number(visit.score, 2) })].filter(Boolean).join(t("comma")))));
}
