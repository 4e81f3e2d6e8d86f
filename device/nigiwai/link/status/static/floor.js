// SPDX-License-Identifier: Apache-2.0
// The floor while somebody aims: a grid, where feet were seen, boxes of people, gates and zones with their handles.

export const COLUMNS = 32;
export const ROWS = 18;
const SVG = "http://www.w3.org/2000/svg";
const FINGER = 1.9; // cells; about 44 px across on a phone

export const pointsOf = (kind, shape) => (kind === "gates" ? shape.line : shape.corners);

export function element(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

// A floor with nothing on it yet. What was seen and what is drawn on it are layers of their own: people change twice a
// second, and a handle that a finger, the focus or a screen reader is on must stay what it is meanwhile.
export function emptyFloor() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${COLUMNS} ${ROWS}`);
  svg.setAttribute("role", "group");
  for (let x = 0; x <= COLUMNS; x += 2) element("line", { class: "cell", x1: x, x2: x, y1: 0, y2: ROWS }, svg);
  for (let y = 0; y <= ROWS; y += 2) element("line", { class: "cell", x1: 0, x2: COLUMNS, y1: y, y2: y }, svg);
  return { svg, seen: element("g", {}, svg), shapes: element("g", {}, svg) };
}

export function drawSeen({ svg, seen }, { people, coverage }, say) {
  svg.setAttribute("aria-label", say("floor", { n: people.length }));
  seen.replaceChildren();
  [...coverage].forEach((digit, i) => {
    if (digit !== "0") element("rect", { class: `heat heat-${digit}`, x: i % COLUMNS, y: Math.floor(i / COLUMNS), width: 1, height: 1 }, seen);
  });
  for (const [left, top, right, bottom] of people) element("rect", { class: "box", x: left, y: top, width: right - left, height: bottom - top, rx: 0.2 }, seen);
}

// `grab(made, ref)` is told of every handle; ref = {kind, i, p}, p -1 being a gate's inner side.
export function drawShapes({ shapes }, { gates, zones }, say, grab) {
  shapes.replaceChildren();
  zones.forEach((zone, i) => drawZone(shapes, zone, i, say, grab));
  gates.forEach((gate, i) => drawGate(shapes, gate, i, say, grab));
}

const at = ([x, y]) => `${x * COLUMNS},${y * ROWS}`;

function drawZone(svg, zone, i, say, grab) {
  element("polygon", { class: "zone", points: zone.corners.map(at).join(" ") }, svg);
  const middle = [0, 1].map((axis) => zone.corners.reduce((sum, c) => sum + c[axis], 0) / zone.corners.length);
  named(svg, zone.name, middle, "middle", "zone-name");
  zone.corners.forEach((point, p) => handle(svg, { kind: "zones", i, p }, point, say("end-of", where(zone.name, p, point)), grab));
}

function drawGate(svg, gate, i, say, grab) {
  element("polyline", { class: "gate", points: gate.line.map(at).join(" ") }, svg);
  const middle = gate.line[Math.floor((gate.line.length - 1) / 2)].map((v, axis) => (v + gate.line[Math.ceil((gate.line.length - 1) / 2)][axis]) / 2);
  element("polyline", { class: "arrow", points: `${at(middle)} ${at(gate.inside)}` }, svg);
  const end = gate.line[0][0] <= gate.line[gate.line.length - 1][0] ? gate.line[0] : gate.line[gate.line.length - 1];
  named(svg, gate.name, [end[0] + 1.1 / COLUMNS, Math.max(1.6 / ROWS, end[1] - 0.7 / ROWS)], "start", "gate-name");
  gate.line.forEach((point, p) => handle(svg, { kind: "gates", i, p }, point, say("end-of", where(gate.name, p, point)), grab));
  handle(svg, { kind: "gates", i, p: -1 }, gate.inside, say("inside-of", where(gate.name, -1, gate.inside)), grab);
}

function where(name, p, [x, y]) {
  return { name, n: p + 1, x: Math.round(x * 100), y: Math.round(y * 100) };
}

function named(svg, name, [x, y], anchor, kind) {
  element("text", { class: kind, x: x * COLUMNS, y: y * ROWS, "text-anchor": anchor, "aria-hidden": "true" }, svg).textContent = name;
}

// A handle as it is seen, and around it what a finger hits.
function handle(svg, ref, [x, y], name, grab) {
  const place = { cx: x * COLUMNS, cy: y * ROWS };
  const key = `${ref.kind === "zones" ? "z" : ""}${ref.i}:${ref.p}`;
  const made = element("g", { class: `grip ${ref.kind}`, tabindex: 0, role: "button", "aria-label": name, "data-handle": key }, svg);
  element("circle", { class: "finger", r: FINGER, ...place }, made);
  element("circle", { class: ref.p < 0 ? "handle in" : "handle", r: 0.7, ...place }, made);
  grab(made, ref);
}

// Whether somebody with such a box stands in the zone: the middle of its lower edge counts.
export function standsIn(corners, [left, , right, bottom]) {
  const [px, py] = [(left + right) / 2 / COLUMNS, Math.min(bottom, ROWS - 0.01) / ROWS];
  return corners.reduce((inside, [ax, ay], i) => {
    const [bx, by] = corners[(i + 1) % corners.length];
    return (ay > py) !== (by > py) && px < ax + ((py - ay) / (by - ay)) * (bx - ax) ? !inside : inside;
  }, false);
}
