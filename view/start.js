// SPDX-License-Identifier: Apache-2.0
// The page: panes, what is selected in them, the tools above. Two models stand side by side and select together. Read
// first: graph.js.
"use strict";

const state = { models: [], panes: [], pane: null, colour: "kind", language: "en", found: [], foundAt: 0, pathFrom: null };
const MOST_UNFOLDED = 400, MOST_AT_ONCE = 120;

function speak(text) {
  document.getElementById("spoken").textContent = text;
}

// ---- panes ------------------------------------------------------------------------------------------

function makePane(model) {
  const canvas = make("canvas", { className: "graph", tabIndex: 0, role: "application" });
  const map = make("canvas", { className: "map", "aria-hidden": "true" }), trail = make("div", { className: "trail" });
  const pane = { canvas, map, trail, graph: graphOf(model, 0), scale: 1, x: 0, y: 0, box: null, path: null };
  pane.element = make("section", { className: "pane", "aria-label": plain(model.title) }, trail, canvas, map);
  listen(pane);
  return pane;
}

function renew(pane, keep) {
  const chosen = pane.box?.item;
  pane.scene = makeScene(pane.graph);
  pane.path = null;
  pane.box = chosen ? pane.scene.shownAs[chosen.id] : null;
  colourAll(pane);
  if (!keep) fit(pane, false);
  showTrail(pane);
  if (pane === state.pane) showDetails(), showOutline();
}

function showTrail(pane) {
  const steps = [];
  for (let g = pane.graph; g; g = g.data.parent === undefined ? null : graphOf(g.model, g.data.parent)) steps.unshift(g);
  if (pane.graph.data.function && pane.graph.index) steps.unshift(graphOf(pane.graph.model, 0));
  pane.trail.replaceChildren(...steps.map((g) => {
    const name = g.index ? plain(`${g.data.function?.name ?? g.data.node ?? ""} ${g.data.attribute ?? ""}`.slice(0, 80)) : plain(g.model.title);
    return g === pane.graph ? make("span", {}, name) : button(name, () => openGraph(pane, g.index));
  }));
}

function openGraph(pane, index) {
  state.pane = pane;
  pane.graph = graphOf(pane.graph.model, index);
  pane.box = null, pane.shownConstant = null;
  startGraph(pane.graph);
  renew(pane, false);
  const other = state.panes.find((p) => p !== pane), like = pane.graph.data.like;
  if (other && like !== undefined && other.graph.index !== like) openGraph(other, like);
  state.pane = pane;
  speak(pane.trail.textContent);
}

// A graph that is seen for the first time is folded where it would be too much at once.
function startGraph(graph) {
  if (graph.started) return;
  graph.started = true;
  const what = document.getElementById("group").value || "scopes";
  groupBy(graph, what);
  if (graph.items.length > MOST_UNFOLDED) foldWell(graph, MOST_AT_ONCE);
}

// ---- selecting --------------------------------------------------------------------------------------

function choose(pane, box, spoken = true) {
  state.pane = pane;
  pane.box = box, pane.shownConstant = null;
  redraw(pane);
  showDetails();
  markOutline();
  if (spoken) speak(box ? `${box.title} ${box.item?.node?.name ?? box.label}` : say("nothing_selected"));
}

// Unfolds what hides the item, shows and selects it; in the other model, too, where it has its like.
function select(pane, item, follow = true) {
  const hidden = blocksAround(pane.graph, item).filter((b) => pane.graph.folded.delete(b));
  if (hidden.length) renew(pane, true);
  choose(pane, pane.scene.shownAs[item.id]);
  centre(pane, pane.box);
  const other = follow && state.panes.find((p) => p !== pane), like = pane.graph.data.match?.[item.index] ?? -1;
  if (!other || item.kind !== "node" || like < 0 || pane.graph.data.like !== other.graph.index) return;
  select(other, other.graph.items[other.graph.first + like], false);
  choose(pane, pane.box, false);
}

function toggle(pane, block) {
  const { folded } = pane.graph;
  if (!folded.delete(block)) folded.add(block);
  const title = blockTitle(pane.graph.blocks.list[block]);
  renew(pane, true);
  const box = pane.scene.boxes.find((b) => b.block === block)
    ?? pane.scene.shownAs[pane.graph.items[pane.graph.first + pane.graph.blocks.list[block].first].id];
  choose(pane, box);
  centre(pane, box);
  speak(`${title}: ${say(folded.has(block) ? "fold" : "unfold")}`);
}

function startPath(pane, item) {
  state.pathFrom = item, state.pathPane = pane;
  pane.path = null;
  speak(say("path_from"));
  showDetails();
}

function endPath(pane, item) {
  const from = state.pathFrom, path = state.pathPane === pane ? findPath(pane.graph, from, item) ?? findPath(pane.graph, item, from) : null;
  state.pathFrom = null;
  pane.path = path && new Map([...new Set(path.map((at) => pane.scene.shownAs[at.id]))].map((box, i) => [box, i]));
  redraw(pane);
  showDetails();
  speak(path ? `${say("path")}: ${path.length} ${say("nodes")}` : say("no_path"));
  document.getElementById("details").prepend(make("p", { className: "note", id: "path" },
    path ? `${say("path")}: ${path.length} ${say("nodes")}` : say("no_path")));
}

// ---- pointer and keys -------------------------------------------------------------------------------

function listen(pane) {
  const { canvas, map } = pane, pointers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event), moved = 0;
    canvas.setPointerCapture(event.pointerId);
    state.pane = pane;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const others = [...pointers.values()].filter((p) => p.pointerId !== event.pointerId);
    moved += Math.abs(event.clientX - before.clientX) + Math.abs(event.clientY - before.clientY);
    if (others.length) {
      const gap = (p) => Math.hypot(p.clientX - others[0].clientX, p.clientY - others[0].clientY) || 1;
      zoom(pane, gap(event) / gap(before), event.offsetX, event.offsetY);
    } else {
      pane.x += event.clientX - before.clientX, pane.y += event.clientY - before.clientY;
      redraw(pane);
    }
    pointers.set(event.pointerId, event);
  });
  canvas.addEventListener("pointerup", (event) => {
    pointers.delete(event.pointerId);
    if (moved < 6) choose(pane, boxAt(pane, event.clientX, event.clientY) ?? null);
    followChoice(pane);
  });
  canvas.addEventListener("pointercancel", (event) => pointers.delete(event.pointerId));
  canvas.addEventListener("dblclick", () => openBox(pane));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.ctrlKey || !event.shiftKey) zoom(pane, Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
    else pane.x -= event.deltaY, redraw(pane);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => paneKey(pane, event));
  const jump = (event) => {
    if (!event.buttons) return;
    pane.x = pane.canvas.clientWidth / 2 - (event.offsetX - pane.mapX) / pane.mapScale * pane.scale;
    pane.y = pane.canvas.clientHeight / 2 - (event.offsetY - pane.mapY) / pane.mapScale * pane.scale;
    redraw(pane);
  };
  map.addEventListener("pointerdown", jump);
  map.addEventListener("pointermove", jump);
}

function followChoice(pane) {
  const item = pane.box?.item;
  if (item && state.panes.length > 1 && pane.graph.data.match) select(pane, item);
}

// What a double click or Enter does: unfolds, or goes into the body or the function.
function openBox(pane) {
  const { box } = pane;
  if (!box) return;
  if (box.members) return toggle(pane, box.block);
  const bodies = box.item.node ? bodiesOf(pane.graph, box.item) : [];
  if (bodies.length) openGraph(pane, bodies[0][1]);
}

function neighbour(pane, key) {
  const { box, scene } = pane;
  if (!box) return scene.layers[0]?.boxes[0];
  if (key === "ArrowDown") return scene.arrows.find((a) => a.from === box)?.to;
  if (key === "ArrowUp") return scene.arrows.find((a) => a.to === box)?.from;
  const { boxes } = scene.layers.find((layer) => layer.number === box.layer);
  return boxes[boxes.indexOf(box) + (key === "ArrowRight" ? 1 : -1)];
}

function paneKey(pane, event) {
  const { key } = event;
  state.pane = pane;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (key.startsWith("Arrow")) {
    const next = neighbour(pane, key);
    if (next) choose(pane, next), centre(pane, next);
  } else if (key === "Enter" || key === " ") openBox(pane);
  else if (key === "+" || key === "=") zoom(pane, 1.25);
  else if (key === "-") zoom(pane, 0.8);
  else if (key === "0") fit(pane, true);
  else if (key === "f" && pane.box?.item) {
    const [block] = blocksAround(pane.graph, pane.box.item);
    if (block !== undefined) toggle(pane, block);
  } else if (key === "Backspace" && pane.graph.index) openGraph(pane, pane.graph.data.parent ?? 0);
  else if (key === "/") document.getElementById("query").focus();
  else if (key === "Escape") pane.path = null, choose(pane, null);
  else return;
  event.preventDefault();
}

// ---- tools ------------------------------------------------------------------------------------------

function fillSelect(id, names, chosen) {
  const list = document.getElementById(id);
  list.replaceChildren(...names.map(([value, text]) => make("option", { value, selected: value === chosen }, text)));
}

function colourNames() {
  const names = ["kind", "memory"];
  if (state.models.some((m) => m.times)) names.push("time");
  if (state.models.some((m) => Object.keys(m.steps ?? {}).length)) names.push("place");
  if (state.models.length > 1) names.push("difference");
  return names;
}

function retext() {
  document.documentElement.lang = state.language;
  for (const e of document.querySelectorAll("[data-say]")) e.textContent = say(e.dataset.say);
  for (const e of document.querySelectorAll("[data-label]")) e.setAttribute("aria-label", say(e.dataset.label));
  for (const e of document.querySelectorAll("[data-hint]")) e.placeholder = say(e.dataset.hint);
  fillSelect("group", ["scopes", "repeats", "none"].map((name) => [name, say(name)]), document.getElementById("group").value || state.group);
  fillSelect("colour", colourNames().map((name) => [name, say(name)]), state.colour);
  for (const pane of state.panes) {
    pane.canvas.setAttribute("aria-label", `${plain(pane.graph.model.title)}. ${say("keys")}`);
    renew(pane, Boolean(pane.scene));
  }
}

function onTool(id, action) {
  document.getElementById(id).addEventListener(id === "group" || id === "colour" || id === "language" ? "change" : "click", (event) => action(event.target.value));
}

function everyPane(action) {
  for (const pane of state.panes) action(pane), renew(pane, false);
}

function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  readPalette();
  for (const pane of state.panes) if (pane.scene) colourAll(pane);
}

function listenToTools() {
  onTool("group", (value) => everyPane((pane) => groupBy(pane.graph, value)));
  onTool("fold", () => everyPane((pane) => foldAll(pane.graph)));
  onTool("unfold", () => everyPane((pane) => pane.graph.folded.clear()));
  onTool("colour", (value) => { state.colour = value; state.panes.forEach(colourAll); });
  onTool("smaller", () => zoom(state.pane, 0.8));
  onTool("larger", () => zoom(state.pane, 1.25));
  onTool("whole", () => state.panes.forEach((pane) => fit(pane, true)));
  onTool("theme", () => setTheme(document.documentElement.dataset.theme !== "dark"));
  onTool("language", (value) => { state.language = value; retext(); });
  const query = document.getElementById("query");
  query.addEventListener("input", showFound);
  query.addEventListener("keydown", searchKey);
  query.addEventListener("blur", () => setTimeout(() => { document.getElementById("found").hidden = true; }, 200));
  window.addEventListener("resize", () => state.panes.forEach((pane) => { drawMap(pane); redraw(pane); }));
}

function start() {
  state.models = JSON.parse(document.getElementById("document").textContent).models;
  const spoken = (navigator.language || "en").slice(0, 2), main = state.models[0];
  state.language = LANGUAGES.includes(spoken) ? spoken : "en";
  state.group = main.graphs[0].scopes.list.length ? "scopes" : "repeats";
  if (state.models.length > 1) state.colour = "difference";
  else if (main.times) state.colour = "time";
  document.title = plain(state.models.map((model) => model.title).join(" | ")).slice(0, 200);
  document.getElementById("title").textContent = document.title;
  fillSelect("language", LANGUAGES.map((name, i) => [name, LANGUAGE_NAMES[i]]), state.language);
  fillSelect("group", [[state.group, ""]], state.group);
  setTheme(matchMedia("(prefers-color-scheme: dark)").matches);
  for (const model of state.models) {
    const pane = makePane(model);
    document.getElementById("panes").append(pane.element);
    state.panes.push(pane);
    startGraph(pane.graph);
  }
  state.pane = state.panes[0];
  listenToTools();
  retext();
}

document.addEventListener("DOMContentLoaded", start);
