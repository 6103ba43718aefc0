// SPDX-License-Identifier: Apache-2.0
// See quantize_linear.h. The tensor is walked in runs of elements with one scale (see quantization.h); long runs of the
// common types go to kernels/quantize. `precision`, else the type of the scale, is the precision of the division:
// a float16 quotient is rounded to float16 before it is rounded to an integer. Infinite quotients saturate
// (the ONNX reference wraps them), NaN gives the lowest value. Any scale will do: symmetric quantizers write
// negative ones, and 0 for dead channels.
#include "ops/parts/quantize_linear.h"

#include <math.h>

#include "base/float8.h"
#include "kernels/quantize/quantize.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/quantization.h"
#include "ops/parts/widen.h"

enum { DATA, SCALE, ZERO };

// ---- params ---------------------------------------------------------------------------------------

sdx_status quantize_linear_read(op_params_context *c, void *params) {
  quantize_params *p = params;
  p->axis = params_int(c, "axis");
  p->block = params_int(c, "block_size");
  if (p->block < 0)
    return params_fail(c, "block_size", "is %lld, expected a positive number, or 0 for none", (long long)p->block);
  int64_t output = params_int(c, "output_dtype"), precision = params_int(c, "precision");
  if (output < 0 || output >= SDX_DTYPE_COUNT)
    return params_fail(c, "output_dtype", "is %lld, expected an element type", (long long)output);
  if (precision != 0 && precision != SDX_FLOAT && precision != SDX_FLOAT16 && precision != SDX_BFLOAT16)
    return params_fail(c, "precision", "is %lld, expected float, float16 or bfloat16", (long long)precision);
  p->output = (sdx_dtype)output, p->precision = (sdx_dtype)precision;
  p->saturate = params_int(c, "saturate") != 0;
  return SDX_OK;
}

// ---- infer ----------------------------------------------------------------------------------------

static bool is_quantized(sdx_dtype d) {
  return d == SDX_UINT8 || d == SDX_INT8 || d == SDX_UINT16 || d == SDX_INT16 ||
         (d >= SDX_FLOAT8E4M3FN && d <= SDX_FLOAT8E5M2FNUZ) || dtype_is_packed(d) || float6_of(d);
}

static sdx_status infer_shapes(op_step *c, sdx_dtype dtype) {
  const quantize_params *p = c->params;
  int rank = infer_rank_of(c, DATA), scale_rank = infer_rank_of(c, SCALE);
  if (rank >= 0 && scale_rank >= 0) {
    granularity g;
    SDX_TRY(step_located(c, granularity_make(c->in_types[DATA]->dims, (size_t)rank, c->in_types[SCALE]->dims,
                                             (size_t)scale_rank, p->axis, p->block, &g, c->err)));
  }
  SDX_TRY(infer_zero_point(c, SCALE, ZERO));
  return infer_same_as(c, 0, DATA, dtype);
}

sdx_status quantize_linear_infer(op_step *c) {
  const quantize_params *p = c->params;
  bool has_zero = infer_has(c, ZERO);
  sdx_dtype zero = has_zero ? infer_dtype_of(c, ZERO) : SDX_UNDEFINED;
  if (p->output && !is_quantized(p->output))
    return step_fail_at(c, at_attribute("output_dtype"), SDX_INVALID_GRAPH, "is %s, expected a quantized type",
                        dtype_name(p->output));
  if (zero && p->output && zero != p->output)
    return step_fail_at(c, at_attribute("output_dtype"), SDX_INVALID_GRAPH, "is %s, but the zero point is %s",
                        dtype_name(p->output), dtype_name(zero));
  return infer_shapes(c, zero ? zero : has_zero ? SDX_UNDEFINED : p->output ? p->output : SDX_UINT8);
}

sdx_status dequantize_linear_infer(op_step *c) {
  const quantize_params *p = c->params;
  sdx_dtype scale = infer_dtype_of(c, SCALE);
  if (p->output && p->output != SDX_FLOAT && p->output != SDX_FLOAT16 && p->output != SDX_BFLOAT16)
    return step_fail_at(c, at_attribute("output_dtype"), SDX_INVALID_GRAPH,
                        "is %s, expected float, float16 or bfloat16", dtype_name(p->output));
  return infer_shapes(c, p->output ? p->output : scale == SDX_FLOAT8E8M0 ? SDX_FLOAT : scale);
}

// Blocks follow the order of dimensions in ONNX's layout only.
void quantize_linear_layouts(op_step *c, step_layouts *l) {
  if (infer_rank_of(c, SCALE) <= 1) layouts_follow(c, l);
}

// ---- compute --------------------------------------------------------------------------------------

typedef struct work {
  const quantize_params *params;
  const quantize_kernel *kernel;
  granularity g;
  const tensor *x, *scale, *zero;
  tensor *y;
  sdx_dtype precision;
} work;

enum { CHUNK = 8192, SMALL = 64 };  // elements; CHUNK keeps packed types apart for threads

// Float kinds whose zero point counts; that of float8 is 0.
static bool has_zero_point(sdx_dtype d) { return d == SDX_FLOAT4E2M1 || float6_of(d); }

static void narrow(sdx_dtype d, float *q, size_t n) {
  if (d == SDX_FLOAT16)
    for (size_t i = 0; i < n; i++) q[i] = fp16_to_float(fp16_from_float(q[i]));
  if (d == SDX_BFLOAT16)
    for (size_t i = 0; i < n; i++) q[i] = bf16_to_float(bf16_from_float(q[i]));
}

// [first, first + n) with n <= SMALL, any types.
static void quantize_small(const work *w, size_t first, size_t n, float scale, size_t index) {
  sdx_dtype to = (sdx_dtype)w->y->dtype;
  float q[SMALL];
  widen_read((sdx_dtype)w->x->dtype, w->x->data, first, n, q);
  for (size_t i = 0; i < n; i++) q[i] /= scale;
  narrow(w->precision, q, n);
  const float8_kind *kind = float8_of(to);
  if (kind) {
    for (size_t i = 0; i < n; i++)
      ((uint8_t *)w->y->data)[first + i] = float8_from_float(kind, q[i], w->params->saturate);
  } else if (has_zero_point(to)) {
    float zero = w->zero ? scale_at(w->zero, index) : 0;
    for (size_t i = 0; i < n; i++) q[i] += zero;
    widen_write(to, w->y->data, first, n, q);
  } else {
    int64_t zero = zero_at(w->zero, index);
    for (size_t i = 0; i < n; i++) {
      float r = rintf(q[i]);
      int64_t v = r >= 0x1p20f ? 1 << 20 : r > -0x1p20f ? (int64_t)r : -(1 << 20);  // NaN: lowest
      convert_set_int(to, w->y->data, first + i, v + zero);
    }
  }
}

static bool quantize_long(const work *w, size_t first, size_t n, float scale, size_t index) {
  if (w->x->dtype != SDX_FLOAT || w->precision != SDX_FLOAT) return false;
  const float *x = (const float *)w->x->data + first;
  int32_t zero = 0;
  switch (w->y->dtype) {
#define CASE(dtype, T, function)                                     \
  case SDX_##dtype:                                                  \
    zero = zero_at(w->zero, index);                                  \
    w->kernel->function(x, (T *)w->y->data + first, n, scale, zero); \
    return true;
    CASE(UINT8, uint8_t, to_u8)
    CASE(INT8, int8_t, to_s8)
    CASE(UINT16, uint16_t, to_u16)
    CASE(INT16, int16_t, to_s16)
#undef CASE
    default:
      return false;
  }
}

static void dequantize_small(const work *w, size_t first, size_t n, float scale, size_t index) {
  sdx_dtype from = (sdx_dtype)w->x->dtype;
  bool is_float = dtype_is_float(from);
  float v[SMALL];
  if (is_float) {
    float zero = w->zero && has_zero_point(from) ? scale_at(w->zero, index) : 0;  // float8: it is 0
    widen_read(from, w->x->data, first, n, v);
    for (size_t i = 0; i < n; i++) v[i] = (v[i] - zero) * scale;
  } else {
    int64_t zero = w->zero ? convert_get_int(from, w->zero->data, index) : 0;
    for (size_t i = 0; i < n; i++) {
      v[i] = (float)(convert_get_int(from, w->x->data, first + i) - zero) * scale;
    }
  }
  widen_write((sdx_dtype)w->y->dtype, w->y->data, first, n, v);
}

static bool dequantize_long(const work *w, size_t first, size_t n, float scale, size_t index) {
  if (w->y->dtype != SDX_FLOAT) return false;
  float *y = (float *)w->y->data + first;
  int32_t zero = 0;
  switch (w->x->dtype) {
#define CASE(dtype, T, function)                                           \
  case SDX_##dtype:                                                        \
    zero = zero_at(w->zero, index);                                        \
    w->kernel->function((const T *)w->x->data + first, y, n, scale, zero); \
    return true;
    CASE(UINT8, uint8_t, from_u8)
    CASE(INT8, int8_t, from_s8)
    CASE(UINT16, uint16_t, from_u16)
    CASE(INT16, int16_t, from_s16)
    CASE(INT32, int32_t, from_s32)
#undef CASE
    default:
      return false;
  }
}

typedef bool (*long_run)(const work *w, size_t first, size_t n, float scale, size_t index);
typedef void (*small_run)(const work *w, size_t first, size_t n, float scale, size_t index);

static void walk(const work *w, size_t begin, size_t end, long_run whole, small_run part) {
  for (size_t i = begin; i < end;) {
    size_t run = granularity_run(&w->g, i), index = granularity_index(&w->g, i);
    size_t n = run < end - i ? run : end - i;
    float scale = scale_at(w->scale, index);
    if (n < 8 || !whole(w, i, n, scale, index))
      for (size_t done = 0; done < n; done += SMALL)
        part(w, i + done, n - done < SMALL ? n - done : SMALL, scale, index);
    i += n;
  }
}

static void quantize_chunks(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  size_t last = end * CHUNK < w->x->count ? end * CHUNK : w->x->count;
  walk(w, begin * CHUNK, last, quantize_long, quantize_small);
}
static void dequantize_chunks(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  size_t last = end * CHUNK < w->x->count ? end * CHUNK : w->x->count;
  walk(w, begin * CHUNK, last, dequantize_long, dequantize_small);
}

static sdx_status run(op_step *c, void (*chunks)(void *, size_t, size_t, size_t)) {
  const quantize_params *p = c->params;
  work w = {.params = p,
            .kernel = KERNEL_BEST(quantize),
            .x = step_in(c, DATA),
            .scale = step_in(c, SCALE),
            .zero = step_in(c, ZERO),
            .y = step_out(c, 0)};
  if (w.x->count == 0) return SDX_OK;
  int64_t axis = p->axis;
  if (c->layout != LAYOUT_ONNX && w.scale->count > 1) SDX_TRY(step_axis(c, &axis, w.x->rank, at_attribute("axis")));
  SDX_TRY(step_located(
      c, granularity_make(w.x->dims, w.x->rank, w.scale->dims, w.scale->rank, axis, p->block, &w.g, c->err)));
  if (w.zero && w.zero->count != w.scale->count)
    return step_fail_at(c, at_input(ZERO), SDX_INVALID_SHAPE, "has %zu elements, but its scale has %zu", w.zero->count,
                        w.scale->count);
  sdx_dtype scale = (sdx_dtype)w.scale->dtype;
  w.precision = p->precision ? p->precision : scale == SDX_FLOAT16 || scale == SDX_BFLOAT16 ? scale : SDX_FLOAT;
  call_parallel(c, (w.x->count + CHUNK - 1) / CHUNK, 1, chunks, &w);
  return call_check(c);
}

sdx_status quantize_linear_compute(op_step *c) { return run(c, quantize_chunks); }
sdx_status dequantize_linear_compute(op_step *c) { return run(c, dequantize_chunks); }
