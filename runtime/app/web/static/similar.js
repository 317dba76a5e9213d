// After teaching: asks whether two classes that look alike are the same thing, and merges them if a person says so.

import { call, shotCrop } from "./api.js";
import { close, open } from "./cards.js";
import { el, picture } from "./dom.js";
import { act } from "./notices.js";
import { store } from "./store.js";
import { number, t } from "./words.js";

/** Ask about the class most similar to the one just taught; nothing happens if there is none. */
export function askSimilar(enrollment) {
  const [other] = enrollment?.similar ?? [];
  if (!other) return;
  const { label } = enrollment;
  const crops = [enrollment.accepted[0]?.shot_id, store.state?.classes.find((each) => each.label === other.label)?.crops[0]];
  const pictures = [label, other.label].map((name, i) =>
    crops[i] == null ? null : el("figure", {}, picture(shotCrop(crops[i]), ""), el("figcaption", {}, el("b", {}, name))));
  const merge = () => {
    close("similar");
    act(call("POST", "classes/merge", { label, into: other.label }), t("merged", { label, into: other.label }));
  };
  open("similar", t("same"),
    el("p", { class: "lead" }, t("same.lead", { label, other: other.label, score: number(other.score, 2) })),
    el("div", { class: "shots" }, ...pictures),
    el("div", { class: "buttons" },
      el("button", { type: "button", class: "plain", onclick: () => close("similar") }, t("same.keep")),
      el("button", { type: "button", class: "primary", onclick: merge }, t("merge"))));
}
