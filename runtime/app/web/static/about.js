// The card about the device: camera, model, gallery, and links for programs.

import { BASE } from "./api.js";
import { open } from "./cards.js";
import { $, el, plural } from "./dom.js";
import { answer, shown, store } from "./store.js";
import { facts } from "./why.js";

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
      "strangers": stranger_rate == null ? "never called unknown" : `at most ${Math.round(stranger_rate * 1000) / 10} % accepted`,
    }),
    el("h3", {}, "Gallery"),
    facts({ "file": gallery.path ?? "in memory only", "classes": String(store.state.classes.length), "viewers": viewers == null ? null : String(viewers) }),
    el("h3", {}, "For programs"),
    el("p", {}, link("api", "API"), " · ", link(`${BASE}history`, "history"), " · ", link(`${BASE}metrics`, "metrics"), " · ", link("healthz", "health")),
  ];
}

const link = (href, text) => el("a", { href, target: "_blank", rel: "noopener" }, text);
