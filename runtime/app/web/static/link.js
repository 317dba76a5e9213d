// The connection to the device: the state once, then its events. After a loss it is tried again, each time later.

import { BASE, call } from "./api.js";
import { agrees, emit, show, store } from "./store.js";

const SILENCE_S = 10; // after this long without a message, ask whether the device is still there
const MAX_WAIT_S = 8;

let socket = null;
let tries = 0;
let timer = 0;
let heardAt = 0; // when the last message came

export async function connect() {
  clearTimeout(timer);
  try {
    const [state, user] = await Promise.all(["state", "user"].map((path) => call("GET", path, undefined, { timeout_s: 5 })));
    store.user = user;
    document.documentElement.dataset.role = user.role; // the style sheet hides what a viewer cannot do
    setState(state);
    listen();
  } catch (error) {
    if (error.status === 401) setLink("locked");
    else retry();
  }
}

function listen() {
  const url = new URL(`${BASE}events`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket?.close();
  const opened = (socket = new WebSocket(url));
  opened.onopen = () => {
    tries = 0;
    heardAt = performance.now();
    setLink("online");
  };
  opened.onmessage = ({ data }) => {
    if (opened !== socket) return;
    heardAt = performance.now();
    receive(JSON.parse(data));
  };
  opened.onclose = () => {
    if (opened === socket) retry();
  };
}

function receive(message) {
  if (message.type === "hello" || message.type === "state") setState(message.state ?? message);
  else if (message.type === "camera") replaceCamera(message.camera?.id ? message.camera : message);
  else if (message.type === "answer") {
    store.answers.set(message.camera, message);
    if (message.id != null && agrees(message)) store.settled.set(message.camera, message);
  }
  if (message.type === "region") store.regionAnswers.set(`${message.camera}\n${message.region}`, message);
  emit(message.type, message);
}

function setState(state) {
  store.state = state;
  const ids = state.cameras.map((camera) => camera.id);
  for (const camera of state.cameras) camera.since = performance.now();
  if (!ids.includes(store.camera)) {
    const wanted = new URLSearchParams(location.hash.slice(1)).get("camera");
    const usable = state.cameras.find((camera) => camera.state !== "missing" && camera.state !== "ended") ?? state.cameras[0];
    show(ids.includes(wanted) ? wanted : (usable?.id ?? null));
  }
  emit("changed", state);
}

function replaceCamera(camera) {
  const cameras = store.state?.cameras ?? [];
  const index = cameras.findIndex((each) => each.id === camera.id);
  if (index < 0) return;
  cameras[index] = { ...cameras[index], ...camera, since: performance.now() };
  emit("changed", store.state);
}

function retry() {
  socket = null;
  clearTimeout(timer);
  const wait_s = Math.min(MAX_WAIT_S, 2 ** tries++ / 2);
  timer = setTimeout(connect, wait_s * 1000);
  if (tries > 1 || store.link !== "online") setLink("offline");
  else setLink("connecting");
}

function setLink(link) {
  if (store.link === link && link !== "locked") return;
  store.link = link;
  emit("link");
}

/** Ask for the state when no message has come for a while. Call it once a second. */
export function watch() {
  if (store.link !== "online" || performance.now() - heardAt < SILENCE_S * 1000) return;
  heardAt = performance.now();
  call("GET", "state", undefined, { timeout_s: 5 }).then(setState, () => {
    socket?.close();
    retry();
  });
}
