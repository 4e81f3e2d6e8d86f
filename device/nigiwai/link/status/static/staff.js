// SPDX-License-Identifier: Apache-2.0
// Signing in, the tabs, and what staff note by hand. Checking and aiming are fetched when they are opened.

import { ask, by, label, make, newestOf, number, place, speaker } from "./common.js";
import { words as common } from "./words.js";
import { words as own } from "./words-staff.js";

const TABS = ["hand", "check", "aim", "notice"];
export const say = speaker({ ja: { ...common.ja, ...own.ja }, en: { ...common.en, ...own.en } });
let csrf = "";
let shown = ""; // the error on view
const opened = {};

export function problem(answer) {
  by("problem").hidden = !answer.error;
  by("done").hidden = true;
  shown = answer.error ?? "";
  if (!answer.error) return;
  const known = say(`error-${answer.error}`, { n: Math.ceil(answer.wait_s ?? 0), why: answer.why ?? "" });
  by("problem-text").textContent = known;
  if (answer.error === "signed_out") show(false, "");
  by("problem").scrollIntoView({ block: "nearest" });
}

export function done(text) {
  by("problem").hidden = true;
  shown = "";
  by("done").hidden = false;
  by("done-text").textContent = text;
}

// Asks link to do it; the answer, with any refusal already shown.
export async function act(deed) {
  const answer = await ask("/api/staff/do", deed, csrf);
  problem(answer);
  return answer;
}

export async function read(what) {
  const answer = await ask(`/api/staff/${what}`);
  if (answer.error && answer.error !== shown) problem(answer);
  if (!answer.error && shown === "away") problem({}); // reached again
  return answer;
}

// Asking and acting upon one thing: an answer asked for before an act, and come after it, is no longer so.
export function inOrder(what) {
  let turns = 0;
  const newest = newestOf(() => read(what));
  return {
    async read() {
      const before = turns;
      const answer = await newest();
      return answer !== null && before === turns ? answer : { error: "overtaken" };
    },
    async act(deed) {
      turns += 1;
      const answer = await act(deed);
      turns += 1;
      return answer;
    },
  };
}

function show(signedIn, token) {
  csrf = token;
  by("sign-in").hidden = signedIn;
  by("signed-in").hidden = !signedIn;
  if (signedIn) openTab();
  else for (const tab of Object.values(opened)) tab.close?.();
}

function wanted() {
  const asked = location.hash.slice(1);
  return TABS.includes(asked) ? asked : "hand";
}

// A tab shows only once what its buttons do is loaded: a quick finger must not meet a button that does nothing.
async function openTab() {
  const tab = wanted();
  for (const name of TABS) {
    if (name !== tab) by(`tab-${name}`).hidden = true;
    const link = document.querySelector(`[data-tab="${name}"]`);
    if (name === tab) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    if (name !== tab) opened[name]?.close?.();
  }
  const names = (await gates()).map((g) => g.name);
  for (const select of document.querySelectorAll("[data-gates]")) {
    if (select.options.length !== names.length) select.replaceChildren(...names.map((n) => make("option", { value: n }, n)));
  }
  if (tab === "check" || tab === "aim") opened[tab] ??= await import(`/static/${tab}.js`);
  if (tab !== wanted()) return;
  by(`tab-${tab}`).hidden = false;
  opened[tab]?.open();
}

const noticed = inOrder("notice");
opened.notice = { open: showNotice };

async function showNotice() {
  const notice = await noticed.read();
  if (notice.error) return;
  by("notice-standing").hidden = false;
  by("notice-standing").dataset.state = { on: "ok", waiting: "warn", off: "unknown" }[notice.estimates];
  const since = notice.since ? say("notice-since", { since: notice.since }) : say("notice-not-yet");
  by("notice-standing-text").textContent = `${since} ${say(`estimates-${notice.estimates}`)}`;
}

async function gates() {
  const aim = await ask("/api/staff/aim");
  return aim.gates ?? [];
}

function onSubmit(id, deedOf, text, carryOut = act) {
  by(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const form = event.target;
    const data = Object.fromEntries(new FormData(form, event.submitter));
    const answer = await carryOut(deedOf(data));
    if (answer.error) return;
    form.reset();
    done(text(data));
  });
}

// Asks before something that cannot be taken back; Escape is no.
function sure(title, text, yes) {
  by("sure-title").textContent = title;
  by("sure-text").textContent = text;
  by("sure-yes").textContent = yes;
  by("sure").returnValue = "";
  by("sure").showModal();
  by("sure-no").focus();
  return new Promise((answer) => by("sure").addEventListener("close", () => answer(by("sure").returnValue === "yes"), { once: true }));
}

by("sure-no").addEventListener("click", () => by("sure").close(""));
by("sure-yes").addEventListener("click", () => by("sure").close("yes"));
by("sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const pin = by("pin").value.normalize("NFKC").replace(/[\s-]/g, ""); // full-width digits, and the label's space
  await ask("/api/staff"); // a mark of this phone's own, should its last one be over
  const answer = await ask("/api/staff/sign-in", { pin });
  by("pin").value = "";
  problem(answer);
  if (!answer.error) show(true, answer.csrf);
});
by("sign-out").addEventListener("click", async () => {
  await ask("/api/staff/sign-out", {}, csrf);
  show(false, "");
  done(say("signed-out"));
});
onSubmit("set-inside", (d) => ({ what: "set_inside", inside: Number(d.inside) }), (d) => say("done-inside", { n: d.inside }));
by("event").addEventListener("click", async (event) => {
  if (event.target.value !== "start") return;
  event.preventDefault();
  const { inside } = await ask("/api/now");
  const there = inside === undefined ? say("sure-start-unknown") : say("sure-start-inside", { n: number.format(inside) });
  if (await sure(say("sure-start-title"), there, say("event-start"))) by("event").requestSubmit(event.target);
});
onSubmit("event", (d) => ({ what: "event", action: d.action }), (d) => say(`done-${d.action}`));
onSubmit("incident", (d) => ({ what: "incident", topic: d.topic, text: d.text }), () => say("done-noted"));
onSubmit("staff-passages", (d) => ({ what: "staff_passages", gate: d.gate, entered: Number(d.entered), left: Number(d.left) }), () => say("done-noted"));
onSubmit("notice-up", (d) => ({ what: "notice_up", since: d.since }), (d) => {
  showNotice();
  return say("done-notice", { since: d.since });
}, noticed.act);
by("print").addEventListener("click", async () => {
  const day = await read("day");
  if (day.error) return;
  const { sheet } = await import("/static/sheet.js");
  by("sheet").replaceChildren(...(await sheet(day, say)));
  window.print();
});
window.addEventListener("hashchange", () => !by("signed-in").hidden && openTab());

label(say);
place();
document.title = say("staff-title");
const standing = await ask("/api/staff");
if (standing.error && !standing.signed_in) problem(standing);
by("sign-in").hidden = standing.error !== "" && standing.error !== undefined;
if (standing.signed_in) show(true, standing.csrf);
