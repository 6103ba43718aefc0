// SPDX-License-Identifier: Apache-2.0
// How the server does: requests, times and queues of the last minutes.
import { chart } from "./charts.js";
import { choose, field, h, number, problem, seconds } from "./dom.js";
import { watch } from "./metrics.js";
import { t } from "./words.js";

function charts(steps, shown) {
  const times = steps.map(step => step.at);
  const series = (key, words) => shown.map(model => ({
    name: words ? (shown.length > 1 ? `${model} ${words}` : words) : model,
    values: steps.map(step => step.models.get(model)?.[key] ?? (key === "rate" || key === "waiting" ? 0 : null)),
  }));
  return [
    chart(t("Requests per second"), times, series("rate"), v => (v === null ? "–" : number(v, 3))),
    chart(t("Time of a request"), times, [...(shown.length > 1 ? [] : series("median", t("half below"))), ...series("slow", t("99 % below"))], seconds),
    chart(t("Waiting in the queue"), times, series("waiting"), v => (v === null ? "–" : number(v, 3))),
    chart(t("Refused or failed per second"), times, series("failing"), v => (v === null ? "–" : number(v, 3))),
  ];
}

function facts(server) {
  const rows = [
    [t("Running for"), seconds(server.sardonyx_uptime_seconds)],
    [t("Connections"), number(server.sardonyx_connections)],
    [t("Requests in progress"), number(server.sardonyx_requests_in_flight)],
    [t("Memory"), t("{n} MB", { n: number(server.process_resident_memory_bytes / 1e6, 3) })],
    [t("Processor time"), seconds(server.process_cpu_seconds_total)],
  ];
  return h("dl", { class: "facts" }, rows.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

export function showLive(place) {
  const select = h("div"), picture = h("div", { class: "charts" }), about = h("div");
  let chosen = "", names = "";
  place.append(h("h1", {}, t("Live")), about, select, picture);
  const draw = ({ now, steps }) => {
    if (!now) return;
    const models = [...now.models.keys()];
    if (names !== models.join("\n")) {
      names = models.join("\n");
      select.replaceChildren(field(t("Model"), choose([["", t("all")], ...models.map(m => [m, m])], chosen, value => {
        chosen = value;
        draw({ now, steps });
      })));
    }
    if (picture.contains(document.activeElement)) return; // somebody reads a table
    const open = [...picture.querySelectorAll("details")].map(d => d.open);
    about.replaceChildren(facts(now.server));
    picture.replaceChildren(...charts(steps, chosen ? [chosen] : models.slice(0, 6)));
    picture.querySelectorAll("details").forEach((d, i) => { d.open = open[i] ?? false; });
  };
  return watch(draw, error => picture.replaceChildren(problem(error)));
}
