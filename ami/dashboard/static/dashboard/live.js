// Keeps the part of a page that has `data-mark` as the server sees it. Asks faster while something changes,
// not at all in a tab that nobody looks at, and says so when the server does not answer.
(() => {
  "use strict";

  const FAST = 2_000;
  const SLOW = 10_000;
  const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];
  let ahead = 0; // how much the server's clock is ahead of this one, in milliseconds

  // The two largest units, as the server says them.
  const said = (seconds) => {
    let left = Math.max(0, Math.floor(seconds));
    const parts = [];
    for (const [name, size] of UNITS) {
      const number = Math.floor(left / size);
      left -= number * size;
      if (number) parts.push(`${number} ${name}${number === 1 ? "" : "s"}`);
    }
    return parts.slice(0, 2).join(" ") || "less than a second";
  };

  // Times go on by themselves: the server need not send a page again because a second has passed.
  const tick = () => {
    for (const time of document.querySelectorAll("time[data-ago], time[data-since]")) {
      const text = said((Date.now() + ahead - Date.parse(time.dateTime)) / 1_000);
      time.textContent = "ago" in time.dataset ? `${text} ago` : text;
    }
  };

  const live = document.getElementById("live");
  const stale = document.getElementById("stale");
  if (!live) return;

  // What a person opened stays open, whatever the server thinks of it.
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name) => name !== "open";

  let wait = FAST;
  let timer = 0;
  let answered = new Date();

  // The list of jobs is quiet while none of them moves, but somebody may start one.
  const calm = () => (live.querySelector("[data-quiet]") ? SLOW : FAST);
  const ends = () => live.querySelector("[data-ended]") !== null;

  const plan = () => {
    clearTimeout(timer);
    if (!ends()) timer = setTimeout(() => htmx.trigger(live, "follow"), wait);
  };

  const lost = (isLost) => {
    if (isLost) stale.querySelector("time").textContent = answered.toLocaleTimeString();
    stale.hidden = !isLost;
  };

  live.addEventListener("htmx:configRequest", (event) => {
    if (event.target === live) event.detail.parameters.seen = live.dataset.mark;
  });

  live.addEventListener("htmx:afterRequest", (event) => {
    if (event.target !== live) return;
    const request = event.detail.xhr;
    const good = event.detail.successful;
    lost(!good);
    if (request.status === 410) return location.reload();
    if (good) {
      answered = new Date();
      ahead = Date.parse(request.getResponseHeader("Date")) - answered || 0;
    }
    if (good && request.status === 200) live.dataset.mark = request.getResponseHeader("X-Mark");
    wait = good && request.status === 200 ? calm() : Math.min(wait * 1.5, SLOW);
    plan();
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      clearTimeout(timer);
    } else if (!ends()) {
      wait = FAST;
      htmx.trigger(live, "follow");
    }
  });

  live.addEventListener("htmx:afterSwap", tick);
  setInterval(tick, 1_000);
  tick();
  plan();
})();
