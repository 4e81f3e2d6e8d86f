// SPDX-License-Identifier: Apache-2.0
// The day as bars by quarter hour: in upwards, out downwards. uPlot draws them.

const HEIGHT = 180;
const AXIS = 26;
const SIDE = 34;
const FONT_PX = 12;
const QUARTER_S = 900;
const LEAST_QUARTERS = 24;
const drawn = new WeakMap(); // holder: its chart
let uPlot = null; // fetched when something is to be drawn: a view is usable without

// Draws into `holder`; false where the library did not arrive. On paper, `scale` times as fine.
export async function drawCurve(holder, quarters, now, label, { width, scale = 1 } = {}) {
  try {
    uPlot ??= (await import("./vendor/uplot.js")).default;
  } catch {
    return false;
  }
  const wide = width ?? Math.max(240, holder.clientWidth);
  const day = reckon(quarters, now);
  const made = new Promise((ready) => {
    const old = drawn.get(holder);
    drawn.set(holder, new uPlot(options(day, wide * scale, scale, getComputedStyle(holder), ready), day.data, holder));
    old?.destroy();
  });
  holder.setAttribute("role", "img");
  holder.setAttribute("aria-label", label);
  await made;
  return true;
}

// Whole hours around what there is, in seconds of the site's own clock, wherever the phone thinks it is.
export function reckon(quarters, now) {
  const shift = offsetOf(now);
  const at = quarters.map((q) => Date.parse(q.start) / 1000 + shift);
  const last = Math.max(Date.parse(now) / 1000 + shift, ...at);
  const first = Math.min(last - LEAST_QUARTERS * QUARTER_S, ...at);
  const ins = quarters.map((q) => q.in);
  const outs = quarters.map((q) => -q.out);
  return {
    from: first - (first % 3600),
    to: last - (last % QUARTER_S) + QUARTER_S,
    top: niceTop(Math.max(1, ...ins)),
    low: -niceTop(Math.max(1, ...outs.map((n) => -n))),
    data: [at, ins, outs],
  };
}

function options(day, width, scale, style, ready) {
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const font = `${FONT_PX * scale}px ${style.fontFamily}`;
  const axis = { stroke: colour("soft"), font, ticks: { show: false } };
  const grid = { stroke: colour("line"), width: scale, dash: [3 * scale, 4 * scale] };
  return {
    width,
    height: HEIGHT * scale,
    padding: [8 * scale, 8 * scale, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false, range: [day.from, day.to] }, y: { range: [day.low, day.top] } },
    axes: [
      { ...axis, size: AXIS * scale, gap: 8 * scale, grid: { show: false }, splits: () => hours(day, width / scale), values: (_, all) => all.map(hour) },
      { ...axis, size: SIDE * scale, gap: 4 * scale, grid, splits: () => [day.low, 0, day.top], values: (_, all) => all.map((n) => String(Math.abs(n))) },
    ],
    series: [{}, bars(colour("entered")), bars(colour("left"))],
    hooks: { ready: [ready] },
  };
}

function bars(fill) {
  return { fill, width: 0, points: { show: false }, paths: uPlot.paths.bars({ size: [0.8, Infinity], align: 1 }) };
}

function hours(day, width) {
  const hourPx = (width - SIDE) / ((day.to - day.from) / 3600);
  const every = [1, 2, 3, 4, 6].find((n) => n * hourPx > 48) ?? 12;
  const found = [];
  for (let at = day.from; at < day.to; at += 3600) if ((at / 3600) % every === 0) found.push(at);
  return found;
}

const hour = (at) => `${(at / 3600) % 24}:00`;

function offsetOf(stamp) {
  const found = /([+-])(\d\d):(\d\d)$/.exec(stamp);
  return found ? (found[1] === "-" ? -1 : 1) * (Number(found[2]) * 3600 + Number(found[3]) * 60) : 0;
}

function niceTop(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((m) => m * power).find((m) => m >= value);
}
