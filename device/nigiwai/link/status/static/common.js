// SPDX-License-Identifier: Apache-2.0
// What every page needs: its language, its words, its links, and asking this device.

export const language = document.documentElement.lang === "en" ? "en" : "ja";
export const number = new Intl.NumberFormat(language === "ja" ? "ja-JP" : "en-GB");
export const by = (id) => document.getElementById(id);

export function speaker(words) {
  return (key, values = {}) => (words[language][key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function label(say) {
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = say(node.dataset.word);
  for (const node of document.querySelectorAll("[data-word-label]")) node.setAttribute("aria-label", say(node.dataset.wordLabel));
  for (const link of document.querySelectorAll("[data-language]")) {
    if (link.dataset.language === language) link.setAttribute("aria-current", "true");
    link.href = `?lang=${link.dataset.language}${location.hash}`;
  }
  for (const link of document.querySelectorAll("a[data-page], .more a")) {
    const path = link.getAttribute("href");
    if (path === location.pathname) link.setAttribute("aria-current", "page");
    link.href = `${path}?lang=${language}`;
  }
}

export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A line of a list of states: its mark, coloured by the state, and what stands beside it.
export function marked(state, ...beside) {
  return make("li", { "data-state": state }, make("span", { class: "mark", "aria-hidden": "true" }), ...beside);
}

export function facts(holder, pairs) {
  holder.replaceChildren(...pairs.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

// What /api answers, as JSON; {error: "away"} where this device cannot be reached.
export async function ask(path, body, csrf = "") {
  const headers = body === undefined ? {} : { "content-type": "application/json", "x-nigiwai-csrf": csrf };
  try {
    const answer = await fetch(path, { method: body === undefined ? "GET" : "POST", headers, body: body && JSON.stringify(body) });
    return await answer.json();
  } catch {
    return { error: "away" };
  }
}

// Where this is, on the pages that are not fed with snapshots.
export async function place() {
  const now = await ask("/api/now");
  if (now.site) [by("site").textContent, by("device").textContent] = [now.site, now.device];
}

// Answers come in any order; one that was asked for before one that has been taken is no longer so: null.
export function newestOf(asking) {
  let asked = 0;
  let taken = 0;
  return async () => {
    const mine = ++asked;
    const answer = await asking();
    if (mine < taken) return null;
    taken = mine;
    return answer;
  };
}

// What a tab does while it is open: at once, again every so many milliseconds, and when a phone wakes or is online again.
export function polled(refresh, everyMs) {
  let timer = null;
  onReturn(() => timer !== null && refresh());
  return {
    open() {
      if (timer === null) timer = setInterval(refresh, everyMs);
      refresh();
    },
    close() {
      clearInterval(timer);
      timer = null;
    },
  };
}

// A phone that slept, or found a network again: what was shown is old.
export function onReturn(look) {
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && look());
  window.addEventListener("online", look);
}
