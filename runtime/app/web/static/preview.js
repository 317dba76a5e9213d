// The picture of one camera, and a message when there is none.

import { BASE, camera as route } from "./api.js";
import { $, el, span, setVariables, setText } from "./dom.js";
import { on, show, shown, store } from "./store.js";
import { said, t } from "./words.js";

const AGAIN_MS = 1000;
const WATCH_MS = 2000;
const PATIENCE = 3; // checks without a change
const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 9 }).getContext("2d", { willReadFrequently: true });
let playing = null;
let seen = "";
let still = 0;
let patience = PATIENCE;

export function startPreview() {
  on("changed", render);
  on("shown", render);
  on("link", render);
  $("preview").addEventListener("error", again);
  document.addEventListener("visibilitychange", render);
  setInterval(watch, WATCH_MS);
}

/** Load a live picture again that does not change: a browser reports no error when a Motion JPEG stream ends. */
function watch() {
  if (condition() !== "live" || document.hidden || !$("preview").naturalWidth) return void (still = 0);
  canvas.drawImage($("preview"), 0, 0, 16, 9);
  const now = canvas.getImageData(0, 0, 16, 9).data.join();
  still = now === seen ? still + 1 : 0;
  if (now !== seen) patience = PATIENCE;
  seen = now;
  if (still < patience) return;
  [still, patience] = [0, Math.min(2 * patience, 64)]; // a scene may really be still
  again();
}

function again() {
  setTimeout(() => {
    playing = null;
    render();
  }, AGAIN_MS);
}

/** The state of the camera and of the connection, as a word: a state of a camera, "offline" or "locked". */
export function condition() {
  if (store.link === "locked" || store.link === "offline") return store.link;
  const camera = shown();
  if (!camera) return store.state ? "missing" : "connecting";
  return store.link === "connecting" ? "connecting" : camera.state;
}

export function render() {
  const camera = shown();
  const now = condition();
  $("dot").className = `dot ${now}`;
  setText($("camera-state"), t(`state.${now}`));
  setText($("fps"), now === "live" && camera.fps ? t("fps", { n: Math.round(camera.fps) }) : "");
  renderSwitcher();
  play(camera, now);
  const note = explain(camera, now);
  $("camera-note").hidden = !note;
  $("stage").classList.toggle("stale", now !== "live" && now !== "ended");
  $("note-sources").hidden = now !== "missing" && now !== "ended";
  if (note) {
    setText($("camera-note").querySelector("strong"), note[0]);
    setText($("camera-note").querySelector("p"), note[1]);
  }
}

function explain(camera, now) {
  const age = camera ? (camera.frame_age_s ?? 0) + (performance.now() - camera.since) / 1000 : 0;
  const last = camera?.frame_age_s == null ? "" : t("note.last", { span: span(age) });
  switch (now) {
    case "live": return null;
    case "stalled": return [last || t("note.none"), said(camera?.message)]; // a file or the virtual camera is not reconnecting
    case "reconnecting": return [last ? t("note.again", { last }) : t("note.reconnecting"), said(camera?.message)];
    case "missing": return [t("note.missing"), camera ? said(camera.message) : t("note.choose")];
    case "ended": return [t("note.ended"), said(camera.message)];
    case "offline": return [t("note.offline"), t("note.old")];
    case "locked": return [t("note.locked"), ""];
    default: return [t("note.connecting"), said(camera?.message)];
  }
}

function play(camera, now) {
  const img = $("preview");
  const wanted = camera && !document.hidden && ["live", "stalled", "reconnecting", "ended"].includes(now) ? camera.id : null;
  if (camera?.width) setVariables($("stage"), { width: camera.width, height: camera.height });
  if (wanted === playing) return;
  playing = wanted;
  if (wanted === null) {
    if (document.hidden || now === "missing" || !camera) img.removeAttribute("src"); // the device encodes only for viewers
  } else {
    img.src = `${BASE}${route(wanted)}/preview?width=${Math.ceil($("stage").clientWidth * devicePixelRatio)}&${Date.now()}`;
  }
  img.hidden = !img.hasAttribute("src");
}

function renderSwitcher() {
  const cameras = store.state?.cameras ?? [];
  const key = cameras.map(({ id, name, state }) => `${id} ${name} ${state}`).join("|") + store.camera;
  if ($("cameras").dataset.key === key) return;
  $("cameras").dataset.key = key;
  const focused = $("cameras").contains(document.activeElement);
  const one = cameras.length < 2;
  $("cameras").replaceChildren(...cameras.map(({ id, name, state }) => one
    ? el("span", { class: "only", title: name }, short(name))
    : el("button", { type: "button", "aria-pressed": String(id === store.camera), title: t("camera.state", { name, state: t(`state.${state}`) }), onclick: () => show(id) },
      el("i", { class: `dot ${state}` }), el("span", {}, short(name)))));
  if (focused) $("cameras").querySelector("[aria-pressed=true]")?.focus();
}

/** "Camera 0" for a number, the name of a file without its folder; an address unchanged. */
export const short = (name) => (/^\d+$/.test(name) ? t("camera.number", { name }) : name.includes("://") ? name : name.split("/").pop() || name);
