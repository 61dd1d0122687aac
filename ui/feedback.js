// The thumbs under an answer: what they ask for reaches the server, and the button that was pressed keeps the focus.
(() => {
  "use strict";
  let pressed = ""; // the button to focus once the answer is drawn anew

  const tell = (act, turn, text = "") => document.dispatchEvent(new CustomEvent("assistant-act", { detail: { act, turn, text } }));

  function askForComment(turn, answer) {
    const field = Object.assign(document.createElement("textarea"), { rows: 4, maxLength: 2000, id: "new-comment", value: answer.querySelector(".comment")?.textContent ?? "" });
    const label = Object.assign(document.createElement("label"), { textContent: "What is good or bad about it?", htmlFor: field.id });
    window.assistantDialog("Comment on this answer", "Keep", "Cancel", () => tell("comment", turn, field.value), [label, field]);
    field.focus();
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button.judge");
    const answer = button?.closest("[id^='answer-']");
    if (!answer) return;
    const act = button.className.match(/judge-(\w+)/)[1];
    const turn = Number(answer.id.split("-")[1]);
    pressed = `#${answer.id} .judge-${act === "golden" ? "comment" : act}`;
    act === "comment" ? askForComment(turn, answer) : tell(act, turn);
  }, true);

  new MutationObserver(() => {
    for (const button of document.querySelectorAll("#chat button.judge-up, #chat button.judge-down")) { // Gradio drops these from messages
      const chosen = String(button.classList.contains("chosen"));
      if (button.getAttribute("aria-pressed") !== chosen) button.setAttribute("aria-pressed", chosen);
    }
    if (pressed && document.activeElement === document.body && document.querySelector(pressed)) {
      document.querySelector(pressed).focus({ preventScroll: true });
      pressed = "";
    }
  }).observe(document, { childList: true, subtree: true });
})();
