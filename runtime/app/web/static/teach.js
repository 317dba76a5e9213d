// Teaching: hold the button or the space bar, or press Enter to begin and to end. The name is typed before or after.

import { call, camera as route } from "./api.js";
import { $, el, icon, setText, setVariables } from "./dom.js";
import { act, notice } from "./notices.js";
import { condition } from "./preview.js";
import { labels, on, shown, store, writable } from "./store.js";
import { number, said, t } from "./words.js";

const STRIP = 12; // pictures in the strip
const IDLE = t(matchMedia("(hover: none)").matches ? "teach.touch" : "teach.idle");
const OTHERS = t("teach.others");
const AGAIN = t("teach.again");

let phase = "idle"; // idle | held | naming | saving
let camera = null; // the camera that is taught, even while another one is shown
let own = null; // the camera whose session this page began, until the device reports that it has ended
let ending = false; // whether a request that ends the session waits for its response
let last = null; // the last request of the session; the next one waits for its response
let kept = 0;
let region = null; // the part of the first session in which something moves
let refused = 0;
let advice = IDLE; // the line that is shown between sessions
let ignoreClick = false; // whether the next click belongs to the release of the button

export function startTeach() {
  for (const name of ["changed", "shown", "link"]) on(name, render);
  on("teach", (event) => event.camera === camera && phase !== "idle" && frame(event));
  const hold = $("hold");
  hold.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    hold.setPointerCapture(event.pointerId);
    begin();
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    hold.addEventListener(name, () => {
      ignoreClick ||= phase === "held";
      end();
    });
  }
  for (const name of ["pointerdown", "keydown"]) addEventListener(name, () => (ignoreClick = false), { capture: true });
  addEventListener("click", releaseClick, { capture: true });
  hold.addEventListener("contextmenu", (event) => event.preventDefault());
  document.addEventListener("keydown", keydown);
  document.addEventListener("keyup", (event) => event.code === "Space" && !event.target.closest("input, select") && end());
  addEventListener("blur", end);
  addEventListener("pagehide", () => phase !== "idle" && call("DELETE", `${route(camera)}/teach`, undefined, { keepalive: true }).catch(() => {}));
  $("name").addEventListener("input", render);
  $("teach").addEventListener("submit", (event) => {
    event.preventDefault();
    if (phase === "naming") save();
    else $("hold").focus();
  });
  $("discard").addEventListener("click", () => discard());
  $("use-region").addEventListener("click", useRegion);
}

const name = () => $("name").value.trim();
const ready = () => writable() && condition() === "live" && store.place === "live";

/** The click that ends a hold must not press whatever has appeared under the finger. */
function releaseClick(event) {
  if (!ignoreClick) return;
  ignoreClick = false;
  event.preventDefault();
  event.stopPropagation();
}

function keydown(event) {
  if (event.key === "Escape" && phase !== "idle" && !document.querySelector("dialog[open]")) return void discard();
  const onHold = event.target === $("hold");
  if (event.code === "Space" && (onHold || !event.target.closest("input, button, select, a, [role=group], dialog"))) {
    event.preventDefault();
    if (!event.repeat) begin();
  } else if (event.key === "Enter" && onHold) {
    event.preventDefault();
    if (!event.repeat) (phase === "held" ? end : begin)();
  }
}

function begin() {
  if (phase !== "idle" || !ready()) return;
  [phase, camera, kept, refused, region] = ["held", store.camera, 0, 0, null];
  own = camera;
  $("frames").replaceChildren();
  coach("");
  render();
  last = call("POST", `${route(camera)}/teach`, { label: name() || null });
  last.catch(fail);
}

function fail(error) {
  if (phase === "idle") return;
  phase = "idle";
  notice(error.message);
  render();
}

function end() {
  if (phase !== "held") return;
  if (name() && !region) return void save();
  last = last.then(() => call("POST", `${route(camera)}/teach/pause`));
  last.then(() => (kept ? null : discard(AGAIN)), fail);
  phase = "naming";
  coach(t("what"));
  render();
  $("name").focus();
}

async function save() {
  const label = name();
  if (!label) return void $("name").focus();
  phase = "saving";
  render();
  const stored = ({ label: taught, accepted }) => (count(accepted) ? t("teach.stored", { label: taught, n: count(accepted) }) : AGAIN);
  ending = true;
  const enrollment = await act(last.then(() => call("POST", `${route(camera)}/teach/stop`, { label })), stored);
  ending = false;
  if (!enrollment) {
    phase = "naming"; // the session is still there: another name, or another try
    return void render();
  }
  phase = "idle";
  $("name").value = "";
  advice = said(enrollment.advice?.[0]) || (count(enrollment.accepted) ? IDLE : AGAIN);
  render();
  $("hold").focus();
  if (enrollment.similar?.length) act(import("./similar.js").then(({ askSimilar }) => askSimilar(enrollment)));
}

async function discard(line = IDLE) {
  phase = "idle";
  advice = line;
  ending = true;
  render();
  await last.then(() => call("DELETE", `${route(camera)}/teach`)).catch(() => {}); // it may have ended already
  ending = false;
}

/** Show the part of the picture in which something moves: the first session can be limited to it. */
function suggest(moves) {
  region = moves ?? null;
  $("suggestion").hidden = !region;
  if (region) setVariables($("suggestion"), region);
}

/** Keep only that part of the session, so that the background is not learned with the thing. */
async function useRegion() {
  const cut = region;
  suggest(null);
  render();
  await act(last.then(() => call("POST", `${route(camera)}/teach/region`, { region: cut })), t("region.used"));
  $("name").focus();
}

const count = (frames) => (Array.isArray(frames) ? frames.length : (frames ?? 0));

function frame({ accepted, reason, line, thumb, kept: nKept, refused: nRefused, region: moves }) {
  kept = nKept;
  if (!labels().length) suggest(moves);
  refused = nRefused;
  if (phase === "held") coach(said(line)); // a late frame must not replace t("what")
  const list = $("frames");
  const newest = list.firstElementChild;
  if (!accepted && newest?.dataset.reason === reason) { // frames refused for the same reason share one picture
    newest.dataset.times = Number(newest.dataset.times) + 1;
    setText(newest.lastElementChild, t("frame.times", { reason: said(reason), n: Number(newest.dataset.times) }));
  } else {
    const image = thumb ? el("img", { src: thumb, alt: "" }) : el("div", { class: "blank" });
    const tile = el("li", { class: accepted ? "kept-frame" : "refused" }, image, accepted ? icon("check") : null, el("span", {}, accepted ? t("frame.kept") : said(reason)));
    if (!accepted) [tile.dataset.reason, tile.dataset.times] = [reason, 1];
    list.prepend(tile);
    while (list.children.length > STRIP) list.lastElementChild.remove();
  }
  renderKept();
  if (phase === "naming") render(); // the number of views on the button
}

let coachedAt = 0;
let coaching = 0;

/** Show one line of advice, each for at least 400 ms, so that it can be read. */
function coach(line) {
  clearTimeout(coaching);
  const write = () => {
    coachedAt = performance.now();
    setText($("coach"), line);
  };
  if (phase === "held" && line) coaching = setTimeout(write, Math.max(0, 400 - (performance.now() - coachedAt)));
  else write();
}

function renderKept() {
  $("kept").replaceChildren(el("b", {}, number(kept)), refused ? t("kept.refused", { n: refused }) : t("frame.kept"));
}

function render() {
  const can = ready();
  const naming = phase === "naming" || (phase === "saving" && $("teach").classList.contains("naming"));
  $("teach").classList.toggle("naming", naming);
  $("hold").disabled = !can && phase === "idle";
  $("hold").classList.toggle("held", phase === "held");
  setText($("hold-words"), t(phase === "held" ? "hold.held" : labels().includes(name()) ? "hold.add" : "hold"));
  $("save").hidden = $("discard").hidden = !naming;
  $("save").disabled = !name() || phase === "saving";
  setText($("save"), t("keep", { n: kept }));
  $("strip").hidden = phase === "idle";
  if (phase === "idle") suggest(null);
  $("use-region").hidden = !(naming && region);
  if (phase !== "idle") renderKept();
  if (phase === "idle") coach(idleLine(can));
  const options = labels();
  if ($("names").dataset.key !== options.join("\n")) {
    $("names").dataset.key = options.join("\n");
    $("names").replaceChildren(...options.map((value) => el("option", { value })));
  }
}

function idleLine(can) {
  const teaching = store.state?.cameras.filter((each) => each.teaching).map((each) => each.id) ?? [];
  if (!ending && !teaching.includes(own)) own = null;
  if (can) return shown().teaching && shown().id !== own ? OTHERS : advice;
  if (store.state && !store.state.gallery.writable) return t("teach.readonly");
  if (store.state?.gallery.mismatch) return t("teach.model");
  return store.link === "online" ? t("teach.live") : "";
}
