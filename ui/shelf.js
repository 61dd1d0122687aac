// The table of the documents: ticked rows stay ticked on other pages of it, lists sieve it, selections are named here.
(() => {
  "use strict";
  const ticked = new Set(); // keys of files
  let saving = false; // the ticks go when what they were for is there
  const tell = (detail) => document.dispatchEvent(new CustomEvent("assistant-documents", { detail }));
  const make = (tag, kind, text) => Object.assign(document.createElement(tag), { className: kind, textContent: text });
  const tab = (name) => [...document.querySelectorAll("#tabs [role=tab]")].find((one) => one.textContent.trim() === name);

  function askIn(places) {
    tab("Ask")?.click();
    document.dispatchEvent(new CustomEvent("assistant-act", { detail: { act: "where", turn: -1, places } }));
    setTimeout(() => document.querySelector("#question textarea")?.focus(), 250);
  }

  // A tab is made when it is opened for the first time.
  function whenThere(selector, act, tries = 100) {
    if (document.querySelector(selector)) setTimeout(act, 50);
    else if (tries) setTimeout(() => whenThere(selector, act, tries - 1), 50);
  }

  function askForName(text, doIt, value, act) {
    const field = Object.assign(make("input", "", ""), { value, maxLength: 80, id: "selection-name", required: true });
    const label = Object.assign(make("label", "", "Name"), { htmlFor: field.id });
    window.assistantDialog(text, doIt, "Cancel", () => act(field.value), [label, field]);
    field.select();
  }

  function showTicks() {
    if (saving && document.querySelector("#table [data-rename]")) { ticked.clear(); saving = false; }
    for (const box of document.querySelectorAll("#table [data-tick]")) {
      const on = ticked.has(box.dataset.tick);
      if (box.checked !== on) box.checked = on;
    }
    const boxes = [...document.querySelectorAll("#table [data-tick]")];
    const all = document.querySelector("#table [data-tick-all]");
    if (all) {
      const on = boxes.filter((box) => box.checked).length;
      all.checked = boxes.length > 0 && on === boxes.length;
      all.indeterminate = on > 0 && on < boxes.length;
    }
    let bar = document.querySelector("#ticks");
    if (!ticked.size) { bar?.remove(); return; }
    const table = document.querySelector("#table");
    if (!bar && table) {
      bar = Object.assign(make("div", "ticks", ""), { id: "ticks" });
      bar.setAttribute("role", "region");
      bar.setAttribute("aria-label", "Ticked documents");
      const count = make("span", "count-ticked", "");
      count.setAttribute("role", "status");
      bar.append(count, ...["Ask in these", "Save as a selection…", "Untick"].map((text) => Object.assign(make("button", "", text), { type: "button" })));
      table.before(bar);
    }
    const text = `${ticked.size.toLocaleString("en")} ticked`;
    const count = bar?.querySelector(".count-ticked");
    if (count && count.textContent !== text) count.textContent = text;
  }

  function set(box, on) {
    on ? ticked.add(box.dataset.tick) : ticked.delete(box.dataset.tick);
  }

  document.addEventListener("change", (event) => {
    const { target } = event;
    if (target.matches?.("[data-tick]")) set(target, target.checked);
    else if (target.matches?.("[data-tick-all]")) document.querySelectorAll("#table [data-tick]").forEach((box) => set(box, target.checked));
    else if (target.matches?.("[data-sieve]")) { tell({ act: "sieve", to: target.value }); return; }
    else return;
    showTicks();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button");
    if (!button) {
      const cell = event.target.closest?.("#table td.tick, #table th.tick");
      if (cell === event.target) cell.querySelector("input")?.click(); // beside the box counts too
      return;
    }
    const { dataset } = button;
    if (button.closest("#ticks")) {
      const keys = [...ticked];
      if (button.textContent === "Ask in these") { askIn(keys.map((key) => ({ kind: "document", key }))); ticked.clear(); }
      else if (button.textContent === "Untick") ticked.clear();
      else askForName(`Save ${keys.length === 1 ? "this document" : `these ${keys.length} documents`} as a selection`, "Save", "", (text) => { saving = true; tell({ act: "keep", keys, text }); });
      showTicks();
    } else if ("askIn" in dataset) askIn([{ kind: dataset.askIn, key: dataset.key }]);
    else if ("keep" in dataset) askForName("Save what the filter shows as a selection", "Save", "", (text) => tell({ act: "keep", text }));
    else if ("rename" in dataset) {
      const now = document.querySelector("[data-sieve=place]")?.selectedOptions[0]?.textContent ?? "";
      askForName("Rename the selection", "Rename", now, (text) => tell({ act: "rename", text }));
    } else if ("forget" in dataset) window.assistantDialog("Delete the selection? Its documents stay.", "Delete it", "Keep it", () => tell({ act: "forget" }));
    else if ("again" in dataset) {
      button.disabled = true;
      document.dispatchEvent(new CustomEvent("assistant-again", { detail: { to: dataset.again } }));
    } else if ("find" in dataset) { // a passage of the search tab
      tab("Documents")?.click();
      wanted = dataset.at;
      whenThere("#documents-bridge", () => tell({ act: "open", to: dataset.find, at: Number(dataset.at) }));
    }
  });

  // A list keeps what was chosen in it, whatever the server says, unless it is told.
  let chosen = "";

  function showChoices() {
    const now = document.querySelector("#choices .choices")?.dataset.now ?? "";
    if (now === chosen) return;
    chosen = now;
    for (const list of document.querySelectorAll("#choices select")) {
      list.value = ([...list.options].find((option) => option.defaultSelected) ?? list.options[0]).value;
    }
  }

  // A passage that was found leads to its chunk.
  let wanted = "";

  function reveal() {
    const chunk = wanted && document.querySelector("#reading article") && [...document.querySelectorAll("#reading .chunk[data-start]")].find((one) => Number(one.dataset.start) <= Number(wanted) && Number(wanted) < Number(one.dataset.end));
    if (!chunk) return;
    wanted = "";
    setTimeout(() => {
      chunk.scrollIntoView({ block: "center" });
      chunk.focus({ preventScroll: true });
      chunk.classList.add("found");
    }, 60);
  }

  // Filling the table anew must not lose the focus of whoever is in it.
  let last = null;
  document.addEventListener("focusin", (event) => {
    const of = event.target.closest?.("#table, #choices, #reading");
    const { act, to, tick, sieve, again } = event.target.dataset ?? {};
    last = of ? { of: `#${of.id}`, by: tick ? `[data-tick="${tick}"]` : sieve ? `[data-sieve="${sieve}"]` : again ? `[data-again="${again}"]` : act ? `[data-act="${act}"][data-to="${CSS.escape(to)}"]` : "" } : null;
  });

  function keepFocus() {
    if (!last?.by || document.activeElement !== document.body || document.querySelector("dialog[open]")) return;
    if (document.querySelector("#reading article") && last.of !== "#reading") return;
    document.querySelector(`${last.of} ${last.by}`)?.focus({ preventScroll: true });
  }

  new MutationObserver(() => { showTicks(); showChoices(); reveal(); keepFocus(); }).observe(document, { childList: true, subtree: true });
})();
