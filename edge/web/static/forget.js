// The screen Forget: suggested names fill in the form, and the count unlocks the button.
(() => {
  "use strict";
  const preview = document.getElementById("preview");
  if (!preview) return;
  const form = document.querySelector("form[action=forget-preview]");

  preview.addEventListener("click", (event) => {
    const button = event.target.closest("[data-fill]");
    if (!button) return;
    const input = document.getElementById(button.dataset.fill);
    input.value = button.dataset.value;
    form.requestSubmit();
  });

  const wanted = (input) => input.value.replace(/[\s,]/g, "").toLowerCase() === input.dataset.wanted;
  const lock = () => preview.querySelectorAll("input[data-wanted]").forEach((input) => {
    input.form.querySelector("button").disabled = !wanted(input);
  });
  preview.addEventListener("input", lock);
  new MutationObserver(() => {
    lock();
    // On a phone the preview lies below the form.
    if (preview.getBoundingClientRect().top > innerHeight / 2) preview.scrollIntoView();
  }).observe(preview, { childList: true });
  lock();
})();
