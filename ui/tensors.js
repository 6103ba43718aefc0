// SPDX-License-Identifier: Apache-2.0
// Tensors as the Open Inference Protocol names and sends them: {shape, data}, where data is a typed array, or a list of
// strings (BYTES) or of any JSON (JSON). Numbers travel in binary, so that every bit and NaN arrives.
import { ask, modelPath, newId } from "./api.js";
import { t } from "./words.js";

const ARRAYS = {
  BOOL: Uint8Array, INT8: Int8Array, INT16: Int16Array, INT32: Int32Array, INT64: BigInt64Array, UINT8: Uint8Array,
  UINT16: Uint16Array, UINT32: Uint32Array, UINT64: BigUint64Array, FP16: Uint16Array, BF16: Uint16Array,
  FP32: Float32Array, FP64: Float64Array,
};
export const REAL = ["FP32", "FP64", "FP16", "BF16"];
export const isNumeric = datatype => datatype in ARRAYS;
export const sizeOf = shape => shape.reduce((all, d) => all * d, 1);

const words = new Uint32Array(1), real = new Float32Array(words.buffer);

export function toHalf(value) {
  real[0] = value;
  const sign = words[0] >>> 16 & 0x8000, size = Math.abs(real[0]);
  if (Number.isNaN(size)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  if (size < 2 ** -24 / 2) return sign;
  const exponent = Math.max(Math.floor(Math.log2(size)), -14), step = 2 ** (exponent - 10), units = size / step;
  let mantissa = Math.floor(units);
  const rest = units - mantissa;
  if (rest > 0.5 || (rest === 0.5 && mantissa & 1)) mantissa++;
  return sign | (mantissa < 1024 ? mantissa : (exponent + 14 << 10) + mantissa);
}

export function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = bits >> 10 & 31, mantissa = bits & 1023;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (exponent ? (1024 + mantissa) * 2 ** (exponent - 25) : mantissa * 2 ** -24);
}

function toBrain(value) {
  real[0] = value;
  return Number.isNaN(value) ? 0x7fc0 : words[0] + 0x7fff + (words[0] >>> 16 & 1) >>> 16 & 0xffff;
}

function fromBrain(bits) {
  words[0] = bits << 16;
  return real[0];
}

// Any list of numbers or booleans as the typed array that is sent.
export function encode(datatype, values) {
  const numbers = Array.from(values);
  if (datatype === "FP16") return Uint16Array.from(numbers, toHalf);
  if (datatype === "BF16") return Uint16Array.from(numbers, toBrain);
  if (datatype.endsWith("INT64"))
    return ARRAYS[datatype].from(numbers, v => BigInt(typeof v === "bigint" ? v : Math.round(Number(v))));
  return ARRAYS[datatype].from(numbers, REAL.includes(datatype) ? Number : v => Math.round(Number(v)));
}

// The numbers of what came; those of 64 bits that a number cannot hold stay as they are.
function decode(datatype, bytes) {
  const raw = new ARRAYS[datatype](bytes);
  if (datatype === "FP16") return Float32Array.from(raw, fromHalf);
  if (datatype === "BF16") return Float32Array.from(raw, fromBrain);
  if (datatype.endsWith("INT64")) return Array.from(raw, v => (Number.isSafeInteger(Number(v)) ? Number(v) : v));
  if (datatype === "BOOL") return Array.from(raw, Boolean);
  return raw;
}

// tensors: [{name, datatype, shape, data}]; about: the description of the model. {outputs, ms, id}
export async function infer(model, about, tensors) {
  const chunks = [];
  const inputs = tensors.map(({ name, datatype, shape, data }) => {
    if (!isNumeric(datatype)) return { name, datatype, shape, data };
    const bytes = encode(datatype, data);
    chunks.push(bytes);
    return { name, datatype, shape, parameters: { binary_data_size: bytes.byteLength } };
  });
  const outputs = about.outputs.map(({ name, datatype }) => ({ name, parameters: { binary_data: isNumeric(datatype) } }));
  const head = new TextEncoder().encode(JSON.stringify({ inputs, outputs }));
  const id = newId("try-"), begin = performance.now();
  const response = await ask(modelPath(model.name, model.version, "infer"), {
    method: "POST", body: new Blob([head, ...chunks]),
    headers: { "Content-Type": "application/octet-stream", "Inference-Header-Content-Length": head.length, "x-request-id": id },
  });
  const body = await response.arrayBuffer(), ms = performance.now() - begin;
  const size = Number(response.headers.get("Inference-Header-Content-Length") ?? body.byteLength);
  let at = size;
  const answer = JSON.parse(new TextDecoder().decode(body.slice(0, size)));
  return {
    ms, id,
    outputs: answer.outputs.map(({ name, datatype, shape, data, parameters }) => {
      const length = parameters?.binary_data_size;
      if (length === undefined) return { name, datatype, shape, data };
      at += length;
      return { name, datatype, shape, data: decode(datatype, body.slice(at - length, at)) };
    }),
  };
}

// Nested lists of JSON as {shape, data}; every list of a level is as long as the first.
export function fromNested(value) {
  const shape = [], data = [];
  for (let level = value; Array.isArray(level); level = level[0]) shape.push(level.length);
  const walk = (part, depth) => {
    if (depth === shape.length) {
      if (Array.isArray(part)) throw new Error(t("The lists are not equally deep."));
      data.push(part);
      return;
    }
    if (!Array.isArray(part) || part.length !== shape[depth])
      throw new Error(t("A list has {n} elements where others have {m}.", { n: part?.length ?? 0, m: shape[depth] }));
    for (const inner of part) walk(inner, depth + 1);
  };
  walk(value, 0);
  return { shape, data };
}

// The declared shape (-1: free) that so many elements of this shape fill.
export function fitShape(declared, shape, count) {
  if (!declared) return shape;
  if (declared.length === shape.length && declared.every((d, i) => d < 0 || d === shape[i])) return shape;
  const free = declared.filter(d => d < 0).length, fixed = declared.filter(d => d >= 0).reduce((all, d) => all * d, 1);
  if (!free && fixed === count) return declared;
  if (free === 1 && fixed && count % fixed === 0) return declared.map(d => (d < 0 ? count / fixed : d));
  if (free > 1 && fixed && count % fixed === 0) {
    let given = false; // the first free one is most often the batch: it takes what is left
    return declared.map(d => (d >= 0 ? d : given ? 1 : (given = true, count / fixed)));
  }
  throw new Error(t("{n} values of shape {a} do not fit {b}.", { n: count, a: `[${shape}]`, b: `[${declared.map(d => (d < 0 ? "?" : d))}]` }));
}
