// The page: link.js writes the state into the store, and every part draws what it shows of it.

import { startAbout } from "./about.js";
import { startActions } from "./actions.js";
import { startAnswer } from "./answer.js";
import { startBrowserCamera } from "./browser_camera.js";
import { startCards } from "./cards.js";
import { startClasses } from "./classes.js";
import { startConfirm } from "./confirm.js";
import { startGallery } from "./gallery.js";
import { startInbox } from "./inbox.js";
import { connect, watch } from "./link.js";
import { loginFromLink, startLogin } from "./login.js";
import { startPhotos } from "./photos.js";
import { startPlaces } from "./places.js";
import { render as renderPreview, startPreview } from "./preview.js";
import { startRegion } from "./region.js";
import { startReject } from "./reject.js";
import { startSources } from "./sources.js";
import { startReview } from "./review.js";
import { startTeach } from "./teach.js";
import { startThings } from "./things.js";
import { startWhy } from "./why.js";

const parts = [startPreview, startRegion, startAnswer, startTeach, startClasses, startInbox, startGallery, startCards, startWhy, startConfirm, startReject, startAbout, startSources, startPhotos, startBrowserCamera, startLogin, startReview, startThings, startActions, startPlaces];
for (const start of parts) start();
await loginFromLink();
await connect();
setInterval(() => {
  renderPreview(); // the age of the last frame grows
  watch();
}, 1000);
