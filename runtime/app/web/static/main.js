// The page: link.js writes the state into the store, and every part draws what it shows of it.
//
// What the first picture does not need is loaded when it is used: the places by places.js, the cards by their buttons here.

import { startAnswer } from "./answer.js";
import { CAMERA_KEY } from "./api.js";
import { startClasses } from "./classes.js";
import { startConfirm } from "./confirm.js";
import { $ } from "./dom.js";
import { startGallery } from "./gallery.js";
import { connect, watch } from "./link.js";
import { loginFromLink, startLogin } from "./login.js";
import { act } from "./notices.js";
import { startPhotos } from "./photos.js";
import { startPlaces } from "./places.js";
import { render as renderPreview, startPreview } from "./preview.js";
import { startRegion } from "./region.js";
import { startRegions } from "./regions.js";
import { startTeach } from "./teach.js";
import { fillPage } from "./words.js";

const CARDS = {
  "about-open": () => import("./about.js"),
  "sources-open": () => import("./sources.js"),
  "note-sources": () => import("./sources.js"),
  "why": () => import("./why.js"),
  "not-this": () => import("./reject.js"),
};

const parts = [startPreview, startRegion, startRegions, startAnswer, startTeach, startClasses, startGallery, startConfirm, startPhotos, startLogin, startPlaces];
fillPage();
for (const start of parts) start();
for (const [id, load] of Object.entries(CARDS)) $(id).addEventListener("click", () => act(load().then((card) => card.show())));
if (localStorage.getItem(CAMERA_KEY)) act(import("./browser_camera.js")); // it goes on sending
await loginFromLink();
await connect();
setInterval(() => {
  renderPreview(); // the age of the last frame grows
  watch();
}, 1000);
