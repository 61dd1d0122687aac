// Where a question looks: names offered while one types @ in a question, and the control that limits the next question.
(() => {
  "use strict";
  const FIELDS = "#question textarea, #query textarea, #query input";
  const TYPED = /(?:^|[\s(\[])@(?:"([^"\n]{0,80})|([^\s"@]{0,80}))$/; // before the cursor
  const SPACED = /(?:^|[\s(\[])@([^\s"@][^"@\n]{0,59})$/; // it may go on with the next word of a name
  const KINDS = { selection: "Selection", folder: "Folder", document: "" };
  const make = (tag, kind = "", text = "") => Object.assign(document.createElement(tag), { className: kind, textContent: text });
  const asked = () => document.querySelector("#question textarea");

  // A list of places below or above `field`, which keeps the focus; `choose` takes the place that was picked.
  class List {
    constructor(field, box, choose) {
      this.field = field;
      this.choose = choose;
      this.box = box;
      this.list = Object.assign(make("ul"), { id: `${box.id}-list`, role: "listbox" });
      this.list.setAttribute("aria-label", "Documents, folders and selections");
      this.told = Object.assign(make("p", "told"), { role: "status" });
      box.append(this.list, this.told);
      this.places = [];
      this.at = -1;
      this.asked = 0;
      this.list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
      this.list.addEventListener("click", (event) => {
        const option = event.target.closest("[role=option]");
        if (option) this.choose(this.places[Number(option.dataset.at)]);
      });
      field.setAttribute("aria-autocomplete", "list");
      field.setAttribute("aria-controls", this.list.id);
    }

    // With `whole` only what begins with all that is typed.
    async fill(typed, first = [], whole = false) {
      const turn = ++this.asked;
      let answer = { places: [] };
      try {
        answer = await (await fetch(`places?q=${encodeURIComponent(typed)}`)).json();
      } catch { answer.problem = "The names can't be had now."; }
      if (turn !== this.asked || !this.box.isConnected) return;
      const fits = (place) => [place.name, place.name.split("/").at(-1)].some((name) => name.toLowerCase().startsWith(typed.toLowerCase()));
      this.places = [...first, ...(whole ? answer.places.filter(fits) : answer.places)];
      this.list.replaceChildren(...this.places.map((place, at) => this.option(place, at)));
      this.told.textContent = answer.problem ?? (this.places.length ? "" : "No document, folder or selection has this in its name.");
      this.move(this.places.length ? 0 : -1);
      this.placed?.();
    }

    option(place, at) {
      const option = Object.assign(make("li", place.kind), { id: `${this.list.id}-${at}`, role: "option" });
      option.dataset.at = at;
      const name = make("span", "name", place.name);
      name.dir = "auto";
      option.append(name);
      const about = [KINDS[place.kind], place.kind === "selection" ? "" : place.about].filter(Boolean).join(" · ");
      if (about) option.append(make("span", "about", about));
      return option;
    }

    move(at) {
      this.at = at;
      [...this.list.children].forEach((option, number) => {
        option.setAttribute("aria-selected", number === at);
        if (number === at) option.scrollIntoView({ block: "nearest" });
      });
      at < 0 ? this.field.removeAttribute("aria-activedescendant") : this.field.setAttribute("aria-activedescendant", `${this.list.id}-${at}`);
    }

    // Whether the key was meant for the list.
    key(event) {
      const count = this.places.length;
      const steps = { ArrowDown: 1, ArrowUp: -1 };
      if (event.key in steps && count) this.move((this.at + steps[event.key] + count) % count);
      else if ((event.key === "Enter" || event.key === "Tab") && this.at >= 0 && !event.shiftKey) this.choose(this.places[this.at]);
      else return false;
      event.preventDefault();
      event.stopImmediatePropagation();
      return true;
    }

    close() {
      this.asked++;
      this.field.removeAttribute("aria-activedescendant");
      this.field.removeAttribute("aria-controls");
      this.box.remove();
    }
  }

  // Names while one types

  let picker = null;
  let left = ""; // what was typed when the list was closed by Escape
  let waiting = 0;

  function leave() {
    picker?.close();
    picker = null;
  }

  function place(box, field) { // above a field that has more room there
    const edge = field.closest("#question, #query").getBoundingClientRect();
    const above = edge.top > window.innerHeight - edge.bottom;
    const room = (above ? edge.top : window.innerHeight - edge.bottom) - 12;
    const width = Math.min(edge.width, 560);
    Object.assign(box.style, {
      left: `${Math.max(8, Math.min(edge.left, window.innerWidth - width - 8))}px`, width: `${width}px`, maxHeight: `${Math.min(room, 380)}px`,
      top: above ? "" : `${edge.bottom + 6}px`, bottom: above ? `${window.innerHeight - edge.top + 6}px` : "",
    });
  }

  function typed(field) {
    const before = field.value.slice(0, field.selectionStart);
    const still = field.selectionStart === field.selectionEnd;
    const found = still && TYPED.exec(before);
    const spaced = still && !found && SPACED.exec(before);
    if (!found && !spaced) { left = ""; leave(); return; }
    const word = spaced ? spaced[1] : found[1] ?? found[2];
    if (left && before.startsWith(left)) return;
    left = "";
    const start = before.length - word.length - (spaced || found[1] === undefined ? 1 : 2);
    if (!picker || picker.field !== field) {
      leave();
      const box = Object.assign(make("div", "places"), { id: "place-picker" });
      document.querySelector(".gradio-container").append(box);
      picker = new List(field, box, (chosen) => put(field, chosen));
      picker.placed = () => {
        box.hidden = !picker?.places.length;
        place(box, field);
      };
      box.hidden = true;
    }
    picker.start = start;
    clearTimeout(waiting);
    waiting = setTimeout(() => picker?.fill(word, [], Boolean(spaced)), 50);
  }

  function put(field, chosen) {
    const start = picker.start;
    leave();
    const after = /^\s/.test(field.value.slice(field.selectionStart)) ? "" : " ";
    field.setRangeText(chosen.mention + after, start, field.selectionStart, "end");
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  }

  document.addEventListener("input", (event) => { if (event.target.matches?.(FIELDS)) typed(event.target); });
  document.addEventListener("focusout", (event) => { if (picker?.field === event.target) leave(); });
  window.addEventListener("resize", () => { if (picker && !picker.box.hidden) place(picker.box, picker.field); });
  document.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const list = event.target === picker?.field && !picker.box.hidden ? picker : event.target === limiting?.field ? limiting : null;
    if (!list) {
      if (event.target === picker?.field && event.key === "Enter") leave();
      return;
    }
    if (event.key !== "Escape") { list.key(event); return; }
    event.preventDefault();
    event.stopImmediatePropagation(); // Escape would stop an answer
    if (list === picker) {
      left = picker.field.value.slice(0, picker.field.selectionStart);
      leave();
    } else end(true);
  }, true);

  // The control above the box

  let limiting = null;
  const send = (places) => document.dispatchEvent(new CustomEvent("assistant-act", { detail: { act: "where", turn: -1, places } }));

  function end(back) {
    limiting?.close();
    limiting = null;
    const button = document.querySelector("#ask-in");
    button?.setAttribute("aria-expanded", "false");
    if (back) button?.focus();
  }

  function begin(button) {
    const box = Object.assign(make("div", "places choosing"), { id: "place-chooser", role: "dialog" });
    box.setAttribute("aria-label", "Ask in");
    const field = Object.assign(make("input"), { type: "text", role: "combobox", placeholder: "Folder, selection or document", maxLength: 200, autocomplete: "off" });
    field.setAttribute("aria-label", "Folder, selection or document");
    field.setAttribute("aria-expanded", "true");
    box.append(field);
    document.querySelector(".gradio-container").append(box);
    limiting = new List(field, box, (chosen) => {
      end(false);
      send(chosen.kind === "all" ? [] : [{ kind: chosen.kind, name: chosen.name }]);
      asked()?.focus();
    });
    box.append(make("p", "hint", "Several? Name them in the question with @, or tick them under Documents."));
    const all = [{ kind: "all", name: "All documents", about: "" }];
    limiting.placed = () => place(box, document.querySelector("#question textarea"));
    field.addEventListener("input", () => limiting?.fill(field.value, field.value.trim() ? [] : all));
    limiting.fill("", all);
    limiting.placed();
    button.setAttribute("aria-expanded", "true");
    field.focus();
    box.addEventListener("focusout", (event) => { if (!box.contains(event.relatedTarget) && event.relatedTarget) end(false); });
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#ask-in");
    if (limiting && !limiting.box.contains(event.target)) { end(false); if (button) return; }
    if (button) begin(button);
    else if (event.target.closest?.("#ask-everywhere")) { send([]); asked()?.focus(); }
  });
})();
