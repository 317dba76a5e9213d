// The login: a device that is reached from another machine asks for its access token once.

import { call } from "./api.js";
import { $, setText } from "./dom.js";
import { connect } from "./link.js";
import { on, store } from "./store.js";
import { t } from "./words.js";

export function startLogin() {
  $("login-card").addEventListener("cancel", (event) => store.link === "locked" && event.preventDefault()); // without the token the page shows nothing
  $("viewer-login").addEventListener("click", () => $("login-card").showModal());
  $("login-cancel").addEventListener("click", () => $("login-card").close());
  $("login").addEventListener("submit", (event) => {
    event.preventDefault();
    login($("token").value.trim());
  });
  on("link", () => {
    if (store.link === "locked" && !$("login-card").open) $("login-card").showModal();
    if (store.link !== "locked" && $("login-card").open) $("login-card").close();
  });
}

/** Log in with the token after the # of the address, which browsers do not send, and remove it from the address. */
export async function loginFromLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(null, "", location.pathname);
  await login(token, () => {});
}

async function login(token, then = connect) {
  setText($("login-error"), "");
  try {
    await call("POST", "login", { token });
    $("token").value = "";
    $("login-card").close();
    await then();
  } catch (error) {
    setText($("login-error"), error.status === 401 ? t("login.wrong") : error.message);
    $("token").select();
  }
}
