// SPDX-License-Identifier: Apache-2.0
// Detections in the outputs of a model, where their form is known: [{left, top, right, bottom, score, class}] in pixels
// of a picture of width x height. null: these outputs hold none.
const MOST = 100, OVERLAP = 0.45;
const TINY_ANCHORS = [[1.08, 1.19], [3.42, 4.41], [6.63, 11.38], [9.42, 5.11], [16.62, 10.52]]; // of YOLO v2, in cells
const sigmoid = x => 1 / (1 + Math.exp(-x));

function overlap(a, b) {
  const w = Math.min(a.right, b.right) - Math.max(a.left, b.left), y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
  if (w <= 0 || y <= 0) return 0;
  const area = r => (r.right - r.left) * (r.bottom - r.top);
  return w * y / (area(a) + area(b) - w * y);
}

// Of boxes of one class that cover one another the surest stays.
function suppress(found) {
  const kept = [];
  for (const box of found.sort((a, b) => b.score - a.score)) {
    if (kept.length === MOST) break;
    if (!kept.some(k => k.class === box.class && overlap(k, box) > OVERLAP)) kept.push(box);
  }
  return kept;
}

const around = (x, y, w, height, score, kind) => ({ left: x - w / 2, top: y - height / 2, right: x + w / 2, bottom: y + height / 2, score, class: kind });

function best(get, from, to) {
  let at = from;
  for (let i = from + 1; i < to; i++) if (get(i) > get(at)) at = i;
  return at;
}

// The cells of a picture at these strides: [column, row, stride].
const cells = (strides, width, height) => strides.flatMap(s => Array.from({ length: Math.floor(width / s) * Math.floor(height / s) },
  (_, i) => [i % Math.floor(width / s), Math.floor(i / Math.floor(width / s)), s]));

// Rows of left, top, right, bottom, score, class; or image, left, top, right, bottom, class, score.
function finished({ data }, rows, columns, least, size) {
  const shift = columns - 6, found = [];
  let scale = 1;
  for (let i = 0; i < rows; i++) {
    const at = i * columns + shift, [left, top, right, bottom] = [0, 1, 2, 3].map(k => Number(data[at + k]));
    const score = Number(data[at + (shift ? 5 : 4)]), kind = Number(data[at + (shift ? 4 : 5)]);
    if (right < left || bottom < top || kind < 0 || kind % 1) return null;
    found.push({ left, top, right, bottom, score, class: kind });
  }
  if (found.length && found.every(b => b.right <= 2 && b.bottom <= 2)) scale = null;
  return found.filter(b => b.score >= least).slice(0, MOST).map(b => (scale ? b : { ...b,
    left: b.left * size.width, right: b.right * size.width, top: b.top * size.height, bottom: b.bottom * size.height }));
}

// Heads of YOLO: v8 and later [4 + classes][boxes]; v5, v7 [boxes][5 + classes]; X the same, not decoded yet.
function yolo({ data }, [a, b], classes, least, { width, height }) {
  const one = cells([8, 16, 32], width, height), found = [];
  const late = b === one.length && a > 4 && (!classes || a === 4 + classes);
  const early = (a === 3 * one.length || a === one.length) && b > 5 && (!classes || b === 5 + classes);
  if (!late && !early) return null;
  for (let i = 0; i < (late ? b : a); i++) {
    const get = late ? k => data[k * b + i] : k => data[i * b + k], first = late ? 4 : 5;
    const at = best(get, first, late ? a : b), score = get(at) * (late ? 1 : get(4));
    if (score < least) continue;
    const [column, row, stride] = a === one.length && !late ? one[i] : [0, 0, 0];
    found.push(stride ? around((get(0) + column) * stride, (get(1) + row) * stride, Math.exp(get(2)) * stride, Math.exp(get(3)) * stride, score, at - first)
      : around(get(0), get(1), get(2), get(3), score, at - first));
  }
  return suppress(found);
}

// YOLO v2: [5 anchors x (5 + classes)][rows][columns].
function yolo2({ data }, [depth, rows, columns], least, { width, height }) {
  const each = depth / 5, area = rows * columns, found = [];
  for (let i = 0; i < area; i++)
    TINY_ANCHORS.forEach(([w, y], anchor) => {
      const get = k => data[(anchor * each + k) * area + i];
      const at = best(get, 5, each), highest = get(at);
      let sum = 0;
      for (let k = 5; k < each; k++) sum += Math.exp(get(k) - highest);
      const score = sigmoid(get(4)) / sum, sx = width / columns, sy = height / rows;
      if (score >= least)
        found.push(around((i % columns + sigmoid(get(0))) * sx, (Math.floor(i / columns) + sigmoid(get(1))) * sy,
          Math.exp(get(2)) * w * sx, Math.exp(get(3)) * y * sy, score, at - 5));
    });
  return suppress(found);
}

// Boxes in one output, their scores in another, their classes in a third or by the highest score.
function separate(outputs, least, size) {
  const boxes = outputs.find(o => o.shape.at(-1) === 4 && o.shape.length > 1);
  if (!boxes) return null;
  const count = boxes.data.length / 4, of = o => o !== boxes && (o.data.length === count || (o.shape.length > 1 && o.shape.at(-2) === count));
  const whole = o => o.data.length === count && Array.from(o.data).every(v => Number.isInteger(Number(v)));
  const kinds = outputs.find(o => of(o) && whole(o) && /class|label/i.test(o.name)) ?? outputs.find(o => of(o) && whole(o) && /INT/.test(o.datatype));
  const scores = outputs.find(o => o !== kinds && of(o));
  if (!scores) return null;
  const columns = scores.data.length / count, background = columns > 1 && !kinds ? 1 : 0;
  const rowsFirst = /detection_boxes|nms/i.test(boxes.name), found = [];
  const highest = Array.from(boxes.data).reduce((most, v) => Math.max(most, v), 0);
  const [sx, sy] = highest <= 2 ? [size.width, size.height] : [1, 1];
  for (let i = 0; i < count; i++) {
    const at = best(k => scores.data[i * columns + k], background, columns), score = scores.data[i * columns + at];
    if (score < least) continue;
    const [a, b, c, d] = boxes.data.slice(4 * i, 4 * i + 4);
    const [left, top, right, bottom] = rowsFirst ? [b, a, d, c] : [a, b, c, d];
    found.push({ left: left * sx, top: top * sy, right: right * sx, bottom: bottom * sy, score, class: kinds ? Number(kinds.data[i]) : at - background });
  }
  return suppress(found);
}

export function detections(outputs, classes, least, size) {
  const numeric = outputs.filter(o => ArrayBuffer.isView(o.data) || typeof o.data[0] === "number");
  if (numeric.length !== outputs.length) return null;
  if (outputs.length > 1) return separate(outputs, least, size);
  const [output] = outputs, shape = output.shape.slice(output.shape[0] === 1 && output.shape.length > 2 ? 1 : 0);
  if (shape.length === 3 && shape[0] % 5 === 0 && shape[0] / 5 > 5 && (!classes || shape[0] === 5 * (5 + classes)) && shape[1] <= 64)
    return yolo2(output, shape, least, size);
  if (shape.length !== 2) return null;
  const found = yolo(output, shape, classes, least, size);
  return found ?? (shape[1] === 6 || shape[1] === 7 ? finished(output, shape[0], shape[1], least, size) : null);
}
