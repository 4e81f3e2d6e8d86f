// SPDX-License-Identifier: Apache-2.0
// Aiming without a picture: boxes on an empty floor grid, where feet were seen, gates and zones that are dragged, tried
// and saved, advice.

import { by, make, marked, polled } from "./common.js";
import { drawSeen, drawShapes, emptyFloor, pointsOf, standsIn } from "./floor.js";
import { done, inOrder, problem, say } from "./staff.js";

const EVERY_MS = 500;
const STEP = 0.01;
const MOST = 8;
let version = -1; // of what is shown; nothing yet
let shapes = { gates: [], zones: [] };
let saved = "";
let before = [];
let dragging = null;
let latest = { on: false, people: [], coverage: "", advice: [], tried: null, gauge: null };
let outcome = "";
const drawn = {};
let trying = false;

const order = inOrder("aim");
export const { open, close } = polled(refresh, EVERY_MS);

async function refresh() {
  const seen = await order.read();
  if (!seen.error) show(seen);
}

function show(seen) {
  latest = seen;
  by("aim-on").hidden = seen.on;
  by("aim-off").hidden = !seen.on;
  by("aim-left").textContent = !seen.on ? "" : seen.seen ? say("aim-left", { m: Math.ceil(seen.left_s / 60) }) : say("aim-waiting");
  if (!seen.on) trying = false;
  if (seen.outcome !== outcome && ["refused", "too_often"].includes(seen.outcome)) problem({ error: `gates_${seen.outcome}` });
  outcome = seen.outcome;
  if (seen.version !== version && (version < 0 || !changed())) take(seen);
  const list = [...seen.advice.map((a) => advice(a)), ...gauged(seen.gauge)];
  if (by("advice").textContent !== list.map((item) => item.textContent).join("")) by("advice").replaceChildren(...list);
  by("advice-title").hidden = list.length === 0;
  showTrial();
  if (dragging === null) draw();
}

function take(seen) {
  version = seen.version;
  shapes = structuredClone({ gates: seen.gates, zones: seen.zones });
  saved = JSON.stringify(shapes);
  before = [];
  forms();
  draw();
}

function changed() {
  return JSON.stringify(shapes) !== saved;
}

function advice(a) {
  const state = { good: "ok", waiting: "unknown" }[a.hint] ?? "warn";
  const third = ["", say("third-left"), say("third-middle"), say("third-right")][a.have] ?? "";
  const key = a.hint === "waiting" && a.gate ? "hint-waiting-gate" : `hint-${a.hint}`;
  return marked(state, say(key, { gate: a.gate ?? "", have: a.have, need: a.need, third }));
}

// The gates in metres, or why there are none.

function gauged(gauge) {
  if (!gauge) return [];
  const metres = (cm) => (cm / 100).toFixed(2);
  const view = marked(["given", "learnt"].includes(gauge.state) ? "ok" : "unknown", say(`gauge-${gauge.state}`, { n: gauge.looks }));
  const gates = gauge.widths.map((w) =>
    w.width_cm === null
      ? marked("warn", say("gauge-horizon", { gate: w.gate }))
      : marked("ok", say("gauge-width", { gate: w.gate, m: metres(w.width_cm), off: metres(w.width_off_cm), band: w.band_cm, band_off: w.band_off_cm })),
  );
  return [...gates, view];
}

// Trying: the device counts at the drawn gates besides, and the boxes that stand in a zone are counted here.

function showTrial() {
  by("gate-try").disabled = !latest.on;
  by("gate-try").hidden = trying;
  const counts = Object.entries(latest.tried ?? {}).map(([name, [entered, left]]) => say("tried", { name, entered, left }));
  const there = shapes.zones.map((z) => say("tried-zone", { name: z.name, n: latest.people.filter((box) => standsIn(z.corners, box)).length }));
  const lines = trying ? [...(counts.length ? counts : [say("tried-waiting")]), ...there] : [];
  by("trial").hidden = !trying;
  if (by("trial-list").textContent !== lines.join("")) by("trial-list").replaceChildren(...lines.map((line) => make("li", {}, line)));
}

async function tryNow() {
  const answer = await order.act({ what: "try_gates", gates: shapes.gates });
  trying = !answer.error;
  if (trying) show(answer);
}

// Drawing

const floor = emptyFloor();
by("floor").append(floor.svg);

function draw() {
  const seen = { people: latest.people, coverage: latest.coverage };
  if (isNew("seen", seen)) drawSeen(floor, seen, say);
  if (!isNew("shapes", shapes)) return;
  const focus = document.activeElement?.dataset?.handle;
  drawShapes(floor, shapes, say, grab);
  if (focus) by("floor").querySelector(`[data-handle="${focus}"]`)?.focus();
}

// What stands still is left alone: a finger may be on its way to it.
function isNew(layer, content) {
  const key = JSON.stringify(content);
  if (key === drawn[layer]) return false;
  drawn[layer] = key;
  return true;
}

function grab(made, ref) {
  made.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    remember();
    dragging = ref;
    by("floor").setPointerCapture(event.pointerId); // the floor stays; a dragged handle is drawn anew under the finger
    made.focus();
  });
  made.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (!step) return;
    event.preventDefault();
    remember();
    const [x, y] = ref.p < 0 ? shapes.gates[ref.i].inside : pointsOf(ref.kind, shapes[ref.kind][ref.i])[ref.p];
    place(ref, x + step[0], y + step[1]);
    redraw();
  });
}

// A handle never leaves the view.
function place({ kind, i, p }, x, y) {
  const inView = (v) => Math.round(Math.min(1, Math.max(0, v)) * 1000) / 1000;
  const moved = [inView(x), inView(y)];
  if (p < 0) shapes.gates[i].inside = moved;
  else pointsOf(kind, shapes[kind][i])[p] = moved;
}

function remember() {
  before.push(structuredClone(shapes));
  if (before.length > 50) before.shift();
}

// After every change; gates on trial follow it at once.
function redraw() {
  forms();
  draw();
  if (trying) tryNow();
}

by("floor").addEventListener("pointermove", (event) => {
  if (dragging === null) return;
  const box = floor.svg.getBoundingClientRect();
  place(dragging, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  draw();
});
for (const end of ["pointerup", "pointercancel"]) {
  window.addEventListener(end, () => {
    if (dragging === null) return;
    dragging = null;
    redraw();
  });
}

// Names, adding, undoing, saving

function forms() {
  const all = ["gates", "zones"].flatMap((kind) => shapes[kind].map((shape, i) => form(kind, shape, i)));
  by("gate-forms").replaceChildren(...all);
  by("gate-undo").disabled = before.length === 0;
  by("gate-save").disabled = !changed();
  by("gate-add").disabled = shapes.gates.length >= MOST;
  by("zone-add").disabled = shapes.zones.length >= MOST;
}

function form(kind, shape, i) {
  const id = `${kind === "gates" ? "gate" : "zone"}-name-${i}`;
  const input = make("input", { id, pattern: "[a-z0-9][a-z0-9_\\-]{0,31}", maxlength: 32, autocomplete: "off", autocapitalize: "none" });
  input.value = shape.name;
  input.addEventListener("change", () => {
    if (!input.reportValidity()) return;
    remember();
    shape.name = input.value;
    redraw();
  });
  const remove = make("button", { type: "button", "aria-label": say("remove-which", { name: shape.name }) }, say("remove"));
  remove.disabled = kind === "gates" && shapes.gates.length < 2;
  remove.addEventListener("click", () => {
    remember();
    shapes[kind].splice(i, 1);
    redraw();
  });
  return make("div", { class: "gate-form" }, make("div", {}, make("label", { for: id }, say(`${kind}-name`, { n: i + 1 })), input), remove);
}

function add(kind, word, shape) {
  remember();
  const names = [...shapes.gates, ...shapes.zones].map((s) => s.name);
  let n = shapes[kind].length + 1;
  while (names.includes(`${word}-${n}`)) n += 1;
  shapes[kind].push({ name: `${word}-${n}`, ...shape });
  redraw();
}

by("gate-add").addEventListener("click", () => add("gates", "gate", { line: [[0.2, 0.5], [0.8, 0.5]], inside: [0.5, 0.75] }));
by("zone-add").addEventListener("click", () => add("zones", "zone", { corners: [[0.35, 0.65], [0.65, 0.65], [0.65, 0.9], [0.35, 0.9]] }));
by("gate-undo").addEventListener("click", () => {
  shapes = before.pop() ?? shapes;
  redraw();
});
by("gate-save").addEventListener("click", async () => {
  const answer = await order.act({ what: "save_gates", version, ...shapes });
  if (answer.error === "conflict") take(answer);
  if (answer.error) return;
  take(answer);
  done(say("done-gates"));
});
by("gate-try").addEventListener("click", tryNow);
by("trial-end").addEventListener("click", async () => {
  trying = false;
  const seen = await order.act({ what: "try_gates", gates: [] });
  if (!seen.error) show(seen);
});
for (const what of ["aim_on", "aim_off"]) {
  by(what.replace("_", "-")).addEventListener("click", async () => {
    const seen = await order.act({ what });
    if (!seen.error) show(seen);
  });
}
