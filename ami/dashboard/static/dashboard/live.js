// Keeps the part of a page that has `data-mark` as the server sees it. Asks faster while something changes,
// not at all in a tab that nobody looks at, and says so when the server does not answer.
(() => {
  "use strict";

  const FAST = 2_000;
  const SLOW = 10_000;
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
    if (good) answered = new Date();
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

  plan();
})();
