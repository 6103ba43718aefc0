// SPDX-License-Identifier: Apache-2.0
// A pane: a canvas that shows a scene, moves, zooms and knows what is under the pointer. The less room a box has, the
// less of it is drawn, and what lies outside is passed over, so that ten thousand nodes stay smooth. Next: details.js.
"use strict";

const KINDS = [
  [/^(Conv|Gemm|MatMul|FusedConv|FusedGemm|FusedMatMul|QLinear|.*MatMul|Einsum|LSTM|GRU|RNN|Attention|MultiHead)/, "layer"],
  [/^(Relu|LeakyRelu|Sigmoid|Tanh|Softmax|Gelu|Erf|Elu|Selu|HardS|Mish|Swish|PRelu|Clip|Softplus|LogSoftmax|.*Gelu)/, "activation"],
  [/(Norm|Pool|Dropout|^LRN)/, "norm"],
  [/^(Reshape|Transpose|Concat|Split|Slice|Gather|Squeeze|Unsqueeze|Flatten|Pad|Expand|Shape|Tile|Resize|Cast|Identity|Constant)/, "shape"],
  [/^(If|Loop|Scan|Sequence|Optional)/, "control"],
];
const SCALE_OF_LINES = 0.3, SCALE_OF_TITLES = 0.4, SCALE_OF_LABELS = 0.6;

function kindOf(op) {
  return KINDS.find(([pattern]) => pattern.test(op))?.[1] ?? "other";
}

let palette = {};

function readPalette() {
  const style = getComputedStyle(document.documentElement), names = ["page", "text", "faint", "line", "mark", "path", "input",
    "layer", "activation", "norm", "shape", "control", "other", "block", "same", "added", "removed", "changed"];
  palette = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  palette.dark = style.getPropertyValue("--dark").trim() === "1";
}

function heat(share) {
  const s = Math.sqrt(Math.max(0, Math.min(1, share)));
  return palette.dark ? `hsl(${220 - 220 * s} 60% ${22 + 14 * s}%)` : `hsl(${50 - 45 * s} 95% ${96 - 34 * s}%)`;
}

// ---- colours ----------------------------------------------------------------------------------------

function itemNumber(graph, item, what) {
  if (what === "time") return graph.model.times?.[item.node?.name] ?? 0;
  if (what === "memory") return memoryOf(graph, item);
  return 0;
}

function boxNumber(pane, box, what) {
  const items = box.members ?? [box.item];
  return items.reduce((sum, item) => sum + itemNumber(pane.graph, item, what), 0);
}

function places(graph) {
  return [...new Set(Object.values(graph.model.steps ?? {}).map((step) => step.place))];
}

function colourOf(pane, box) {
  const what = state.colour;
  if (what === "time" || what === "memory") return heat(boxNumber(pane, box, what) / (pane.most || 1));
  if (what === "difference") {
    const all = (box.members ?? [box.item]).map((item) => differenceOf(pane.graph, item));
    return palette[["removed", "added", "changed"].find((name) => all.includes(name)) ?? "same"];
  }
  if (what === "place" && box.item?.node) {
    const place = pane.graph.model.steps?.[box.item.node.name]?.place;
    return place ? palette[["layer", "activation", "norm", "control"][places(pane.graph).indexOf(place) % 4]] : palette.other;
  }
  if (box.members) return palette.block;
  return box.item.kind === "node" ? palette[kindOf(box.item.title)] : palette.input;
}

function colourAll(pane) {
  pane.most = 0;
  for (const box of pane.scene.boxes) pane.most = Math.max(pane.most, boxNumber(pane, box, state.colour));
  for (const box of pane.scene.boxes) box.colour = colourOf(pane, box);
  drawMap(pane);
  redraw(pane);
}

// ---- drawing ----------------------------------------------------------------------------------------

function redraw(pane) {
  pane.frame ||= requestAnimationFrame(() => {
    pane.frame = 0;
    const began = performance.now();
    drawPane(pane);
    pane.drawn = performance.now() - began;
  });
}

function fitCanvas(canvas) {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth * ratio, height = canvas.clientHeight * ratio;
  if (canvas.width !== Math.round(width)) canvas.width = Math.round(width);
  if (canvas.height !== Math.round(height)) canvas.height = Math.round(height);
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, canvas.clientWidth, canvas.clientHeight);
  return context;
}

function drawPane(pane) {
  const context = fitCanvas(pane.canvas), { scale, x, y } = pane;
  const view = { left: -x / scale, top: -y / scale, right: (pane.canvas.clientWidth - x) / scale,
    bottom: (pane.canvas.clientHeight - y) / scale };
  context.translate(x, y);
  context.scale(scale, scale);
  drawArrows(pane, context, view);
  context.textAlign = "center";
  let drawnTo = -Infinity;  // layers that fall onto the pixels of others are passed over
  for (let i = firstLayer(pane.scene, view.top); i < pane.scene.layers.length; i++) {
    const layer = pane.scene.layers[i];
    if (layer.top > view.bottom) break;
    if (layer.top + layer.height < drawnTo + 1 / scale) continue;
    drawnTo = layer.top + layer.height;
    for (const box of layer.boxes)
      if (box.x + box.width / 2 > view.left && box.x - box.width / 2 < view.right) drawBox(pane, context, box);
  }
  drawFrame(pane);
}

// The first layer that does not end above `y`.
function firstLayer(scene, y) {
  let low = 0, high = scene.layers.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scene.layers[middle].top + scene.layers[middle].height < y) low = middle + 1;
    else high = middle;
  }
  return low;
}

function curve(context, x, y, toX, toY, curved) {
  if (curved) context.bezierCurveTo(x, (y + toY) / 2, toX, (y + toY) / 2, toX, toY);
  else context.lineTo(toX, toY);
}

// The first `passes` points of a trunk, as far as they are in view; points nearer than a pixel count as one.
function traceTrunk(context, trunk, passes, view, curved, pixel) {
  let x = trunk.from.x, y = trunk.from.y + trunk.from.height, drawing = false;
  for (let i = 0; i < passes; i++) {
    const point = trunk.points[i];
    if (point.bottom - y < pixel && i < passes - 1) continue;
    if (point.bottom > view.top && y < view.bottom) {
      if (!drawing) context.moveTo(x, y);
      curve(context, x, y, point.x, point.top, curved);
      context.lineTo(point.x, point.bottom);
      drawing = true;
    } else drawing = false;
    x = point.x, y = point.bottom;
  }
}

function traceEnd(context, arrow, curved) {
  context.moveTo(arrow.x, arrow.y);
  curve(context, arrow.x, arrow.y, arrow.to.x, arrow.to.y, curved);
}

function drawArrows(pane, context, view) {
  const curved = pane.scale > SCALE_OF_LINES, pixel = 1 / pane.scale, marked = [], onPath = [];
  context.beginPath();
  for (const trunk of pane.scene.trunks) traceTrunk(context, trunk, trunk.passes, view, curved, pixel);
  for (const arrow of pane.scene.arrows) {
    if (pane.path && onThePath(pane, arrow)) onPath.push(arrow);
    else if (pane.box && (arrow.from === pane.box || arrow.to === pane.box)) marked.push(arrow);
    else if (arrow.bottom >= view.top && arrow.top <= view.bottom &&
      (arrow.bottom - arrow.top > pixel || Math.abs(arrow.x - arrow.to.x) > pixel)) traceEnd(context, arrow, curved);
  }
  stroke(context, palette.line, Math.max(1, 0.6 * pixel));
  for (const [list, colour] of [[marked, palette.mark], [onPath, palette.path]]) {
    context.beginPath();
    for (const arrow of list) {
      if (arrow.passes) traceTrunk(context, arrow.trunk, arrow.passes, view, curved, pixel);
      traceEnd(context, arrow, curved);
    }
    stroke(context, colour, Math.max(2.5, 1.5 * pixel));
  }
}

function onThePath(pane, arrow) {
  return pane.path.get(arrow.from) + 1 === pane.path.get(arrow.to);
}

function stroke(context, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
}

function cut(text, width, letter) {
  const most = Math.max(1, Math.floor((width - 10) / letter));
  return [...text.slice(0, 4 * most)].length > most ? `${[...text.slice(0, 4 * most)].slice(0, most - 1).join("")}…` : text;
}

function drawBox(pane, context, box) {
  const left = box.x - box.width / 2, chosen = box === pane.box || pane.path?.has(box);
  context.fillStyle = box.colour;
  if (pane.scale < SCALE_OF_LINES) {
    context.fillRect(left, box.y, box.width, box.height);
    if (!chosen) return;
  }
  context.beginPath();
  context.roundRect(left, box.y, box.width, box.height, box.item && box.item.kind !== "node" ? 13 : 5);
  context.fill();
  stroke(context, chosen ? palette.mark : palette.faint, chosen ? Math.max(3, 3 / pane.scale) : 1);
  if (box.members) {
    context.beginPath();
    context.roundRect(left + 3, box.y + 3, box.width - 6, box.height - 6, 3);
    stroke(context, palette.faint, 1);
  }
  if (pane.scale < SCALE_OF_TITLES) return;
  context.fillStyle = palette.text;
  context.font = "600 12px system-ui, sans-serif";
  context.fillText(cut(box.title, box.width, 7.4), box.x, box.y + 17);
  if (!box.label || pane.scale < SCALE_OF_LABELS) return;
  context.font = "11px system-ui, sans-serif";
  context.fillText(cut(box.label, box.width, 6.2), box.x, box.y + 33);
}

// ---- map --------------------------------------------------------------------------------------------

function mapScale(pane) {
  const { scene, map } = pane;
  return Math.min(map.clientWidth / (scene.right - scene.left + 40), map.clientHeight / (scene.bottom + 40), 0.5);
}

// The whole graph small, kept as a picture.
function drawMap(pane) {
  const scale = pane.mapScale = mapScale(pane), context = fitCanvas(pane.map), { scene } = pane;
  pane.mapX = (pane.map.clientWidth - (scene.right - scene.left) * scale) / 2 - scene.left * scale;
  pane.mapY = 20 * scale;
  for (const box of scene.boxes) {
    context.fillStyle = palette.dark ? box.colour : palette.line;
    context.fillRect(pane.mapX + (box.x - box.width / 2) * scale, pane.mapY + box.y * scale, Math.max(1, box.width * scale),
      Math.max(1, box.height * scale));
  }
  pane.mapPicture = document.createElement("canvas");
  pane.mapPicture.width = pane.map.width || 1, pane.mapPicture.height = pane.map.height || 1;
  pane.mapPicture.getContext("2d").drawImage(pane.map, 0, 0);
}

function drawFrame(pane) {
  if (!pane.mapPicture || !pane.map.clientWidth) return;
  const context = fitCanvas(pane.map), scale = pane.mapScale;
  context.drawImage(pane.mapPicture, 0, 0, pane.map.clientWidth, pane.map.clientHeight);
  context.strokeStyle = palette.mark;
  context.lineWidth = 2;
  context.strokeRect(pane.mapX - pane.x / pane.scale * scale, pane.mapY - pane.y / pane.scale * scale,
    pane.canvas.clientWidth / pane.scale * scale, pane.canvas.clientHeight / pane.scale * scale);
}

// ---- moving -----------------------------------------------------------------------------------------

function zoom(pane, factor, atX = pane.canvas.clientWidth / 2, atY = pane.canvas.clientHeight / 2) {
  const scale = Math.max(0.004, Math.min(4, pane.scale * factor));
  pane.x = atX - (atX - pane.x) * scale / pane.scale;
  pane.y = atY - (atY - pane.y) * scale / pane.scale;
  pane.scale = scale;
  redraw(pane);
}

function fit(pane, whole) {
  const { scene, canvas } = pane, width = scene.right - scene.left + 48, height = scene.bottom + 48;
  const whatFits = Math.min(canvas.clientWidth / width, canvas.clientHeight / height, 1);
  pane.scale = whole ? whatFits : Math.max(whatFits, Math.min(1, Math.max(0.7, canvas.clientWidth / width)));
  pane.x = canvas.clientWidth / 2 - (scene.left + scene.right) / 2 * pane.scale;
  pane.y = whole ? (canvas.clientHeight - scene.bottom * pane.scale) / 2 : 24 * pane.scale;
  if (!whole && scene.layers.length) pane.x = canvas.clientWidth / 2 - middleOf(scene.layers[0].boxes) * pane.scale;
  redraw(pane);
}

function middleOf(boxes) {
  return (boxes[0].x + boxes[boxes.length - 1].x) / 2;
}

function centre(pane, box) {
  pane.scale = Math.max(pane.scale, 0.8);
  pane.x = pane.canvas.clientWidth / 2 - box.x * pane.scale;
  pane.y = pane.canvas.clientHeight / 2 - (box.y + box.height / 2) * pane.scale;
  redraw(pane);
}

function boxAt(pane, clientX, clientY) {
  const place = pane.canvas.getBoundingClientRect(), scene = pane.scene;
  const x = (clientX - place.left - pane.x) / pane.scale, y = (clientY - place.top - pane.y) / pane.scale;
  const layer = scene.layers[firstLayer(scene, y)];
  return layer?.boxes.find((box) => Math.abs(x - box.x) <= box.width / 2 && y >= box.y && y <= box.y + box.height);
}
