// The card about the device: camera, model, gallery, and links for programs.

import { BASE, call } from "./api.js";
import { open } from "./cards.js";
import { el } from "./dom.js";
import { answer, shown, store, viewing } from "./store.js";
import { act } from "./notices.js";
import { retention } from "./retention.js";
import { facts } from "./why.js";
import { locale, number, said, t } from "./words.js";

const RATES = [0.01, 0.02, 0.05, 0.1, 0.2];
const percent = (rate) => rate.toLocaleString(locale, { style: "percent", maximumFractionDigits: 1 });

export const show = () => store.state && open("about", store.state.device ?? t("device.name"), ...body());

function body() {
  const { bundle, gallery, stranger_rate, viewers } = store.state;
  const { name, role } = store.user;
  const camera = shown();
  const age_ms = answer()?.age_ms;
  return [
    name && facts({ [t("user")]: t(`role.${role}`, { name }) }),
    camera && el("h3", {}, t("camera")),
    camera && facts({
      [t("name")]: camera.name,
      [t("picture")]: camera.width ? t("picture.size", { width: String(camera.width), height: String(camera.height), fps: number(camera.fps ?? 0, 1) }) : null,
      [t("frame.age")]: age_ms == null ? null : t("ms", { n: Math.round(age_ms) }),
      [t("dropped")]: t("frames", { n: camera.drops ?? 0 }),
    }),
    el("h3", {}, t("model")),
    facts({
      [t("bundle")]: bundle.name,
      [t("engine")]: [bundle.engine?.name ?? bundle.engine, bundle.engine?.precision ?? bundle.precision].filter(Boolean).join(", "),
      [t("fingerprint")]: bundle.fingerprint?.slice(0, 16),
    }),
    ...(viewing() ? [] : [el("h3", {}, t("rate.title")), ...rateControl(stranger_rate)]),
    el("h3", {}, t("gallery")),
    facts({ [t("file")]: gallery.path ?? t("memory"), [t("site")]: gallery.site && [gallery.site.address, said(gallery.site.problem)].filter(Boolean).join(" · "), [t("classes")]: number(store.state.classes.length), [t("viewers")]: viewers == null ? null : number(viewers) }),
    ...(gallery.undo_minutes == null || viewing() ? [] : retention(gallery)),
    el("h3", {}, t("another")),
    qrCode(),
    el("h3", {}, t("programs")),
    el("p", {}, link("api", t("api")), " · ", link(`${BASE}history`, t("history")), " · ", link(`${BASE}metrics`, t("metrics")), " · ", link("healthz", t("health"))),
  ];
}

/** The address of this page as a QR code, or why there is none. */
function qrCode() {
  const place = el("p", { class: "soft" });
  call("GET", "qr").then(
    () => place.replaceChildren(el("img", { class: "qr", src: `${BASE}qr`, alt: t("qr") })),
    (error) => place.append(error.message));
  return place;
}

/** How many strangers may be given a name, with what another choice would change before it is applied. */
function rateControl(rate) {
  if (rate == null) return [el("p", {}, t("rate.closed"))];
  const options = [...new Set([...RATES, rate])].sort((a, b) => a - b);
  const note = el("p", { class: "soft", "aria-live": "polite" });
  const apply = el("button", { type: "button", class: "plain", disabled: true, onclick: () =>
    act(call("PUT", "stranger-rate", { rate: Number(choice.value) }), t("applied")).then(() => { apply.disabled = true; }) }, t("apply"));
  const choice = el("select", { id: "stranger-rate", onchange: async () => {
    const preview = await act(call("POST", "stranger-rate/preview", { rate: Number(choice.value) }));
    if (preview) note.textContent = t("changes", { n: preview.changes.length, of: preview.of });
    apply.disabled = Number(choice.value) === rate;
  } }, ...options.map((each) => el("option", { value: each }, percent(each))));
  choice.value = String(rate);
  return [el("label", { for: "stranger-rate" }, `${t("rate.most")} `), choice, " ", apply, note];
}

const link = (href, text) => el("a", { href, target: "_blank", rel: "noopener" }, text);
