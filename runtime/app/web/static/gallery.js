// The gallery as a whole: undo, redo, upload, and banners about problems of the gallery or the connection.

import { call } from "./api.js";
import { $, el, syncChildren, plural, span, setText } from "./dom.js";
import { connect } from "./link.js";
import { act, redo, undo } from "./notices.js";
import { on, store, writable } from "./store.js";

export function startGallery() {
  for (const name of ["changed", "link"]) on(name, render);
  for (const id of ["undo", "undo-quick"]) $(id).addEventListener("click", () => undo(store.state.undo.id));
  for (const id of ["redo", "redo-quick"]) $(id).addEventListener("click", () => redo(store.state.redo.id));
  $("upload").addEventListener("change", upload);
}

async function upload({ target }) {
  const [file] = target.files;
  if (!file) return;
  await act(call("POST", "gallery", file, { timeout_s: 600 }), `Added ${file.name}`);
  target.value = "";
}

function render() {
  const newest = store.state?.undo;
  const undone = store.state?.redo;
  $("undo").disabled = !newest || !writable();
  setText($("undo-words"), newest ? `Undo: ${newest.what}` : "Nothing to undo");
  $("redo").hidden = !undone;
  $("redo").disabled = !writable();
  $("redo").title = undone ? `Redo: ${undone.what}` : "";
  for (const [quick, all, change] of [["undo-quick", "undo", newest], ["redo-quick", "redo", undone]]) {
    $(quick).disabled = $(all).disabled;
    $(quick).setAttribute("aria-label", change ? `${all === "undo" ? "Undo" : "Redo"}: ${change.what}` : "Nothing to undo");
    $(quick).title = $(quick).getAttribute("aria-label");
  }
  $("redo-quick").hidden = !undone;
  $("upload").disabled = !writable();
  syncChildren($("banners"), banners(), (banner) => banner.key, ({ key }) => el("div", { class: key }), fill);
}

function banners() {
  const list = [];
  if (store.link === "offline") {
    list.push({ key: "offline", title: "The device does not answer", text: "Trying again. Nothing that was stored is lost.", verb: "Try now", run: connect });
  }
  const gallery = store.state?.gallery;
  if (gallery?.mismatch) {
    const { shots, seconds, done, failed } = gallery.mismatch;
    const busy = done != null;
    const offer = `Its ${plural(shots, "shot")} can be embedded again from their pictures: about ${span(Math.max(1, seconds))}. Nothing is lost.`;
    list.push({
      key: "mismatch", title: "This gallery was filled by another model",
      text: busy ? `Embedding again: ${done} of ${shots}` : failed || offer, progress: busy ? { done, of: shots } : null,
      verb: busy ? null : "Embed again", run: () => act(call("POST", "gallery/reembed")),
    });
  } else if (gallery?.state === "damaged") {
    list.push({ key: "readonly", title: "The gallery is damaged", text: "Recognition goes on with what is whole; teaching is off. A repair keeps the damaged file.", verb: "Repair", run: () => act(call("POST", "gallery/repair"), ({ what }) => what) });
  } else if (gallery && !gallery.writable) {
    list.push({ key: "readonly", title: "The gallery cannot be written", text: `${gallery.path ?? "Its folder"} is read-only. Recognition goes on; teaching is off.` });
  } else if (gallery?.state === "disk full") {
    list.push({ key: "readonly", title: "The disk is full", text: "Recognition, forgetting and undo go on. Free some space to teach." });
  } else if (gallery?.state === "disk failing") {
    list.push({ key: "readonly", title: "The disk fails", text: "The last change may not be stored: check it after a restart. Recognition goes on." });
  } else if (gallery?.state === "second writer") {
    list.push({ key: "readonly", title: "Another program is writing to the gallery", text: "The last change was not stored. Try again, or close the other program." });
  }
  return list;
}

function fill(node, { title, text, verb, run, progress: share }) {
  const key = [title, text, verb].join("\n");
  if (node.dataset.words === key) return;
  node.dataset.words = key;
  node.replaceChildren(
    el("p", {}, el("strong", {}, title), text, share ? el("progress", { value: share.done, max: share.of, "aria-label": title }) : null),
    verb ? el("button", { type: "button", class: "primary", onclick: run }, verb) : "",
  );
}
