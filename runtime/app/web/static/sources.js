// The source picker: the cameras that are open, and everything that can be added. It is the empty state and a card.

import { BASE, call, camera as route } from "./api.js";
import { canUseCamera, offerCamera } from "./browser_camera.js";
import { close, open } from "./cards.js";
import { $, el, icon, picture } from "./dom.js";
import { act } from "./notices.js";
import { short } from "./preview.js";
import { on, show as showCamera, store } from "./store.js";
import { t } from "./words.js";

let devices = [];

on("changed", () => $("sources-card")?.open && drawOpen());

export async function show() {
  open("sources", t("sources"),
    el("ul", { id: "source-list", class: "sources" }),
    el("h3", {}, t("source.add")),
    el("div", { id: "devices", class: "devices" }),
    el("div", { class: "acts choices" },
      el("button", { type: "button", class: "plain", id: "add-browser", disabled: !canUseCamera(), onclick: addOwn }, icon("camera"), t("source.own")),
      el("button", { type: "button", class: "plain", onclick: () => add("demo") }, t("source.demo")),
      el("button", { type: "button", class: "plain", onclick: () => (close("sources"), $("photos").click()) }, t("source.photos"))),
    canUseCamera() ? null : el("p", { class: "soft" }, secure()),
    el("form", { class: "inline", onsubmit: addAddress },
      el("input", { id: "source-what", placeholder: t("source.hint"), "aria-label": t("source.label"), autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true, maxlength: 2000 }),
      el("button", { class: "primary" }, t("add"))));
  drawOpen();
  devices = await call("GET", "devices").catch(() => []);
  $("devices")?.replaceChildren(...devices.filter((each) => each.camera == null).map(tile));
}

/** Why the camera of this browser cannot be used, and what to do. */
function secure() {
  const url = new URL("/", location.href);
  url.protocol = "https:";
  return t("source.secure", { url: url.href });
}

function tile({ number, name }) {
  return el("button", { type: "button", class: "device", onclick: () => add(String(number), name) },
    picture(`${BASE}devices/${number}/picture`, ""), el("span", {}, name));
}

function drawOpen() {
  const list = $("source-list");
  const cameras = store.state?.cameras ?? [];
  const key = cameras.map(({ id, name, state }) => `${id} ${name} ${state}`).join("|") + store.camera;
  if (list.dataset.key === key || list.querySelector("form")) return;
  list.dataset.key = key;
  list.replaceChildren(...cameras.map(row));
}

function row(camera) {
  const choose = () => (close("sources"), showCamera(camera.id));
  const item = el("li", {},
    el("button", { type: "button", class: "chosen", "aria-pressed": String(camera.id === store.camera), title: camera.name, onclick: choose },
      el("i", { class: `dot ${camera.state}` }), el("span", {}, short(camera.name))),
    el("button", { type: "button", class: "plain", "aria-label": t("source.rename", { name: camera.name }), onclick: () => rename(item, camera) }, t("rename")),
    el("button", { type: "button", class: "plain square", "aria-label": t("source.remove", { name: camera.name }), title: t("remove"), onclick: () => act(call("DELETE", route(camera.id))) }, icon("close")));
  return item;
}

function rename(item, { id, name }) {
  const field = el("input", { "aria-label": t("source.name", { name }), value: name, maxlength: 200, required: true, autocomplete: "off" });
  const send = async (event) => {
    event.preventDefault();
    await act(call("PATCH", route(id), { name: field.value.trim() || name }));
    item.replaceChildren();
    $("source-list").dataset.key = "";
    drawOpen();
  };
  item.replaceChildren(el("form", { class: "inline", onsubmit: send }, field, el("button", { class: "plain" }, t("save"))));
  field.focus();
}

async function add(what, name = null) {
  const camera = await act(call("POST", "cameras", { what, name }));
  if (!camera) return null;
  close("sources");
  shownWhenListed(camera.id);
  return camera;
}

function addAddress(event) {
  event.preventDefault();
  add($("source-what").value.trim());
}

async function addOwn() {
  const id = await act(offerCamera());
  if (!id) return;
  close("sources");
  shownWhenListed(id);
}

/** Show a camera as soon as the device lists it. */
function shownWhenListed(id) {
  if (store.state.cameras.some((each) => each.id === id)) return showCamera(id);
  let waiting = true;
  on("changed", (state) => {
    if (!waiting || !state.cameras.some((each) => each.id === id)) return;
    waiting = false;
    showCamera(id);
  });
}
