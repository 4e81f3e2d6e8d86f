// SPDX-License-Identifier: Apache-2.0
// The day as bars by quarter hour: in upwards, out downwards. Plain SVG.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 180;
const BOTTOM = 20;
const SIDE = 34;
const QUARTER_MS = 900_000;
const LEAST_QUARTERS = 24;

export function drawCurve(holder, quarters, now, label, width = Math.max(240, holder.clientWidth)) {
  const bars = quarters.map((q) => ({ at: Date.parse(q.start), entered: q.in, left: q.out, text: q.start.slice(11, 16) }));
  const last = Math.max(Date.parse(now), ...bars.map((b) => b.at));
  const from = Math.min(last - LEAST_QUARTERS * QUARTER_MS, ...bars.map((b) => b.at));
  const first = from - (((from % 3_600_000) + 3_600_000) % 3_600_000);
  const count = Math.max(1, Math.floor((last - first) / QUARTER_MS) + 1);
  const top = niceTop(Math.max(1, ...bars.map((b) => b.entered)));
  const low = niceTop(Math.max(1, ...bars.map((b) => b.left)));
  const plot = HEIGHT - BOTTOM - 8;
  const scale = plot / (top + low);
  const axis = 8 + top * scale;
  const step = (width - SIDE) / count;
  const x = (at) => SIDE + ((at - first) / QUARTER_MS) * step;

  const svg = element("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label });
  grid(svg, width, axis, top, low, scale);
  hours(svg, first, count, x, offsetOf(now), width);
  for (const bar of bars) {
    const thick = Math.max(1.5, step - Math.min(3, step * 0.25));
    svg.append(element("rect", { class: "entered", x: x(bar.at), y: axis - bar.entered * scale, width: thick, height: bar.entered * scale, rx: 1 }));
    svg.append(element("rect", { class: "left", x: x(bar.at), y: axis + 1, width: thick, height: bar.left * scale, rx: 1 }));
  }
  svg.append(element("line", { class: "axis", x1: SIDE, x2: width, y1: axis, y2: axis }));
  holder.replaceChildren(svg);
}

function grid(svg, width, axis, top, low, scale) {
  for (const [value, y] of [[top, axis - top * scale], [low, axis + low * scale]]) {
    svg.append(element("line", { class: "grid", x1: SIDE, x2: width, y1: y, y2: y }));
    svg.append(text(String(value), SIDE - 6, y + 4, "end"));
  }
  svg.append(text("0", SIDE - 6, axis + 4, "end"));
}

function hours(svg, first, count, x, offsetMs, width) {
  const every = [1, 2, 3, 4, 6].find((n) => (width - SIDE) / (count / (4 * n)) > 48) ?? 12;
  for (let i = 0; i < count; i += 4) {
    const at = first + i * QUARTER_MS;
    const hour = new Date(at + offsetMs).getUTCHours();
    if (hour % every === 0 && x(at) < width - 34) svg.append(text(`${hour}:00`, x(at), HEIGHT - 5, "start"));
  }
}

// The device's own offset from UTC, so that the hours are the site's wherever the phone thinks it is.
function offsetOf(stamp) {
  const found = /([+-])(\d\d):(\d\d)$/.exec(stamp);
  return found ? (found[1] === "-" ? -1 : 1) * (Number(found[2]) * 60 + Number(found[3])) * 60_000 : 0;
}

function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((m) => m * power).find((m) => m >= value);
}

function text(words, x, y, anchor) {
  const made = element("text", { x, y, "text-anchor": anchor });
  made.textContent = words;
  return made;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
