// The answer, in large letters. It is drawn once a screen frame and announced at most every two seconds.

import { $, setVariables, setText } from "./dom.js";
import { condition } from "./preview.js";
import { answer, on, store } from "./store.js";

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
  if ($("answer").hidden) return;
  const now = condition();
  const current = now === "live" || now === "ended" ? answer() : null;
  const label = current?.stable ?? null;
  const text = current ? (label ?? "Unknown") : "–";
  setText($("answer-label"), text);
  $("answer-label").title = label ?? "";
  $("answer-label").className = `name${label ? "" : " none"}${text.length > 16 ? " long" : ""}`;
  $("not-this").hidden = !label;
  $("why").hidden = !current;
  renderScore(current);
  setText($("because"), current ? because(current) : WAITING[now] ?? "Waiting for the camera.");
  setText($("next"), current?.runner_up ? `next: ${current.runner_up}` : "");
  renderLatency(current);
  for (const card of $("classes").children) card.classList.toggle("now", card.dataset.key === label);
  announce(text, Boolean(current));
}

const share = (value) => Math.min(Math.max(value, 0), 1);

function renderScore(current) {
  const drawn = current && store.state.bundle.metric !== "euclidean" && Number.isFinite(current.score); // a distance has no fixed scale
  $("score").hidden = !drawn;
  if (!drawn) return;
  $("score").classList.toggle("unknown", !current.label);
  setVariables($("score"), { score: share(current.score), threshold: share(current.threshold ?? 0), second: share(current.score - (current.margin ?? 1)) });
  $("score").querySelector("u").hidden = !(current.threshold > 0);
  $("score").querySelector("s").hidden = !current.runner_up;
}

/** Why this answer, in plain words. */
export function because({ label, candidate, runner_up, check, score, threshold }) {
  const needs = Number.isFinite(score) ? `${score.toFixed(2)}${Number.isFinite(threshold) ? `, needs ${threshold.toFixed(2)}` : ""}` : "";
  if (label) return needs;
  return {
    "empty gallery": "nothing taught yet",
    "score": `nearest is ${candidate}: ${needs}`,
    "margin": `between ${candidate} and ${runner_up}`,
    "background": `not more like ${candidate} than other things are`,
    "nearest shot": `like ${candidate}, but like no single view of it`,
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
