// The card "Why?": the frame, the nearest shots, the figures that decided, and the time of every stage.

import { answerCrop, call, shotCrop } from "./api.js";
import { because } from "./answer.js";
import { open } from "./cards.js";
import { el, picture, setVariables } from "./dom.js";
import { act } from "./notices.js";
import { settled } from "./store.js";
import { number, said, t } from "./words.js";

const STAGES = ["capture", "decode", "preprocess", "embed", "match", "publish"];

export async function show() {
  const current = settled();
  if (!current) return;
  const explained = await act(call("GET", `answers/${encodeURIComponent(current.id)}/explain`));
  if (explained) open("why", title(current), ...body({ ...explained, ...current }));
}

const title = ({ label, certainty, candidate }) => (label ? t("why.sure", { name: label }) : certainty === "maybe" ? t("why.maybe", { name: candidate }) : t("why.unknown"));

function* body(explained) {
  const [first, ...more] = explained.sentences?.length ? explained.sentences.map(said) : [because(explained)];
  yield el("p", { class: "lead" }, first);
  for (const sentence of more) yield el("p", { class: "soft" }, sentence);
  yield el("div", { class: "shots" },
    figure(answerCrop(explained.id), t("why.now"), ""),
    ...(explained.nearest ?? []).slice(0, 3).map(({ shot_id, score, label }) => figure(shotCrop(shot_id), label ?? explained.candidate ?? "", number(score, 2))));
  yield el("h3", {}, t("why.decided"));
  yield facts({
    [t("score")]: exact(explained.score),
    [t("threshold")]: exact(explained.threshold),
    [t("why.next")]: explained.runner_up ? t("why.behind", { name: explained.runner_up, margin: exact(explained.margin) }) : t("why.alone"),
    [t("check")]: said(explained.check),
  });
  if (explained.timings_ms?.total) {
    yield el("h3", {}, t("why.time"));
    yield receipt(explained.timings_ms, explained.age_ms);
  }
}

const exact = (value) => (Number.isFinite(value) ? number(value, 3) : t("none"));

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
    el("span", {}, t(`stage.${stage}`)), setVariables(el("i"), { share: timings[stage] / most }), el("span", {}, t("ms", { n: number(timings[stage], 1) }))]);
  const age = age_ms == null ? [] : [el("span", {}, t("frame.age")), el("span"), el("span", {}, t("ms", { n: Math.round(age_ms) }))];
  return el("div", { class: "receipt" }, ...rows,
    el("span", { class: "total" }, t("total")), el("span"), el("span", { class: "total" }, t("ms", { n: number(timings.total, 1) })), ...age);
}
