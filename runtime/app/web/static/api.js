// Requests to the device, by its public HTTP API.

import { said, t } from "./words.js";

export const BASE = "api/v1/";
export const CAMERA_KEY = "edgefs camera"; // where this browser stores the id of its camera on this device

export class ApiError extends Error {
  constructor(message, type, status) {
    super(message);
    this.type = type;
    this.status = status; // 0: no response
  }
}

/**
 * Send a request. body: an object to send as JSON, a form, or a File, which is a picture or an archive.
 * Resolves to the JSON of the response, or to null when it has none. Rejects with ApiError.
 */
export async function call(method, path, body, { timeout_s = 30, keepalive = false } = {}) {
  const headers = {};
  if (body instanceof Blob) {
    headers["Content-Type"] = body.type.startsWith("image/") ? body.type : "application/zip"; // systems name archives differently
  } else if (body !== undefined && !(body instanceof FormData)) {
    headers["Content-Type"] = "application/json";
    body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(BASE + path, {
      method, headers, body, keepalive, credentials: "same-origin", cache: "no-store",
      signal: AbortSignal.timeout(timeout_s * 1000),
    });
  } catch {
    throw new ApiError(t("offline"), "Offline", 0);
  }
  const json = (response.headers.get("content-type") ?? "").includes("json");
  const answer = json ? await response.json().catch(() => null) : null;
  if (response.ok) return answer;
  const error = answer?.error ?? {};
  throw new ApiError(error.message ? said(error.message) : t("answered", { status: String(response.status) }), error.type ?? "Error", response.status);
}

export const query = (values) => new URLSearchParams(values).toString();
export const shotCrop = (id) => `${BASE}shots/${encodeURIComponent(id)}/crop`;
export const answerCrop = (id) => `${BASE}answers/${encodeURIComponent(id)}/crop`;
export const strangerCrop = (id) => `${BASE}inbox/${encodeURIComponent(id)}/crop`;
export const camera = (id) => `cameras/${encodeURIComponent(id)}`;
