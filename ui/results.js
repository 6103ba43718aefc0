// SPDX-License-Identifier: Apache-2.0
// What a model answered: boxes in the picture, bars, pictures, tables.
import { button, choose, download, field, h, number, table } from "./dom.js";
import { detections } from "./detect.js";
import { canvasOf, layoutOf } from "./picture.js";
import { writeNpy } from "./npy.js";
import { isNumeric } from "./tensors.js";
import { t } from "./words.js";

const BARS = 10, ROWS = 200, LEAST_SCORE = 0.25, LEAST_PICTURE = 16, LINE = 6;

// Shares from 0 to 1 of numbers that are scores: as they are, or by softmax.
function shares(values) {
  const all = values.every(v => v >= 0 && v <= 1);
  if (all) return { of: values, soft: false };
  const highest = values.reduce((most, v) => Math.max(most, v), -Infinity);
  const powers = values.map(v => Math.exp(v - highest)), sum = powers.reduce((a, b) => a + b, 0);
  return { of: powers.map(p => p / sum), soft: true };
}

function bars(names, values) {
  const { of, soft } = shares(values);
  const order = values.map((_, i) => i).sort((a, b) => values[b] - values[a]).slice(0, BARS);
  const rows = order.map(i => {
    const bar = h("span", { class: "bar", "aria-hidden": "true" });
    bar.style.inlineSize = `${100 * of[i]}%`;
    return [h("strong", {}, names(i)), h("div", { class: "track" }, bar), h("span", {}, percent(of[i])), values[i]];
  });
  return h("div", { class: "bars" },
    table(t("The highest {n} of {all}", { n: order.length, all: number(values.length) }),
      [t("Class"), "", soft ? t("Share (softmax)") : t("Share"), t("Value")], rows));
}

// "3, 17": where an element lies.
function position(shape, at) {
  const index = [];
  for (let d = shape.length - 1; d >= 0; d--) {
    index.unshift(at % shape[d]);
    at = Math.floor(at / shape[d]);
  }
  return index.join(", ");
}

const percent = share => (share > 0 && share < 0.0001 ? "< 0.01 %" : `${number(Math.round(10000 * share) / 100)} %`);

const words = value => (typeof value === "object" && value !== null ? JSON.stringify(value) : typeof value === "number" ? value : String(value));

function elements(output) {
  const { shape, data } = output, rows = [], columns = shape.length > 1 ? shape.at(-1) : 1;
  if (columns > 1 && columns <= 12)
    for (let i = 0; i < Math.min(ROWS, data.length / columns); i++)
      rows.push([position(shape.slice(0, -1), i), ...Array.from(data.slice(i * columns, (i + 1) * columns), words)]);
  else for (let i = 0; i < Math.min(ROWS, data.length); i++) rows.push([position(shape, i), words(data[i])]);
  const more = data.length - rows.length * (columns > 1 && columns <= 12 ? columns : 1);
  const heads = columns > 1 && columns <= 12 ? Array.from({ length: columns }, (_, i) => String(i)) : [t("Value")];
  return h("div", {}, table(output.name, [t("At"), ...heads], rows), more > 0 && h("p", { class: "hint" }, t("and {n} more values", { n: number(more) })));
}

function pictureOf(output, layout) {
  const canvas = canvasOf(layout, output.data);
  canvas.className = "picture";
  canvas.setAttribute("aria-label", t("{name} as a picture of {w} × {h}", { name: output.name, w: layout.width, h: layout.height }));
  return canvas;
}

// The ways to show an output, the likeliest first: [code, words, make].
function viewsOf(output, labels) {
  const { shape, data } = output, views = [], name = i => labels[i] ?? String(i);
  const list = Array.from(data), reals = list.every(v => typeof v === "number");
  const layout = reals && shape.length > 1 ? layoutOf(shape) : null;
  if (layout && layout.channels !== 4 && layout.height >= LEAST_PICTURE && layout.width >= LEAST_PICTURE && shape.length > 1 && layout.height * layout.width * layout.channels === list.length)
    views.push(["picture", t("picture"), () => pictureOf(output, layout)]);
  if (output.datatype === "JSON" && list.length === 1 && list[0] && typeof list[0] === "object" && !Array.isArray(list[0])) {
    const keys = Object.keys(list[0]), values = Object.values(list[0]);
    if (values.every(v => typeof v === "number")) views.push(["bars", t("bars"), () => bars(i => labels[keys[i]] ?? keys[i], values)]);
  }
  if (reals && list.length > 1 && list.length === Math.max(...shape) && list.every(Number.isFinite) && !/INT|BOOL/.test(output.datatype))
    views.push(["bars", t("bars"), () => bars(name, list)]);
  views.push(["table", t("table"), () => elements(output)]);
  return views;
}

function show(output, labels) {
  const views = viewsOf(output, labels), place = h("div");
  const use = code => place.replaceChildren(views.find(v => v[0] === code)[2]());
  use(views[0][0]);
  return h("section", { class: "output" },
    h("h3", {}, output.name, " ", h("span", { class: "hint" }, `${output.datatype} [${output.shape.join(", ")}]`)),
    h("div", { class: "filter" },
      views.length > 1 && field(t("Shown as"), choose(views.map(([code, name]) => [code, name]), views[0][0], use)),
      isNumeric(output.datatype) && button(t("Download .npy"), () => download(`${output.name.replace(/[^\w.-]/g, "_")}.npy`, writeNpy(output.datatype, output.shape, output.data)))),
    place);
}

function boxesIn(canvas, found, labels) {
  const by = Math.max(1, Math.min(4, 640 / canvas.width));
  const picture = h("canvas", { width: canvas.width * by, height: canvas.height * by, class: "picture", role: "img",
    "aria-label": t("The picture with {n} boxes", { n: found.length }) });
  const pen = picture.getContext("2d");
  pen.drawImage(canvas, 0, 0, picture.width, picture.height);
  pen.font = "bold 16px sans-serif";
  pen.textBaseline = "bottom";
  for (const box of found) {
    const colour = `hsl(${box.class * 137 % 360} 90% 45%)`, [x, y] = [box.left * by, box.top * by];
    const text = `${labels[box.class] ?? box.class} ${Math.round(100 * box.score)} %`, above = Math.max(20, y);
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = 3;
    pen.strokeRect(x, y, (box.right - box.left) * by, (box.bottom - box.top) * by);
    pen.fillRect(x, above - 20, pen.measureText(text).width + 2 * LINE, 20);
    pen.fillStyle = "#fff";
    pen.fillText(text, x + LINE, above - 1);
  }
  return picture;
}

function showBoxes(outputs, labels, canvas) {
  const place = h("div");
  const least = h("input", { type: "range", min: 0.05, max: 0.95, step: 0.05, value: LEAST_SCORE, input: () => draw() });
  function draw() {
    const found = detections(outputs, labels.length, Number(least.value), canvas);
    const rows = found.map(b => [labels[b.class] ?? String(b.class), `${number(100 * b.score, 3)} %`, ...[b.left, b.top, b.right, b.bottom].map(Math.round)]);
    place.replaceChildren(boxesIn(canvas, found, labels),
      table(t("Found in the picture"), [t("Class"), t("Score"), t("Left"), t("Top"), t("Right"), t("Bottom")], rows));
  }
  draw();
  return h("section", { class: "output" }, h("h3", {}, t("Found in the picture")), field(t("At least this sure"), least), place);
}

// canvas: the picture that the model was given, or null.
export function showResults(outputs, labels, canvas) {
  if (!canvas || !detections(outputs, labels.length, LEAST_SCORE, canvas)) return outputs.map(output => show(output, labels));
  return [showBoxes(outputs, labels, canvas), h("details", {}, h("summary", {}, t("The outputs as they are")), outputs.map(output => show(output, labels)))];
}
