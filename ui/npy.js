// SPDX-License-Identifier: Apache-2.0
// Files of NumPy (.npy): reading them into {shape, data}, and writing results.
import { fromHalf, sizeOf } from "./tensors.js";
import { t } from "./words.js";

const TYPES = {
  "|b1": [Uint8Array], "|i1": [Int8Array], "|u1": [Uint8Array], "<i2": [Int16Array], "<u2": [Uint16Array],
  "<i4": [Int32Array], "<u4": [Uint32Array], "<i8": [BigInt64Array], "<u8": [BigUint64Array], "<f2": [Uint16Array, fromHalf],
  "<f4": [Float32Array], "<f8": [Float64Array],
};

// Columns first to rows first.
function reorder(shape, data) {
  const out = new data.constructor(data.length), index = shape.map(() => 0), steps = [];
  shape.reduce((step, d) => (steps.push(step), step * d), 1);
  for (let i = 0; i < out.length; i++) {
    out[i] = data[index.reduce((at, x, d) => at + x * steps[d], 0)];
    for (let d = shape.length - 1; d >= 0 && ++index[d] === shape[d]; d--) index[d] = 0;
  }
  return out;
}

export function readNpy(buffer) {
  const view = new DataView(buffer), magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (buffer.byteLength < 12 || magic.some((byte, i) => view.getUint8(i) !== byte)) throw new Error(t("This is no .npy file."));
  const wide = view.getUint8(6) > 1, begin = wide ? 12 : 10;
  const end = begin + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  const head = new TextDecoder().decode(buffer.slice(begin, end));
  const type = /'descr'\s*:\s*'([^']+)'/.exec(head)?.[1], dims = /'shape'\s*:\s*\(([^)]*)\)/.exec(head)?.[1];
  const [Kind, convert] = TYPES[type] ?? [];
  if (!Kind || dims === undefined) throw new Error(t("The .npy file holds {type}; expected numbers of this byte order.", { type: type ?? "?" }));
  const shape = dims.split(",").map(d => d.trim()).filter(Boolean).map(Number);
  const bytes = sizeOf(shape) * Kind.BYTES_PER_ELEMENT;
  if (!shape.every(d => Number.isSafeInteger(d) && d >= 0) || end + bytes > buffer.byteLength)
    throw new Error(t("The .npy file is cut short."));
  const raw = new Kind(buffer.slice(end, end + bytes));
  const data = convert ? Float32Array.from(raw, convert) : raw;
  return { shape, data: /'fortran_order'\s*:\s*True/.test(head) && shape.length > 1 ? reorder(shape, data) : data };
}

// Reals as float64 of what is seen, whole numbers as int64.
export function writeNpy(datatype, shape, data) {
  const whole = /INT|BOOL/.test(datatype), tuple = shape.map(d => `${d},`).join("");
  const head = `{'descr': '${whole ? "<i8" : "<f8"}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const room = 64 - (10 + head.length + 1) % 64;
  const text = head + " ".repeat(room % 64) + "\n";
  const values = whole ? BigInt64Array.from(Array.from(data), v => BigInt(v)) : Float64Array.from(data);
  const out = new Uint8Array(10 + text.length + values.byteLength);
  out.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  out.set(new TextEncoder().encode(text), 10);
  out.set(new Uint8Array(values.buffer), 10 + text.length);
  return out;
}
