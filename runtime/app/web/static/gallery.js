// The gallery as a whole: undo, redo, upload, and banners about problems of the gallery or the connection.

import { call } from "./api.js";
import { $, el, syncChildren, span, setText } from "./dom.js";
import { connect } from "./link.js";
import { act, redo, undo } from "./notices.js";
import { on, store, writable } from "./store.js";
import { said, t } from "./words.js";

let site = null; // site.js, loaded where devices share the gallery

export function startGallery() {
  for (const name of ["changed", "link"]) on(name, render);
  for (const id of ["undo", "undo-quick"]) $(id).addEventListener("click", () => undo(store.state.undo.id));
  for (const id of ["redo", "redo-quick"]) $(id).addEventListener("click", () => redo(store.state.redo.id));
  $("upload").addEventListener("change", upload);
}

async function upload({ target }) {
  const [file] = target.files;
  if (!file) return;
  await act(call("POST", "gallery", file, { timeout_s: 600 }), t("uploaded", { name: file.name }));
  target.value = "";
}

function render() {
  const newest = store.state?.undo;
  const undone = store.state?.redo;
  $("undo").disabled = !newest || !writable();
  setText($("undo-words"), newest ? t("undo.what", { what: said(newest.what) }) : t("undo.nothing"));
  $("redo").hidden = !undone;
  $("redo").disabled = !writable();
  $("redo").title = undone ? t("redo.what", { what: said(undone.what) }) : "";
  for (const [quick, all, change] of [["undo-quick", "undo", newest], ["redo-quick", "redo", undone]]) {
    $(quick).disabled = $(all).disabled;
    $(quick).setAttribute("aria-label", change ? t(`${all}.what`, { what: said(change.what) }) : t("undo.nothing"));
    $(quick).title = $(quick).getAttribute("aria-label");
  }
  $("redo-quick").hidden = !undone;
  $("upload").disabled = !writable();
  if (store.state?.gallery.site) site ??= act(import("./site.js"));
  syncChildren($("banners"), banners(), (banner) => banner.key, ({ key }) => el("div", { class: key }), fill);
}

function banners() {
  const list = [];
  if (store.link === "offline") {
    list.push({ key: "offline", title: t("offline.title"), text: t("offline.text"), verb: t("offline.try"), run: connect });
  }
  const gallery = store.state?.gallery;
  if (gallery?.mismatch) {
    const { shots, seconds, done, failed } = gallery.mismatch;
    const busy = done != null;
    const offer = t("model.offer", { n: shots, span: span(Math.max(1, seconds)) });
    list.push({
      key: "mismatch", title: t("model.title"),
      text: busy ? t("model.progress", { n: done, of: shots }) : said(failed) || offer, progress: busy ? { done, of: shots } : null,
      verb: busy ? null : t("model.again"), run: () => act(call("POST", "gallery/reembed")),
    });
  } else if (gallery?.state === "damaged") {
    list.push({ key: "readonly", title: t("damaged.title"), text: t("damaged.text"), verb: t("repair"), run: () => act(call("POST", "gallery/repair"), ({ what }) => said(what)) });
  } else if (gallery && !gallery.writable) {
    list.push({ key: "readonly", title: t("readonly.title"), text: t("readonly.text", { path: gallery.path ?? t("readonly.folder") }) });
  } else if (gallery?.state === "disk full") {
    list.push({ key: "readonly", title: t("full.title"), text: t("full.text") });
  } else if (gallery?.state === "disk failing") {
    list.push({ key: "readonly", title: t("failing.title"), text: t("failing.text") });
  } else if (gallery?.state === "second writer") {
    list.push({ key: "readonly", title: t("writer.title"), text: t("writer.text") });
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
