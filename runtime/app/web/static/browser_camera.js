// The camera of this browser as a source of the device: JPEGs over a WebSocket, each sent when the device asks for it.

import { BASE, CAMERA_KEY, call, camera as route } from "./api.js";
import { on, store } from "./store.js";
import { t } from "./words.js";

const WIDTH = 960; // pixels of what is sent
const QUALITY = 0.8;
const AGAIN_MS = 1000;

let video = null;
let socket = null;
let mine = null; // the id of its source
let known = false; // whether the device has listed it

export const canUseCamera = () => window.isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia);

/** Go on sending when the page is opened again, and end when the source is removed. */
function follow() {
  if (mine) {
    known ||= listed(mine);
    if (video && known && !listed(mine)) stop();
    return;
  }
  const id = remembered();
  if (!id || !canUseCamera()) return;
  mine = id;
  start().catch(() => (mine = null)); // without permission it stays as it is until it is chosen again
}

const listed = (id) => store.state?.cameras.some((each) => each.id === id);

function remembered() {
  const id = localStorage.getItem(CAMERA_KEY);
  return id && listed(id) ? id : null;
}

/** Ask for permission and send this browser's camera; resolves to the id of the source. */
export async function offerCamera() {
  await start();
  mine = remembered() ?? (await call("POST", "cameras", { what: "browser", name: nameOfBrowser() })).id;
  localStorage.setItem(CAMERA_KEY, mine);
  connect();
  return mine;
}

const nameOfBrowser = () => t("own.name", { system: /iPhone|iPad|Android|Macintosh|Windows|Linux/.exec(navigator.userAgent)?.[0] ?? t("own.browser") });

async function start() {
  if (video) return;
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 1280 } }, audio: false });
  } catch (error) {
    throw new Error(error.name === "NotAllowedError" ? t("own.denied") : t("own.none"));
  }
  const element = document.createElement("video");
  Object.assign(element, { muted: true, playsInline: true, srcObject: stream });
  await element.play();
  video = element;
  if (mine) connect();
}

function stop() {
  for (const track of video.srcObject.getTracks()) track.stop();
  [video, mine, known] = [null, null, false];
  localStorage.removeItem(CAMERA_KEY);
  socket?.close();
}

function connect() {
  const url = new URL(`${BASE}${route(mine)}/frames`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const opened = (socket = new WebSocket(url));
  opened.onmessage = () => nextFrame(() => send(opened)); // the device asks for one picture at a time
  opened.onclose = () => setTimeout(() => video && opened === socket && connect(), AGAIN_MS);
}

const nextFrame = (run) => (video?.requestVideoFrameCallback ? video.requestVideoFrameCallback(run) : setTimeout(run, 40));
const canvas = document.createElement("canvas");

function send(to) {
  if (!video || to.readyState !== WebSocket.OPEN) return;
  const scale = Math.min(1, WIDTH / video.videoWidth);
  const [width, height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(video, 0, 0, width, height);
  canvas.toBlob((jpeg) => jpeg && to.readyState === WebSocket.OPEN && to.send(jpeg), "image/jpeg", QUALITY);
}

on("changed", follow);
if (store.state) follow();
