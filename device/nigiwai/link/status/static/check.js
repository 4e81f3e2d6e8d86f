// SPDX-License-Identifier: Apache-2.0
// The accuracy check: staff tap who passes, the device compares. A tap carries its age, so a slow network costs nothing.

import { by, make, polled } from "./common.js";
import { act, done, problem, read, say } from "./staff.js";

const EVERY_MS = 2_000;
const BOUNCE_MS = 120;
let taps = 0;
let mine = [];
let lastMs = 0;
let wasRunning = false;
const waiting = [];
let sending = false;

export const { open, close } = polled(refresh, EVERY_MS);

async function refresh() {
  const standing = await read("check");
  if (!standing.error) show(standing);
}

function show(standing) {
  const running = standing.running;
  by("check-start").hidden = running !== null;
  by("check-running").hidden = running === null;
  by("check-need").textContent = standing.fewest === null ? "" : say("check-need", { n: standing.fewest, limit: standing.limit });
  if (standing.lost && wasRunning) problem({ error: "check_lost" });
  if (running !== null) {
    const left = running.left_s;
    by("check-left").textContent = running.ending ? say("ending") : `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    if (running.so_far) showResult(running.so_far, true);
    else by("check-result").hidden = true;
  } else if (standing.last) {
    showResult(standing.last, false);
  }
  if (wasRunning && running === null && !standing.lost) done(say("check-done"));
  wasRunning = running !== null;
}

function showResult(result, soFar) {
  by("check-result").hidden = false;
  const state = { pass: "ok", fail: "bad", open: "unknown" }[result.verdict];
  by("check-verdict").dataset.state = state;
  const at = soFar ? say("so-far") : result.at.slice(0, 16).replace("T", " ");
  by("check-verdict-text").textContent = `${at} ${say(`verdict-${result.verdict}`, { limit: result.limit, n: result.needed ?? "2,000+" })}`;
  by("check-rows").replaceChildren(...["entered", "left", "both"].map((way) => row(say(way), ["taps", "counted", "missed", "false"].map((k) => result[way][k]))));
  const e = result.error;
  const sign = (n) => (n > 0 ? "+" : "") + n.toFixed(1);
  by("check-error").textContent = result.both.taps === 0 ? say("no-taps") : say("check-error", { error: sign(e.percent), low: sign(e.low), high: sign(e.high) });
  by("check-shrinking").replaceChildren(...result.shrinking.map(([n, width]) => row(String(n), [`±${width.toFixed(1)} %`])));
}

function row(name, cells) {
  return make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((c) => make("td", {}, String(c))));
}

function tap(direction) {
  const nowMs = performance.now();
  if (nowMs - lastMs < BOUNCE_MS) return; // a finger that bounced, not a second person
  lastMs = nowMs;
  taps += 1;
  mine.push(taps);
  waiting.push({ atMs: nowMs, deed: { what: "tap", tap: taps, direction, child: by("child").checked } });
  by("child").checked = false;
  by("tapped").textContent = say("tapped", { n: mine.length });
  navigator.vibrate?.(30);
  send();
}

// In order, and again until each has arrived.
async function send() {
  if (sending) return;
  sending = true;
  while (waiting.length) {
    const { atMs, deed } = waiting[0];
    const age = Math.min(60_000, Math.round(performance.now() - atMs));
    const answer = await act(deed.what === "tap" ? { ...deed, age_ms: age } : deed);
    if (["away", "busy"].includes(answer.error)) await new Promise((go) => setTimeout(go, 1_000));
    else waiting.shift();
  }
  sending = false;
}

by("start-check").addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(event.target);
  const standing = await act({ what: "start_check", gate: data.get("gate"), minutes: Number(data.get("minutes")) });
  if (standing.error) return;
  taps = 0;
  mine = [];
  by("tapped").textContent = say("tapped", { n: 0 });
  show(standing);
  by("tap-in").focus();
});
by("tap-in").addEventListener("click", () => tap("in"));
by("tap-out").addEventListener("click", () => tap("out"));
by("take-back").addEventListener("click", () => {
  const last = mine.pop();
  if (last === undefined) return;
  waiting.push({ atMs: performance.now(), deed: { what: "take_back", tap: last } });
  by("tapped").textContent = say("tapped", { n: mine.length });
  send();
});
by("end-check").addEventListener("click", async () => {
  const standing = await act({ what: "end_check" });
  if (!standing.error) show(standing);
});
