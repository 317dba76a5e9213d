// The places of the page: Live, Review, Things and Actions. The address remembers which one is shown.

import { $, el, setText } from "./dom.js";
import { act } from "./notices.js";
import { emit, on, store } from "./store.js";

const LOAD = { // when a place is first shown
  live: async () => {},
  review: async () => (await import("./review.js")).startReview(),
  things: async () => (await import("./things.js")).startThings(),
  actions: async () => (await import("./actions.js")).startActions(),
};
const loaded = new Map(); // place -> promise
let next = null; // the place that was asked for last

export function startPlaces() {
  for (const button of $("places").children) button.addEventListener("click", () => go(button.dataset.place));
  addEventListener("hashchange", () => go(wanted()));
  on("changed", count);
  on("shown", remember); // a camera that is shown writes its own address
  go(wanted());
}

/** Show on the button of Review how many unknown things could get a name. */
function count({ inbox }) {
  $("n-unknown").hidden = !inbox.length;
  setText($("n-unknown"), String(inbox.length));
}

const wanted = () => Object.keys(LOAD).find((place) => place === location.hash.slice(1)) ?? "live";

async function go(place) {
  next = place;
  if (!loaded.has(place)) loaded.set(place, place === "live" ? null : Promise.all([styles(), LOAD[place]()]));
  await act(loaded.get(place)?.catch((error) => (loaded.delete(place), Promise.reject(error))) ?? Promise.resolve());
  if (next === place && $("app").dataset.place !== place) show(place);
}

let sheet = null;

/** Load the style sheet of the places once. */
function styles() {
  sheet ??= new Promise((resolve, reject) => document.head.append(el("link", { rel: "stylesheet", href: "static/places.css", onload: resolve, onerror: reject })));
  return sheet;
}

function show(place) {
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
  else if (location.hash.slice(1) in LOAD) history.replaceState(null, "", location.pathname);
}
