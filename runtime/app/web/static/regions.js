// The named regions of the camera that is shown: a box for each, with its name and its answer. They are added and
// removed while the region is edited.

import { call, camera as route } from "./api.js";
import { close, open } from "./cards.js";
import { $, el, icon, setText, setVariables, syncChildren } from "./dom.js";
import { act } from "./notices.js";
import { current, forget } from "./region.js";
import { on, shown, stateOf, store } from "./store.js";
import { t } from "./words.js";

let requested = false; // whether a drawing waits for the next screen frame

export function startRegions() {
  for (const name of ["changed", "shown", "region", "link"]) on(name, soon);
  $("region-name").addEventListener("click", ask);
}

function soon() {
  if (requested) return;
  requested = true;
  requestAnimationFrame(() => {
    requested = false;
    syncChildren($("regions"), regions(), (each) => each.name, make, update);
  });
}

const regions = () => shown()?.regions ?? [];

function make({ name }) {
  const remove = el("button", { type: "button", class: "plain square", "aria-label": t("region.remove", { name }), title: t("remove"), onclick: () => put(regions().filter((each) => each.name !== name)) }, icon("close"));
  return el("li", { class: "named" }, el("span"), remove);
}

function update(box, { name, region }) {
  const found = store.regionAnswers.get(`${store.camera}\n${name}`);
  const { certainty, name: label } = found ? stateOf(found) : {};
  const text = { sure: label, maybe: t("maybe", { name: label }), unknown: t("unknown") }[certainty];
  box.className = `named ${certainty ?? "unknown"}`;
  setText(box.firstChild, text ? t("region.answer", { name, text }) : name);
  setVariables(box, region);
}

const put = (list) => act(call("PUT", `${route(store.camera)}/regions`, { regions: list }));

/** Ask for the name of the region that was drawn; then it is answered besides the whole picture. */
function ask() {
  const region = current();
  if (!region) return;
  const field = el("input", { maxlength: 60, placeholder: t("name.hint"), "aria-label": t("region.naming"), autocomplete: "off", enterkeyhint: "done", required: true });
  const send = async (event) => {
    event.preventDefault();
    const name = field.value.trim();
    if (!name) return;
    close("region");
    if (await put([...regions().filter((each) => each.name !== name), { name, region }])) forget();
  };
  open("region", t("region.naming"), el("p", {}, t("region.why")), el("form", { class: "inline", onsubmit: send }, field, el("button", { class: "primary" }, t("add"))));
  field.focus();
}
