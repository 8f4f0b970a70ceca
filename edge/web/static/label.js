// The screen Label: selection, keys, scrolling through many observations, and actions that survive
// errors.  Without this script the page still works: tiles are checkboxes of a form.
//
// The selection and what is typed are kept in the session's storage.  An action is kept in the
// browser's storage with its id until it was answered: sent again after a reload or a restart, it
// takes effect once.
(() => {
  "use strict";
  const form = document.getElementById("label-form");
  if (!form) return;
  const by = (id) => document.getElementById(id);
  const grid = by("shots"), note = by("label-result"), tally = by("label-count");
  const field = by("label-name"), domain = by("label-domain"), dialog = by("label-dialog");
  const value = (name) => form.querySelector(`input[type=hidden][name=${name}]`).value;
  const csrf = document.querySelector("meta[name=csrf]").content;
  const SIZE = Number(grid.dataset.size);
  const MOST = Number(grid.dataset.most);
  const FAR_PX = 1600; // Pages are kept for two windows around the one in view.
  const SETTLE_MS = 120; // A page that is scrolled past faster is not fetched.
  const KEYS_MAX = 9;
  const WATCH_MS = 2500; // How soon what others label leaves the page.
  const STORE = `auricle.label.${value("home")}`;
  const VIEW = ["home", "state", "stream", "guess", "order"].map(value).join("\n");
  const selected = new Set();
  let anchor = null;
  let busy = false;
  let sent = Promise.resolve(true); // Actions take effect in turn.
  const sending = new Set(); // What the actions on their way label.
  let typed = 0; // How often the label has changed by typing.
  let watched = Date.now();

  // --- storage ---
  const read = (store, key) => { try { return JSON.parse(store.getItem(key)); } catch { return null; } };
  const write = (store, key, content) => {
    try {
      if (content === null) store.removeItem(key); else store.setItem(key, JSON.stringify(content));
    } catch { /* storage is full or off: the page works without it */ }
  };
  const keep = () => write(sessionStorage, STORE, {
    view: VIEW, ids: [...selected], label: field.value, domain: domain.value,
  });
  const setPending = (action) => write(localStorage, `${STORE}.pending`, action);
  const pending = () => read(localStorage, `${STORE}.pending`);

  // --- messages ---
  const shown = (count) => count.toLocaleString("en").replaceAll(",", "\u202f");
  const many = (count, noun) => `${shown(count)} ${noun}${count === 1 ? "" : "s"}`;
  const say = (text, tone = "quiet", buttons = []) => {
    const box = document.createElement("div");
    box.className = `result result-${tone}`;
    box.append(Object.assign(document.createElement("p"), { textContent: text }));
    if (buttons.length) {
      const row = Object.assign(document.createElement("div"), { className: "row" });
      for (const [name, title] of buttons) {
        const button = Object.assign(document.createElement("button"), { type: "button", className: "button button-small", textContent: title });
        button.dataset[name] = "";
        row.append(button);
      }
      box.append(row);
    }
    note.replaceChildren(box);
  };
  const AGAIN = [["again", "Send again"], ["discard", "Discard"]];
  const offline = () => say("The console does not answer. Your selection and input are kept.", "bad", pending() ? AGAIN : []);
  const fail = async (answer) => {
    const found = await answer.json().catch(() => null);
    if (found?.html) note.innerHTML = found.html;
    else if (answer.status === 401 || answer.status === 403) say("This session has ended or its role may not label. Open a new link from `auricle web link` in this browser. Your selection and input are kept.", "bad", pending() ? AGAIN : []);
    else if (answer.status === 429) say("Too many requests: wait a moment. Nothing was changed.", "warn");
    else if (answer.status === 503) say("The daemon is not responding. Your selection and input are kept.", "bad", pending() ? AGAIN : []);
    else say(`The console returned error ${answer.status}. Nothing was changed.`, "bad", pending() ? AGAIN : []);
  };

  // --- selection ---
  const boxes = () => [...grid.querySelectorAll("input[name=id]")];
  const boxOf = (id) => grid.querySelector(`input[name=id][value="${CSS.escape(id)}"]`);
  const show = () => {
    for (const box of boxes()) box.checked = selected.has(box.value);
    tally.textContent = selected.size ? `${shown(selected.size)} selected` : "None selected";
    by("label-clear").hidden = !selected.size;
    by("label-all").hidden = selected.size > 0;
    by("label-go").textContent = selected.size ? `Label ${shown(selected.size)}` : "Label";
    keep();
  };
  const put = (ids, on) => {
    for (const id of ids) {
      if (!on) selected.delete(id);
      else if (selected.size < MOST || selected.has(id)) selected.add(id);
      else { say(`At most ${many(MOST, "observation")} can be labelled at once; only the first are selected.`, "warn"); break; }
    }
    show();
  };
  const clear = () => put([...selected], false);
  const enter = (box) => {
    if (!box) return;
    for (const one of grid.querySelectorAll("input[name=id][tabindex='0']")) one.tabIndex = -1;
    box.tabIndex = 0;
    box.focus();
  };
  const placeOf = (box) => {
    const page = box.closest(".shot-page");
    return Number(page.dataset.offset) + [...page.querySelectorAll("input[name=id]")].indexOf(box);
  };
  const query = (fields) => {
    const all = new URLSearchParams();
    for (const name of ["home", "state", "stream", "guess", "order"]) if (value(name)) all.set(name, value(name));
    for (const [name, one] of Object.entries(fields)) all.set(name, one);
    return all;
  };
  const get = (path) => fetch(path, { headers: { Accept: "application/json" } });
  const fetchIds = async (fields) => {
    try {
      const answer = await get(`label-ids?${query(fields)}`);
      if (answer.ok) return (await answer.json()).ids;
      await fail(answer);
    } catch { offline(); }
    return [];
  };
  const selectRange = async (box) => {
    const to = placeOf(box), from = anchor ?? to;
    const [first, last] = from < to ? [from, to] : [to, from];
    const here = boxes().filter((one) => placeOf(one) >= first && placeOf(one) <= last).map((one) => one.value);
    put(here.length === last - first + 1 ? here : await fetchIds({ offset: first, limit: Math.min(last - first + 1, MOST) }), true);
  };
  const selectGroup = async (group, box) => {
    if (!group || !box) return;
    const found = await fetchIds({ group, offset: placeOf(box) });
    const whole = found.length > 0 && found.every((id) => selected.has(id));
    put(found, !whole);
    if (found.length) say(`${many(found.length, "observation")} of group ${Number(group) + 1} ${whole ? "cleared" : "selected"}.`);
  };

  // --- pages: those far from the view are empty boxes of the same height ---
  const pages = () => [...grid.querySelectorAll(".shot-page")];
  const load = async (page) => {
    // What changes while an answer is on its way, or waits for the end of a press, is loaded after it.
    if (page.dataset.loading) { page.dataset.loading = "again"; return; }
    page.dataset.loading = "1";
    try {
      const answer = await get(`label-tiles?${query({ offset: page.dataset.offset, limit: SIZE })}`);
      if (!answer.ok) { await fail(answer); return; }
      const text = await answer.text();
      // A tile that is pressed stays until the press has ended.
      await window.auricle?.free();
      fill(page, text);
      const counts = JSON.parse(answer.headers.get("X-Counts") ?? "{}");
      if ("total" in counts) layOut(counts.total);
      for (const [name, count] of Object.entries(counts)) {
        for (const one of document.querySelectorAll(`[data-total-of="${name}"]`)) one.textContent = shown(count);
      }
      page.dataset.busy = answer.headers.get("X-Busy") ?? "0";
    } catch { offline(); } finally {
      const again = page.dataset.loading === "again";
      delete page.dataset.loading;
      if (again && page.isConnected) load(page);
    }
  };
  const fill = (page, html) => {
    const focused = grid.contains(document.activeElement) ? document.activeElement.value : "";
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    // Pictures that are there stay, so that nothing flickers.
    for (const box of fresh.content.querySelectorAll("input[name=id]")) {
      const old = boxOf(box.value)?.closest(".shot").querySelector("img");
      const place = box.closest(".shot").querySelector("img");
      if (old && place && old.getAttribute("src") === place.getAttribute("src")) place.replaceWith(old);
      box.checked = selected.has(box.value);
      box.tabIndex = -1;
    }
    page.replaceChildren(...fresh.content.childNodes);
    page.style.minHeight = "";
    page.dataset.loaded = "1";
    if (focused && boxOf(focused)) enter(boxOf(focused));
    else if (!grid.querySelector("input[name=id][tabindex='0']") && boxes().length) boxes()[0].tabIndex = 0;
  };
  const unload = (page) => {
    if (!page.dataset.loaded || page.contains(document.activeElement)) return;
    page.style.minHeight = `${page.offsetHeight}px`;
    page.replaceChildren();
    delete page.dataset.loaded;
  };
  const inView = (page, margin) => {
    const box = page.getBoundingClientRect();
    return box.bottom > -margin && box.top < innerHeight + margin;
  };
  const near = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) unload(target);
      else if (!target.dataset.loaded) setTimeout(() => { if (!target.dataset.loaded && inView(target, FAR_PX)) load(target); }, SETTLE_MS);
    }
  }, { rootMargin: `${FAR_PX}px 0px` });
  const layOut = (total) => {
    const first = Number(pages()[0].dataset.offset);
    const wanted = Math.max(1, Math.ceil((total - first) / SIZE));
    for (const page of pages().slice(wanted)) { near.unobserve(page); page.remove(); }
    const tall = pages().find((page) => page.dataset.loaded)?.offsetHeight || 600;
    for (let at = pages().length; at < wanted; at += 1) {
      const page = Object.assign(document.createElement("div"), { className: "shot-page" });
      page.dataset.offset = String(first + at * SIZE);
      page.style.minHeight = `${tall}px`;
      grid.append(page);
      near.observe(page);
    }
    grid.dataset.total = String(total);
    grid.classList.toggle("is-empty", total === 0);
  };
  const refresh = async () => {
    const seen = pages().filter((page) => inView(page, 200));
    for (const page of pages()) {
      if (seen.includes(page)) continue;
      unload(page);
      // The observer reports changes only: a page near the view would stay empty.
      near.unobserve(page);
      near.observe(page);
    }
    await Promise.all(seen.map(load));
  };
  // A page that was made while groups or explanations were being computed lacks them.
  const unfinished = (page) => page.dataset.busy === "1";
  // What other people label, and new observations, change the list.
  const watch = async () => {
    if (document.hidden || busy || dialog.open || Date.now() - watched < WATCH_MS) return;
    watched = Date.now();
    const seen = pages().filter((page) => page.dataset.loaded && inView(page, 200));
    if (!seen.length) return;
    const before = seen.flatMap((page) => [...page.querySelectorAll("input[name=id]")].map((box) => box.value));
    try {
      const answer = await get(`label-ids?${query({ offset: seen[0].dataset.offset, limit: seen.length * SIZE })}`);
      if (!answer.ok || busy) return;
      const now = (await answer.json()).ids;
      if (!seen.some(unfinished) && now.length === before.length && now.every((id, at) => id === before[at])) return;
      await refresh();
      if (busy) return;
      const lost = before.filter((id) => selected.has(id) && !now.includes(id));
      const gone = lost.length ? new Set(await stillThere(lost)) : null;
      const taken = lost.filter((id) => !gone.has(id));
      if (taken.length) {
        put(taken, false);
        say(`${many(taken.length, "selected observation")} left the list (labelled by another person, or forgotten) and ${taken.length === 1 ? "is" : "are"} no longer selected.`, "warn");
      }
    } catch { /* the next action reports it */ }
  };
  const stillThere = async (ids) => {
    const all = await fetchIds({ offset: 0, limit: Math.min(MOST, Number(grid.dataset.total) || 1) });
    return ids.filter((id) => all.includes(id));
  };

  // --- actions ---
  const newId = () => `web-${[...crypto.getRandomValues(new Uint8Array(12))].map((one) => one.toString(16).padStart(2, "0")).join("")}`;
  // An action waits for the one before, and is not sent if that one failed or asks something: the
  // selection and what was typed meanwhile stay.
  const act = (path, fields) => {
    const ids = fields.id ?? [];
    for (const id of ids) sending.add(id);
    const before = busy ? sent : Promise.resolve(true);
    busy = true;
    sent = before.then((done) => done && perform(path, fields)).finally(() => { for (const id of ids) sending.delete(id); });
    const last = sent;
    return sent.finally(() => { if (sent === last) busy = false; });
  };
  const perform = async (path, fields) => {
    const focus = document.activeElement;
    const from = { typed, focus, within: focus === document.body || form.contains(focus) };
    form.setAttribute("aria-busy", "true");
    if (fields.request_id) setPending({ path, fields });
    const body = new URLSearchParams();
    for (const [name, one] of Object.entries({ home: value("home"), state: value("state"), stream: value("stream"), order: value("order"), ...fields })) {
      for (const part of Array.isArray(one) ? one : [one]) body.append(name, part);
    }
    try {
      const answer = await fetch(path, { method: "POST", headers: { Accept: "application/json", "X-CSRF-Token": csrf }, body });
      if (!answer.ok) { await fail(answer); return false; }
      const found = await answer.json();
      setPending(null);
      note.innerHTML = found.html;
      if (!found.done) { note.querySelector("button")?.focus(); return false; }
      await settle(found, from);
      return true;
    } catch {
      offline();
      return false;
    } finally {
      watched = Date.now();
      form.removeAttribute("aria-busy");
    }
  };
  // A new label gets a key and is offered, without a reload.
  const offer = (label) => {
    const names = by("label-names");
    if ([...names.options].some((one) => one.value === label)) return;
    names.append(Object.assign(document.createElement("option"), { value: label }));
    const key = form.querySelectorAll("button[data-key]").length + 1;
    if (key > KEYS_MAX) return;
    for (const [row, fields, data] of [[form.querySelector(".tray-keys"), { name: "key_label", value: label }, { key }], [dialog.querySelector(".tray-keys"), { type: "button" }, { labelIt: label }]]) {
      const chip = Object.assign(document.createElement("button"), { className: "chip", ...fields });
      Object.assign(chip.dataset, data);
      const shownKey = Object.assign(document.createElement("kbd"), { textContent: key });
      shownKey.setAttribute("aria-hidden", "true");
      chip.append(shownKey, " ", Object.assign(document.createElement("span"), { className: "cut", dir: "auto", textContent: label }));
      row.append(chip);
    }
  };
  const settle = async (found, from) => {
    if (found.labelled.length && found.label) offer(found.label);
    const at = boxes().findIndex((box) => box === document.activeElement || found.labelled.includes(box.value));
    for (const id of [...found.labelled, ...found.gone]) {
      selected.delete(id);
      if (value("state") !== "labelled") boxOf(id)?.closest(".shot").remove();
    }
    if (found.labelled.length) {
      anchor = null;
      if (typed === from.typed) field.value = "";
    }
    show();
    await refresh();
    // Who has gone on meanwhile keeps the place.
    const stayed = typed === from.typed && [from.focus, document.body].includes(document.activeElement);
    if (from.within && stayed && at >= 0 && !dialog.open) enter(boxes()[Math.min(at, boxes().length - 1)]);
    const right = by("label-right");
    get(`label-right?${query({})}`).then(async (answer) => { if (answer.ok) right.textContent = (await answer.json()).text; }).catch(() => {});
  };
  const apply = (label, ids) => {
    const name = label.trim();
    if (!ids.length) { say("Select observations first: click them, or press Space.", "warn"); return false; }
    if (!name) { say("Type a label, or press the number key of one.", "warn"); field.focus(); return false; }
    const left = ids.filter((id) => !sending.has(id));
    if (!left.length) return false;
    const known = [...by("label-names").options].some((one) => one.value === name);
    return act("label-apply", { request_id: newId(), label: name, domain: domain.value, id: left, known: known ? "1" : "" });
  };

  // --- the dialog ---
  const enlarge = async (id) => {
    const inside = dialog.querySelector(".dialog-body");
    dialog.dataset.id = id;
    inside.setAttribute("aria-busy", "true");
    if (!dialog.open) dialog.showModal();
    try {
      const answer = await get(`why?${new URLSearchParams({ home: value("home"), id, part: "1" })}`);
      if (dialog.dataset.id !== id) return;
      if (answer.ok) { inside.innerHTML = await answer.text(); window.auricle?.showTimes(inside); }
      else inside.textContent = "This observation is not available: it was forgotten or dropped, or the daemon is not responding.";
    } catch { inside.textContent = "The console does not answer. Close this dialog and try again."; }
    finally { inside.removeAttribute("aria-busy"); }
  };
  // The next one follows the one that was labelled.
  const labelShown = async (label) => {
    const all = boxes();
    const next = all[all.findIndex((box) => box.value === dialog.dataset.id) + 1]?.value;
    if (!await apply(label, [dialog.dataset.id])) dialog.close();
    else if (next && boxOf(next)) enlarge(next);
    else dialog.close();
  };
  const step = (by_) => {
    const all = boxes();
    const at = all.findIndex((box) => box.value === dialog.dataset.id) + by_;
    if (all[at]) enlarge(all[at].value);
  };

  // --- keys ---
  const columns = () => {
    const list = boxes()[0]?.closest(".shot-list");
    return list ? getComputedStyle(list).gridTemplateColumns.split(" ").length : 1;
  };
  const moveTo = async (box, to, extend) => {
    if (!to) return;
    if (extend) { anchor ??= placeOf(box); enter(to); await selectRange(to); } else enter(to);
  };
  const onKey = async (event) => {
    const target = event.target;
    if (target.closest?.("input:not([type=checkbox]), textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const box = target.name === "id" ? target : null;
    if (!box && !(target === document.body || target.id === "main" || form.contains(target) || dialog.open)) return;
    const key = event.key;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns() };
    if (key in steps && dialog.open && Math.abs(steps[key]) === 1) step(steps[key]);
    else if (key in steps && box) { const all = boxes(); moveTo(box, all[all.indexOf(box) + steps[key]], event.shiftKey); }
    else if (key in steps && !dialog.open && target === document.body && boxes().length) enter(boxes()[0]);
    else if (key >= "1" && key <= "9" && key.length === 1) {
      const button = form.querySelector(`button[data-key="${key}"]`);
      if (!button) return;
      if (dialog.open) await labelShown(button.value);
      else await apply(button.value, selected.size ? [...selected] : box ? [box.value] : []);
    }
    else if (key === "a" && box) selectGroup(box.closest(".shot").dataset.group, box);
    else if (key === "Enter" && box) enlarge(box.value);
    else if (key === "Escape" && !dialog.open && selected.size) clear();
    else if (key === "l" && !dialog.open) field.focus();
    else return;
    event.preventDefault();
  };
  document.addEventListener("keydown", onKey);
  // The key of "undo the newest action" undoes what this screen shows first.
  window.addEventListener("keydown", (event) => {
    const button = event.key === "u" && !event.ctrlKey && !event.metaKey && note.querySelector("[data-take-back]");
    if (!button || event.target.closest?.("input:not([type=checkbox]), textarea, select")) return;
    event.stopImmediatePropagation();
    button.click();
  }, true);

  // --- mouse and forms ---
  grid.addEventListener("click", (event) => {
    const more = event.target.closest("[data-enlarge]");
    const group = event.target.closest("[data-select-group]");
    const tile = event.target.closest(".shot");
    if (more) enlarge(more.dataset.enlarge);
    else if (group) selectGroup(group.dataset.selectGroup, group.parentElement.nextElementSibling.querySelector("input[name=id]"));
    else if (tile && event.shiftKey && anchor !== null) {
      event.preventDefault();
      const box = tile.querySelector("input[name=id]");
      selectRange(box).then(() => enter(box));
    }
  });
  grid.addEventListener("mousedown", (event) => { if (event.shiftKey) event.preventDefault(); });
  grid.addEventListener("change", (event) => {
    const box = event.target;
    if (box.name !== "id") return;
    put([box.value], box.checked);
    anchor = placeOf(box);
    enter(box);
  });
  form.addEventListener("submit", (event) => {
    if (note.contains(event.target)) return;
    event.preventDefault();
    const button = event.submitter;
    apply(button?.dataset.key ? button.value : field.value, [...selected]);
  });
  note.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const own = button.closest("[data-action]");
    if (own) {
      event.preventDefault();
      const fields = {};
      for (const one of own.querySelectorAll("input")) fields[one.name] = one.name === "id" ? [...(fields.id ?? []), one.value] : one.value;
      if (own.dataset.action === "label-apply") fields.request_id = newId();
      act(own.dataset.action, fields);
    } else if ("again" in button.dataset) {
      const left = pending();
      if (left) act(left.path, left.fields);
    } else if ("discard" in button.dataset) { setPending(null); note.replaceChildren(); }
  });
  by("label-clear").addEventListener("click", clear);
  by("label-all").addEventListener("click", async () => put(await fetchIds({ offset: 0, limit: MOST }), true));
  dialog.addEventListener("click", async (event) => {
    const name = event.target.closest("[data-label-it]"), by_ = event.target.closest("[data-step]");
    if (event.target === dialog) dialog.close();
    else if (by_) step(Number(by_.dataset.step));
    else if (name) await labelShown(name.dataset.labelIt);
  });
  dialog.addEventListener("close", () => { dialog.querySelector(".dialog-body").replaceChildren(); enter(boxOf(dialog.dataset.id)); });
  for (const one of [field, domain]) one.addEventListener("input", keep);
  field.addEventListener("input", () => { typed += 1; });
  by("label-view").addEventListener("change", () => by("label-view").requestSubmit());
  document.body.addEventListener("auricle:feed", watch);
  // Groups and guesses that were still being computed when the page was made come without a message.
  setInterval(() => { if (pages().some((page) => unfinished(page) && inView(page, 200))) watch(); }, WATCH_MS);
  document.body.addEventListener("auricle:changed", () => { if (!busy) refresh(); });

  // --- start ---
  const kept = read(sessionStorage, STORE);
  if (kept) {
    if (kept.view === VIEW) for (const id of kept.ids ?? []) selected.add(id);
    field.value ||= kept.label ?? "";
    domain.value ||= kept.domain ?? "";
  }
  document.documentElement.dataset.script = "yes";
  for (const box of boxes().slice(1)) box.tabIndex = -1;
  for (const page of pages()) near.observe(page);
  layOut(Number(grid.dataset.total));
  show();
  const left = pending();
  if (left) say(`The answer to your last action did not arrive: ${left.fields.id?.length ?? 0} as ${left.fields.label}. Sending it again cannot apply it twice.`, "warn", AGAIN);
})();
