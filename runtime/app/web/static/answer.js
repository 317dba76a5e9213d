// The answer, the biggest thing on the page; drawn once a screen frame, spoken at most every two seconds.

import { $, vary, words } from "./dom.js";
import { condition } from "./preview.js";
import { answer, on, store } from "./store.js";

const SPEAK_EVERY_MS = 2000;
const LATENCY_EVERY_MS = 500;

const WAITING = { missing: "Without a picture there is no answer.", offline: "Waiting for the device.", locked: "" };

let asked = false;
let spoken = "";
let spokenAt = 0;
let latencyAt = -LATENCY_EVERY_MS;

export function startAnswer() {
  for (const name of ["answer", "changed", "shown", "link"]) on(name, soon);
}

function soon() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    render();
  });
}

function render() {
  const empty = store.state && !store.state.classes.length && !store.state.gallery.mismatch;
  $("steps").hidden = !empty;
  $("answer").hidden = !store.state || empty;
  if ($("answer").hidden) return;
  const now = condition();
  const heard = now === "live" || now === "ended" ? answer() : null;
  const label = heard?.stable ?? null;
  const said = heard ? (label ?? "Unknown") : "–";
  words($("said"), said);
  $("said").title = label ?? "";
  $("said").className = `name${label ? "" : " none"}${said.length > 16 ? " long" : ""}`;
  $("not-this").hidden = !label;
  $("why").hidden = !heard;
  renderScore(heard);
  words($("because"), heard ? because(heard) : WAITING[now] ?? "Waiting for the camera.");
  words($("next"), heard?.runner_up ? `next: ${heard.runner_up}` : "");
  renderLatency(heard);
  for (const card of $("classes").children) card.classList.toggle("now", card.dataset.key === label);
  speak(said, Boolean(heard));
}

const share = (value) => Math.min(Math.max(value, 0), 1);

function renderScore(heard) {
  const drawn = heard && store.state.bundle.metric !== "euclidean" && Number.isFinite(heard.score); // a distance has no scale
  $("score").hidden = !drawn;
  if (!drawn) return;
  $("score").classList.toggle("unknown", !heard.label);
  vary($("score"), { score: share(heard.score), threshold: share(heard.threshold ?? 0), second: share(heard.score - (heard.margin ?? 1)) });
  $("score").querySelector("u").hidden = !(heard.threshold > 0);
  $("score").querySelector("s").hidden = !heard.runner_up;
}

/** Why this answer, in plain words. */
export function because({ label, candidate, runner_up, check, score, threshold }) {
  const needs = Number.isFinite(score) ? `${score.toFixed(2)}${Number.isFinite(threshold) ? `, needs ${threshold.toFixed(2)}` : ""}` : "";
  if (label) return needs;
  return {
    "empty gallery": "nothing taught yet",
    "score": `nearest is ${candidate}: ${needs}`,
    "margin": `between ${candidate} and ${runner_up}`,
    "background": `no more like ${candidate} than like things in general`,
    "nearest shot": `like ${candidate}, but near no view of it`,
    "not this": `like what ${candidate} is not`,
  }[check] ?? check ?? "";
}

function renderLatency(heard) {
  const now = performance.now();
  if (heard && now - latencyAt < LATENCY_EVERY_MS) return;
  if (heard) latencyAt = now;
  words($("latency"), heard?.timings_ms?.total ? `${Math.round(heard.timings_ms.total)} ms` : "");
}

function speak(said, real) {
  const now = performance.now();
  if (!real || said === spoken || now - spokenAt < SPEAK_EVERY_MS) return;
  spoken = said;
  spokenAt = now;
  words($("spoken"), said);
}
