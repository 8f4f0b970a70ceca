// The screen History: filters apply at once, and a button appears when something new has happened.
// The list itself never moves while it is read.
(() => {
  "use strict";
  const form = document.querySelector(".history-filter");
  const timeline = document.getElementById("timeline");
  const news = document.getElementById("history-news");
  if (!form || !timeline || !news) return;

  form.addEventListener("change", () => form.requestSubmit());
  form.querySelector("button").hidden = true;

  // Messages that become events of the history; the others come with each observation.
  const OFTEN = new Set(["decision", "forecast", "health", "status", "ack", "response"]);
  const kinds = new Set(timeline.dataset.kinds.split(" ").filter(Boolean));
  let first = true;
  let count = 0;
  document.body.addEventListener("auricle:feed", (event) => {
    const messages = event.detail.messages ?? [];
    // The first answer holds what happened before the page was opened.
    if (first) { first = false; return; }
    const fresh = messages.filter((one) => !OFTEN.has(one.kind) && (!kinds.size || kinds.has(one.kind)));
    if (!fresh.length || !timeline.dataset.first) return;
    count += fresh.length;
    news.textContent = count === 1 ? "Show 1 new event" : `Show ${count} new events`;
    news.hidden = false;
  });
})();
