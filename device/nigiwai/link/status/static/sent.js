// SPDX-License-Identifier: Apache-2.0
// The messages this device sent last, to the letter, and what each field of them means.

import { ask, by, facts, label, make, newestOf, onReturn, place, speaker } from "./common.js";
import { words as common } from "./words.js";
import { fields, words as own } from "./words-sent.js";

const EVERY_MS = 5_000;
const say = speaker({ ja: { ...common.ja, ...own.ja }, en: { ...common.en, ...own.en } });
const explain = speaker(fields);
const ORDER = ["totals", "closing", "counts", "traits", "zones", "info", "health", "availability", "alert", "response", "nbirth", "ndata", "ndeath", "homeassistant"];
const newest = newestOf(() => ask("/api/sent"));
let shown = "";

// The kind of a message, and what is left of its topic: our own tree, Sparkplug's, Home Assistant's.
function kindOf(topic) {
  const parts = topic.split("/");
  if (parts[0] === "spBv1.0") return [parts[2].toLowerCase(), parts[2]];
  if (parts[0] === "homeassistant") return [parts[0], parts[0]];
  return [parts[4] ?? topic, parts.slice(4).join("/")];
}

// The numbers first, then what goes with them.
function rank(message) {
  const at = ORDER.indexOf(kindOf(message.topic)[0]);
  return at < 0 ? ORDER.length : at;
}

// A word may mean another thing in Home Assistant's or Sparkplug's messages than in ours.
function meaning(kind, key) {
  const family = { nbirth: "sparkplug", ndata: "sparkplug", ndeath: "sparkplug" }[kind] ?? kind;
  const own = explain(`${family}.${key}`);
  return own === `${family}.${key}` ? explain(key) : own;
}

function block(message) {
  const [kind, leaf] = kindOf(message.topic);
  const section = make("section", {}, make("h2", {}, `${say(`kind-${kind}`)} (${leaf})`));
  section.append(make("p", {}, say(`kind-${kind}-text`)));
  section.append(make("p", { class: "note" }, make("code", {}, message.topic)), make("pre", { tabindex: "0", "aria-label": say("exact") }, message.payload || say("empty")));
  if (message.bytes) section.append(make("details", {}, make("summary", {}, say("bytes")), make("pre", { tabindex: "0", "aria-label": say("bytes") }, message.bytes)));
  const list = make("dl", { class: "facts" });
  facts(list, keysOf(message.payload).map((key) => [make("code", {}, key), meaning(kind, key)]));
  if (list.childNodes.length) section.append(make("details", {}, make("summary", {}, say("explained")), list));
  return section;
}

// The keys of the message in their order; names of gates are not keys of the contract.
function keysOf(payload) {
  const found = new Set();
  const walk = (value, parent) => {
    if (Array.isArray(value)) return value.forEach((item) => walk(item, parent));
    if (value === null || typeof value !== "object") return;
    for (const [key, inner] of Object.entries(value)) {
      if (!["gates", "today", "total", "components"].includes(parent)) found.add(key);
      walk(inner, key);
    }
  };
  try {
    walk(JSON.parse(payload), "");
  } catch {
    return [];
  }
  return [...found];
}

async function show() {
  const sent = await newest();
  if (sent === null) return;
  by("stale").hidden = Array.isArray(sent);
  if (!Array.isArray(sent)) return;
  sent.sort((a, b) => rank(a) - rank(b));
  const text = JSON.stringify(sent);
  if (text === shown || document.querySelector("#messages details[open]")) return;
  shown = text;
  by("none").hidden = sent.length > 0;
  by("messages").replaceChildren(...sent.map(block));
}

label(say);
place();
document.title = say("sent-title");
await show();
setInterval(show, EVERY_MS);
onReturn(show);
