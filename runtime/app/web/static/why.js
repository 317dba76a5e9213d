// The card "Why?": the frame, the nearest shots, the figures that decided, and the time of every stage.

import { answerCrop, call, shotCrop } from "./api.js";
import { because } from "./answer.js";
import { open } from "./cards.js";
import { el, picture, setVariables } from "./dom.js";
import { act } from "./notices.js";
import { settled } from "./store.js";

const STAGES = ["capture", "decode", "preprocess", "embed", "match", "publish"];

export async function show() {
  const current = settled();
  if (!current) return;
  const explained = await act(call("GET", `answers/${encodeURIComponent(current.id)}/explain`));
  if (explained) open("why", title(current), ...body({ ...explained, ...current }));
}

const title = ({ label, certainty, candidate }) => (label ? `Why ${label}` : certainty === "maybe" ? `Why ${candidate}?` : "Why unknown");

function* body(explained) {
  const [first, ...more] = explained.sentences?.length ? explained.sentences : [because(explained)];
  yield el("p", { class: "lead" }, first);
  for (const sentence of more) yield el("p", { class: "soft" }, sentence);
  yield el("div", { class: "shots" },
    figure(answerCrop(explained.id), "seen now", ""),
    ...(explained.nearest ?? []).slice(0, 3).map(({ shot_id, score, label }) => figure(shotCrop(shot_id), label ?? explained.candidate ?? "", score.toFixed(2))));
  yield el("h3", {}, "What decided");
  yield facts({
    "score": number(explained.score),
    "threshold": number(explained.threshold),
    "next": explained.runner_up ? `${explained.runner_up}, ${number(explained.margin)} behind` : "nothing else taught",
    "check": explained.check,
  });
  if (explained.timings_ms?.total) {
    yield el("h3", {}, "Where the time went");
    yield receipt(explained.timings_ms, explained.age_ms);
  }
}

const number = (value) => (Number.isFinite(value) ? value.toFixed(3) : "none");

function figure(src, title, caption) {
  return el("figure", {}, picture(src, title), el("figcaption", {}, el("b", {}, title), caption));
}

export function facts(pairs) {
  const rows = Object.entries(pairs).filter(([, value]) => value != null && value !== "");
  return el("dl", {}, ...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function receipt(timings, age_ms) {
  const most = Math.max(...STAGES.map((stage) => timings[stage] ?? 0), 0.001);
  const rows = STAGES.filter((stage) => timings[stage] != null).flatMap((stage) => [
    el("span", {}, stage), setVariables(el("i"), { share: timings[stage] / most }), el("span", {}, `${timings[stage].toFixed(1)} ms`)]);
  const age = age_ms == null ? [] : [el("span", {}, "frame age"), el("span"), el("span", {}, `${Math.round(age_ms)} ms`)];
  return el("div", { class: "receipt" }, ...rows,
    el("span", { class: "total" }, "total"), el("span"), el("span", { class: "total" }, `${timings.total.toFixed(1)} ms`), ...age);
}
