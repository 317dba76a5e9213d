// The answer, as a caption over the picture. It is drawn once a screen frame and announced at most every two seconds.

import { $, setVariables, setText } from "./dom.js";
import { condition } from "./preview.js";
import { agrees, answer, on, settled, stateOf, store } from "./store.js";

const ANNOUNCE_EVERY_MS = 2000;
const LATENCY_EVERY_MS = 500;

const WAITING = { missing: "Without a picture there is no answer.", offline: "Waiting for the device.", locked: "" };

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
  const text = { sure: name, maybe: `${name}?`, unknown: "Unknown" }[certainty] ?? "–";
  $("caption").hidden = !current;
  setText($("answer-label"), text);
  $("answer-label").title = name ?? "";
  $("answer-label").className = `name ${certainty ?? "unknown"}${text.length > 14 ? " long" : ""}`;
  $("not-this").hidden = certainty !== "sure";
  for (const id of ["yes", "no", "other"]) $(id).hidden = certainty !== "maybe";
  renderScore(figures, certainty);
  setText($("because"), current ? (figures ? because(figures) : "") : WAITING[now] ?? "Waiting for the camera.");
  setText($("next"), figures?.runner_up ? `next: ${figures.runner_up}` : "");
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
  const needs = Number.isFinite(score) ? `${score.toFixed(2)}${Number.isFinite(threshold) ? `, needs ${threshold.toFixed(2)}` : ""}` : "";
  if (label || certainty === "maybe") return needs;
  return {
    "empty gallery": "nothing taught yet",
    "score": `nearest is ${candidate}: ${needs}`,
    "twin": `${candidate} or ${runner_up}, which look alike`,
    "not this": `like a view that is not ${candidate}`,
  }[check] ?? check ?? "";
}

function renderLatency(current) {
  const now = performance.now();
  if (current && now - latencyAt < LATENCY_EVERY_MS) return;
  if (current) latencyAt = now;
  setText($("latency"), current?.timings_ms?.total ? `${Math.round(current.timings_ms.total)} ms` : "");
}

/** Tell screen readers the answer. */
function announce(text, real) {
  const now = performance.now();
  if (!real || text === announced || now - announcedAt < ANNOUNCE_EVERY_MS) return;
  announced = text;
  announcedAt = now;
  setText($("announcement"), text);
}
