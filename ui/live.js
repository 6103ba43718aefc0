// SPDX-License-Identifier: Apache-2.0
// How the server does: requests, times and queues of the last minutes.
import { chart } from "./charts.js";
import { choose, field, h, number, problem, seconds } from "./dom.js";
import { watch } from "./metrics.js";
import { t } from "./words.js";

const MOST = 6; // lines of a chart: the busiest models

function charts() {
  const count = value => (value === null ? "–" : number(value, 3));
  const all = [[chart(t("Requests per second"), count), "rate"], [chart(t("Time of a request"), seconds), null],
    [chart(t("Waiting in the queue"), count), "waiting"], [chart(t("Refused or failed per second"), count), "failing"]];
  return {
    elements: all.map(([{ element }]) => element),
    update(steps, shown) {
      const of = (key, words) => shown.map(model => ({
        name: words ? (shown.length > 1 ? `${model} ${words}` : words) : model,
        values: steps.map(step => step.models.get(model)?.[key] ?? null),
      }));
      const times = steps.map(step => step.at);
      for (const [{ update }, key] of all)
        update(times, key ? of(key) : [...(shown.length > 1 ? [] : of("median", t("half below"))), ...of("slow", t("99 % below"))]);
    },
  };
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
  const select = h("div"), about = h("div"), { elements, update } = charts();
  const picture = h("div", { class: "charts" }, elements);
  let chosen = "", names = "";
  place.append(h("h1", {}, t("Live")), about, select, picture);
  const draw = ({ now, steps }) => {
    if (!now) return;
    const busy = model => now.models.get(model).requests;
    const models = [...now.models.keys()].sort((a, b) => busy(b) - busy(a));
    const sorted = [...models].sort();
    if (names !== sorted.join("\n")) {
      names = sorted.join("\n");
      select.replaceChildren(field(t("Model"), choose([["", t("all")], ...sorted.map(m => [m, m])], chosen, value => {
        chosen = value;
        draw({ now, steps });
      })));
    }
    about.replaceChildren(...now.alerts.map(alert => h("p", { class: "problem" }, t("Alert"), " ", alert)), facts(now.server));
    update(steps, chosen ? [chosen] : models.slice(0, MOST));
  };
  return watch(draw, error => about.replaceChildren(problem(error)));
}
