// What a mark is about is told beside it; a source is read in its document in the side panel.
(() => {
  "use strict";
  const root = document.documentElement;
  const narrow = () => window.matchMedia("(max-width: 860px)").matches;

  // The popover: what a mark's title holds, a line each for the place, the quote, and what differs.
  const tip = Object.assign(document.createElement("div"), { id: "quote-tip", className: "tip" });
  const told = new WeakMap(); // titles taken off, or the browser would show them too
  let about = null; // the mark it stands at
  let timer = 0;
  let returning = false; // the focus comes back from the reader: the quote was just read
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  tip.addEventListener("pointerenter", () => clearTimeout(timer));
  tip.addEventListener("pointerleave", () => later(hideTip, 150));

  function later(act, time) {
    clearTimeout(timer);
    timer = setTimeout(act, time);
  }

  function linesOf(mark) {
    if (mark.hasAttribute("title")) {
      told.set(mark, mark.getAttribute("title"));
      mark.removeAttribute("title");
    }
    return (told.get(mark) ?? "").split("\n");
  }

  function showTip(mark) {
    if (!mark.isConnected) return;
    const lines = linesOf(mark);
    const [place, quote, differs] = lines.length > 1 ? lines : ["", "", lines[0]];
    tip.replaceChildren();
    const add = (kind, text) => text && tip.append(Object.assign(document.createElement("p"), { className: kind, textContent: text, dir: "auto" }));
    add("place", place);
    add("quote", quote);
    add("differs", differs);
    if (!tip.childElementCount) return;
    about = mark;
    mark.setAttribute("aria-describedby", tip.id);
    const around = document.querySelector(".gradio-container") ?? document.body;
    if (tip.parentElement !== around) around.append(tip);
    tip.hidden = false;
    const at = mark.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = tip;
    const above = at.top - height - 8;
    tip.style.top = `${Math.max(8, above >= 8 ? above : Math.min(at.bottom + 8, innerHeight - height - 8))}px`;
    tip.style.left = `${Math.max(8, Math.min(at.left + at.width / 2 - width / 2, root.clientWidth - width - 8))}px`;
  }

  function hideTip() {
    clearTimeout(timer);
    tip.hidden = true;
    about?.removeAttribute("aria-describedby");
    about = null;
  }

  const markOf = (event) => event.target.closest?.("#chat .cite");

  document.addEventListener("pointerover", (event) => {
    const mark = markOf(event);
    if (!mark || event.pointerType === "touch") return;
    linesOf(mark);
    later(() => showTip(mark), 120);
  });
  document.addEventListener("pointerout", (event) => {
    if (markOf(event)) later(hideTip, 150);
  });
  document.addEventListener("focusin", (event) => {
    const mark = markOf(event);
    if (mark?.matches(":focus-visible") && !returning) showTip(mark);
    else if (about) hideTip();
  });
  document.addEventListener("focusout", (event) => markOf(event) && hideTip());
  window.addEventListener("scroll", (event) => about && !tip.contains(event.target) && hideTip(), true);
  window.addEventListener("resize", hideTip);

  // The reader.
  let seq = 0;
  let seen = ""; // the number of the request whose reply is on the page
  let opener = null; // how to find what it was opened from
  let scene = null; // the conversation and how many answers it had when it was opened
  let zoom = 0;
  let pressed = ""; // the name of the button in it that was pressed last

  const nameOf = (button) => button.getAttribute("aria-label") ?? button.textContent;
  const answers = () => document.querySelectorAll("#chat .answer").length;
  const conversation = () => document.querySelector("#here [data-id]")?.dataset.id;
  const isOpen = () => "reading" in root.dataset;

  function ask(view, turn, ref, at = -1) {
    document.getElementById("reader")?.setAttribute("aria-busy", "true");
    document.dispatchEvent(new CustomEvent("assistant-read", { detail: { view, turn, ref, at, seq: ++seq } }));
  }

  function open(turn, ref, from) {
    hideTip();
    opener = from;
    zoom = 0;
    scene = { conversation: conversation(), answers: answers() };
    ask("text", turn, ref);
    if (document.querySelector("#panel .panel")?.dataset.turn !== String(turn)) { // the sources behind the reader are to be those of its answer
      document.dispatchEvent(new CustomEvent("assistant-act", { detail: { act: "sources", turn } }));
    }
  }

  function close(focus = true) {
    if (!isOpen()) return;
    delete root.dataset.reading;
    const from = focus && opener?.();
    opener = null;
    if (!from) return;
    returning = true;
    from.focus({ preventScroll: true });
    returning = false;
    from.scrollIntoView({ block: "nearest" });
    const card = document.getElementById(from.getAttribute("href")?.slice(1) ?? "");
    card?.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("assistant-mark", (event) => {
    const mark = event.target;
    const [, turn] = mark.getAttribute("href").split("-");
    const named = mark.className.match(/\bat-(\d+)-(\d+)/);
    if (!named) return;
    const place = [...document.querySelectorAll(`#answer-${turn} a.cite`)].indexOf(mark);
    open(Number(turn), `c${named[1]}.${named[2]}`, () => document.querySelectorAll(`#answer-${turn} a.cite`)[place]);
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-read], [data-zoom], #reader [data-act]");
    if (!button) return;
    const { read, turn, ref, at, zoom: step, act } = button.dataset;
    if (act) document.querySelector("#tabs button[role=tab][data-tab-id=documents]")?.click();
    else if (step) enlarge(Number(step));
    else if (read === "back") close();
    else if (button.closest("#reader")) {
      pressed = nameOf(button);
      ask(read, Number(turn), ref, Number(at));
    }
    else open(Number(turn), ref, () => document.querySelector(`#panel [data-turn="${turn}"][data-ref="${ref}"]`));
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (!tip.hidden) hideTip();
    else if (isOpen() && !event.target.matches?.("input, textarea")) close();
    else return;
    event.stopPropagation(); // or it would stop the answer that is being written
  }, true);

  function enlarge(step) {
    zoom = Math.max(0, Math.min(zoom + step, 4));
    const sheet = document.querySelector("#reader .sheet");
    const paper = sheet?.querySelector(".paper");
    if (!paper) return;
    paper.style.width = `${100 + 50 * zoom}%`;
    const spot = sheet.querySelector(".spot");
    if (!spot) return;
    sheet.scrollTo(spot.offsetLeft - 16, spot.offsetTop - sheet.clientHeight / 3);
  }

  function arrived() {
    const article = document.querySelector("#reader article");
    if (!article || article.dataset.seq === seen) return;
    const again = isOpen(); // another chunk, page or view of the same source
    const inside = document.activeElement === document.body || document.activeElement?.closest("#reader");
    seen = article.dataset.seq;
    root.dataset.reading = "";
    document.getElementById("reader").removeAttribute("aria-busy");
    if (zoom) enlarge(0);
    if (narrow()) article.scrollIntoView({ block: "start" });
    const sentence = article.querySelector(".chosen mark, .spot");
    if (sentence) sentence.scrollIntoView({ block: narrow() ? "nearest" : "center" });
    else article.querySelector(".chosen")?.scrollIntoView({ block: narrow() ? "nearest" : "start" });
    const button = again && [...article.querySelectorAll("button")].find((one) => nameOf(one) === pressed);
    if (!again || inside) (button || article.querySelector("h2")).focus({ preventScroll: true });
  }

  // Another conversation, or another question: its own sources are to be seen.
  function leave() {
    if (isOpen() && (conversation() !== scene.conversation || answers() > scene.answers)) close(false);
  }

  new MutationObserver(() => {
    for (const mark of document.querySelectorAll("#chat span.unfound:not([tabindex])")) mark.tabIndex = 0; // its reason is told on focus
    if (about && !about.isConnected) hideTip();
    arrived();
    leave();
  }).observe(document, { childList: true, subtree: true });
})();
