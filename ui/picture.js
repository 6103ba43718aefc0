// SPDX-License-Identifier: Apache-2.0
// Pictures and tensors: where height, width and channels of a shape are, pixels as a model wants them, tensors as
// pictures. The rules are those of `sardonyx run` (cli/io_image.c).
import { h } from "./dom.js";
import { t } from "./words.js";

const isChannels = d => d === 1 || d === 3 || d === 4;

// {channels, height, width, planes, build(h, w)}; -1: free. null: no picture fits.
export function layoutOf(shape) {
  const rank = shape?.length ?? 0;
  if (rank === 3 || rank === 4) {
    const [a, b, c] = shape.slice(-3), last = !isChannels(a) && isChannels(c);
    const [channels, height, width] = last ? [c, a, b] : [a, b, c];
    if (rank === 4 && shape[0] > 1) return null;
    if (!isChannels(channels) && channels >= 0) return null;
    if ((height >= 0 && height < 4) || (width >= 0 && width < 4)) return null;
    const depth = channels < 0 ? 3 : channels, front = rank === 4 ? [1] : [];
    return { channels: depth, height, width, planes: !last,
      build: (y, x) => [...front, ...(last ? [y, x, depth] : [depth, y, x])] };
  }
  if (rank === 2 && (shape[0] === 1 || shape[0] < 0)) {
    const side = Math.sqrt(shape[1]); // a flat row of pixels
    return side >= 8 && Number.isInteger(side) ? { channels: 1, height: side, width: side, planes: true, build: (y, x) => [1, y * x] } : null;
  }
  if (rank === 2 && shape[0] >= 8 && shape[1] >= 8) return { channels: 1, height: shape[0], width: shape[1], planes: true, build: (y, x) => [y, x] };
  return null;
}

export const RANGES = () => [["unit", t("0 to 1")], ["bytes", t("0 to 255")], ["signed", t("−1 to 1")], ["imagenet", "ImageNet"]];
const MEAN = [0.485, 0.456, 0.406, 0], DEVIATION = [0.229, 0.224, 0.225, 1];

// A canvas as the tensor of a layout; options: {range, invert, bgr}.
export function pixelsOf(canvas, layout, options) {
  const { width, height } = canvas, { channels, planes } = layout, area = width * height;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const out = new Float32Array(area * channels);
  const scale = { unit: v => v / 255, bytes: v => v, signed: v => v / 127.5 - 1,
    imagenet: (v, c) => (v / 255 - MEAN[c]) / DEVIATION[c] }[options.range];
  for (let i = 0; i < area; i++)
    for (let c = 0; c < channels; c++) {
      const of = options.bgr && channels === 3 ? 2 - c : c;
      let v = channels === 1 ? 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2] : data[4 * i + of];
      if (options.invert && c < 3) v = 255 - v;
      out[planes ? c * area + i : i * channels + c] = scale(v, of);
    }
  return { shape: layout.build(height, width), data: out };
}

const FITS = {
  stretch: () => null,
  bars: Math.min,
  middle: Math.max,
};
export const FIT_WORDS = () => [["stretch", t("stretched")], ["bars", t("whole, between bars")], ["middle", t("its middle")]];

// A bitmap in a canvas of that size. Shrinking goes by halves, so that no pixel is passed over.
export function fitInto(bitmap, width, height, fit) {
  const canvas = h("canvas", { width, height }), pen = canvas.getContext("2d", { willReadFrequently: true });
  const by = FITS[fit](width / bitmap.width, height / bitmap.height);
  const w = by ? bitmap.width * by : width, y = by ? bitmap.height * by : height;
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  let from = bitmap;
  while (from.width > 2 * w && from.height > 2 * y) {
    const half = h("canvas", { width: Math.ceil(from.width / 2), height: Math.ceil(from.height / 2) });
    half.getContext("2d").drawImage(from, 0, 0, half.width, half.height);
    from = half;
  }
  pen.drawImage(from, (width - w) / 2, (height - y) / 2, w, y);
  return canvas;
}

// A tensor as a picture: its own range, or that of bytes or of 0 to 1 where it keeps to them.
export function canvasOf(layout, data) {
  const { channels, height, width, planes } = layout, area = height * width;
  let low = Infinity, high = -Infinity;
  for (const v of data) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  if (low >= 0) [low, high] = [0, high <= 1.5 ? 1 : Math.max(high, 255)];
  const canvas = h("canvas", { width, height, role: "img" }), pen = canvas.getContext("2d");
  const image = pen.createImageData(width, height);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) {
      const of = channels < 3 ? 0 : c;
      image.data[4 * i + c] = 255 * (data[planes ? of * area + i : i * channels + of] - low) / (high - low || 1);
    }
    image.data[4 * i + 3] = 255;
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}
