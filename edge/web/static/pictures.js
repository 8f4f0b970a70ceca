// A picture that was not kept becomes a sentence in its place.
(() => {
  "use strict";
  const replace = (picture) => {
    const box = document.createElement("span");
    box.className = `${picture.className} thumb-none`;
    box.append(Object.assign(document.createElement("span"), { textContent: "not kept" }));
    picture.replaceWith(box);
  };
  const broken = (one) => one.tagName === "IMG" && one.src.includes("picture?");
  document.addEventListener("error", (event) => { if (broken(event.target)) replace(event.target); }, true);
  for (const one of document.images) if (broken(one) && one.complete && !one.naturalWidth) replace(one);
})();
