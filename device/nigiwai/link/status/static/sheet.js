// SPDX-License-Identifier: Apache-2.0
// The day's result on one page, to be printed and handed in.

import { drawCurve } from "./curve.js";
import { by, make, number } from "./common.js";

const WIDTH = 640;
const PRINT_SCALE = 3; // a canvas has pixels, and paper is finer than a screen
const MOST_NOTED = 18; // more would take a second page; the CSV has them all

export async function sheet(day, say) {
  const cells = (...texts) => make("tr", {}, make("th", { scope: "row" }, texts[0]), ...texts.slice(1).map((t) => make("td", {}, t)));
  const range = day.inside_low === null ? "" : ` (${say("range-short", { low: number.format(day.inside_low), high: number.format(day.inside_high) })})`;
  const sums = make("table", {}, make("tbody", {},
    cells(say("entered"), say("n-people", { n: number.format(day.in) })),
    cells(say("left"), say("n-people", { n: number.format(day.out) })),
    cells(say("inside-at", { at: day.at.slice(11, 16) }), say("n-people", { n: number.format(day.inside) }) + range),
    cells(say("staff-passages-print"), `${say("entered")} ${day.staff.in} / ${say("left")} ${day.staff.out}`),
    cells(say("not-seen"), say("minutes", { n: (day.blind_s / 60).toFixed(1) })),
    cells(say("accuracy"), day.check === null ? say("accuracy-none") : accuracy(day.check, say)),
  ));
  const chart = make("div");
  const curve = make("div", { class: "printed" }, chart, legend(say));
  const quarters = day.quarters.map((q) => ({ start: q.start, in: sum(q.gates, 0), out: sum(q.gates, 1) }));
  by("sheet").replaceChildren(curve); // takes its colours from where it stands
  if (quarters.length) await drawCurve(chart, quarters, day.at, say("curve-label"), { width: WIDTH, scale: PRINT_SCALE });
  const latest = day.noted.slice(-MOST_NOTED);
  const noted = make("table", { class: "noted" }, make("tbody", {}, ...latest.map((n) => cells(`${n.at} ${say(`noted-${n.kind}`)}`, content(n.kind, n.body, say)))));
  return [
    make("h2", {}, `${say("day-title")} ${day.day}`), make("p", {}, `${day.site} / ${day.device}`), sums,
    make("h3", {}, say("curve")), curve,
    ...(latest.length ? [make("h3", {}, say("noted")), noted] : []),
    ...(latest.length < day.noted.length ? [make("p", { class: "note" }, say("noted-more", { n: day.noted.length - latest.length }))] : []),
    make("p", { class: "note" }, say("sheet-note", { at: day.at.slice(0, 16).replace("T", " ") })),
  ];
}

function legend(say) {
  const keys = ["entered", "left"].flatMap((way) => [make("span", { class: `key ${way}` }), make("span", {}, say(way))]);
  return make("p", { class: "legend" }, ...keys);
}

function content(kind, body, say) {
  if (kind === "incident") return `${say(body.topic)}: ${body.text}`;
  if (kind === "set_inside") return say("n-people", { n: number.format(body.inside) });
  if (kind === "event") return say(`event-${body.action}-print`);
  if (kind === "staff_passages") return `${body.gate}: ${say("entered")} ${body.entered} / ${say("left")} ${body.left}`;
  if (kind === "check") return `${body.gate}: ${say(`short-${body.verdict}`)} ${signed(body.error.percent)} %`;
  if (kind === "closing") return say("closing", { began: number.format(body.began), in: number.format(body.entered), out: number.format(body.left), n: number.format(body.remaining) });
  return body.since ?? "";
}

function sum(gates, index) {
  return Object.values(gates).reduce((all, pair) => all + pair[index], 0);
}

const signed = (n) => (n > 0 ? "+" : "") + n.toFixed(1);

function accuracy(check, say) {
  return say(`accuracy-${check.verdict}`, { at: check.at.slice(0, 16).replace("T", " "), error: signed(check.error.percent), low: signed(check.error.low), high: signed(check.error.high) });
}
