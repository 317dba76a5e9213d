// Words that come and go, each with at most one thing to do about it.

import { call } from "./api.js";
import { $, el } from "./dom.js";

const SECONDS = 8;
const AT_MOST = 3;

export function notice(text, action = null) {
  const close = () => node.remove();
  const button = action && el("button", { type: "button", class: "plain", onclick: () => (close(), action.run()) }, action.words);
  const node = el("div", {}, el("p", {}, text), button);
  let timer = setTimeout(close, SECONDS * 1000);
  node.addEventListener("pointerenter", () => clearTimeout(timer));
  node.addEventListener("pointerleave", () => (timer = setTimeout(close, SECONDS * 1000)));
  $("notices").append(node);
  while ($("notices").children.length > AT_MOST) $("notices").firstElementChild.remove();
}

/** Do something on the device; say what happened, with the way back, or why not. Resolves to the answer, or undefined. */
export async function act(promise, said = null) {
  try {
    const answer = await promise;
    if (said) notice(typeof said === "function" ? said(answer) : said, { words: "Undo", run: undo });
    return answer;
  } catch (error) {
    notice(error.message);
    return undefined;
  }
}

const sentence = (words) => words[0].toUpperCase() + words.slice(1);

export async function undo() {
  const answer = await act(call("POST", "undo"));
  if (answer) notice(sentence(answer.what ?? "undone"));
}
