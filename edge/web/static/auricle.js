// The console's own script: live data, keys, messages, relative times, theme.
// Events for screens, on document.body: `auricle:feed` (detail: what the daemon reports, see
// live.py), `auricle:changed` (the page may be out of date), `auricle:toast`, `auricle:theme`.
(() => {
  "use strict";
  const body = document.body;
  const csrf = document.querySelector("meta[name=csrf]")?.content ?? "";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const send = (name, detail = {}) => body.dispatchEvent(new CustomEvent(name, { detail }));
  const TOAST_MS = 8000;
  const TOASTS_MAX = 4;
  const ERRORS_SHOWN = 3;
  const ERRORS_MAX = 20; // Older ones are dropped.
  const UNDO_MS = 30000;
  const RETRY_MS = 2000;

  // Every action carries the session's token.
  body.addEventListener("htmx:config:request", (event) => {
    if (csrf) event.detail.ctx.request.headers["X-CSRF-Token"] = csrf;
  });
  const post = (path, fields) =>
    fetch(path, {
      method: "POST",
      headers: { "X-CSRF-Token": csrf, "HX-Request": "true" },
      body: new URLSearchParams(fields),
    }).then((response) => {
      const news = response.headers.get("HX-Trigger");
      if (news) Object.entries(JSON.parse(news)).forEach(([name, detail]) => send(name, detail));
      return response;
    }).catch(() => toast("The console is not responding. Nothing was changed.", "bad"));

  // --- messages: confirmations leave by themselves, errors once the person dismisses them ---
  const confirmations = document.getElementById("toasts");
  const errors = document.getElementById("errors");
  const arrangeErrors = () => {
    const boxes = all(".toast", errors);
    while (boxes.length > ERRORS_MAX) boxes.shift().remove();
    const older = Math.max(0, boxes.length - ERRORS_SHOWN);
    boxes.forEach((box, at) => { box.hidden = at < older; });
    const more = document.getElementById("errors-more");
    more.hidden = !older;
    more.textContent = older ? `Dismiss these to see ${older} older` : "";
  };
  const dismiss = (box) => {
    const hadFocus = box.contains(document.activeElement);
    box.remove();
    arrangeErrors();
    if (hadFocus) (all(".toast:not([hidden]) button", errors).at(-1) ?? document.getElementById("main")).focus();
  };
  const stay = (box) => {
    const button = Object.assign(document.createElement("button"), { textContent: "Dismiss", type: "button" });
    button.addEventListener("click", () => dismiss(box));
    box.append(button);
  };
  const showError = (text) => {
    const known = all(".toast", errors).find((one) => one.dataset.text === text);
    const count = Number(known?.dataset.count ?? 0) + 1;
    // A new box, so that a screen reader reads it out.
    const box = document.createElement("div");
    box.className = "toast toast-bad";
    box.setAttribute("role", "alert");
    Object.assign(box.dataset, { text, count });
    box.append(Object.assign(document.createElement("span"), { textContent: count > 1 ? `${text} (${count} times)` : text }));
    stay(box);
    errors.append(box);
    if (known) dismiss(known);
    arrangeErrors();
  };
  const toast = (text, tone = "good", undo = "") => {
    if (tone === "bad") { showError(text); return; }
    const box = document.createElement("div");
    box.className = `toast toast-${tone}`;
    box.append(Object.assign(document.createElement("span"), { textContent: text }));
    if (undo) {
      const button = Object.assign(document.createElement("button"), { textContent: "Undo", type: "button" });
      button.dataset.undo = undo;
      box.append(button);
    }
    confirmations.append(box);
    while (confirmations.children.length > TOASTS_MAX) confirmations.firstElementChild.remove();
    setTimeout(() => box.remove(), undo ? UNDO_MS : TOAST_MS);
  };
  const undoNewest = () => {
    const buttons = all("button", confirmations);
    buttons.at(-1)?.click();
  };
  // What an action has settled is cleared.
  body.addEventListener("auricle:changed", (event) => all("[data-clear-on]")
    .filter((one) => event.detail?.[one.dataset.clearOn]).forEach((one) => one.replaceChildren()));
  body.addEventListener("auricle:toast", (event) => {
    const { text, tone, undo } = event.detail;
    toast(text, tone, undo);
  });
  all(".toast", confirmations).forEach((box) => setTimeout(() => box.remove(), box.querySelector("form") ? UNDO_MS : TOAST_MS));
  all(".toast", errors).forEach(stay);
  arrangeErrors();
  body.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-undo]");
    if (!button) return;
    button.disabled = true;
    post("undo", { undo_id: button.dataset.undo }).then(() => button.closest(".toast").remove());
  });
  ["htmx:error", "htmx:response:error"].forEach((name) => body.addEventListener(name, () => {
    if (document.documentElement.dataset.down !== "yes") toast("Unexpected response from the console. Reload the page.", "bad");
  }));

  // --- live updates wait for the person: nothing is replaced while it is pressed or typed in ---
  const TYPED = "input:not([type=checkbox]):not([type=radio]):not([type=hidden]), textarea, select";
  let pressed = false;
  let late = false;
  let waiting = [];
  const typedIn = (part) => part?.contains(document.activeElement) && document.activeElement.matches(TYPED);
  const catchUp = () => {
    if (pressed) return;
    waiting.splice(0).forEach((go) => go());
    if (late && !typedIn(document.getElementById("main")?.querySelector("[hx-trigger*='auricle:']"))) { late = false; send("auricle:changed"); }
  };
  // The click that a press ends with comes after its end.
  const release = () => { if (pressed) { pressed = false; setTimeout(catchUp); } };
  const press = () => { pressed = true; };
  addEventListener("pointerdown", () => { focused = null; press(); }, true);
  for (const name of ["pointerup", "pointercancel", "dragend", "blur", "pagehide"]) addEventListener(name, release);
  addEventListener("keydown", (event) => { if (event.key === " " && event.target.matches?.("button, summary, input")) press(); }, true);
  addEventListener("keyup", (event) => { if (event.key === " ") release(); });
  addEventListener("focusout", () => { if (late) setTimeout(catchUp); });
  const free = () => (pressed ? new Promise((go) => { waiting.push(go); }) : Promise.resolve());
  let focused = null;
  body.addEventListener("htmx:before:swap", (event) => {
    const part = event.target;
    if (document.activeElement !== body) focused = document.activeElement;
    if (!part.getAttribute("hx-trigger")?.includes("auricle:")) return;
    if (pressed || typedIn(part)) { event.preventDefault(); late = true; }
  });
  // What moved on the page with an update has lost the focus.
  body.addEventListener("htmx:finally:swap", () => setTimeout(() => {
    if (focused?.isConnected && document.activeElement === body) focused.focus({ preventScroll: true });
  }));
  addEventListener("focusin", () => { focused = null; });

  // --- live data ---
  const state = document.getElementById("live-state");
  const banner = document.getElementById("banner");
  const show = (name, text) => {
    if (state) { state.dataset.state = name; state.textContent = text; }
    document.documentElement.dataset.down = name === "down" ? "yes" : "no";
  };
  const lost = (text) => {
    show("down", "offline");
    if (banner && !("quiet" in body.dataset) && !document.querySelector("[data-wait-for-daemon]")) { banner.textContent = text; banner.hidden = false; }
  };
  const connect = () => {
    const source = new EventSource(body.dataset.live);
    let wasDown = false;
    const data = (event) => JSON.parse(event.data);
    source.addEventListener("up", () => {
      if (document.querySelector("[data-wait-for-daemon]")) { location.reload(); return; }
      show("up", "live");
      if (banner) banner.hidden = true;
      if (wasDown) send("auricle:changed");
      wasDown = false;
    });
    source.addEventListener("down", (event) => {
      wasDown = true;
      const { reason } = data(event);
      lost(`${reason[0].toUpperCase()}${reason.slice(1)}. This page shows the last known state and updates automatically.`);
    });
    source.addEventListener("feed", (event) => send("auricle:feed", data(event)));
    source.addEventListener("lagging", () => send("auricle:changed"));
    source.addEventListener("full", (event) => { source.close(); show("off", data(event).reason); });
    source.addEventListener("ended", () => { source.close(); location.reload(); });
    source.onerror = () => {
      wasDown = true;
      lost("The console is not responding. This page reconnects automatically.");
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RETRY_MS);
    };
    addEventListener("pagehide", () => source.close(), { once: true });
  };
  if (body.dataset.live) connect();

  // --- times ---
  const UNITS = [["d", 86400], ["h", 3600], ["min", 60]];
  const ago = (seconds) => {
    if (seconds < 5) return "now";
    for (const [name, length] of UNITS) if (seconds >= length) return `${Math.floor(seconds / length)} ${name} ago`;
    return `${Math.floor(seconds)} s ago`;
  };
  const showTimes = (root = document) => all("time[datetime]", root).forEach((one) => {
    const seconds = (Date.now() - Date.parse(one.dateTime)) / 1000;
    if (!Number.isFinite(seconds)) return;
    const text = seconds > -5 && seconds < 7 * 86400 ? ago(seconds) : new Date(one.dateTime).toLocaleDateString();
    if (one.textContent !== text) one.textContent = text;
  });
  showTimes();
  setInterval(showTimes, 5000);
  body.addEventListener("htmx:after:swap", () => showTimes());

  // --- theme: as the system, light, dark ---
  const THEMES = ["", "light", "dark"];
  const setTheme = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme; else delete document.documentElement.dataset.theme;
    document.cookie = `auricle_theme=${theme}; SameSite=Strict; Max-Age=${theme ? 31536000 : 0}`;
    toast(`Theme: ${theme || "system"}`, "quiet");
    send("auricle:theme");
  };
  const setExplain = (on) => {
    if (on) body.dataset.explain = ""; else delete body.dataset.explain;
    all("[data-do=explain]").forEach((one) => one.setAttribute("aria-pressed", String(on)));
    try { localStorage.setItem("auricle-explain", on ? "1" : ""); } catch { /* storage is off */ }
  };
  try { setExplain(localStorage.getItem("auricle-explain") === "1"); } catch { /* storage is off */ }

  // --- buttons and keys ---
  const ACTIONS = {
    theme: () => setTheme(THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "") + 1) % 3]),
    explain: () => setExplain(!("explain" in body.dataset)),
    keys: () => document.getElementById("keys").showModal(),
  };
  body.addEventListener("click", (event) => ACTIONS[event.target.closest?.("[data-do]")?.dataset.do]?.());
  let going = 0;
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (going && Date.now() - going < 1500) {
      going = 0;
      const link = all(".nav a").find((one) => one.dataset.key === event.key);
      if (link) { event.preventDefault(); event.stopImmediatePropagation(); link.click(); }
      return;
    }
    going = 0;
    if (event.key === "g") going = Date.now();
    else if (event.key === "?") ACTIONS.keys();
    else if (event.key === "x") ACTIONS.explain();
    else if (event.key === "u") undoNewest();
    else return;
    event.stopImmediatePropagation();
  }, true);

  // A picture that is no longer kept is hidden.
  document.addEventListener("error", (event) => {
    if (event.target.matches?.("img[data-optional]")) event.target.dataset.gone = "";
  }, true);
  document.addEventListener("load", (event) => {
    if (event.target.matches?.("img[data-optional]")) delete event.target.dataset.gone;
  }, true);

  // A link's token is sent at once; programs that preview links run no scripts.
  const once = document.querySelector("form[data-submit-once]");
  if (once) once.requestSubmit();
  // Some actions need a confirmation.
  body.addEventListener("submit", (event) => {
    const question = event.target.dataset?.confirm;
    if (question && !confirm(question)) { event.preventDefault(); event.stopImmediatePropagation(); }
  }, true);

  window.auricle = { showTimes, free };
})();
