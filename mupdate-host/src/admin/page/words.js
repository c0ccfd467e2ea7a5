"use strict";
// How things are said: as mupdatectl says them.

// Characters that are not seen, or that change the direction of what is beside them.
const MISLEADING = /[\p{Cc}\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/gu;

const strict = new TextDecoder("utf-8", { fatal: true });

function escaped(string) {
  const known = { "\t": "\\t", "\n": "\\n", "\r": "\\r" };
  const escape = (char) => known[char] ?? `\\u{${char.codePointAt(0).toString(16)}}`;
  return string.replaceAll("\\", "\\\\").replace(MISLEADING, escape);
}

// Octets of the wire: a string where they are UTF-8, and {base64} where not. What would mislead is escaped.
function shown(text) {
  if (text === undefined) return "-";
  if (typeof text === "string") return escaped(text);
  const octets = Uint8Array.from(atob(text.base64), (char) => char.charCodeAt(0));
  let out = "";
  for (let at = 0; at < octets.length;) {
    let length = 0;
    for (const tried of [1, 2, 3, 4]) {
      if (at + tried > octets.length) break;
      try {
        out += escaped(strict.decode(octets.subarray(at, at + tried)));
        length = tried;
        break;
      } catch { /* not a character yet */ }
    }
    if (length === 0) out += `\\x${octets[at].toString(16).padStart(2, "0")}`;
    at += length || 1;
  }
  return out;
}

// What others have said, in one line.
const oneLine = (text) => text.trim().replace(MISLEADING, " ");

const count = (number) => number.toLocaleString("en");

// So many things: `1 name`, `2 echoes`, `2 mailboxes`.
function number(many, word) {
  const plural = many === 1 ? "" : /[ox]$/.test(word) ? "es" : "s";
  return `${count(many)} ${word}${plural}`;
}

// A span in its two largest units.
function lasting(ms) {
  const s = Math.floor(ms / 1000);
  const two = (a, unit, c, smaller) => (c === 0 ? `${a}${unit}` : `${a}${unit} ${c}${smaller}`);
  if (s < 1) return `${Math.max(0, Math.round(ms))}ms`;
  if (s < 60) return `${s}s`;
  if (s < 3600) return two(Math.floor(s / 60), "m", s % 60, "s");
  if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor(s / 60) % 60, "m");
  return two(Math.floor(s / 86400), "d", Math.floor(s / 3600) % 24, "h");
}

function octets(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  for (; number >= 1024 && unit + 1 < units.length; unit += 1) number /= 1024;
  return `${unit === 0 ? number : number.toFixed(number < 10 ? 2 : 1)} ${units[unit]}`;
}

const two = (number) => String(number).padStart(2, "0");

// A time of day; with its date, if that is not today's.
function clock(ms, seconds = true) {
  const at = new Date(ms);
  const time = `${two(at.getHours())}:${two(at.getMinutes())}${seconds ? `:${two(at.getSeconds())}` : ""}`;
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return new Date().toDateString() === at.toDateString() ? time : `${date} ${time}`;
}

// The daemon's clock, as far as the last event has told.
let ahead = 0;
const now = () => Date.now() + ahead;
const ago = (ms) => Math.max(0, now() - ms);

// An element. Whatever others have chosen becomes text, and never markup.
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

const name = (text) => h("span", { class: "name" }, shown(text));
const who = (user, peer) =>
  [h("span", { class: "name" }, oneLine(user)), " ", h("span", { class: "peer" }, oneLine(peer))];

// How long ago that was; it goes on counting.
function age(ms, words = " ago") {
  const datetime = new Date(ms).toISOString();
  const element = h("time", { "data-ms": ms, "data-words": words, datetime, title: clock(ms) });
  tick(element);
  return element;
}

function tick(element) {
  // Under a second nothing is worth a flicker.
  const seconds = Math.max(1000, Math.floor(ago(Number(element.dataset.ms)) / 1000) * 1000);
  const text = lasting(seconds) + element.dataset.words;
  if (element.textContent !== text) element.textContent = text;
}
