// Staying in touch with the device: the state once, then its events; when it is gone, trying again, ever more slowly.

import { BASE, call } from "./api.js";
import { emit, show, store } from "./store.js";

const SILENCE_S = 10; // after this long without a word, ask whether it is still there
const MAX_WAIT_S = 8;

let socket = null;
let tries = 0;
let timer = 0;
let heard = 0;

export async function connect() {
  clearTimeout(timer);
  try {
    take(await call("GET", "state", undefined, { timeout_s: 5 }));
    listen();
  } catch (error) {
    if (error.status === 401) become("locked");
    else retry();
  }
}

function listen() {
  const url = new URL(`${BASE}events`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  socket?.close();
  const mine = (socket = new WebSocket(url));
  mine.onopen = () => {
    tries = 0;
    heard = performance.now();
    become("online");
  };
  mine.onmessage = ({ data }) => {
    if (mine !== socket) return;
    heard = performance.now();
    receive(JSON.parse(data));
  };
  mine.onclose = () => {
    if (mine === socket) retry();
  };
}

function receive(message) {
  if (message.type === "hello" || message.type === "state") take(message.state ?? message);
  else if (message.type === "camera") replaceCamera(message.camera?.id ? message.camera : message);
  else if (message.type === "answer") {
    store.answers.set(message.camera, message);
    if (message.id != null && message.label === message.stable) store.settled.set(message.camera, message);
  }
  emit(message.type, message);
}

function take(state) {
  store.state = state;
  const ids = state.cameras.map((camera) => camera.id);
  for (const camera of state.cameras) camera.since = performance.now();
  if (!ids.includes(store.camera)) {
    const wanted = new URLSearchParams(location.hash.slice(1)).get("camera");
    show(ids.includes(wanted) ? wanted : (ids[0] ?? null));
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
  if (tries > 1 || store.link !== "online") become("offline");
  else become("connecting");
}

function become(link) {
  if (store.link === link && link !== "locked") return;
  store.link = link;
  emit("link");
}

/** Look whether a silent device is still there; call it once a second. */
export function watch() {
  if (store.link !== "online" || performance.now() - heard < SILENCE_S * 1000) return;
  heard = performance.now();
  call("GET", "state", undefined, { timeout_s: 5 }).then(take, () => {
    socket?.close();
    retry();
  });
}
