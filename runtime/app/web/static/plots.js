// Small bar charts of visits by hour, drawn as SVG without a library.

import { el, span } from "./dom.js";
import { locale, t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 40;
const MOST = 6; // classes that are drawn

function shape(tag, props, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(props)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** Draw one row for each class: hours as GET visits/statistics answers, for the last `count` hours. */
export function plots(hours, count) {
  const first = Math.floor(Date.now() / 3600_000) - count + 1;
  const rows = new Map();
  for (const { begin_s, label, visits, seconds } of hours) {
    const place = Math.round(begin_s / 3600) - first;
    if (place < 0 || place >= count) continue;
    if (!rows.has(label)) rows.set(label, { label, bars: new Map(), visits: 0, seconds: 0 });
    const row = rows.get(label);
    row.bars.set(place, visits);
    row.visits += visits;
    row.seconds += seconds;
  }
  const shown = [...rows.values()].sort((a, b) => b.visits - a.visits).slice(0, MOST);
  const most = Math.max(1, ...shown.flatMap((row) => [...row.bars.values()]));
  return [...shown.map((row) => drawn(row, first, count, most)), shown.length ? scale(first, count) : null].filter(Boolean);
}

function drawn({ label, bars, visits, seconds }, first, count, most) {
  const name = label ?? t("unknown");
  const said = t("plot.said", { name, visits: t("visits", { n: visits }), span: span(seconds) });
  const rects = [...bars].map(([place, n]) => {
    const height = Math.max(2, (n / most) * HEIGHT);
    const rect = shape("rect", { x: place + 0.1, y: HEIGHT - height, width: 0.8, height });
    rect.append(shape("title", {}));
    rect.firstChild.textContent = `${clock(first + place)}: ${t("visits", { n })}`;
    return rect;
  });
  return el("div", { class: `plot${label == null ? " unknown" : ""}` },
    el("b", { title: name }, name),
    shape("svg", { viewBox: `0 0 ${count} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": said }, ...rects),
    el("span", { class: "soft" }, t("visits", { n: visits })));
}

function scale(first, count) {
  const ticks = [0, 0.25, 0.5, 0.75].map((part) => el("span", {}, clock(first + Math.round(part * count), count > 24)));
  return el("div", { class: "plot scale soft", "aria-hidden": "true" }, el("b"), el("div", {}, ...ticks), el("span"));
}

const clock = (hour, day = false) =>
  new Date(hour * 3600_000).toLocaleString(locale, day ? { weekday: "short", hour: "numeric" } : { hour: "numeric" });
