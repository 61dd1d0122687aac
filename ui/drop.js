// Files and folders dropped on the Documents tab or chosen there: sent in lots, each with the path that it had in its folder.
(() => {
  "use strict";
  const LOT = 24, LOT_BYTES = 40e6; // files sent at once
  const TOGETHER = 400; // files the server is told of at once
  const MOST = 20000;
  let busy = false;

  const area = () => document.querySelector("#files .drop");
  const say = (text) => { const told = document.querySelector("#files .told"); if (told) told.textContent = text; };
  const files = (count) => `${count.toLocaleString("en")} file${count === 1 ? "" : "s"}`;

  async function walk(entry, into) {
    if (entry.name.startsWith(".") || entry.name.startsWith("~$") || into.length >= MOST) return;
    if (entry.isFile) {
      const file = await new Promise((done) => entry.file(done, () => done(null)));
      if (file) into.push({ file, name: entry.fullPath.replace(/^\//, "") });
      return;
    }
    const reader = entry.createReader();
    for (;;) { // a folder tells a hundred at a time
      const some = await new Promise((done) => reader.readEntries(done, () => done([])));
      if (!some.length) return;
      for (const one of some) await walk(one, into);
    }
  }

  async function dropped(transfer) {
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    if (!entries.length) { // this browser tells of no folders
      await add([...transfer.files].map((file) => ({ file, name: file.name })), transfer.files.length ? "This browser doesn't tell the folders: the files lie side by side." : "");
      return;
    }
    const found = [];
    say("Looking into the folders…");
    for (const entry of entries) await walk(entry, found);
    await add(found);
  }

  function sorted(found, told) {
    const { suffixes, most } = area().dataset;
    const known = new Set(suffixes.split(" "));
    const other = new Map();
    const good = found.filter(({ file, name }) => {
      const ending = /\.[^./\\]+$/.exec(name)?.[0].toLowerCase() ?? "no ending";
      const large = file.size > Number(most);
      if (known.has(ending) && !large) return true;
      const why = large ? `over ${Math.round(Number(most) / 1e6)} MB` : ending;
      other.set(why, (other.get(why) ?? 0) + 1);
      return false;
    });
    const passed = found.length - good.length;
    const kinds = [...other.keys()].slice(0, 6).join(", ") + (other.size > 6 ? " and others" : "");
    const lines = [told, passed ? `${files(passed)} passed over, which can't be read (${kinds}).` : "", found.length >= MOST ? `Only the first ${files(MOST)} were taken.` : ""];
    return [good, lines.filter(Boolean).join(" ")];
  }

  async function send(lot) {
    const form = new FormData();
    for (const { file } of lot) form.append("files", file, file.name || "file");
    const answer = await fetch("gradio_api/upload", { method: "POST", body: form });
    if (!answer.ok) throw new Error((await answer.text()).slice(0, 200) || `the server answers ${answer.status}`);
    const paths = await answer.json();
    return lot.map(({ name }, at) => [paths[at] ?? "", name]);
  }

  async function add(found, told = "") {
    if (busy) { say("The files before are still being sent: wait until they are there."); return; }
    const [good, line] = sorted(found, told);
    if (!good.length) { say(line || "There is no file to add."); return; }
    busy = true;
    const drop = `${Date.now()}-${Math.round(Math.random() * 1e9)}`;
    let arrived = [], sent = 0, failed = 0, why = "";
    const hand = () => {
      if (arrived.length) document.dispatchEvent(new CustomEvent("assistant-upload", { detail: { drop, total: good.length - failed, told: line, files: arrived } }));
      arrived = [];
    };
    try {
      for (let at = 0; at < good.length;) {
        let end = at, bytes = 0;
        while (end < good.length && end - at < LOT && (end === at || bytes + good[end].file.size <= LOT_BYTES)) bytes += good[end++].file.size;
        say(`Sending ${files(good.length)}: ${sent.toLocaleString("en")} done…`);
        try {
          arrived.push(...await send(good.slice(at, end)));
        } catch (error) {
          failed += end - at;
          why = error.message;
        }
        sent += end - at;
        at = end;
        if (arrived.length >= TOGETHER) hand();
      }
      hand();
    } finally { busy = false; }
    say(failed ? `${files(failed)} could not be sent (${why}): add them again.` : `${files(good.length)} sent. ${line}`);
  }

  document.addEventListener("click", (event) => {
    const pick = event.target.closest?.("button[data-pick]");
    if (pick) document.getElementById(pick.dataset.pick).click();
  });
  document.addEventListener("change", (event) => {
    const input = event.target;
    if (!input.matches?.("#pick-files, #pick-folder")) return;
    const found = [...input.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
    input.value = ""; // so that the same can be chosen again
    add(found.filter(({ name }) => !name.split("/").some((part) => part.startsWith(".") || part.startsWith("~$"))));
  });

  // Anywhere on the tab is near enough; elsewhere a dropped file would replace the page.
  const inside = (event) => event.dataTransfer?.types.includes("Files") && document.querySelector("#shelf")?.contains(event.target);
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files") || event.target.closest?.("input, textarea")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = inside(event) ? "copy" : "none";
    area()?.classList.toggle("over", inside(event));
  });
  document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) area()?.classList.remove("over"); });
  document.addEventListener("drop", (event) => {
    area()?.classList.remove("over");
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    if (inside(event)) dropped(event.dataTransfer);
  });
})();
