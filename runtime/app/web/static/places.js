// The places of the page: Live, Review, Things and Actions. The address remembers which one is shown.

import { $ } from "./dom.js";
import { emit, on, store } from "./store.js";

const PLACES = ["live", "review", "things", "actions"];

export function startPlaces() {
  for (const button of $("places").children) button.addEventListener("click", () => go(button.dataset.place));
  addEventListener("hashchange", () => go(wanted()));
  on("shown", remember); // a camera that is shown writes its own address
  go(wanted());
}

const wanted = () => PLACES.find((place) => place === location.hash.slice(1)) ?? "live";

function go(place) {
  if (store.place === place && $("app").dataset.place === place) return;
  store.place = place;
  $("app").dataset.place = place;
  for (const button of $("places").children) button.setAttribute("aria-pressed", String(button.dataset.place === place));
  for (const section of $("place").children) section.hidden = section.id !== place;
  $("place").hidden = place === "live";
  remember();
  emit("place", place);
}

function remember() {
  if (store.place !== "live") history.replaceState(null, "", `#${store.place}`);
  else if (PLACES.includes(location.hash.slice(1))) history.replaceState(null, "", location.pathname);
}
