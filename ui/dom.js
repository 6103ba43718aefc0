// SPDX-License-Identifier: Apache-2.0
// Elements without HTML: text is always text, so no name, label or log line can inject anything.
import { t } from "./words.js";

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

// h("button", { type: "button", click: f }, "text", child, [children])
export const h = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);

export const svg = (tag, attributes = {}, ...children) =>
  build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// Rows are lists of cells: text, numbers (set to the right) or elements. The first cell heads its row.
export function table(caption, heads, rows) {
  const cell = (content, at) => {
    const words = typeof content === "number" ? number(content) : content;
    return h(at ? "td" : "th", { class: typeof content === "number" && "number", scope: at ? null : "row" }, words ?? "");
  };
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", {}, h("caption", {}, caption),
      h("thead", {}, h("tr", {}, heads.map((head, at) => h("th", { scope: "col", class: typeof rows[0]?.[at] === "number" && "number" }, head)))),
      h("tbody", {}, rows.map(row => h("tr", {}, row.map(cell))))));
}

let serial = 0;
// A control and its label. `choose` makes a list of [value, words].
export function field(label, control) {
  control.id ||= `field-${++serial}`;
  return h("p", { class: "field" }, h("label", { for: control.id }, label), " ", control);
}

export const choose = (choices, value, change) => {
  const select = h("select", { change: () => change(select.value) },
    choices.map(([code, words]) => h("option", { value: code, selected: code === value }, words)));
  return select;
};

export const button = (words, click, attributes = {}) => h("button", { type: "button", click, ...attributes }, words);

export const problem = error => h("p", { class: "problem", role: "alert" }, error.message);

export function download(name, bytes) {
  const link = h("a", { href: URL.createObjectURL(new Blob([bytes])), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

export const number = (value, digits = 4) =>
  Number.isInteger(value) ? value.toLocaleString(document.documentElement.lang)
    : Number.isFinite(value) ? value.toLocaleString(document.documentElement.lang, { maximumSignificantDigits: digits })
      : String(value);

export const when = stamp => (stamp ? new Date(stamp).toLocaleString(document.documentElement.lang) : "");

export const seconds = value =>
  value === null ? "–" : !value ? "0" : value < 0.001 ? t("{n} µs", { n: number(value * 1e6, 3) })
    : value < 1 ? t("{n} ms", { n: number(value * 1e3, 3) }) : t("{n} s", { n: number(value, 3) });
