// SPDX-License-Identifier: Apache-2.0
// What is known of the selection, or of the model. All text goes through textContent: a name is a name, whatever it
// holds. Next: search.js.
"use strict";

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "click") element.addEventListener("click", value);
    else if (name in element && name !== "list") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function button(text, click, properties = {}) {
  return make("button", { type: "button", click, ...properties }, text);
}

const MOST_TEXT = 4000;

// Long strings are cut for the eye; controls that turn text around are shown as what they are.
function plain(text) {
  const all = String(text), shown = all.length > MOST_TEXT ? `${all.slice(0, MOST_TEXT)}… (${all.length})` : all;
  return shown.replace(/[\u0000-\u0008\u000b-\u001f\u007f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function table(rows, label) {
  const body = make("tbody");
  for (const [name, value] of rows)
    if (value !== undefined && value !== null && value !== "")
      body.append(make("tr", {}, make("th", { scope: "row" }, plain(name)), make("td", {}, value instanceof Node ? value : plain(value))));
  return body.children.length ? make("table", { "aria-label": label }, body) : "";
}

function section(title, ...children) {
  const filled = children.filter((child) => child);
  return filled.length ? make("section", {}, make("h3", {}, title), ...filled) : "";
}

function number(x) {
  return typeof x === "number" ? Number(x.toPrecision(6)).toLocaleString(state.language, { maximumSignificantDigits: 6 }) : "–";
}

function bytes(n) {
  const units = ["B", "KB", "MB", "GB"];
  let i = 0;
  while (n >= 1000 && i < 3) n /= 1000, i++;
  return `${number(Number(n.toPrecision(3)))} ${units[i]}`;
}

// ---- constants --------------------------------------------------------------------------------------

function histogram(constant) {
  const most = Math.max(...constant.bins), name = "http://www.w3.org/2000/svg", svg = document.createElementNS(name, "svg");
  svg.setAttribute("viewBox", `0 0 ${constant.bins.length} 100`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "bars");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${say("histogram")}: ${number(constant.min)} … ${number(constant.max)}`);
  constant.bins.forEach((count, i) => {
    const bar = document.createElementNS(name, "rect"), height = most ? 96 * count / most : 0;
    for (const [key, value] of [["x", i + 0.06], ["y", 100 - height], ["width", 0.88], ["height", height]]) bar.setAttribute(key, value);
    svg.append(bar);
  });
  return svg;
}

const NUMPY = { float: "<f4", double: "<f8", float16: "<f2", int8: "|i1", uint8: "|u1", int16: "<i2", uint16: "<u2", int32: "<i4",
  uint32: "<u4", int64: "<i8", uint64: "<u8", bool: "|b1", complex64: "<c8", complex128: "<c16", bfloat16: "<u2" };

// The file as numpy.save writes it; types that NumPy lacks as the bytes they take.
function npy(constant) {
  const data = Uint8Array.from(atob(constant.data), (c) => c.charCodeAt(0)), known = NUMPY[constant.dtype];
  const shape = known ? constant.shape : [data.length];
  const head = `{'descr': '${known ?? "|u1"}', 'fortran_order': False, 'shape': (${shape.join(", ")}${shape.length === 1 ? "," : ""}), }`;
  const padded = head + " ".repeat((64 - (11 + head.length) % 64) % 64) + "\n", size = padded.length;
  return new Blob([new Uint8Array([0x93, 78, 85, 77, 80, 89, 1, 0, size & 255, size >> 8]), padded, data]);
}

function save(blob, name) {
  const url = URL.createObjectURL(blob), link = make("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function constantView(graph, name, entry) {
  const constant = graph.model.constants[entry.constant];
  if (!constant?.dtype) return section(plain(name), make("p", { className: "note" }, say("no_numbers")));
  const file = `${name.replace(/[^\w.-]+/g, "_").slice(0, 80) || "constant"}.npy`;
  return section(plain(name),
    constant.bins ? histogram(constant) : "",
    table([[say("type"), entry.type], [say("size"), bytes(entry.bytes)], [say("smallest"), constant.bins && number(constant.min)],
      [say("largest"), constant.bins && number(constant.max)], [say("mean"), constant.bins && number(constant.mean)],
      [say("deviation"), constant.bins && number(constant.deviation)], [say("zeros"), constant.zeros],
      [say("not_finite"), constant.not_finite || ""], [say("sampled"), constant.every && `1/${constant.every}`],
      [say("values"), constant.head && constant.head.map(number).join("  ") + (constant.head.length >= 32 ? " …" : "")]], plain(name)),
    constant.data ? button(say("download"), () => save(npy(constant), file), { className: "npy" })
      : make("p", { className: "note" }, say("too_large")));
}

// ---- nodes ------------------------------------------------------------------------------------------

function goTo(pane, item) {
  return button(plain(item.node ? item.node.name || item.title : item.title), () => select(pane, item), { className: "link" });
}

function valueRows(pane, names, where) {
  const { graph } = pane, list = make("table", { "aria-label": where }, make("tbody"));
  names.forEach((name, i) => {
    if (!name) return;
    const value = findValue(graph, name), maker = graph.makers.get(name), cell = make("td", {});
    cell.append(make("div", {}, plain(name)));
    if (value?.type) cell.append(make("div", { className: "note" }, plain(value.type)));
    if (value?.constant !== undefined && graph.values.get(name) === value)
      cell.append(button(say("show_values"), () => { pane.shownConstant = [name, value]; showDetails(); }, { className: "link" }));
    const others = where === say("inputs") ? (maker ? [maker] : []) : graph.readers.get(name) ?? [];
    for (const other of others.slice(0, 20)) cell.append(make("div", {}, goTo(pane, other)));
    list.tBodies[0].append(make("tr", {}, make("th", { scope: "row" }, String(i)), cell));
  });
  return list.tBodies[0].children.length ? list : "";
}

function attributeText(graph, attribute) {
  if (attribute.kind === "reference") return `@${attribute.value}`;
  if (attribute.kind === "string") return `"${attribute.value}"`;
  if (Array.isArray(attribute.value)) {
    const more = attribute.count > attribute.value.length ? ` … (${attribute.count})` : "";
    return attribute.value.join(", ") + more;
  }
  return attribute.value ?? attribute.type ?? attribute.kind;
}

function attributeRows(pane, node) {
  return node.attributes.map((attribute) => {
    if (attribute.constant === undefined) return [attribute.name, attributeText(pane.graph, attribute)];
    return [attribute.name, make("span", {}, plain(attribute.type), " ", button(say("show_values"), () => {
      pane.shownConstant = [attribute.name, attribute];
      showDetails();
    }, { className: "link" }))];
  });
}

const DOCUMENTED = { "ai.onnx": "https://onnx.ai/onnx/operators/onnx__", "ai.onnx.ml": "https://onnx.ai/onnx/operators/onnx_aionnxml_" };

function nodeView(pane, item) {
  const { graph } = pane, { node } = item, step = graph.model.steps?.[node.name], time = graph.model.times?.[node.name];
  const difference = differenceOf(graph, item), like = difference && graph.data.match[item.index];
  return [
    make("h2", {}, plain(node.op)), make("p", { className: "note" }, plain(node.name)),
    make("div", { className: "row" },
      ...bodiesOf(graph, item).map(([name, i]) => button(`${say("open")}: ${plain(name)}`, () => openGraph(pane, i), { className: "body" })),
      ...blocksAround(graph, item).map((b) => button(`${say("fold")}: ${plain(blockTitle(graph.blocks.list[b]))}`, () => toggle(pane, b))),
      button(say("path_from"), () => startPath(pane, item)),
      state.pathFrom && state.pathFrom !== item ? button(say("path_to"), () => endPath(pane, item), { className: "path" }) : ""),
    table([[say("domain"), node.domain], [say("version"), node.version], [say("description"), node.doc],
      [say("documentation"), DOCUMENTED[node.domain] && `${DOCUMENTED[node.domain]}${node.op}.html`], [say("kernel"), step?.kernel],
      [say("place"), step?.place], [say("memory"), bytes(memoryOf(graph, item))], [say("time"), time && `${number(time)} µs`],
      [say("difference"), difference && make("span", { className: `tag ${difference}` }, say(difference))]], say("node")),
    like >= 0 && state.panes.length > 1 ? otherAttributes(pane, item, like) : "",
    section(say("attributes"), table(attributeRows(pane, node), say("attributes"))),
    section(say("inputs"), valueRows(pane, node.inputs, say("inputs"))),
    section(say("outputs"), valueRows(pane, node.outputs, say("outputs"))),
  ];
}

// What the same node says in the other model where that differs.
function otherAttributes(pane, item, like) {
  const other = state.panes.find((p) => p !== pane), theirs = other.graph.data.nodes[like];
  if (pane.graph.data.like !== other.graph.index || !theirs) return "";
  const text = (node, name) => { const a = node.attributes.find((b) => b.name === name); return a ? String(attributeText(null, a)) : ""; };
  const names = [...new Set([...item.node.attributes, ...theirs.attributes].map((a) => a.name))];
  const rows = names.filter((name) => text(item.node, name) !== text(theirs, name))
    .map((name) => [name, `${text(item.node, name) || "–"} | ${text(theirs, name) || "–"}`]);
  return section(say("differences"), table(rows, say("differences")));
}

function terminalView(pane, item) {
  const isInput = item.kind === "input", readers = isInput ? pane.graph.readers.get(item.title) ?? [] : [pane.graph.makers.get(item.title)];
  return [make("h2", {}, plain(item.title)), table([[say("kind"), say(item.kind)], [say("type"), findValue(pane.graph, item.title)?.type]], item.title),
    section(isInput ? say("read_by") : say("made_by"), ...readers.filter((r) => r).slice(0, 50).map((r) => make("div", {}, goTo(pane, r)))),
    make("div", { className: "row" }, button(say("path_from"), () => startPath(pane, item)),
      state.pathFrom && state.pathFrom !== item ? button(say("path_to"), () => endPath(pane, item), { className: "path" }) : "")];
}

function blockView(pane, box) {
  const block = pane.graph.blocks.list[box.block], counts = new Map();
  for (const item of box.members) counts.set(item.title, (counts.get(item.title) ?? 0) + 1);
  return [make("h2", {}, plain(block.label)),
    make("div", { className: "row" }, button(say("unfold"), () => toggle(pane, box.block))),
    table([[say("nodes"), box.members.length], [say("turn"), block.turns && `${block.turn} / ${block.turns}`],
      [say("memory"), bytes(boxNumber(pane, box, "memory"))], [say("time"), boxNumber(pane, box, "time") && `${number(boxNumber(pane, box, "time"))} µs`]], say("block")),
    section(say("operators"), table([...counts].sort((a, b) => b[1] - a[1]), say("operators")))];
}

function modelView(pane) {
  const { model } = pane.graph, meta = Object.entries({ ...model.metadata, ...model.custom_metadata });
  const ports = (list) => table(list.map((io) => [io.name, `${io.type} ${io.shape ? `[${io.shape.map((d) => d ?? "?").join(", ")}]` : ""}`]), "");
  return [make("h2", {}, plain(model.title)),
    table([[say("nodes"), number(model.nodes)], [say("weights"), `${number(model.weights)}, ${bytes(model.weight_bytes)}`], [say("file"), bytes(model.file_bytes)]], say("model")),
    section(say("inputs"), ports(model.inputs)), section(say("outputs"), ports(model.outputs)),
    section(say("properties"), table(meta, say("properties"))),
    model.graphs.length > 1 ? section(say("graphs"), ...model.graphs.slice(0, 200).map((g, i) => make("div", {},
      button(plain(g.function ? `${g.function.domain}::${g.function.name}` : g.node ? `${g.node} ${g.attribute}` : g.name || say("main_graph")),
        () => openGraph(pane, i), { className: "link" })))) : "",
    section(say("operators"), table(Object.entries(model.operators), say("operators"))),
    model.warnings ? section(say("warnings"), make("p", { className: "note" }, plain(model.warnings))) : ""];
}

function differencesView() {
  if (state.models.length < 2) return "";
  const list = make("div", { className: "differences" });
  for (const pane of state.panes)
    for (const item of pane.graph.items) {
      const difference = differenceOf(pane.graph, item);
      if (!difference || difference === "same" || (difference === "changed" && pane !== state.panes[0])) continue;
      if (list.children.length >= 300) break;
      list.append(make("div", {}, make("span", { className: `tag ${difference}` }, say(difference)), " ", goTo(pane, item)));
    }
  return section(say("differences"), list.children.length ? list : make("p", { className: "note" }, say("no_differences")));
}

function showDetails() {
  const pane = state.pane, { box } = pane, panel = document.getElementById("details");
  const what = !box ? modelView(pane) : box.members ? blockView(pane, box) : box.item.kind === "node" ? nodeView(pane, box.item)
    : terminalView(pane, box.item);
  const constant = box && pane.shownConstant ? constantView(pane.graph, ...pane.shownConstant) : "";
  panel.replaceChildren(...[...what, constant, box ? "" : differencesView()].filter((part) => part));
  if (constant) constant.scrollIntoView({ block: "nearest" });
}
