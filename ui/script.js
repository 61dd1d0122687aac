// Marks lead to their passage, buttons in messages and documents reach the server, folded parts stay as the reader left them.
(() => {
  "use strict";
  let newest = -1; // the turn whose answer came last
  let chosen = -1; // the turn whose passages are shown
  const opened = new Set(); // reasoning that the reader unfolded

  const narrow = () => window.matchMedia("(max-width: 860px)").matches;
  const behavior = () => (window.matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");

  function showSources() {
    const panel = document.querySelector("#panel .panel");
    if (!panel) return;
    const turn = Number(panel.dataset.turn);
    if (turn !== newest) newest = chosen = turn;
    for (const section of panel.querySelectorAll(".sources")) {
      section.classList.toggle("current", Number(section.dataset.turn) === chosen);
    }
    for (const answer of document.querySelectorAll("#chat .answer")) {
      answer.classList.toggle("lit", answer.id === `answer-${chosen}` && newest > 0);
    }
  }

  function keepOpen() {
    for (const details of document.querySelectorAll("#chat details.reasoning")) {
      const id = details.closest(".answer")?.id;
      if (id && opened.has(id) && !details.open) details.open = true;
    }
  }

  function reveal(id) {
    const turn = Number(id.split("-")[1]);
    chosen = turn;
    showSources();
    const card = document.getElementById(id);
    if (!card) return;
    card.scrollIntoView({ block: narrow() ? "start" : "center", behavior: behavior() });
    card.focus({ preventScroll: true });
    card.classList.remove("flash");
    void card.offsetWidth; // lets the animation start again
    card.classList.add("flash");
  }

  function copy(turn, button) {
    const text = document.querySelector(`#answer-${turn} .text`)?.cloneNode(true);
    if (!text) return;
    for (const mark of text.querySelectorAll("a.cite")) {
      mark.textContent = `[${mark.lastChild.textContent.replace(" partly", "?")}]`;
    }
    for (const mark of text.querySelectorAll("span.unfound")) mark.textContent = "[?]";
    text.style.cssText = "position:absolute;left:-9999px"; // innerText needs a layout
    document.body.append(text);
    const lines = text.innerText;
    text.remove();
    navigator.clipboard?.writeText(lines).then(() => {
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
  }

  document.addEventListener("click", (event) => {
    const mark = event.target.closest?.("a.cite");
    if (mark) {
      event.preventDefault();
      reveal(mark.getAttribute("href").slice(1));
      return;
    }
    const button = event.target.closest?.("button.act");
    if (!button) return;
    const act = button.className.match(/act-(\w+)/)?.[1];
    const around = button.closest("[id^='answer-'], [id^='asked-'], [id^='sources-']");
    if (!act) return;
    const turn = around ? Number(around.id.split("-")[1]) : -1;
    if (act === "copy") copy(turn, button);
    else if (act === "back") document.getElementById(`answer-${turn}`)?.scrollIntoView({ block: "center", behavior: behavior() });
    else {
      document.dispatchEvent(new CustomEvent("assistant-act", { detail: { act, turn } }));
      if (act === "edit") setTimeout(() => document.querySelector("#question textarea")?.focus(), 300);
    }
  }, true);

  // Documents: buttons with data-act reach the server. What is opened gets the focus, and gives it back to its row.
  let reading = ""; // the id of the document and page on view
  let row = ""; // the row it was opened from

  const tell = (act, to) => document.dispatchEvent(new CustomEvent("assistant-documents", { detail: { act, to } }));

  function askToRemove(button) {
    const dialog = document.createElement("dialog");
    const make = (tag, text, kind) => Object.assign(document.createElement(tag), { textContent: text, className: kind });
    const name = button.querySelector(".unseen").textContent.trim();
    const question = make("p", `Remove ${name} for good? The file in the corpus folder is deleted too.`, "question");
    const yes = make("button", "Remove it", "yes");
    const no = make("button", "Keep it", "no");
    question.id = "remove-question";
    dialog.className = "remove";
    dialog.setAttribute("aria-labelledby", question.id);
    dialog.append(question, no, yes);
    yes.addEventListener("click", () => { dialog.close(); tell("remove", button.dataset.to); });
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.querySelector(".gradio-container").append(dialog);
    dialog.showModal();
  }

  document.addEventListener("click", (event) => {
    let button = event.target.closest?.("button[data-act]");
    if (!button && !event.target.closest?.("button, a") && !String(getSelection())) {
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
    if (!details.matches?.("#chat details.reasoning")) return;
    const id = details.closest(".answer")?.id;
    if (id) details.open ? opened.add(id) : details.isConnected && opened.delete(id);
  }, true);

  new MutationObserver(() => { showSources(); keepOpen(); moveFocus(); }).observe(document, { childList: true, subtree: true });
})();
