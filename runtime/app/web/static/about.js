// The card about the device: camera, model, gallery, and links for programs.

import { BASE, call } from "./api.js";
import { open } from "./cards.js";
import { $, el, plural } from "./dom.js";
import { answer, shown, store } from "./store.js";
import { act } from "./notices.js";
import { retention } from "./retention.js";
import { facts } from "./why.js";

const RATES = [0.01, 0.02, 0.05, 0.1, 0.2];
const percent = (rate) => `${Math.round(rate * 1000) / 10} %`;

export function startAbout() {
  $("about-open").addEventListener("click", () => store.state && open("about", store.state.device ?? "This device", ...body()));
}

function body() {
  const { bundle, gallery, stranger_rate, viewers } = store.state;
  const camera = shown();
  const age_ms = answer()?.age_ms;
  return [
    camera && el("h3", {}, "Camera"),
    camera && facts({
      "name": camera.name,
      "picture": camera.width ? `${camera.width} × ${camera.height}, ${(camera.fps ?? 0).toFixed(1)} a second` : null,
      "frame age": age_ms == null ? null : `${Math.round(age_ms)} ms`,
      "dropped": plural(camera.drops ?? 0, "frame"),
    }),
    el("h3", {}, "Model"),
    facts({
      "bundle": bundle.name,
      "engine": [bundle.engine?.name ?? bundle.engine, bundle.engine?.precision ?? bundle.precision].filter(Boolean).join(", "),
      "fingerprint": bundle.fingerprint?.slice(0, 16),
    }),
    el("h3", {}, "Unknown things"),
    ...rateControl(stranger_rate),
    el("h3", {}, "Gallery"),
    facts({ "file": gallery.path ?? "in memory only", "classes": String(store.state.classes.length), "viewers": viewers == null ? null : String(viewers) }),
    ...(gallery.undo_minutes == null ? [] : retention(gallery)),
    el("h3", {}, "On another device"),
    qrCode(),
    el("h3", {}, "For programs"),
    el("p", {}, link("api", "API"), " · ", link(`${BASE}history`, "history"), " · ", link(`${BASE}metrics`, "metrics"), " · ", link("healthz", "health")),
  ];
}

/** The address of this page as a QR code, or why there is none. */
function qrCode() {
  const place = el("p", { class: "soft" });
  call("GET", "qr").then(
    () => place.replaceChildren(el("img", { class: "qr", src: `${BASE}qr`, alt: "QR code with the address of this page" })),
    (error) => place.append(error.message));
  return place;
}

/** How many strangers may be given a name, with what another choice would change before it is applied. */
function rateControl(rate) {
  if (rate == null) return [el("p", {}, "Nothing is called unknown: this gallery is a closed set.")];
  const options = [...new Set([...RATES, rate])].sort((a, b) => a - b);
  const note = el("p", { class: "soft", "aria-live": "polite" });
  const apply = el("button", { type: "button", class: "plain", disabled: true, onclick: () =>
    act(call("PUT", "stranger-rate", { rate: Number(choice.value) }), "Applied").then(() => { apply.disabled = true; }) }, "Apply");
  const choice = el("select", { id: "stranger-rate", onchange: async () => {
    const preview = await act(call("POST", "stranger-rate/preview", { rate: Number(choice.value) }));
    if (preview) note.textContent = `This changes ${preview.changes.length} of the last ${preview.of} answers.`;
    apply.disabled = Number(choice.value) === rate;
  } }, ...options.map((each) => el("option", { value: each }, percent(each))));
  choice.value = String(rate);
  return [el("label", { for: "stranger-rate" }, "Strangers that may be given a name, at most "), choice, " ", apply, note];
}

const link = (href, text) => el("a", { href, target: "_blank", rel: "noopener" }, text);
