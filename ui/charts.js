// SPDX-License-Identifier: Apache-2.0
// A line chart over the last minutes: SVG, with the last values in words for those who do not see it.
import { h, svg, table } from "./dom.js";
import { t } from "./words.js";

const WIDTH = 600, HEIGHT = 180, LEFT = 64, BOTTOM = 22, TOP = 10;

// 0, then two to five round numbers up to the highest value.
function ticks(highest) {
  const rough = highest / 4, power = 10 ** Math.floor(Math.log10(rough || 1));
  const step = power * [1, 2, 5, 10].find(f => f * power >= rough);
  return Array.from({ length: Math.floor(highest / step + 1e-9) + 1 }, (_, i) => i * step);
}

function line(values, times, x, y) {
  let path = "", pen = "M";
  values.forEach((value, i) => {
    if (value === null || value === undefined) {
      pen = "M";
      return;
    }
    path += `${pen}${x(times[i]).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = "L";
  });
  return path;
}

function picture(title, times, series, write) {
  const end = times.at(-1) ?? Date.now(), span = Math.max(end - (times[0] ?? end), 60000);
  const highest = Math.max(...series.flatMap(s => s.values.filter(Number.isFinite)), 0) || 1;
  const x = at => LEFT + (WIDTH - LEFT - 8) * (1 - (end - at) / span);
  const y = value => HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * value / (highest * 1.05);
  const minutes = Array.from({ length: Math.floor(span / 60000) + 1 }, (_, i) => end - i * 60000);
  return svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${series.map(s => last(s, write)).join(", ")}` },
    ticks(highest).map(value => [
      svg("line", { class: "grid", x1: LEFT, x2: WIDTH - 8, y1: y(value), y2: y(value) }),
      svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, write(value))]),
    minutes.map((at, i) => svg("text", { x: x(at), y: HEIGHT - 4, "text-anchor": i ? "middle" : "end" },
      i ? t("−{n} min", { n: i }) : t("now"))),
    series.map((s, i) => svg("path", { class: `line line-${i % 6}`, d: line(s.values, times, x, y) })));
}

const last = (s, write) => `${s.name}: ${s.values.length ? write(s.values.at(-1) ?? null) : "–"}`;

const recent = (title, times, series, write) => table(title, [t("Time"), ...series.map(s => s.name)],
  times.map((at, i) => [new Date(at).toLocaleTimeString(document.documentElement.lang), ...series.map(s => write(s.values[i] ?? null))])
    .slice(-10).reverse());

// {element, update(times, series)}; series: [{name, values}], one value a time, null: none then. write: a value in words.
export function chart(title, write) {
  const shown = h("div"), legend = h("ul", { class: "legend" }), rows = h("div");
  let fill = () => {};
  const details = h("details", { toggle: () => fill() }, h("summary", {}, t("As a table")), rows);
  return {
    element: h("figure", {}, h("figcaption", {}, title), shown, legend, details),
    update(times, series) {
      shown.replaceChildren(picture(title, times, series, write));
      legend.replaceChildren(...series.map((s, i) => h("li", { class: `key-${i % 6}` }, last(s, write))));
      fill = () => {
        if (details.open && !rows.contains(document.activeElement)) rows.replaceChildren(recent(title, times, series, write));
      };
      fill();
    },
  };
}
