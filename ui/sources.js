// SPDX-License-Identifier: Apache-2.0
// Where the value of an input comes from: drawn, a picture, a file, JSON, made up. A source is {element, read(), file?}:
// read gives {shape, data} and, of pictures, the canvas; file takes what was dropped.
import { board } from "./draw.js";
import { choose, field, h } from "./dom.js";
import { readNpy } from "./npy.js";
import { FIT_WORDS, fitInto, layoutOf, pixelsOf, RANGES } from "./picture.js";
import { fitShape, fromNested, isNumeric, REAL, sizeOf } from "./tensors.js";
import { t } from "./words.js";

const MOST_DRAWN = 128; // pixels of a side

// How pixels become numbers.
function pixelOptions(io, layout, changed) {
  const options = { range: REAL.includes(io.datatype) ? "unit" : "bytes", invert: false, bgr: false };
  const check = key => h("input", { type: "checkbox", change: event => { options[key] = event.target.checked; changed(); } });
  const element = h("div", { class: "filter" },
    REAL.includes(io.datatype) && field(t("Pixels"), choose(RANGES(), options.range, v => { options.range = v; changed(); })),
    field(t("Inverted"), check("invert")), layout.channels === 3 && field("BGR", check("bgr")));
  return { options, element };
}

function drawn(io, layout, changed) {
  const { options, element } = pixelOptions(io, layout, changed), drawing = board(changed);
  return {
    element: h("div", {}, drawing.element, element),
    read: async () => {
      const canvas = drawing.canvas(layout.width, layout.height);
      return { ...pixelsOf(canvas, layout, options), canvas };
    },
  };
}

const fileInput = (accept, take) => {
  const input = h("input", { type: "file", accept, change: () => input.files[0] && take(input.files[0]) });
  return input;
};

function pictured(io, layout, changed) {
  const { options, element } = pixelOptions(io, layout, changed);
  const shown = h("div"), size = v => (v < 0 ? null : v);
  let bitmap = null, fit = "stretch";
  const canvas = () => fitInto(bitmap, size(layout.width) ?? bitmap.width, size(layout.height) ?? bitmap.height, fit);
  const draw = () => {
    if (!bitmap) return;
    const picture = canvas();
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", t("The picture as the model gets it"));
    picture.className = "picture";
    shown.replaceChildren(picture);
    changed();
  };
  const take = async file => {
    try {
      bitmap = await createImageBitmap(file);
      draw();
    } catch {
      bitmap = null;
      shown.replaceChildren(h("p", { class: "problem", role: "alert" }, t("{name} is no picture that this browser reads.", { name: file.name })));
    }
  };
  return {
    element: h("div", {}, field(t("Picture"), fileInput("image/*", take)), h("p", { class: "hint" }, t("or drop it here")),
      h("div", { class: "filter" }, field(t("Fitted"), choose(FIT_WORDS(), fit, v => { fit = v; draw(); }))), element, shown),
    file: take,
    read: async () => {
      if (!bitmap) throw new Error(t("{name}: choose a picture.", { name: io.name }));
      const picture = canvas();
      return { ...pixelsOf(picture, layout, options), canvas: picture };
    },
  };
}

function filed(io, changed) {
  let value = null;
  const said = h("p", { class: "hint", role: "status" });
  const take = async file => {
    try {
      const { shape, data } = readNpy(await file.arrayBuffer());
      value = { shape: fitShape(io.shape, shape, data.length), data };
      said.textContent = t("{name}: shape {shape}", { name: file.name, shape: `[${shape.join(", ")}]` });
      changed();
    } catch (error) {
      value = null;
      said.textContent = error.message;
    }
  };
  return {
    element: h("div", {}, field(t("File (.npy)"), fileInput(".npy", take)), h("p", { class: "hint" }, t("or drop it here")), said),
    file: take,
    read: async () => value ?? Promise.reject(new Error(t("{name}: choose a .npy file.", { name: io.name }))),
  };
}

const filled = (io, make) => {
  const shape = (io.shape ?? []).map(d => (d < 0 ? 1 : d));
  return { shape, data: Array.from({ length: sizeOf(shape) }, make) };
};

const nest = (shape, data) => shape.length < 2 ? (shape.length ? data : data[0])
  : Array.from({ length: shape[0] }, (_, i) => nest(shape.slice(1), data.slice(i * data.length / shape[0], (i + 1) * data.length / shape[0])));

function typed(io) {
  const text = h("textarea", { rows: 5, spellcheck: "false" });
  const { shape, data } = filled(io, () => (isNumeric(io.datatype) ? 0 : ""));
  text.value = data.length <= 200 ? JSON.stringify(nest(shape, data)) : "";
  return {
    element: field("JSON", text),
    file: async file => { text.value = await file.text(); },
    put: value => { text.value = value; },
    read: async () => {
      let value;
      try {
        value = JSON.parse(text.value);
      } catch (error) {
        throw new Error(`${io.name}: ${error.message}`);
      }
      const given = fromNested(value);
      if (isNumeric(io.datatype) && !given.data.every(v => v === null || typeof v === "number" || typeof v === "boolean"))
        throw new Error(t("{name}: expected numbers.", { name: io.name }));
      if (!isNumeric(io.datatype) && !given.data.every(v => typeof v === "string"))
        throw new Error(t("{name}: expected texts in quotes.", { name: io.name }));
      return { shape: fitShape(io.shape, given.shape, given.data.length), data: given.data.map(v => v ?? NaN) };
    },
  };
}

function madeUp(io) {
  const most = io.datatype === "BOOL" ? 2 : 10;
  return {
    element: h("p", { class: "hint" }, t("Free dimensions count as 1.")),
    read: async () => filled(io, () => (REAL.includes(io.datatype) ? Math.random() : Math.floor(Math.random() * most))),
  };
}

// [code, words, make], the likeliest first.
export function sourcesOf(io, optional) {
  const layout = isNumeric(io.datatype) ? layoutOf(io.shape) : null, sources = [];
  if (optional) sources.push(["none", t("left out"), () => ({ element: h("span"), read: async () => null })]);
  const small = layout && layout.height > 0 && layout.height <= MOST_DRAWN && layout.width > 0 && layout.width <= MOST_DRAWN;
  if (small && layout.channels === 1) sources.push(["draw", t("drawn"), changed => drawn(io, layout, changed)]);
  if (layout) sources.push(["picture", t("a picture"), changed => pictured(io, layout, changed)]);
  sources.push(["json", "JSON", () => typed(io)]);
  if (isNumeric(io.datatype)) {
    sources.push(["npy", t("a .npy file"), changed => filed(io, changed)]);
    sources.push(["random", t("random numbers"), () => madeUp(io)]);
  }
  return sources;
}

// Which of the sources takes a file that was dropped.
export const sourceOfFile = file => (file.type.startsWith("image/") ? "picture" : /\.npy$/i.test(file.name) ? "npy" : "json");
