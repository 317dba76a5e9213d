// The words of the page in the language of the browser, from one dictionary for each language.

const FILES = { en: "./en.json", zh: "./zh.json" };
const LANGS = { en: "en", zh: "zh-Hans" };
const ATTRIBUTES = ["aria-label", "title", "placeholder", "alt"];

const language = navigator.languages.map((each) => each.slice(0, 2).toLowerCase()).find((each) => each in FILES) ?? "en";
export const locale = navigator.languages.find((each) => each.toLowerCase().startsWith(language)) ?? language;
const words = await (await fetch(new URL(FILES[language], import.meta.url))).json();
const plurals = new Intl.PluralRules(locale);

/** A number as the language writes it, with a fixed number of decimals if that is given. */
export const number = (value, decimals) =>
  value.toLocaleString(locale, decimals == null ? {} : { minimumFractionDigits: decimals, maximumFractionDigits: decimals });

/** The words of a key. `{name}` is replaced by a value; a key with several forms is chosen by the value `n`. */
export function t(key, values = {}) {
  const forms = words[key];
  if (forms === undefined) throw new Error(`The dictionary must have the key ${key}, but it has not.`);
  return filled(typeof forms === "string" ? forms : forms[plurals.select(values.n)] ?? forms.other, values);
}

const filled = (text, values) =>
  text.replace(/\{(\w+)\}/g, (_, name) => (typeof values[name] === "number" ? number(values[name]) : values[name]));

/** Write the words into the elements of the page that name their keys. */
export function fillPage() {
  document.documentElement.lang = LANGS[language];
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const name of ATTRIBUTES) {
    for (const node of document.querySelectorAll(`[data-t-${name}]`)) node.setAttribute(name, t(node.getAttribute(`data-t-${name}`)));
  }
}

const known = new Map(); // what the device said -> the same in this language
let sentences = null;

/** What the device says in English, in this language if the dictionary has the sentence. */
export function said(text) {
  if (!text || !words.device) return text ?? "";
  sentences ??= Object.entries(words.device).map(([english, own]) => ({ own, ...pattern(english) }));
  if (!known.has(text)) {
    if (known.size > 500) known.clear();
    known.set(text, translated(text));
  }
  return known.get(text);
}

function translated(text) {
  for (const { own, names, expression } of sentences) {
    const found = expression.exec(text);
    if (found) return filled(own, Object.fromEntries(names.map((name, i) => [name, said(found[i + 1])])));
  }
  return text;
}

/** A sentence with {names} as an expression that finds their values. */
function pattern(english) {
  const names = [...english.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const escaped = english.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\w+\}/g, "(.+?)");
  return { names, expression: new RegExp(`^${escaped}$`, "s") };
}
