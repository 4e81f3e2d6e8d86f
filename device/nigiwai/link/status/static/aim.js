// SPDX-License-Identifier: Apache-2.0
// Aiming without a picture: boxes on an empty floor grid, where feet were seen, gates that can be dragged, advice.

import { by, make, polled } from "./common.js";
import { act, done, problem, read, say } from "./staff.js";

const COLUMNS = 32;
const ROWS = 18;
const EVERY_MS = 500;
const SVG = "http://www.w3.org/2000/svg";
const STEP = 0.01;
let version = -1; // of the gates shown; none yet
let gates = [];
let saved = "[]";
let before = [];
let dragging = null;
let people = [];
let coverage = "";
let outcome = "";
let drawn = "";

export const { open, close } = polled(refresh, EVERY_MS);

async function refresh() {
  const seen = await read("aim");
  if (!seen.error) show(seen);
}

function show(seen) {
  by("aim-on").hidden = seen.on;
  by("aim-off").hidden = !seen.on;
  by("aim-left").textContent = !seen.on ? "" : seen.seen ? say("aim-left", { m: Math.ceil(seen.left_s / 60) }) : say("aim-waiting");
  people = seen.people;
  coverage = seen.coverage;
  if (seen.outcome !== outcome && ["refused", "too_often"].includes(seen.outcome)) problem({ error: `gates_${seen.outcome}` });
  outcome = seen.outcome;
  if (seen.version !== version && (version < 0 || !changed())) take(seen);
  const list = seen.advice.map((a) => advice(a));
  if (by("advice").textContent !== list.map((item) => item.textContent).join("")) by("advice").replaceChildren(...list);
  if (dragging === null) draw();
}

function take(seen) {
  version = seen.version;
  gates = structuredClone(seen.gates);
  saved = JSON.stringify(gates);
  before = [];
  forms();
  draw();
}

function changed() {
  return JSON.stringify(gates) !== saved;
}

function advice(a) {
  const state = { good: "ok", waiting: "unknown" }[a.hint] ?? "warn";
  const third = ["", say("third-left"), say("third-middle"), say("third-right")][a.have] ?? "";
  const item = make("li", { "data-state": state }, make("span", { class: "mark", "aria-hidden": "true" }));
  item.append(say(`hint-${a.hint}`, { gate: a.gate ?? "", have: a.have, need: a.need, third }));
  return item;
}

// Drawing, in cells of the grid

function element(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function draw() {
  const key = JSON.stringify([people, coverage, gates]);
  if (key === drawn) return; // what stands still is left alone: a finger may be on its way to it
  drawn = key;
  const focus = document.activeElement?.dataset?.handle;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${COLUMNS} ${ROWS}`);
  svg.setAttribute("role", "group");
  svg.setAttribute("aria-label", say("floor", { n: people.length }));
  for (let x = 0; x <= COLUMNS; x += 2) element("line", { class: "cell", x1: x, x2: x, y1: 0, y2: ROWS }, svg);
  for (let y = 0; y <= ROWS; y += 2) element("line", { class: "cell", x1: 0, x2: COLUMNS, y1: y, y2: y }, svg);
  [...coverage].forEach((digit, i) => {
    if (digit !== "0") element("rect", { class: `heat heat-${digit}`, x: i % COLUMNS, y: Math.floor(i / COLUMNS), width: 1, height: 1 }, svg);
  });
  for (const [left, top, right, bottom] of people) element("rect", { class: "box", x: left, y: top, width: right - left, height: bottom - top, rx: 0.2 }, svg);
  gates.forEach((gate, g) => drawGate(svg, gate, g));
  by("floor").replaceChildren(svg);
  if (focus) by("floor").querySelector(`[data-handle="${focus}"]`)?.focus();
}

function drawGate(svg, gate, g) {
  const at = ([x, y]) => `${x * COLUMNS},${y * ROWS}`;
  element("polyline", { class: "gate", points: gate.line.map(at).join(" ") }, svg);
  const middle = gate.line[Math.floor((gate.line.length - 1) / 2)].map((v, i) => (v + gate.line[Math.ceil((gate.line.length - 1) / 2)][i]) / 2);
  element("polyline", { class: "arrow", points: `${at(middle)} ${at(gate.inside)}` }, svg);
  const name = element("text", { x: gate.line[0][0] * COLUMNS + 0.4, y: Math.max(1, gate.line[0][1] * ROWS - 0.6) }, svg);
  name.textContent = gate.name;
  gate.line.forEach((point, p) => handle(svg, g, p, point, say("end-of", { gate: gate.name, n: p + 1 })));
  handle(svg, g, -1, gate.inside, say("inside-of", { gate: gate.name }));
}

function handle(svg, g, p, [x, y], name) {
  const made = element("circle", { class: p < 0 ? "handle in" : "handle", cx: x * COLUMNS, cy: y * ROWS, r: 0.75, tabindex: 0, role: "button", "aria-label": name, "data-handle": `${g}:${p}` }, svg);
  made.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    remember();
    dragging = { g, p };
    made.focus();
  });
  made.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (!step) return;
    event.preventDefault();
    remember();
    const [px, py] = pointOf(g, p);
    place(g, p, px + step[0], py + step[1]);
    draw();
    forms();
  });
}

function pointOf(g, p) {
  return p < 0 ? gates[g].inside : gates[g].line[p];
}

// A handle never leaves the view.
function place(g, p, x, y) {
  const inView = (v) => Math.round(Math.min(1, Math.max(0, v)) * 1000) / 1000;
  const moved = [inView(x), inView(y)];
  if (p < 0) gates[g].inside = moved;
  else gates[g].line[p] = moved;
}

function remember() {
  before.push(structuredClone(gates));
  if (before.length > 50) before.shift();
}

by("floor").addEventListener("pointermove", (event) => {
  if (dragging === null) return;
  const box = by("floor").firstChild.getBoundingClientRect();
  place(dragging.g, dragging.p, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  draw();
});
window.addEventListener("pointerup", () => {
  if (dragging === null) return;
  dragging = null;
  forms();
  draw();
});

// Names, adding, undoing, saving

function forms() {
  by("gate-forms").replaceChildren(...gates.map((gate, g) => {
    const input = make("input", { id: `gate-name-${g}`, value: gate.name, pattern: "[a-z0-9][a-z0-9_\\-]{0,31}", maxlength: 32, autocomplete: "off" });
    input.value = gate.name;
    input.addEventListener("change", () => {
      remember();
      gates[g].name = input.value;
      forms();
      draw();
    });
    const remove = make("button", { type: "button" }, say("gate-remove", { gate: gate.name }));
    remove.disabled = gates.length < 2;
    remove.addEventListener("click", () => {
      remember();
      gates.splice(g, 1);
      forms();
      draw();
    });
    return make("div", { class: "gate-form" }, make("div", {}, make("label", { for: `gate-name-${g}` }, say("gate-name", { n: g + 1 })), input), remove);
  }));
  by("gate-undo").disabled = before.length === 0;
  by("gate-save").disabled = !changed();
  by("gate-add").disabled = gates.length >= 8;
}

by("gate-add").addEventListener("click", () => {
  remember();
  gates.push({ name: `gate-${gates.length + 1}`, line: [[0.2, 0.5], [0.8, 0.5]], inside: [0.5, 0.75] });
  forms();
  draw();
});
by("gate-undo").addEventListener("click", () => {
  gates = before.pop() ?? gates;
  forms();
  draw();
});
by("gate-save").addEventListener("click", async () => {
  const answer = await act({ what: "save_gates", version, gates });
  if (answer.error === "conflict") take(answer);
  if (answer.error) return;
  take(answer);
  done(say("done-gates"));
});
by("aim-on").addEventListener("click", async () => {
  const seen = await act({ what: "aim_on" });
  if (!seen.error) show(seen);
});
by("aim-off").addEventListener("click", async () => {
  const seen = await act({ what: "aim_off" });
  if (!seen.error) show(seen);
});
