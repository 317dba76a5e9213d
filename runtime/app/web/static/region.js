// The region of the frame that is looked at: drawn, moved and resized by pointer or arrow keys. In fractions, 0 to 1.

import { call, camera as route } from "./api.js";
import { $, setText, setVariables } from "./dom.js";
import { act } from "./notices.js";
import { on, shown, store } from "./store.js";
import { t } from "./words.js";

const LEAST = 0.05; // a smaller region is drawn by mistake
const STEP = 0.02;
const CENTRE = { x: 0.2, y: 0.15, w: 0.6, h: 0.7 };

let region = null;
let drag = null;
let unsaved = null; // { camera, region, timer }: repeated keys are sent together

export function startRegion() {
  on("changed", render);
  on("shown", () => {
    send();
    unsaved = null; // it belongs to the other camera
    render();
  });
  $("region-edit").addEventListener("click", toggle);
  $("stage").addEventListener("pointerdown", grab);
  $("stage").addEventListener("pointermove", pull);
  $("stage").addEventListener("pointerup", release);
  $("stage").addEventListener("pointercancel", release);
  $("region").addEventListener("keydown", key);
  $("region-whole").addEventListener("click", whole);
}

const editing = () => $("stage").classList.contains("editing");

function toggle() {
  const edit = !editing();
  $("stage").classList.toggle("editing", edit);
  $("region-edit").setAttribute("aria-pressed", String(edit));
  setText($("region-edit").querySelector("span"), t(edit ? "done" : "region"));
  $("region-help").hidden = $("region-whole").hidden = !edit;
  draw();
  if (!edit) return;
  if (!region) save(CENTRE);
  $("region").focus();
}

function render() {
  if (drag || unsaved) return; // the state is older than the drag
  region = shown()?.region ?? null;
  draw();
}

function draw() {
  $("region").hidden = !region;
  $("region-name").hidden = !region || !editing();
  if (region) setVariables($("region"), region);
}

function save(next) {
  region = next;
  draw();
  clearTimeout(unsaved?.timer);
  unsaved = { camera: store.camera, region: next && round(next), timer: setTimeout(send, 250) };
}

async function send() {
  const sent = unsaved;
  if (!sent) return;
  clearTimeout(sent.timer);
  await act(call("PUT", `${route(sent.camera)}/region`, { region: sent.region }));
  if (unsaved === sent) unsaved = null;
}

const round = (box) => Object.fromEntries(Object.entries(box).map(([name, value]) => [name, Math.round(value * 1e4) / 1e4]));
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function at(event) {
  const box = $("stage").getBoundingClientRect();
  return { x: clamp((event.clientX - box.left) / box.width, 0, 1), y: clamp((event.clientY - box.top) / box.height, 0, 1) };
}

function grab(event) {
  if (!editing() || event.button || event.target.closest("button")) return;
  const edge = event.target.dataset.edge;
  const whole = region ?? { x: 0, y: 0, w: 1, h: 1 };
  const from = at(event);
  if (edge) drag = { fixed: { x: edge.includes("w") ? whole.x + whole.w : whole.x, y: edge.includes("n") ? whole.y + whole.h : whole.y } };
  else if (event.target === $("region")) drag = { from, start: whole };
  else drag = { fixed: from };
  $("stage").setPointerCapture(event.pointerId);
  event.preventDefault();
  $("region").focus({ preventScroll: true });
}

function pull(event) {
  if (!drag) return;
  const to = at(event);
  if (drag.start) region = moved(drag.start, to.x - drag.from.x, to.y - drag.from.y);
  else region = { x: Math.min(to.x, drag.fixed.x), y: Math.min(to.y, drag.fixed.y), w: Math.abs(to.x - drag.fixed.x), h: Math.abs(to.y - drag.fixed.y) };
  drag.pulled = true;
  draw();
}

function release() {
  if (!drag) return;
  const { pulled } = drag;
  drag = null;
  if (pulled && region.w >= LEAST && region.h >= LEAST) save(region);
  else render();
}

const moved = (box, dx, dy) => ({ ...box, x: clamp(box.x + dx, 0, 1 - box.w), y: clamp(box.y + dy, 0, 1 - box.h) });

/** The region that is drawn, as the device is given it; null for the whole picture. */
export const current = () => region && round(region);

/** Look at the whole picture again, and go on drawing. */
export const forget = () => save(null);

function whole() {
  save(null);
  if (editing()) toggle();
  $("region-edit").focus();
}

function key(event) {
  const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
  if (event.key === "Delete" || event.key === "Backspace") {
    whole();
  } else if (event.key === "Escape" && editing()) {
    toggle();
    $("region-edit").focus();
  } else if (way && event.shiftKey) {
    save({ ...region, w: clamp(region.w + way[0], LEAST, 1 - region.x), h: clamp(region.h + way[1], LEAST, 1 - region.y) });
  } else if (way) {
    save(moved(region, ...way));
  } else return;
  event.preventDefault();
}
