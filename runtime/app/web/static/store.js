// The state that the device reported, and its listeners. Only messages of the device change it.

const listeners = new Map();

export const store = {
  link: "connecting", // connecting | online | offline | locked
  state: null, // as GET state answers
  user: {}, // as GET user answers: a viewer may look and change nothing
  answers: new Map(), // camera id -> the newest answer
  regionAnswers: new Map(), // "camera id\nname of the region" -> its newest answer
  settled: new Map(), // camera id -> the newest remembered answer that equals the smoothed one
  place: "live", // live | review | things | actions
  camera: null, // id of the one that is shown
};

export function on(name, listener) {
  if (!listeners.has(name)) listeners.set(name, []);
  listeners.get(name).push(listener);
}

export function emit(name, value) {
  for (const listener of listeners.get(name) ?? []) listener(value);
}

export const shown = () => store.state?.cameras.find((camera) => camera.id === store.camera) ?? null;
export const answer = () => store.answers.get(store.camera) ?? null;
/** The smoothed answer as one state: { certainty, name }. The name is null for unknown. */
export const stateOf = ({ stable, suggestion }) =>
  stable ? { certainty: "sure", name: stable } : suggestion ? { certainty: "maybe", name: suggestion } : { certainty: "unknown", name: null };

/** Whether the figures of an answer's own frame agree with its smoothed state. */
export const agrees = (each) => {
  const { certainty, name } = stateOf(each);
  const own = each.certainty ?? (each.label ? "sure" : "unknown");
  return own === certainty && (certainty === "unknown" || each.candidate === name);
};
export const settled = () => store.settled.get(store.camera) ?? null;
export const labels = () => store.state?.classes.map((each) => each.label) ?? [];
export const writable = () => Boolean(store.state?.gallery.writable) && !store.state.gallery.mismatch && store.link === "online" && !viewing();
export const viewing = () => store.user.role === "viewer";

export function show(id) {
  store.camera = id;
  history.replaceState(null, "", id === store.state.cameras[0]?.id ? location.pathname : `#camera=${encodeURIComponent(id)}`);
  emit("shown", id);
}
