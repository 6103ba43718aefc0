// SPDX-License-Identifier: Apache-2.0
// Finding nodes by name, operator or value, and the list of all of them, which is the graph for those who do not see
// it. Next: start.js.
"use strict";

const MOST_FOUND = 40, MOST_LISTED = 200;

function nameOf(item) {
  return item.node?.name || item.title;
}

// Every item of every graph of the pane's model that holds the words.
function findItems(pane, words) {
  const wanted = words.toLowerCase().split(/\s+/).filter((word) => word), found = [];
  pane.graph.model.graphs.forEach((_, index) => {
    if (found.length >= MOST_FOUND) return;
    const graph = graphOf(pane.graph.model, index);
    for (const item of graph.items) {
      const text = [item.title, item.node?.name, ...(item.node?.outputs ?? [])].join(" ").toLowerCase();
      if (found.length < MOST_FOUND && wanted.every((word) => text.includes(word))) found.push({ item, graph });
    }
  });
  const exact = (one) => (nameOf(one.item).toLowerCase() === words.toLowerCase() ? 0 : 1);
  return found.sort((a, b) => exact(a) - exact(b));
}

// Edits between two words, more than `most` counted as that many and one.
function distance(a, b, most) {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let k = 1; k <= b.length; k++)
      next[k] = Math.min(row[k] + 1, next[k - 1] + 1, row[k - 1] + (a[i - 1] === b[k - 1] ? 0 : 1));
    if (Math.min(...next) > most) return most + 1;
    row = next;
  }
  return row[b.length];
}

// "Did you mean": names, or their last parts, that are a few edits away.
function nearest(pane, words) {
  const wanted = words.toLowerCase().slice(0, 64), most = Math.max(1, Math.floor(wanted.length / 3)), near = [];
  const depth = wanted.split("/").length;
  for (const item of pane.graph.items) {
    const name = nameOf(item).toLowerCase().slice(0, 200), title = item.title.toLowerCase().slice(0, 64);
    const parts = [name, name.split("/").slice(-depth).join("/"), title];
    const edits = Math.min(...parts.map((part) => distance(wanted, part, most)));
    if (edits <= most) near.push({ item, graph: pane.graph, edits });
  }
  return near.sort((a, b) => a.edits - b.edits).slice(0, 5);
}

function showFound() {
  const words = document.getElementById("query").value.trim(), list = document.getElementById("found");
  let found = words ? findItems(state.pane, words) : [];
  const guessed = words && !found.length;
  if (guessed) found = nearest(state.pane, words);
  state.found = found, state.foundAt = guessed ? -1 : 0;
  list.replaceChildren(...found.map((one, i) => make("li", { id: `found${i}`, role: "option", "aria-selected": String(i === state.foundAt),
    click: () => takeFound(i) }, (guessed ? `${say("did_you_mean")} ` : "") + plain(nameOf(one.item).slice(0, 300)),
    make("small", {}, plain(one.item.title.slice(0, 100)) + (one.graph === state.pane.graph ? "" : ` · ${plain(one.graph.data.name || one.graph.data.attribute || "")}`)))));
  if (guessed && !found.length) list.append(make("li", { role: "option", "aria-disabled": "true", "aria-selected": "false" }, say("nothing_found")));
  list.hidden = !words;
  document.getElementById("query").setAttribute("aria-expanded", String(!list.hidden));
  markFound();
}

function markFound() {
  const query = document.getElementById("query");
  state.found.forEach((_, i) => document.getElementById(`found${i}`)?.setAttribute("aria-selected", String(i === state.foundAt)));
  if (state.foundAt >= 0 && state.found.length) query.setAttribute("aria-activedescendant", `found${state.foundAt}`);
  else query.removeAttribute("aria-activedescendant");
}

function takeFound(i) {
  const one = state.found[i];
  if (!one) return;
  document.getElementById("found").hidden = true;
  document.getElementById("query").setAttribute("aria-expanded", "false");
  if (one.graph !== state.pane.graph) openGraph(state.pane, one.graph.index);
  select(state.pane, one.item);
}

function searchKey(event) {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const count = state.found.length, step = event.key === "ArrowDown" ? 1 : -1;
    if (count) state.foundAt = (Math.max(state.foundAt, step > 0 ? -1 : 0) + step + count) % count;
    markFound();
    event.preventDefault();
  } else if (event.key === "Enter") takeFound(Math.max(0, state.foundAt));
  else if (event.key === "Escape") document.getElementById("found").hidden = true;
}

// ---- outline ----------------------------------------------------------------------------------------

// The children of a block (-1: of the graph): blocks and nodes in the order of the nodes.
function childrenOf(graph, parent) {
  const children = [], seen = new Set(), { list, of } = graph.blocks;
  for (const item of graph.items) {
    let block = item.kind === "node" ? of[item.index] ?? -1 : -1, top = -1;
    while (block !== parent && block >= 0) top = block, block = list[block].parent;
    if (block !== parent) continue;
    if (top < 0) children.push(item);
    else if (!seen.has(top)) seen.add(top), children.push({ block: top });
  }
  return children;
}

function outlineOf(pane, parent, most = MOST_LISTED) {
  const children = childrenOf(pane.graph, parent), list = make("ul");
  for (const child of children.slice(0, most)) {
    if (child.block === undefined) {
      list.append(make("li", {}, button(plain(`${child.title}${child.node?.name ? ` · ${child.node.name.split("/").pop()}` : ""}`.slice(0, 120)),
        () => select(pane, child), { "data-item": child.id })));
      continue;
    }
    const folded = pane.graph.folded.has(child.block), block = pane.graph.blocks.list[child.block];
    const head = button(`${folded ? "▸" : "▾"} ${plain(blockTitle(block))} (${block.count})`, () => toggle(pane, child.block),
      { "aria-expanded": String(!folded) });
    list.append(make("li", {}, head, folded ? "" : outlineOf(pane, child.block)));
  }
  if (children.length > most)
    list.append(make("li", {}, button(`${say("more")} (${children.length - most})`, (event) =>
      event.target.closest("ul").replaceWith(outlineOf(pane, parent, most * 5)))));
  return list;
}

function showOutline() {
  document.getElementById("outline").replaceChildren(make("h2", {}, say("outline")), outlineOf(state.pane, -1));
  markOutline();
}

function markOutline() {
  for (const old of document.querySelectorAll("#outline [aria-current]")) old.removeAttribute("aria-current");
  const item = state.pane.box?.item, shown = item && document.querySelector(`#outline [data-item="${item.id}"]`);
  if (!shown) return;
  shown.setAttribute("aria-current", "true");
  shown.scrollIntoView({ block: "nearest" });
}
