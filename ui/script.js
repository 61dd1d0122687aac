// Marks lead to their passage, buttons in messages reach the server, folded parts stay as the reader left them.
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

  document.addEventListener("toggle", (event) => {
    const details = event.target;
    if (!details.matches?.("#chat details.reasoning")) return;
    const id = details.closest(".answer")?.id;
    if (id) details.open ? opened.add(id) : details.isConnected && opened.delete(id);
  }, true);

  new MutationObserver(() => { showSources(); keepOpen(); }).observe(document, { childList: true, subtree: true });
})();
