// SPDX-License-Identifier: Apache-2.0
// A board to draw a digit on, white on black: with mouse, finger or pen, or with the arrow keys. `changed` is called
// after each stroke. Returns {element, canvas(width, height)}.
import { button, field, h } from "./dom.js";
import { fitInto } from "./picture.js";
import { t } from "./words.js";

const SIDE = 280, STROKE = 22, STEP = 10;

// The area that was drawn on, and where its weight lies.
function extent(canvas) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, SIDE, SIDE);
  const e = { left: SIDE, top: SIDE, right: -1, bottom: -1, weight: 0, x: 0, y: 0 };
  for (let y = 0; y < SIDE; y++)
    for (let x = 0; x < SIDE; x++) {
      const v = data[4 * (y * SIDE + x)];
      if (!v) continue;
      e.left = Math.min(e.left, x);
      e.right = Math.max(e.right, x);
      e.top = Math.min(e.top, y);
      e.bottom = Math.max(e.bottom, y);
      e.weight += v;
      e.x += v * x;
      e.y += v * y;
    }
  return e;
}

// As MNIST was made: the drawing takes 20 of 28 pixels, its weight lies in the middle.
function centred(canvas) {
  const e = extent(canvas), out = h("canvas", { width: SIDE, height: SIDE }), pen = out.getContext("2d", { willReadFrequently: true });
  pen.fillRect(0, 0, SIDE, SIDE);
  if (!e.weight) return out;
  const by = SIDE * 20 / 28 / Math.max(e.right - e.left + 1, e.bottom - e.top + 1);
  pen.imageSmoothingQuality = "high";
  pen.setTransform(by, 0, 0, by, SIDE / 2 - by * e.x / e.weight, SIDE / 2 - by * e.y / e.weight);
  pen.drawImage(canvas, 0, 0);
  return out;
}

export function board(changed) {
  const canvas = h("canvas", { width: SIDE, height: SIDE, class: "board", tabindex: 0, role: "application",
    "aria-label": t("Board to draw on. Arrow keys move the pen, space sets it down or lifts it, Delete clears.") });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const centre = h("input", { type: "checkbox", checked: true, change: changed });
  const said = h("p", { class: "hint", role: "status" });
  let at = null, keys = { x: SIDE / 2, y: SIDE / 2, down: false };

  const clear = () => {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, SIDE, SIDE);
  };
  const stroke = (from, to) => {
    pen.strokeStyle = "#fff";
    pen.lineWidth = STROKE;
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.lineTo(to.x, to.y);
    pen.stroke();
  };
  const place = event => ({ x: event.offsetX * SIDE / canvas.clientWidth, y: event.offsetY * SIDE / canvas.clientHeight });

  canvas.addEventListener("pointerdown", event => {
    canvas.setPointerCapture(event.pointerId);
    at = place(event);
    stroke(at, at);
  });
  canvas.addEventListener("pointermove", event => {
    if (!at) return;
    const to = place(event);
    stroke(at, to);
    at = to;
  });
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, () => {
      if (at) changed();
      at = null;
    });
  canvas.addEventListener("keydown", event => {
    const [x, y] = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key] ?? [0, 0];
    if (event.key === " ") keys.down = !keys.down;
    else if (event.key === "Delete") clear();
    else if (!x && !y) return;
    event.preventDefault();
    const to = { ...keys, x: Math.min(SIDE, Math.max(0, keys.x + x)), y: Math.min(SIDE, Math.max(0, keys.y + y)) };
    if (keys.down) stroke(keys, to);
    keys = to;
    said.textContent = t("Pen {state} at {x}, {y}", { state: keys.down ? t("down") : t("up"), x: keys.x, y: keys.y });
    if (event.key === " " && !keys.down) changed();
  });
  clear();
  return {
    element: h("div", {}, canvas, h("div", { class: "filter" }, field(t("Centre the drawing"), centre),
      button(t("Clear"), () => {
        clear();
        changed();
      })), said),
    canvas: (width, height) => fitInto(centre.checked ? centred(canvas) : canvas, width, height, "stretch"),
  };
}
