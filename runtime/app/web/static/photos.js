// Photos that are dropped, pasted or chosen; their card is loaded when there are some.

import { $ } from "./dom.js";
import { act } from "./notices.js";
import { viewing } from "./store.js";
import { t } from "./words.js";

const show = (files) => viewing() || act(import("./photos_card.js").then((card) => card.show(files)));

export function startPhotos() {
  document.body.dataset.drop = t("photos.drop"); // shown by the style sheet while photos are dragged
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => event.relatedTarget || document.body.classList.remove("dropping"));
  addEventListener("drop", (event) => {
    document.body.classList.remove("dropping");
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    show([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => event.clipboardData?.files.length && show([...event.clipboardData.files]));
  $("photos").addEventListener("change", ({ target }) => {
    show([...target.files]);
    target.value = "";
  });
}
