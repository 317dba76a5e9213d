// The card of photos: a name teaches them, and without one they are recognised.

import { call, query } from "./api.js";
import { close, open } from "./cards.js";
import { el } from "./dom.js";
import { act } from "./notices.js";
import { askSimilar } from "./similar.js";
import { writable } from "./store.js";
import { said, t } from "./words.js";

const MOST = 64;
let urls = [];

function release() {
  for (const url of urls) URL.revokeObjectURL(url);
  urls = [];
}

/** Show the pictures among some files, and ask what they are. */
export function show(files) {
  const photos = files.filter((file) => file.type.startsWith("image/")).slice(0, MOST);
  if (!photos.length) throw new Error(t("photos.none"));
  release();
  urls = photos.map((photo) => URL.createObjectURL(photo));
  const captions = photos.map((photo) => el("figcaption", {}, photo.name));
  const name = el("input", { id: "photos-name", list: "names", maxlength: 100, placeholder: t("name.hint"), "aria-label": t("photos.name"), autocomplete: "off", autocapitalize: "off", enterkeyhint: "done", required: true });
  const teach = (event) => {
    event.preventDefault();
    if (name.value.trim()) send(name.value.trim(), photos);
  };
  const card = open("photos", t("photos", { n: photos.length }),
    el("div", { class: "changes" }, ...photos.map((_, i) => el("figure", {}, el("img", { src: urls[i], alt: "" }), captions[i]))),
    el("form", { class: "inline", onsubmit: teach }, name,
      el("button", { class: "primary", disabled: !writable() }, t("photos.teach")),
      el("button", { type: "button", class: "plain", onclick: () => recognise(photos, captions) }, t("what"))));
  card.addEventListener("close", release, { once: true });
  name.focus();
}

async function send(label, photos) {
  const form = new FormData();
  for (const photo of photos) form.append("pictures", photo, photo.name);
  const result = ({ accepted, rejected }) =>
    accepted.length ? [t("photos.kept", { label, n: accepted.length }), rejected.length && t("photos.refused", { n: rejected.length, reason: said(rejected[0].reason) })].filter(Boolean).join(t("comma")) : t("photos.lost", { reason: said(rejected[0]?.reason) });
  const enrollment = await act(call("POST", `classes/shots?${query({ label })}`, form, { timeout_s: 120 }), result);
  if (!enrollment) return;
  close("photos");
  askSimilar(enrollment);
}

async function recognise(photos, captions) {
  for (const [i, photo] of photos.entries()) {
    const found = await act(call("POST", "recognize", photo));
    if (!found) return;
    captions[i].replaceChildren(el("b", {}, found.label ?? (found.certainty === "maybe" ? t("maybe", { name: found.candidate }) : t("unknown"))));
  }
}
