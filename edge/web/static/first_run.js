// The first run: chooses folders by mouse, and says that a step takes a moment.
(() => {
  "use strict";
  const dialog = document.getElementById("folders");
  const view = document.getElementById("folders-view");
  let target = null;
  let kind = "folder";
  const open = async (path) => {
    const response = await fetch(`first-run-folders?${new URLSearchParams({ path, kind })}`, { headers: { "HX-Request": "true" } });
    if (response.status === 200) view.innerHTML = await response.text();
    else if (path) await open("");
    if (!dialog.open) dialog.showModal();
    view.querySelector("button")?.focus();
  };
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      target = document.getElementById(button.dataset.for);
      kind = button.dataset.choose;
      open(kind === "file" ? target.value.replace(/\/[^/]*$/, "") : target.value);
    });
  }
  view?.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("open" in button.dataset) open(button.dataset.open);
    if ("take" in button.dataset) { target.value = button.dataset.take; dialog.close(); target.focus(); }
    if ("close" in button.dataset) dialog.close();
  });
  for (const form of document.querySelectorAll("form[data-busy]")) {
    form.addEventListener("submit", () => {
      const note = form.querySelector(".busy");
      note.textContent = form.dataset.busy;
      note.hidden = false;
      setTimeout(() => form.querySelector("[type=submit]").disabled = true);
    });
  }
})();
