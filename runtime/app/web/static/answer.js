// The answer, as a caption over the picture. It is drawn once a screen frame and announced at most every two seconds.

import { $, setVariables, setText } from "./dom.js";
import { condition } from "./preview.js";
import { agrees, answer, on, settled, stateOf, store } from "./store.js";
import { number, t } from "./words.js";

const ANNOUNCE_EVERY_MS = 2000;
const LATENCY_EVERY_MS = 500;

const WAITING = { missing: "wait.missing", offline: "wait.offline" };

let requested = false; // whether a drawing waits for the next screen frame
let announced = "";
let announcedAt = 0;
let latencyAt = -LATENCY_EVERY_MS;

export function startAnswer() {
  for (const name of ["answer", "changed", "shown", "link"]) on(name, soon);
}

function soon() {
  if (requested) return;
  requested = true;
  requestAnimationFrame(() => {
    requested = false;
    render();
  });
}

function render() {
  const empty = store.state && !store.state.classes.length && !store.state.gallery.mismatch;
  $("steps").hidden = !empty;
  $("answer").hidden = !store.state || empty;
  if ($("answer").hidden) return void ($("caption").hidden = true);
  const now = condition();
  const current = now === "live" || now === "ended" ? answer() : null;
  const { certainty, name } = current ? stateOf(current) : { certainty: null, name: null };
  const figures = current && figuresOf(current);
  const text = current ? answerText(current) : "–";
  $("caption").hidden = !current;
  setText($("answer-label"), text);
  $("answer-label").title = name ?? "";
  $("answer-label").className = `name ${certainty ?? "unknown"}${text.length > 14 ? " long" : ""}`;
  $("not-this").hidden = certainty !== "sure";
  for (const id of ["yes", "no", "other"]) $(id).hidden = certainty !== "maybe";
  renderScore(figures, certainty);
  setText($("because"), current ? (figures ? because(figures) : "") : waiting(now));
  setText($("next"), figures?.runner_up ? t("next", { name: figures.runner_up }) : "");
  renderLatency(current);
  for (const card of $("classes").children) card.classList.toggle("now", card.dataset.key === name && certainty === "sure");
  announce(text, Boolean(current));
}

/** The answer whose score and reason fit the smoothed state, so that text, bar and reason never contradict each other. */
function figuresOf(current) {
  if (agrees(current)) return current;
  const before = settled();
  const same = before && stateOf(before).name === stateOf(current).name && stateOf(before).certainty === stateOf(current).certainty;
  return same ? before : null;
}

const waiting = (now) => (now === "locked" ? "" : t(WAITING[now] ?? "wait.camera"));

/** The smoothed answer in words: the name, the name with a question mark, or "Unknown". */
function answerText(current) {
  const { certainty, name } = stateOf(current);
  return { sure: name, maybe: t("maybe", { name }), unknown: t("unknown") }[certainty];
}

const share = (value) => Math.min(Math.max(value, 0), 1);

function renderScore(current, certainty) {
  const drawn = current && store.state.bundle.metric !== "euclidean" && Number.isFinite(current.score); // a distance has no fixed scale
  $("score").hidden = !drawn;
  if (!drawn) return;
  $("score").className = `bar ${certainty}`;
  setVariables($("score"), { score: share(current.score), threshold: share(current.threshold ?? 0), second: share(current.score - (current.margin ?? 1)) });
  $("score").querySelector("u").hidden = !(current.threshold > 0);
  $("score").querySelector("s").hidden = !current.runner_up;
}

/** Why this answer, in plain words. */
export function because({ label, certainty, candidate, runner_up, check, score, threshold }) {
  const numbers = { score: number(score ?? 0, 2), threshold: number(threshold ?? 0, 2) };
  const needs = Number.isFinite(score) ? (Number.isFinite(threshold) ? t("needs", numbers) : numbers.score) : "";
  if (label || certainty === "maybe") return needs;
  return {
    "empty gallery": t("check.empty"),
    "score": t("check.score", { name: candidate, needs }),
    "twin": t("check.twin", { name: candidate, other: runner_up }),
    "not this": t("check.not", { name: candidate }),
  }[check] ?? check ?? "";
}

function renderLatency(current) {
  const now = performance.now();
  if (current && now - latencyAt < LATENCY_EVERY_MS) return;
  if (current) latencyAt = now;
  setText($("latency"), current?.timings_ms?.total ? t("ms", { n: Math.round(current.timings_ms.total) }) : "");
}

/** Tell screen readers the answer. */
function announce(text, real) {
  const now = performance.now();
  if (!real || text === announced || now - announcedAt < ANNOUNCE_EVERY_MS) return;
  announced = text;
  announcedAt = now;
  setText($("announcement"), text);
}
