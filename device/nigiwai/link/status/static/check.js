// SPDX-License-Identifier: Apache-2.0
// The accuracy check: staff tap who passes, the device compares. A tap carries its age, so a slow network costs nothing.

import { by, make, polled } from "./common.js";
import { act, done, inOrder, problem, say } from "./staff.js";

const EVERY_MS = 2_000;
const BOUNCE_MS = 120;
const KEPT = "nigiwai-taps";
// What this phone tapped; kept over a reload, so that neither a tap nor the way to take it back is lost.
let sheet = fresh(0);
let lastMs = 0;
let wasRunning = false;
let endsMs = 0;
let sending = false;

const order = inOrder("check");
const polling = polled(refresh, EVERY_MS);
export const { open } = polling;
setInterval(showLeft, 250);
export function close() {
  polling.close();
}

function fresh(number) {
  return { number, id: Math.floor(Math.random() * 2 ** 31), taps: 0, mine: [], waiting: [] };
}

function nowMs() {
  return performance.timeOrigin + performance.now();
}

function keep() {
  sessionStorage.setItem(KEPT, JSON.stringify(sheet));
  const unsent = sheet.waiting.filter((w) => w.deed.what === "tap").length;
  by("tapped").textContent = say("tapped", { n: sheet.mine.length }) + (unsent > 1 ? say("unsent", { n: unsent }) : "");
}

// Goes on with what was tapped before this page was loaded, if it is the same check.
function adopt(number) {
  if (sheet.number === number) return;
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sheet = kept?.number === number ? kept : fresh(number);
  keep();
  send();
}

async function refresh() {
  const standing = await order.read();
  if (!standing.error) show(standing);
}

async function turn(deed) {
  const standing = await order.act(deed);
  if (!standing.error) show(standing);
  return standing;
}

function show(standing) {
  const running = standing.running;
  by("check-start").hidden = running !== null;
  by("check-running").hidden = running === null;
  by("check-need").textContent = standing.fewest === null ? "" : say("check-need", { n: standing.fewest, limit: standing.limit });
  by("check-audit").textContent = say("check-audit", standing.audited);
  if (standing.lost && wasRunning) problem({ error: "check_lost" });
  if (running !== null) {
    adopt(running.number);
    send();
    endsMs = running.ending ? 0 : nowMs() + running.left_s * 1_000;
    showLeft();
    if (running.so_far) showResult(running.so_far, true);
    else by("check-result").hidden = true;
  } else if (standing.last) {
    showResult(standing.last, false);
  }
  if (wasRunning && running === null && !standing.lost) done(say("check-done"));
  wasRunning = running !== null;
}

function showLeft() {
  const left = Math.max(0, Math.round((endsMs - nowMs()) / 1_000));
  const text = endsMs === 0 ? say("ending") : `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  if (by("check-left").textContent !== text) by("check-left").textContent = text;
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
  const atMs = nowMs();
  if (atMs - lastMs < BOUNCE_MS) return; // a finger that bounced, not a second person
  lastMs = atMs;
  sheet.taps += 1;
  sheet.mine.push(sheet.taps);
  sheet.waiting.push({ atMs, deed: { what: "tap", sheet: sheet.id, tap: sheet.taps, direction, child: by("child").checked } });
  by("child").checked = false;
  keep();
  navigator.vibrate?.(30);
  send();
}

// In order, and again until each has arrived.
async function send() {
  if (sending) return;
  sending = true;
  while (sheet.waiting.length) {
    const { atMs, deed } = sheet.waiting[0];
    const age = Math.max(0, Math.min(900_000, Math.round(nowMs() - atMs)));
    const end = deed.what === "end_check";
    const answer = await (end ? order.act(deed) : act(deed.what === "tap" ? { ...deed, age_ms: age } : deed));
    if (["signed_out", "csrf"].includes(answer.error)) break; // goes on after the PIN
    if (["away", "busy"].includes(answer.error)) await new Promise((go) => setTimeout(go, 1_000));
    else sheet.waiting.shift();
    keep();
    if (end && !answer.error) show(answer);
  }
  sending = false;
}

by("start-check").addEventListener("submit", async (event) => {
  event.preventDefault();
  const data = new FormData(event.target);
  const standing = await turn({ what: "start_check", gate: data.get("gate"), minutes: Number(data.get("minutes")) });
  if (!standing.error) by("tap-in").focus();
});
by("tap-in").addEventListener("click", () => tap("in"));
by("tap-out").addEventListener("click", () => tap("out"));
by("take-back").addEventListener("click", () => {
  const last = sheet.mine.pop();
  if (last === undefined) return;
  sheet.waiting.push({ atMs: nowMs(), deed: { what: "take_back", sheet: sheet.id, tap: last } });
  keep();
  send();
});
// Behind what was tapped and has not arrived yet: the device takes none once the check is over.
by("end-check").addEventListener("click", () => {
  if (sheet.waiting.some((w) => w.deed.what === "end_check")) return;
  sheet.waiting.push({ atMs: nowMs(), deed: { what: "end_check" } });
  keep();
  send();
});
