// A device that is reached from elsewhere asks for its token, once.

import { call } from "./api.js";
import { $, words } from "./dom.js";
import { connect } from "./link.js";
import { on, store } from "./store.js";

export function startLogin() {
  $("login-card").addEventListener("cancel", (event) => event.preventDefault()); // nothing lies behind it
  $("login").addEventListener("submit", (event) => {
    event.preventDefault();
    login($("token").value.trim());
  });
  on("link", () => {
    if (store.link === "locked" && !$("login-card").open) $("login-card").showModal();
    if (store.link !== "locked" && $("login-card").open) $("login-card").close();
  });
}

/** The printed link carries the token behind its #, which browsers send to nobody. Take it and wipe it. */
export async function loginFromLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  await login(token, () => {});
}

async function login(token, then = connect) {
  words($("login-error"), "");
  try {
    await call("POST", "login", { token });
    $("token").value = "";
    await then();
  } catch (error) {
    words($("login-error"), error.status === 401 ? "That is not the token of this device." : error.message);
    $("token").select();
  }
}
