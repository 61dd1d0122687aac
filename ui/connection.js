// A bar when the server does not answer or refuses what is sent. What is typed outlives the reload that follows when it is back.
(() => {
  "use strict";
  const TRY = 2000; // milliseconds between two tries, and that one may take
  const READ = 15000; // milliseconds that a refusal can be read
  const TYPED = "#question textarea, #query textarea, #query input, #url textarea, #url input";
  const ask = window.fetch.bind(window);
  const bar = Object.assign(document.createElement("div"), { id: "connection", hidden: true });
  let trying = false;
  let leaving = false;
  let away = 0;

  bar.setAttribute("role", "alert");
  window.addEventListener("pagehide", () => (leaving = true));
  window.addEventListener("pageshow", () => (leaving = false));

  function show(text) {
    clearTimeout(away);
    if (!bar.isConnected) document.body.append(bar);
    if (bar.textContent !== text) bar.textContent = text;
    bar.hidden = !text;
    document.body.classList.toggle("away", trying && Boolean(text)); // what the page knows of the model is out of date then
  }

  async function isSame() {
    const reply = await ask("gradio_api/app_id", { cache: "no-store", signal: AbortSignal.timeout(TRY) });
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    return (await reply.json()).app_id === window.gradio_config?.app_id;
  }

  // One request may fail while the server answers the next one: then nothing is shown.
  async function look() {
    if (trying) return;
    trying = true;
    for (let tries = 0; ; tries++) {
      try {
        if (!(await isSame())) location.reload(); // it was started again and knows nothing of this page
        else if (tries) show("");
        break;
      } catch {
        if (!leaving) show("The server does not answer. What you typed is kept, and this page goes on as soon as it is back.");
        await new Promise((done) => setTimeout(done, TRY));
      }
    }
    trying = false;
  }

  async function tell(reply) {
    const text = await reply.text();
    let line = text;
    try {
      line = JSON.parse(text).detail;
    } catch { /* it is the line itself */ }
    show(typeof line === "string" && line.length < 300 ? line : "This can't be sent.");
    away = setTimeout(() => show(""), READ);
  }

  window.fetch = async (...request) => { // Gradio's script asks through it
    try {
      const reply = await ask(...request);
      if ([413, 422].includes(reply.status) && /queue\/join|run\/predict/.test(reply.url)) tell(reply.clone());
      return reply;
    } catch (error) {
      if (error.name !== "AbortError") look();
      throw error;
    }
  };
  window.addEventListener("online", look);
  document.addEventListener("visibilitychange", () => document.hidden || look());

  const place = (field) => `typed ${field.closest("[id]").id} ${location.search}`;

  window.addEventListener("pagehide", () => {
    for (const field of document.querySelectorAll(TYPED)) {
      try {
        field.value ? sessionStorage.setItem(place(field), field.value) : sessionStorage.removeItem(place(field));
      } catch { /* there is no room, or it is not allowed */ }
    }
  });

  new MutationObserver(() => {
    for (const field of document.querySelectorAll(TYPED)) {
      if (field.dataset.typed) continue;
      field.dataset.typed = "restored";
      const kept = sessionStorage.getItem(place(field));
      if (!kept || field.value) continue;
      field.value = kept;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }
    for (const toast of document.querySelectorAll(".toast-body")) { // the bar says it in plain words
      if (/Connection to the server was lost|Could not parse server response/.test(toast.textContent)) toast.hidden = true;
    }
  }).observe(document, { childList: true, subtree: true });
})();
