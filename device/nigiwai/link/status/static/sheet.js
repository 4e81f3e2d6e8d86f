// SPDX-License-Identifier: Apache-2.0
// The day's result on one page, to be printed and handed in.

import { drawCurve } from "./curve.js";
import { make, number } from "./common.js";

export function sheet(day, say) {
  const cells = (...texts) => make("tr", {}, make("th", { scope: "row" }, texts[0]), ...texts.slice(1).map((t) => make("td", {}, t)));
  const sums = make("table", {}, make("tbody", {},
    cells(say("entered"), number.format(day.in)),
    cells(say("left"), number.format(day.out)),
    cells(say("inside-at", { at: day.at.slice(11, 16) }), number.format(day.inside) + (day.inside_low === null ? "" : ` (${day.inside_low}–${day.inside_high})`)),
    cells(say("staff-passages-print"), `${say("entered")} ${day.staff.in} / ${say("left")} ${day.staff.out}`),
    cells(say("accuracy"), day.check === null ? say("accuracy-none") : accuracy(day.check, say)),
  ));
  const curve = make("div", {});
  const quarters = day.quarters.map((q) => ({ start: q.start, in: sum(q.gates, 0), out: sum(q.gates, 1) }));
  if (quarters.length) drawCurve(curve, quarters, day.at, say("curve-label"));
  const noted = make("table", {}, make("tbody", {}, ...day.noted.map((n) => cells(`${n.at} ${say(`noted-${n.kind}`)}`, n.text))));
  return [
    make("h2", {}, `${day.site} / ${day.device}  ${day.day}`), sums,
    make("h3", {}, say("curve")), curve,
    ...(day.noted.length ? [make("h3", {}, say("noted")), noted] : []),
    make("p", { class: "note" }, say("sheet-note", { at: day.at.slice(0, 16).replace("T", " ") })),
  ];
}

function sum(gates, index) {
  return Object.values(gates).reduce((all, pair) => all + pair[index], 0);
}

function accuracy(check, say) {
  const sign = (n) => (n > 0 ? "+" : "") + n.toFixed(1);
  return say(`accuracy-${check.verdict}`, { at: check.at.slice(0, 16).replace("T", " "), error: sign(check.error.percent), low: sign(check.error.low), high: sign(check.error.high) });
}
