// The evaluation: buttons with data-eval reach the server, with what was filled in around them. What opens gets the focus.
(() => {
  "use strict";
  let shown = ""; // the run on view
  let from = ""; // the run whose button opened it

  const tell = (detail) => document.dispatchEvent(new CustomEvent("assistant-evaluation", { detail }));

  function filledIn(form) {
    const value = (name) => form.querySelector(`[name="${name}"]`)?.value ?? "";
    const picked = [...form.querySelectorAll('[name="picked"]:checked')].map((box) => box.value);
    return { text: value("text"), typed: value("typed"), answer: value("answer"), picked, unanswerable: form.querySelector('[name="unanswerable"]').checked };
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("button[data-eval]");
    if (!button) return;
    const { eval: act, ...values } = button.dataset;
    const detail = { act, ...values };
    if (act === "open") from = values.run;
    if (act === "answers") detail.fresh = document.getElementById("eval-fresh")?.checked ?? false;
    if (act === "compare") for (const select of button.parentElement.querySelectorAll("select")) detail[select.name] = select.value;
    if (act === "save") Object.assign(detail, filledIn(button.closest("[data-form]")));
    if (act === "ask") window.assistantDialog("Throw this question away?", "Throw it away", "Keep it", () => tell({ ...detail, act: "throw" }));
    else tell(detail);
    if (act === "edit") focusSoon("#review [data-form] textarea");
    else if (["leave", "save", "keep"].includes(act)) focusSoon("#review h2, #review summary");
  });

  const focusSoon = (selector) => setTimeout(() => document.querySelector(selector)?.focus(), 400);

  new MutationObserver(() => {
    const article = document.querySelector("#run article");
    const now = article?.id ?? "";
    if (now === shown) return;
    const target = article?.querySelector("h2") ?? (shown && document.querySelector(`#evaluation button[data-run="${CSS.escape(from)}"]`));
    shown = now;
    if (target) {
      target.focus({ preventScroll: true });
      (article ?? target).scrollIntoView({ block: article ? "start" : "center" });
    }
  }).observe(document, { childList: true, subtree: true });
})();
