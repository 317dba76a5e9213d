// The only door to the device: its public HTTP API.

export const BASE = "api/v1/";

export class ApiError extends Error {
  constructor(message, type, status) {
    super(message);
    this.type = type;
    this.status = status; // 0: no answer at all
  }
}

/** Call the API. body: a JSON-able object, or a File, which is an archive. Resolves to the JSON of the answer, or null when it has none. */
export async function call(method, path, body, { timeout_s = 30, keepalive = false } = {}) {
  const headers = {};
  if (body instanceof Blob) {
    headers["Content-Type"] = "application/zip"; // systems have other names for it
  } else if (body !== undefined) {
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
    throw new ApiError("The device does not answer.", "Offline", 0);
  }
  const json = (response.headers.get("content-type") ?? "").includes("json");
  const answer = json ? await response.json().catch(() => null) : null;
  if (response.ok) return answer;
  const error = answer?.error ?? {};
  throw new ApiError(error.message ?? `The device answered ${response.status}.`, error.type ?? "Error", response.status);
}

export const query = (values) => new URLSearchParams(values).toString();
export const shotCrop = (id) => `${BASE}shots/${encodeURIComponent(id)}/crop`;
export const answerCrop = (id) => `${BASE}answers/${encodeURIComponent(id)}/crop`;
export const strangerCrop = (id) => `${BASE}inbox/${encodeURIComponent(id)}/crop`;
export const camera = (id) => `cameras/${encodeURIComponent(id)}`;
