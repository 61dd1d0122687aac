// Marks lead to their passage, buttons in messages and documents reach the server, folded parts stay as the reader left them.
(() => {
  "use strict";
  let wanted = ""; // the id of the card to show as soon as its panel is there
  const opened = new Set(); // reasoning that the reader unfolded

  const box = () => document.querySelector("#question textarea");
  const narrow = () => window.matchMedia("(max-width: 860px)").matches;
  const behavior = () => (window.matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");

  function showSources() {
    const chosen = document.querySelector("#panel .panel")?.dataset.turn;
    if (chosen === undefined) return;
    const answers = document.querySelectorAll("#chat .answer");
    for (const answer of answers) {
      answer.classList.toggle("lit", answer.id === `answer-${chosen}` && answers.length > 1);
    }
    if (wanted && document.getElementById(wanted)) reveal(wanted);
  }

  function keepOpen() {
    for (const details of document.querySelectorAll("#chat details.reasoning")) {
      const id = details.closest(".answer")?.id;
      if (id && opened.has(id) && !details.open) details.open = true;
    }
  }

  let first = ""; // the id of the first question before earlier ones were asked for

  function keepPlace() {
    const now = first && document.querySelector("#chat .asked");
    if (!now || now.id === first) return;
    const place = document.getElementById(first);
    first = "";
    if (!place) return;
    place.scrollIntoView();
    place.tabIndex = -1; // what had the focus is gone
    place.focus({ preventScroll: true });
  }

  function reveal(id) {
    const card = document.getElementById(id);
    if (!card) { // the panel shows the sources of another answer
      wanted = id;
      document.dispatchEvent(new CustomEvent("assistant-act", { detail: { act: "sources", turn: Number(id.split("-")[1]) } }));
      return;
    }
    wanted = "";
    card.scrollIntoView({ block: narrow() ? "start" : "center", behavior: behavior() });
    card.focus({ preventScroll: true });
    card.classList.remove("flash");
    void card.offsetWidth; // lets the animation start again
    card.classList.add("flash");
  }

  function say(button, label, before) {
    button.textContent = label;
    setTimeout(() => (button.textContent = before), 1500);
  }

  function copy(turn, button) { // with its sources, which only the server has whole
    const done = (label) => say(button, label, "Copy");
    const text = fetch(`export/${encodeURIComponent(here)}/${turn}.txt`).then((reply) => (reply.ok ? reply.blob() : Promise.reject()));
    navigator.clipboard?.write([new ClipboardItem({ "text/plain": text })]).then(() => done("Copied"), () => done("Not copied"));
  }

  document.addEventListener("click", (event) => {
    const mark = event.target.closest?.("a.cite");
    if (mark) {
      event.preventDefault();
      if (narrow()) reveal(mark.getAttribute("href").slice(1));
      else mark.dispatchEvent(new CustomEvent("assistant-mark", { bubbles: true })); // reader.js opens it
      return;
    }
    const button = event.target.closest?.("button.act");
    if (!button) return;
    const act = button.className.match(/act-(\w+)/)?.[1];
    const around = button.closest("[id^='answer-'], [id^='asked-'], [id^='sources-']");
    if (!act || event.detail > 1) return; // the second of a double click
    const turn = around ? Number(around.id.split("-")[1]) : -1;
    if (act === "copy") copy(turn, button);
    else if (act === "documents") document.querySelector("#tabs button[role=tab][data-tab-id=documents]")?.click();
    else if (act === "back") document.getElementById(`answer-${turn}`)?.scrollIntoView({ block: "center", behavior: behavior() });
    else if (act === "again" && document.getElementById(`asked-${turn + 1}`)) {
      const send = () => document.dispatchEvent(new CustomEvent("assistant-act", { detail: { act, turn } }));
      openDialog("Answer this question again? What was asked after it goes.", "Answer again", "Keep all", send);
    } else {
      if (act === "earlier") first = document.querySelector("#chat .asked")?.id ?? "";
      const number = [...(button.closest("ul")?.children ?? [])].indexOf(button.parentElement); // among questions to ask next
      document.dispatchEvent(new CustomEvent("assistant-act", { detail: { act, turn, number, text: act === "example" ? button.textContent : "" } }));
      if (act === "edit") setTimeout(() => box()?.focus(), 300);
    }
  }, true);

  // The box: what was sent leaves it when the server has it, and what was typed since stays. A second press changes nothing.
  const PRESS = 700; // milliseconds
  let sending = { text: "", at: 0 };
  let gone = 0; // when the last question left the box

  function takeOut() {
    const said = document.querySelector("#here [data-sent]");
    const field = box();
    if (!said || !field) return;
    const { sent, then } = said.dataset;
    said.removeAttribute("data-sent");
    sending = { text: "", at: 0 };
    gone = Date.now();
    if (!field.value.startsWith(sent)) return;
    field.value = then + field.value.slice(sent.length);
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  function hold(event) {
    const field = box();
    const now = Date.now();
    if (!field) return;
    const again = field.value === sending.text && now - sending.at < PRESS;
    if (again || (!field.value && now - gone < PRESS)) {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else sending = { text: field.value, at: now };
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target === box() && !document.querySelector("#place-picker:not([hidden])")) hold(event);
  }, true);
  document.addEventListener("click", (event) => { if (event.target.closest?.("#question .submit-button")) hold(event); }, true);

  // The stream of an answer may break, with the connection: one that stands still is asked for again.
  let still = { text: "", since: 0, wait: 4000 };

  setInterval(() => {
    const answer = [...document.querySelectorAll("#chat .answer")].find((one) => !one.querySelector(".foot"));
    const text = answer?.textContent ?? "";
    if (!answer || text !== still.text) still = { text, since: Date.now(), wait: 4000 };
    else if (Date.now() - still.since > still.wait) {
      still = { text, since: Date.now(), wait: Math.min(still.wait * 1.5, 15000) };
      document.dispatchEvent(new CustomEvent("assistant-act", { detail: { act: "refresh" } }));
    }
  }, 1000);

  // Conversations: the address names the one on the page.
  let here = null;

  const named = () => new URLSearchParams(location.search).get("c") ?? "";
  const addressOf = (id) => `${location.pathname}${id ? `?c=${encodeURIComponent(id)}` : ""}`;
  const tellTalks = (act, to, text = "") => document.dispatchEvent(new CustomEvent("assistant-talks", { detail: { act, to, text } }));

  function followAddress() {
    const id = document.querySelector("#here [data-id]")?.dataset.id;
    if (id === undefined) return;
    if (id !== here) {
      if (id !== named()) history[here === null ? "replaceState" : "pushState"](null, "", addressOf(id));
      here = id;
    }
    for (const link of document.querySelectorAll("a[data-talk]")) {
      const current = link.dataset.talk === id ? "page" : null;
      if (link.getAttribute("aria-current") !== current) current ? link.setAttribute("aria-current", current) : link.removeAttribute("aria-current");
    }
  }

  const toAsk = () => document.querySelector("#tabs button[role=tab][data-tab-id=ask][aria-selected=false]")?.click();

  window.addEventListener("popstate", () => {
    tellTalks("open", named());
    toAsk();
  });

  let menu = ""; // the conversation whose menu is open: the list may be filled again meanwhile

  function keepMenu() {
    const details = menu && document.querySelector(`#talks details.more:has([data-to="${CSS.escape(menu)}"])`);
    if (details && !details.open) details.open = true;
  }

  function goTo() { // what is asked, which the list of conversations lies over on a narrow page
    toAsk();
    if (narrow()) document.querySelector("#sidebar.open .toggle-button")?.click();
  }

  function askForTitle(id) {
    const link = document.querySelector(`a[data-talk="${CSS.escape(id)}"] span`);
    const field = Object.assign(document.createElement("input"), { value: link?.textContent ?? "", maxLength: 80, id: "new-title" });
    const label = Object.assign(document.createElement("label"), { textContent: "Title", htmlFor: field.id });
    openDialog("Rename the conversation", "Rename", "Cancel", () => tellTalks("rename", id, field.value), [label, field]).addEventListener("close", () => {
      renamed = { id, until: Date.now() + 3000 };
      setTimeout(giveFocusBack, 50);
    });
    field.select();
  }

  let renamed = { id: "", until: 0 }; // where the focus goes, also when the list is drawn anew

  function giveFocusBack() {
    if (document.activeElement !== document.body || Date.now() > renamed.until) return;
    document.querySelector(`#talks details.more:has([data-to="${CSS.escape(renamed.id)}"]) summary`)?.focus();
  }

  document.addEventListener("click", (event) => {
    for (const details of document.querySelectorAll("details.more[open]")) {
      if (!details.querySelector("summary").contains(event.target)) {
        setTimeout(() => (details.open = false), event.target.dataset.talkAct === "link" ? 1500 : 0); // it is followed, or told, first
      }
    }
    const link = event.target.closest?.("a[data-talk]");
    const button = event.target.closest?.("button[data-talk-act]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      tellTalks("open", link.dataset.talk);
      goTo();
    }
    if (!button) return;
    const { talkAct: act, to } = button.dataset;
    if (act === "rename") askForTitle(to);
    else if (act === "link") {
      const copied = navigator.clipboard?.writeText(new URL(addressOf(to), location.href).href);
      copied?.then(() => say(button, "Link copied", "Copy link"), () => say(button, "Not copied", "Copy link"));
    } else tellTalks(act, to);
    if (act !== "open") return;
    goTo();
    setTimeout(() => box()?.focus(), 200);
  });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input, textarea, select, [contenteditable]");
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
      const opened = document.querySelector("details.more[open]");
      const find = event.target.matches?.("#find-talk input, #find-talk textarea") && event.target.value ? event.target : null;
      if (opened) {
        opened.open = false;
        opened.querySelector("summary").focus();
      } else if (find) {
        find.value = "";
        find.dispatchEvent(new Event("input", { bubbles: true }));
      } else (document.querySelector("#question .stop-button") ?? document.querySelector("#problem .act-leave"))?.click();
    } else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      toAsk();
      box()?.focus();
      setTimeout(() => box()?.focus()); // its tab is on view only now
    } else if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      const bar = document.querySelector("#sidebar");
      if (!bar?.classList.contains("open")) bar?.querySelector(".toggle-button")?.click();
      document.querySelector("#find-talk input, #find-talk textarea")?.focus();
    }
  });

  // Documents: buttons with data-act reach the server. What is opened gets the focus, and gives it back to its row.
  let reading = ""; // the id of the document and page on view
  let row = ""; // the row it was opened from

  const tell = (act, to) => document.dispatchEvent(new CustomEvent("assistant-documents", { detail: { act, to } }));

  function openDialog(text, doIt, leaveIt, act, fields = []) {
    const dialog = document.createElement("dialog");
    const make = (tag, text, kind) => Object.assign(document.createElement(tag), { textContent: text, className: kind });
    const form = Object.assign(document.createElement("form"), { method: "dialog" });
    const question = make("p", text, "question");
    const yes = make("button", doIt, fields.length ? "yes" : "yes danger");
    const no = Object.assign(make("button", leaveIt, "no"), { type: "button" });
    question.id = "dialog-question";
    dialog.className = "asking";
    dialog.setAttribute("aria-labelledby", question.id);
    form.append(question, ...fields, no, yes);
    dialog.append(form);
    form.addEventListener("submit", act);
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.querySelector(".gradio-container").append(dialog);
    dialog.showModal();
    return dialog;
  }

  window.assistantDialog = openDialog; // for the other scripts

  function askToRemove(button) {
    const name = button.querySelector(".unseen").textContent.trim();
    const text = `Remove ${name} for good? The file in the corpus folder is deleted too.`;
    const { to } = button.dataset; // the row may be another document's by the time of the answer
    openDialog(text, "Remove it", "Keep it", () => tell("remove", to));
  }

  document.addEventListener("click", (event) => {
    let button = event.target.closest?.("button[data-act]");
    if (!button && !event.target.closest?.("button, a, input, .tick") && !String(getSelection())) {
      button = event.target.closest?.("table.files tr")?.querySelector("button.open"); // anywhere in a row
    }
    if (!button) return;
    const { act, to } = button.dataset;
    if (act === "open") row = button.closest("tr")?.id || row;
    if (act === "ask") askToRemove(button);
    else tell(act, to);
  });

  function moveFocus() {
    const article = document.querySelector("#reading article");
    const now = article?.id ?? "";
    if (now === reading) return;
    const turned = now.split("-")[1] === reading.split("-")[1]; // another page of the same document
    reading = now;
    const target = article ? article.querySelector(turned ? ".text h3" : "h2") : document.getElementById(row)?.querySelector("button.open");
    target?.focus({ preventScroll: true });
    (article && !turned ? article : target)?.scrollIntoView({ block: article ? "start" : "center" });
  }

  document.addEventListener("toggle", (event) => {
    const details = event.target;
    if (details.matches?.("#talks details.more")) {
      const id = details.querySelector("[data-to]").dataset.to;
      if (details.open) {
        menu = id;
        details.lastElementChild.scrollIntoView({ block: "nearest" });
      }
      else if (details.isConnected && menu === id) menu = "";
    }
    if (!details.matches?.("#chat details.reasoning")) return;
    const id = details.closest(".answer")?.id;
    if (id) details.open ? opened.add(id) : details.isConnected && opened.delete(id);
  }, true);

  let folded = !narrow(); // on a narrow page the list of conversations would lie over everything

  function foldSidebar() {
    const toggle = folded ? null : document.querySelector("#sidebar.open .toggle-button");
    if (!toggle) return;
    folded = true;
    const fold = (tries) => { // the button works only a moment after it is there
      if (!document.querySelector("#sidebar.open") || !tries) return;
      toggle.click();
      setTimeout(fold, 150, tries - 1);
    };
    setTimeout(fold, 50, 20);
  }

  new MutationObserver(() => { foldSidebar(); keepMenu(); showSources(); keepOpen(); keepPlace(); takeOut(); giveFocusBack(); moveFocus(); followAddress(); }).observe(document, { childList: true, subtree: true });
})();
