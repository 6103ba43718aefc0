// SPDX-License-Identifier: Apache-2.0
// The last lines of the server's log, those that the filter lets through; new ones come every two seconds.
import { askJson, OWN } from "./api.js";
import { button, choose, field, h, number, problem, table } from "./dom.js";
import { PERIOD_MS } from "./metrics.js";
import { t } from "./words.js";

const SHOWN = 300;
const isOwn = line => line.id.startsWith(OWN) || / "\/(ui\/[^"]*|docs)" \d+ /.test(line.message);

export function showLogs(place, id = "") {
  const wanted = { level: "", model: "", words: id, own: false };
  let lines = [], next = 0, paused = false, over = false, timer = 0;
  const list = h("div"), count = h("p", { class: "hint", role: "status" });
  const words = h("input", { type: "search", value: id, input: () => { wanted.words = words.value.toLowerCase(); draw(); } });
  const models = h("span");
  const own = h("input", { type: "checkbox", change: () => { wanted.own = own.checked; draw(); } });
  const pause = button(t("Pause"), () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", paused);
  }, { "aria-pressed": "false" });
  const passes = line => (!wanted.level || line.level === wanted.level) && (!wanted.model || line.model === wanted.model) &&
    (wanted.own || !isOwn(line)) &&
    (!wanted.words || `${line.id} ${line.message}`.toLowerCase().includes(wanted.words));

  function draw() {
    const passing = lines.filter(passes), shown = passing.slice(-SHOWN).reverse();
    count.textContent = t("{n} of {all} lines", { n: number(shown.length), all: number(lines.length) });
    const rows = shown.map(line => [h("span", { title: line.time }, new Date(line.time).toLocaleTimeString(document.documentElement.lang)), h("span", { class: `level ${line.level}` }, line.level), line.model,
      line.id && button(line.id.slice(-12), () => {
        words.value = line.id;
        wanted.words = line.id.toLowerCase();
        draw();
      }, { class: "link", title: line.id }), line.message]);
    list.replaceChildren(table(t("Lines of the log, the newest first"),
      [t("Time"), t("Level"), t("Model"), t("Request"), t("Message")], rows));
  }

  function offerModels() {
    const names = [...new Set(lines.map(line => line.model).filter(Boolean))].sort();
    if (names.join("\n") === models.dataset.names) return;
    models.dataset.names = names.join("\n");
    models.replaceChildren(field(t("Model"), choose([["", t("all")], ...names.map(n => [n, n])], wanted.model, v => { wanted.model = v; draw(); })));
  }

  async function turn() {
    try {
      if (!paused && document.visibilityState === "visible") {
        const answer = await askJson(`logs?since=${next}`);
        if (answer.next < next) lines = []; // the server was started again
        next = answer.next;
        lines = lines.concat(answer.lines).slice(-1000);
        if (answer.lines.length || !list.firstChild) {
          offerModels();
          draw();
        }
      }
    } catch (error) {
      if (!over) list.replaceChildren(problem(error));
      if (error.status === 403) return;
    }
    if (!over) timer = setTimeout(turn, PERIOD_MS);
  }

  place.append(h("h1", {}, t("Log")),
    h("p", { class: "hint" }, t("Requests are in the log when the server runs with --access-log.")),
    h("div", { class: "filter" },
      field(t("Level"), choose([["", t("all")], ["info", "info"], ["warning", "warning"], ["error", "error"]], "", v => { wanted.level = v; draw(); })),
      models, field(t("Words or request id"), words), field(t("Requests of this page, too"), own), pause), count, h("section", { class: "log" }, list));
  turn();
  return () => {
    over = true;
    clearTimeout(timer);
  };
}
