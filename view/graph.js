// SPDX-License-Identifier: Apache-2.0
// The document as graphs that can be folded. A graph has items (inputs, nodes, outputs); a scene is what is shown of it:
// boxes, which are items or folded blocks, and the arrows between them. Next: draw.js.
"use strict";

const GAP = 24, LAYER_GAP = 34, TITLE_HEIGHT = 26, LABELLED_HEIGHT = 40, LETTER = 8;

function readGraph(model, index) {
  const data = model.graphs[index], layout = data.layout, values = new Map(), items = [];
  for (const value of data.values) values.set(value.name, value);
  const add = (kind, i, title, label, node) => {
    const at = items.length;
    items.push({ kind, index: i, title, label, node, x: layout.x[at], layer: layout.layer[at], width: layout.width[at],
      height: label ? LABELLED_HEIGHT : TITLE_HEIGHT, id: at });
  };
  data.inputs.forEach((name, i) => add("input", i, name, ""));
  data.nodes.forEach((node, i) => add("node", i, node.op, layout.labels[i], node));
  data.outputs.forEach((name, i) => add("output", i, name, ""));
  const graph = { model, index, data, values, items, first: data.inputs.length, arrows: [], makers: new Map(),
    readers: new Map(), folded: new Set(), blocks: { list: [], of: [] } };
  for (let i = 0; i < layout.arrows.length; i += 2) graph.arrows.push([layout.arrows[i], layout.arrows[i + 1]]);
  for (const item of items) noteValues(graph, item);
  return graph;
}

function noteValues(graph, item) {
  const reads = item.kind === "node" ? item.node.inputs : item.kind === "output" ? [item.title] : [];
  const makes = item.kind === "node" ? item.node.outputs : item.kind === "input" ? [item.title] : [];
  for (const name of makes) if (name) graph.makers.set(name, item);
  for (const name of reads) {
    if (!name) continue;
    if (!graph.readers.has(name)) graph.readers.set(name, []);
    graph.readers.get(name).push(item);
  }
}

// A value of this graph or of one around it.
function findValue(graph, name) {
  for (let g = graph; g; g = g.data.parent === undefined ? null : graphOf(g.model, g.data.parent))
    if (g.values.has(name)) return g.values.get(name);
  return null;
}

function graphOf(model, index) {
  model.read ??= [];
  return model.read[index] ??= readGraph(model, index);
}

function bodiesOf(graph, item) {
  const found = [], node = item.node;
  graph.model.graphs.forEach((g, i) => {
    if (g.parent === graph.index && g.at === item.index) found.push([g.attribute, i]);
    if (g.function && g.function.name === node.op && g.function.domain === node.domain) found.push([g.function.name, i]);
  });
  return found;
}

// ---- folding ----------------------------------------------------------------------------------------

function groupBy(graph, what) {
  graph.blocks = (what === "none" ? null : graph.data[what]) ?? { list: [], of: [] };
  graph.folded = new Set();
}

function foldAll(graph) {
  graph.blocks.list.forEach((block, i) => graph.folded.add(i));
}

// Everything, then opened level by level for as long as it can be taken in at a glance.
function foldWell(graph, most) {
  const { list, of } = graph.blocks, inside = new Map(), levels = [];
  const add = (parent) => inside.set(parent, (inside.get(parent) ?? 0) + 1);
  graph.data.nodes.forEach((_, i) => add(of[i] ?? -1));
  list.forEach((block, i) => {
    add(block.parent);
    block.level = block.parent < 0 ? 0 : list[block.parent].level + 1;
    (levels[block.level] ??= []).push(i);
  });
  foldAll(graph);
  let shown = inside.get(-1) ?? 0;
  for (const level of levels) {
    shown += level.reduce((sum, i) => sum + inside.get(i) - 1, 0);
    if (shown > most) return;
    for (const i of level) graph.folded.delete(i);
  }
}

function blocksAround(graph, item) {
  const around = [];
  if (item.kind === "node")
    for (let b = graph.blocks.of[item.index] ?? -1; b >= 0; b = graph.blocks.list[b].parent) around.push(b);
  return around;
}

function blockTitle(block) {
  return block.turns ? `${block.label} ${block.turn}/${block.turns}` : block.label;
}

// ---- what is shown ----------------------------------------------------------------------------------

function makeScene(graph) {
  const boxes = new Map(), shownAs = new Array(graph.items.length);
  for (const item of graph.items) {
    const folded = blocksAround(graph, item).filter((b) => graph.folded.has(b)).pop();
    if (folded === undefined) {
      shownAs[item.id] = { item, key: item.id, x: item.x, layer: item.layer, width: item.width, height: item.height,
        title: item.title, label: item.label };
      boxes.set(item.id, shownAs[item.id]);
      continue;
    }
    const key = `block ${folded}`;
    if (!boxes.has(key)) boxes.set(key, { block: folded, key, members: [], height: LABELLED_HEIGHT });
    boxes.get(key).members.push(item);
    shownAs[item.id] = boxes.get(key);
  }
  for (const box of boxes.values()) if (box.members) measureBlock(graph, box);
  const scene = { graph, boxes: [...boxes.values()], shownAs, arrows: [] };
  placeLayers(scene);
  scene.arrows = makeArrows(scene);
  return scene;
}

function measureBlock(graph, box) {
  const block = graph.blocks.list[box.block], middle = box.members[box.members.length >> 1];
  box.title = blockTitle(block);
  box.label = `${box.members.length} ${say("nodes")}`;
  box.layer = middle.layer;
  box.x = box.members.reduce((sum, item) => sum + item.x, 0) / box.members.length;
  box.width = Math.min(260, Math.max(90, LETTER * Math.max(box.title.length, box.label.length) + 28));
}

// Layers that nothing is shown in take no room; boxes of a layer that would overlap make room for each other.
function placeLayers(scene) {
  const byLayer = new Map();
  for (const box of scene.boxes) {
    if (!byLayer.has(box.layer)) byLayer.set(box.layer, []);
    byLayer.get(box.layer).push(box);
  }
  scene.layers = [...byLayer.keys()].sort((a, b) => a - b).map((number) => ({ number, boxes: byLayer.get(number) }));
  let y = 0;
  for (const layer of scene.layers) {
    layer.top = y;
    layer.height = Math.max(...layer.boxes.map((box) => box.height));
    y += layer.height + LAYER_GAP;
    layer.boxes.sort((a, b) => a.x - b.x);
    spread(layer.boxes);
    for (const box of layer.boxes) box.y = layer.top;
  }
  scene.left = Infinity, scene.right = -Infinity, scene.bottom = Math.max(0, y - LAYER_GAP);
  for (const box of scene.boxes) {
    scene.left = Math.min(scene.left, box.x - box.width / 2);
    scene.right = Math.max(scene.right, box.x + box.width / 2);
  }
  if (!scene.boxes.length) scene.left = scene.right = 0;
}

function spread(boxes) {
  let moved = 0;
  for (let i = 1; i < boxes.length; i++) {
    const least = boxes[i - 1].x + (boxes[i - 1].width + boxes[i].width) / 2 + GAP;
    if (boxes[i].x < least) moved += least - boxes[i].x, boxes[i].x = least;
  }
  if (moved) for (const box of boxes) box.x -= moved / boxes.length;
}

// Arrows that begin at one item share a trunk, which passes the layers between; each branches off above its end.
function makeArrows(scene) {
  const { graph, shownAs } = scene, seen = new Map(), trunks = new Map();
  const layerAt = new Map(scene.layers.map((layer) => [layer.number, layer]));
  for (const [from, to] of graph.arrows) {
    const a = shownAs[from], b = shownAs[to], key = `${a.key}>${b.key}`;
    if (a === b || seen.has(key)) continue;
    if (a.item && !trunks.has(from)) trunks.set(from, makeTrunk(graph, layerAt, a));
    const trunk = trunks.get(from), arrow = { from: a, to: b, trunk, passes: trunk ? countAbove(trunk, b.layer) : 0 };
    if (trunk) trunk.passes = Math.max(trunk.passes, arrow.passes);
    const start = arrow.passes ? trunk.points[arrow.passes - 1] : { x: a.x, bottom: a.y + a.height };
    Object.assign(arrow, { x: start.x, y: start.bottom, top: Math.min(start.bottom, b.y), bottom: Math.max(start.bottom, b.y) });
    seen.set(key, arrow);
  }
  scene.trunks = [...trunks.values()].filter((trunk) => trunk?.passes);
  return [...seen.values()];
}

function makeTrunk(graph, layerAt, box) {
  const points = [];
  (graph.data.layout.ways[box.item.id] ?? []).forEach((x, i) => {
    const layer = layerAt.get(box.layer + 1 + i);
    if (layer) points.push({ x, layer: layer.number, top: layer.top, bottom: layer.top + layer.height });
  });
  return points.length ? { from: box, points, passes: 0 } : null;
}

function countAbove(trunk, layer) {
  let low = 0, high = trunk.points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (trunk.points[middle].layer < layer) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The boxes of a shortest way along the arrows, or null.
function findPath(graph, from, to) {
  const next = new Map();
  for (const [a, b] of graph.arrows) {
    if (!next.has(a)) next.set(a, []);
    next.get(a).push(b);
  }
  const came = new Map([[from.id, -1]]), queue = [from.id];
  for (let i = 0; i < queue.length && !came.has(to.id); i++)
    for (const b of next.get(queue[i]) ?? []) if (!came.has(b)) came.set(b, queue[i]), queue.push(b);
  if (!came.has(to.id)) return null;
  const path = [];
  for (let at = to.id; at >= 0; at = came.get(at)) path.unshift(graph.items[at]);
  return path;
}

// ---- numbers that nodes have ------------------------------------------------------------------------

const BITS = { double: 64, int64: 64, uint64: 64, complex64: 64, complex128: 128, float: 32, int32: 32, uint32: 32,
  float16: 16, bfloat16: 16, int16: 16, uint16: 16, int4: 4, uint4: 4, int2: 2, uint2: 2 };

// What a value of this type takes, free dimensions counted as 1.
function bytesOf(type) {
  const match = /^(\w+)\[([^\]]*)\]$/.exec(type ?? "");
  if (!match) return 0;
  const count = match[2].split(",").reduce((product, dim) => product * (/^\d+$/.test(dim) ? Number(dim) : 1), 1);
  return count * (BITS[match[1]] ?? 8) / 8;
}

function memoryOf(graph, item) {
  if (item.kind !== "node") return 0;
  return item.node.outputs.reduce((sum, name) => sum + bytesOf(graph.values.get(name)?.type), 0);
}

function differenceOf(graph, item) {
  if (!graph.data.match || item.kind !== "node") return "";
  if (graph.data.match[item.index] < 0) return graph.model === state.models[0] ? "removed" : "added";
  return graph.data.same[item.index] ? "same" : "changed";
}
