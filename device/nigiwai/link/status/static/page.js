// SPDX-License-Identifier: Apache-2.0
// Shows what /api/events sends. Reconnects by itself and says when what it shows is old.

import { by, facts, label, language, make, marked, number, speaker } from "./common.js";
import { words } from "./words.js";

const STALE_MS = 20_000;
const CHECK_MS = 6_000;
const ORDER = { bad: 0, warn: 1, unknown: 2, ok: 3 };
const say = speaker(words);
const painted = new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));

let seen = JSON.parse(by("first").textContent);
let heardMs = Date.now();
let source = null;

function show() {
  by("site").textContent = seen.site;
  by("device").textContent = seen.device;
  document.title = `${number.format(seen.inside)} – ${seen.site} / ${seen.device}`;
  by("inside").textContent = number.format(seen.inside);
  by("entered").textContent = number.format(seen.in);
  by("left").textContent = number.format(seen.out);
  showGates();
  showQuarters();
  showLights();
  showVerdict();
  showTroubles();
  showRange();
  showDetails();
  by("updated").textContent = say("updated", { time: `${seen.day} ${seen.at.slice(11, 19)}` });
}

function showRange() {
  by("range").textContent = seen.inside_low === null ? say("range-unknown")
    : say("range", { low: number.format(seen.inside_low), high: number.format(seen.inside_high) });
}

function showDetails() {
  const unknown = say("unknown");
  facts(by("details"), [
    [say("fps"), seen.fps === null ? unknown : say("fps-value", { n: seen.fps.toFixed(1) })],
    [say("queue"), say("records", { n: number.format(seen.queue) })],
    [say("disk"), seen.disk_free_mib === null ? unknown : `${number.format(seen.disk_free_mib)} MB`],
    [say("temperature"), seen.temperature_c === null ? unknown : `${seen.temperature_c.toFixed(1)} °C`],
    [say("since"), `${seen.since.slice(0, 16).replace("T", " ")} (${duration(seen.uptime_s)})`],
    [say("accuracy"), seen.check === null ? say("accuracy-none") : checked(seen.check)],
    [say("software"), `Nigiwai ${seen.software}`],
  ]);
}

function checked(check) {
  const error = check.error;
  const sign = (n) => (n > 0 ? "+" : "") + n.toFixed(1);
  return say(`accuracy-${check.verdict}`, { at: check.at.slice(0, 16).replace("T", " "), error: sign(error.percent), low: sign(error.low), high: sign(error.high) });
}

function duration(seconds) {
  if (seconds < 3600) return say("minutes", { n: Math.floor(seconds / 60) });
  if (seconds < 172_800) return say("hours", { n: Math.floor(seconds / 3600) });
  return say("days", { n: Math.floor(seconds / 86_400) });
}

function showGates() {
  by("gates-section").hidden = seen.gates.length < 2;
  by("gates").replaceChildren(...seen.gates.map((g) => row(g.name, g.in, g.out)));
}

function showQuarters() {
  by("quarters").replaceChildren(...seen.quarters.map((q) => row(q.start.slice(11, 16), q.in, q.out)));
  const none = seen.quarters.length === 0;
  by("curve-none").hidden = !none;
  by("curve").hidden = none;
  if (!none) showCurve();
}

// After the first view has been painted. Where the chart's library did not arrive, the table is the chart.
async function showCurve() {
  await painted;
  const curve = await import("./curve.js").catch(() => null);
  const shown = curve !== null && (await curve.drawCurve(by("curve"), seen.quarters, seen.at, say("curve-label")));
  by("curve").hidden = !shown;
  if (!shown) by("curve-table").open = true;
}

function row(name, entered, left) {
  const made = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  made.append(head, ...[entered, left].map((n) => {
    const cell = document.createElement("td");
    cell.textContent = number.format(n);
    return cell;
  }));
  return made;
}

function paragraph(text) {
  const made = document.createElement("p");
  made.className = "note";
  made.textContent = text;
  return made;
}

function sentence(light) {
  return light.cause === "none" ? say(`${light.subject}.${light.light}`) : say(light.cause);
}

function showLights() {
  by("lights").replaceChildren(...seen.lights.map((light) => {
    const state = make("span", { class: "state" }, say(light.light));
    return marked(light.light, make("strong", {}, say(light.subject)), state, paragraph(sentence(light)));
  }));
}

// What went wrong with the enrolment or an update, by the codes of the label.
function showTroubles() {
  by("troubles").hidden = seen.troubles.length === 0;
  const codes = seen.troubles.map((trouble) => trouble.code).join();
  if (by("troubles").dataset.codes === codes) return;
  by("troubles").dataset.codes = codes;
  by("troubles").replaceChildren(...seen.troubles.map((trouble) => marked("warn", make("strong", {}, trouble.code), paragraph(trouble[language]))));
}

function showVerdict() {
  const stale = Date.now() - heardMs > STALE_MS;
  if (stale) return verdict("bad", say("stale"));
  if (seen === null) return verdict("unknown", say("waiting"));
  const worst = [...seen.lights].sort((a, b) => ORDER[a.light] - ORDER[b.light])[0];
  if (worst.light === "bad") return verdict("bad", sentence(worst));
  if (worst.light === "warn") return verdict("warn", `${counting() ? say("still-counting") : ""}${sentence(worst)}`);
  return seen.bin_age_s === null ? verdict("unknown", say("waiting")) : verdict("ok", say("good"));
}

function counting() {
  return seen.lights.some((light) => light.subject === "camera" && light.light === "ok");
}

function verdict(state, text) {
  document.body.classList.toggle("stale", Date.now() - heardMs > STALE_MS);
  by("verdict").dataset.state = state;
  if (by("verdict-text").textContent !== text) by("verdict-text").textContent = text;
}

function connect() {
  source?.close();
  source = new EventSource("/api/events");
  source.onmessage = (event) => {
    seen = JSON.parse(event.data);
    heardMs = Date.now();
    show();
  };
}

// A phone that slept, or a browser that gave up (a closed source does not come back by itself).
function check() {
  showVerdict();
  if (source.readyState === EventSource.CLOSED || Date.now() - heardMs > STALE_MS) connect();
}

label(say);
if (seen === null) showVerdict();
else show();
connect();
setInterval(check, CHECK_MS);
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && check());
window.addEventListener("online", connect);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => seen !== null && showQuarters());
window.addEventListener("resize", () => seen !== null && showQuarters());
