// Messages that appear for a few seconds, each with at most one button.

import { call } from "./api.js";
import { $, el } from "./dom.js";
import { said, t } from "./words.js";

const SECONDS = 8;
const AT_MOST = 3;

/** Show a message. action: { label, run } of its button. */
export function notice(text, action = null) {
  const close = () => node.remove();
  const button = action && el("button", { type: "button", class: "plain", onclick: () => (close(), action.run()) }, action.label);
  const node = el("div", {}, el("p", {}, text), button);
  let timer = setTimeout(close, SECONDS * 1000);
  node.addEventListener("pointerenter", () => clearTimeout(timer));
  node.addEventListener("pointerleave", () => (timer = setTimeout(close, SECONDS * 1000)));
  $("notices").append(node);
  while ($("notices").children.length > AT_MOST) $("notices").firstElementChild.remove();
}

/**
 * Wait for a request to the device and show its result or its error.
 * text: the message, or a function that makes it from the response; a response that names an operation adds *Undo*.
 * Resolves to the response, or to undefined after an error.
 */
export async function act(request, text = null) {
  try {
    const response = await request;
    if (text) notice(typeof text === "function" ? text(response) : text, undoOf(response?.operation));
    return response;
  } catch (error) {
    notice(error.message);
    return undefined;
  }
}

const undoOf = (id) => (id == null ? null : { label: t("undo"), run: () => undo(id) });
export const sentence = (text) => text[0].toUpperCase() + text.slice(1);

/** Take back one change, named by its id; the device refuses if another change is newer. */
export async function undo(id) {
  const response = await act(call("POST", "undo", { id }));
  if (response) notice(sentence(said(response.what) || t("undone")), { label: t("redo"), run: () => redo(id) });
}

/** Make a change again that was undone. */
export const redo = (id) => act(call("POST", "redo", { id }), ({ what }) => sentence(said(what) || t("redone")));
