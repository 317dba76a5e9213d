// Hold to teach: the button, the space bar, or Enter for people who cannot hold. The name comes before or after.

import { call, camera as route } from "./api.js";
import { $, el, icon, plural, words } from "./dom.js";
import { act, notice } from "./notices.js";
import { condition } from "./preview.js";
import { labels, on, shown, store, writable } from "./store.js";

const STRIP = 12;
const IDLE = matchMedia("(hover: none)").matches
  ? "Hold the button while you turn the thing."
  : "Hold the button or the space bar while you turn the thing.";
const OTHERS = "Another browser is teaching now; holding the button starts anew.";
const AGAIN = "Nothing was kept. Hold for about a second while you turn the thing.";

let phase = "idle"; // idle | held | naming | saving
let camera = null; // the one being taught, even when another is shown meanwhile
let sent = null; // what the device was told last: the next thing waits for its answer
let kept = 0;
let refused = 0;
let advice = IDLE; // what is said between lessons

export function startTeach() {
  for (const name of ["changed", "shown", "link"]) on(name, render);
  on("teach", (event) => event.camera === camera && phase !== "idle" && frame(event));
  const hold = $("hold");
  hold.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    hold.setPointerCapture(event.pointerId);
    begin();
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) hold.addEventListener(name, end);
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
}

const name = () => $("name").value.trim();
const ready = () => writable() && condition() === "live";

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
  [phase, camera, kept, refused] = ["held", store.camera, 0, 0];
  $("frames").replaceChildren();
  coach("");
  render();
  sent = call("POST", `${route(camera)}/teach`, { label: name() || null });
  sent.catch(giveUp);
}

function giveUp(error) {
  if (phase === "idle") return;
  phase = "idle";
  notice(error.message);
  render();
}

function end() {
  if (phase !== "held") return;
  if (name()) return void save();
  sent = sent.then(() => call("POST", `${route(camera)}/teach/pause`));
  sent.then(() => (kept ? null : discard(AGAIN)), giveUp);
  phase = "naming";
  coach("What is it?");
  render();
  $("name").focus();
}

async function save() {
  const label = name();
  if (!label) return void $("name").focus();
  phase = "saving";
  render();
  const enrollment = await act(sent.then(() => call("POST", `${route(camera)}/teach/stop`, { label })));
  if (!enrollment) {
    phase = "naming"; // nothing is lost: another name, or another try
    return void render();
  }
  const stored = count(enrollment.accepted);
  phase = "idle";
  $("name").value = "";
  advice = enrollment.advice?.[0] ?? (stored ? IDLE : AGAIN);
  if (stored) notice(`${enrollment.label}: ${plural(stored, "view")} kept`);
  render();
  $("hold").focus();
}

async function discard(said = IDLE) {
  phase = "idle";
  advice = said;
  render();
  await sent.then(() => call("DELETE", `${route(camera)}/teach`)).catch(() => {}); // nothing to throw away is as good
}

const count = (frames) => (Array.isArray(frames) ? frames.length : (frames ?? 0));

function frame({ accepted, reason, line, thumb, kept: nKept, refused: nRefused }) {
  kept = nKept;
  refused = nRefused;
  coach(line ?? "");
  const list = $("frames");
  const newest = list.firstElementChild;
  if (!accepted && newest?.dataset.reason === reason) { // a hundred times the same reason is one picture
    newest.dataset.times = Number(newest.dataset.times) + 1;
    words(newest.lastElementChild, `${reason} ×${newest.dataset.times}`);
  } else {
    const image = thumb ? el("img", { src: thumb, alt: "" }) : el("div", { class: "blank" });
    const tile = el("li", { class: accepted ? "kept-frame" : "refused" }, image, accepted ? icon("check") : null, el("span", {}, accepted ? "kept" : reason));
    if (!accepted) [tile.dataset.reason, tile.dataset.times] = [reason, 1];
    list.prepend(tile);
    while (list.children.length > STRIP) list.lastElementChild.remove();
  }
  renderKept();
}

let coachedAt = 0;
let coaching = 0;

/** One line, the most useful one now; it may be read before it changes. */
function coach(line) {
  clearTimeout(coaching);
  const write = () => {
    coachedAt = performance.now();
    words($("coach"), line);
  };
  if (phase === "held" && line) coaching = setTimeout(write, Math.max(0, 400 - (performance.now() - coachedAt)));
  else write();
}

function renderKept() {
  $("kept").replaceChildren(el("b", {}, String(kept)), `kept${refused ? `, ${refused} refused` : ""}`);
}

function render() {
  const can = ready();
  const naming = phase === "naming" || (phase === "saving" && $("teach").classList.contains("naming"));
  $("teach").classList.toggle("naming", naming);
  $("hold").disabled = !can && phase === "idle";
  $("hold").classList.toggle("held", phase === "held");
  words($("hold-words"), phase === "held" ? "Let go when done" : labels().includes(name()) ? "Hold to add views" : "Hold to teach");
  $("save").hidden = $("discard").hidden = !naming;
  $("save").disabled = !name() || phase === "saving";
  words($("save"), `Keep ${plural(kept, "view")}`);
  $("strip").hidden = phase === "idle";
  if (phase !== "idle") renderKept();
  if (phase === "idle") coach(!can ? why() : shown().teaching ? OTHERS : advice);
  const options = labels();
  if ($("names").dataset.key !== options.join("\n")) {
    $("names").dataset.key = options.join("\n");
    $("names").replaceChildren(...options.map((value) => el("option", { value })));
  }
}

function why() {
  if (store.state && !store.state.gallery.writable) return "Teaching is off: the gallery cannot be written.";
  if (store.state?.gallery.mismatch) return "Teaching is off until the gallery is embedded again.";
  return store.link === "online" ? "Teaching needs a live picture." : "";
}
