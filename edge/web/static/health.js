// The settings editor: goes to the line of a mistake, and warns before unsaved text is lost.
(() => {
  "use strict";
  const field = () => document.getElementById("settings-text");
  let loaded = field()?.value;
  const goTo = (line) => {
    const text = field();
    const starts = text.value.split("\n");
    const from = starts.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    text.focus();
    text.setSelectionRange(from, from + (starts[line - 1] ?? "").length);
    const height = text.scrollHeight / Math.max(starts.length, 1);
    text.scrollTop = Math.max(0, height * (line - 4));
  };
  const arrived = () => {
    const line = Number(field()?.dataset.errorLine);
    if (line) goTo(line);
    if (document.querySelector("#settings .message-good")) loaded = field().value;
  };
  document.body.addEventListener("htmx:after:swap", (event) => {
    if (event.target.closest?.("#settings")) arrived();
  });
  document.body.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-line]");
    if (!link) return;
    event.preventDefault();
    goTo(Number(link.dataset.line));
  });
  addEventListener("beforeunload", (event) => {
    if (field() && field().value !== loaded) event.preventDefault();
  });
  document.body.addEventListener("submit", () => { loaded = field()?.value; });
  arrived();
})();
