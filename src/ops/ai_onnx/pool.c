// SPDX-License-Identifier: Apache-2.0
// MaxPool, AveragePool, LpPool and their Global forms: one value for each window of each plane.
//
//   float goes to pool_f32, with channels last to pool_nhwc_f32; float16 and bfloat16 go through pool_f32; double, int8
//   and uint8 to pool.inl, bytes with channels last to pool_nhwc_u8. Planes
//   (image x channel) are independent and are what threads split. A global pool is one window over the
//   flattened plane; maximum and average of such a window are reduce_f32's. Indices of MaxPool are flat over the whole
//   tensor; storage_order 1 counts the spatial part column by column. A window wholly in padding gives the type's
//   lowest value (max), NaN (average) or 0.
//
// History: MaxPool 8 adds Indices and storage_order, 10 ceil_mode and dilations, 12 int8 and uint8;
// AveragePool 7 adds count_include_pad, 10 ceil_mode, 19 dilations; LpPool and GlobalLpPool had a float p in
// version 1, LpPool 18 adds ceil_mode and dilations; 22 adds bfloat16 everywhere.
#include <math.h>

#include "kernels/pool_f32/pool_f32.h"
#include "kernels/pool_nhwc_f32/pool_nhwc_f32.h"
#include "kernels/pool_nhwc_u8/pool_nhwc_u8.h"
#include "kernels/reduce_f32/reduce_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"
#include "ops/parts/window_attrs.h"

typedef enum pool_kind { POOL_MAX, POOL_AVERAGE, POOL_LP } pool_kind;

typedef struct pool_params {
  window_attrs window;
  pool_kind kind;
  bool global, include_pad, column_major;
  int64_t p;
} pool_params;

// ---- params ---------------------------------------------------------------------------------------

static sdx_status read_common(op_params_context *c, pool_params *p, pool_kind kind, bool global) {
  p->kind = kind;
  p->global = global;
  p->include_pad = params_int(c, "count_include_pad") != 0;
  p->column_major = params_int(c, "storage_order") != 0;
  p->p = kind == POOL_LP ? params_int(c, "p") : 1;
  if (p->p < 1 || p->p > 1 << 20) return params_fail(c, "p", "is %lld, expected 1 to 2^20", (long long)p->p);
  if (global) return SDX_OK;
  SDX_TRY(window_attrs_read(c, &p->window));
  return p->window.kernel ? SDX_OK : params_fail(c, "kernel_shape", "is empty");
}
static sdx_status max_pool_read(op_params_context *c, void *p) { return read_common(c, p, POOL_MAX, false); }
static sdx_status average_pool_read(op_params_context *c, void *p) { return read_common(c, p, POOL_AVERAGE, false); }
static sdx_status lp_pool_read(op_params_context *c, void *p) { return read_common(c, p, POOL_LP, false); }
static sdx_status global_max_pool_read(op_params_context *c, void *p) { return read_common(c, p, POOL_MAX, true); }
static sdx_status global_average_pool_read(op_params_context *c, void *p) {
  return read_common(c, p, POOL_AVERAGE, true);
}
static sdx_status global_lp_pool_read(op_params_context *c, void *p) { return read_common(c, p, POOL_LP, true); }

// ---- upgrade --------------------------------------------------------------------------------------

static sdx_status lp_pool_upgrade(op_upgrade *u) {
  const attr *p = node_attr(u->node, "p");
  if (u->version > 1 || !p || p->kind != ATTR_FLOAT) return SDX_OK;
  // Negative and huge values become 0, which params refuses.
  float number = p->f >= 1 && p->f < 0x1p20f ? p->f : 0;
  return node_set_attr(u->graph, u->node, attr_of_int("p", (int64_t)number));
}

// ---- infer ----------------------------------------------------------------------------------------

static sdx_status pool_infer(op_step *c) {
  const pool_params *p = c->params;
  sdx_dtype dtype = infer_dtype_of(c, 0);
  int64_t out[TENSOR_MAX_RANK];
  int rank = infer_rank_of(c, 0), spatial = -1;
  if (p->global) {
    SDX_TRY(infer_rank(c, 0, 2, -1));
    for (int i = 0; i < rank; i++) out[i] = i < 2 ? c->in_types[0]->dims[i] : 1;
    return infer_output(c, 0, dtype, rank, out);
  }
  SDX_TRY(window_attrs_rank(c, &p->window, 0, &spatial));
  for (int i = 0; i < rank; i++) {
    out[i] = c->in_types[0]->dims[i];
    if (i >= 2) SDX_TRY(window_attrs_output(c, &p->window, (size_t)i - 2, out[i], p->window.kernel[i - 2], &out[i]));
  }
  SDX_TRY(infer_output(c, 0, dtype, rank, out));
  return infer_output(c, 1, SDX_INT64, rank, out);
}

static bool is_byte(int dtype) { return dtype == SDX_INT8 || dtype == SDX_UINT8; }

static void pool_layouts(op_step *c, step_layouts *l) {
  int dtype = c->in_types[0]->dtype;
  if ((dtype != SDX_FLOAT && !is_byte(dtype)) || (c->output_count > 1 && c->node->outputs[1])) return;
  l->in[0] = l->out[0] = PORT_CHOSEN;
}

// ---- prepare and compute --------------------------------------------------------------------------

typedef struct pool_state {
  window window;
  const pool_f32_kernel *kernel;
  const pool_nhwc_f32_kernel *last;  // channels-last; else NULL
  const pool_nhwc_u8_kernel *bytes;  // the same for bytes
  const reduce_f32_kernel *reduce;   // one window holds the whole plane; else NULL
  size_t channels;
} pool_state;

typedef struct pool_work {
  const pool_params *params;
  const pool_state *state;
  const void *x;
  void *y;
  int64_t *index;  // NULL: not wanted
  bool is_signed;  // bytes
} pool_work;

static double power(double x, int64_t p) { return p == 1 ? x : p == 2 ? x * x : pow(x, (double)p); }
static double root(double x, int64_t p) { return p == 1 ? x : p == 2 ? sqrt(x) : pow(x, 1 / (double)p); }

#define T double
#define LOWEST -INFINITY
#define NAME(x) x##_double
#include "ops/ai_onnx/pool.inl"
#define T int8_t
#define LOWEST INT8_MIN
#define NAME(x) x##_s8
#include "ops/ai_onnx/pool.inl"
#define T uint8_t
#define LOWEST 0
#define NAME(x) x##_u8
#include "ops/ai_onnx/pool.inl"

static void planes_float(void *context, size_t begin, size_t end, size_t worker) {
  const pool_work *p = context;
  const window *w = &p->state->window;
  size_t in = window_in(w), out = window_out(w);
  if (p->state->reduce && !p->index) {
    reduce_f32_op op = p->params->kind == POOL_MAX ? REDUCE_F32_MAX : REDUCE_F32_MEAN;
    p->state->reduce->inner[op]((const float *)p->x + begin * in, (float *)p->y + begin, end - begin, in);
    return;
  }
  for (size_t i = begin; i < end; i++) {
    const float *x = (const float *)p->x + i * in;
    float *y = (float *)p->y + i * out;
    if (p->params->kind == POOL_MAX) p->state->kernel->max(w, x, y, p->index ? p->index + i * out : NULL);
    else if (p->params->kind == POOL_AVERAGE) p->state->kernel->average(w, x, y, p->params->include_pad);
    else p->state->kernel->lp(w, x, y, (int)p->params->p);
  }
}

// Units are output pixels of all images; where one window holds an image, blocks of its channels.
enum { CHANNEL_BLOCK = 64 };
static size_t channel_blocks(const pool_state *s) { return (s->channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK; }

static void pixels_last(void *context, size_t begin, size_t end, size_t worker) {
  const pool_work *p = context;
  const pool_state *s = p->state;
  size_t in = window_in(&s->window), out = window_out(&s->window), blocks = channel_blocks(s);
  reduce_f32_op op = p->params->kind == POOL_MAX ? REDUCE_F32_MAX : REDUCE_F32_MEAN;
  for (size_t i = begin; s->reduce && i < end; i++) {
    size_t image = i / blocks, first = i % blocks * CHANNEL_BLOCK, rest = s->channels - first;
    s->reduce->outer[op]((const float *)p->x + image * in * s->channels + first, s->channels,
                         (float *)p->y + image * s->channels + first, in, rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK);
  }
  for (size_t i = begin, next; !s->reduce && i < end; i = next) {
    size_t image = i / out;
    next = (image + 1) * out < end ? (image + 1) * out : end;
    pool_nhwc_f32_image it = {&s->window,
                              s->channels,
                              (const float *)p->x + image * in * s->channels,
                              s->channels,
                              (float *)p->y + image * out * s->channels,
                              s->channels};
    if (p->params->kind == POOL_MAX) s->last->max(&it, i - image * out, next - image * out);
    else if (p->params->kind == POOL_AVERAGE)
      s->last->average(&it, i - image * out, next - image * out, p->params->include_pad);
    else s->last->lp(&it, i - image * out, next - image * out, (int)p->params->p);
  }
}

static void pixels_bytes(void *context, size_t begin, size_t end, size_t worker) {
  const pool_work *p = context;
  const pool_state *s = p->state;
  size_t in = window_in(&s->window), out = window_out(&s->window), n = s->channels;
  for (size_t i = begin, next; i < end; i = next) {
    size_t image = i / out;
    next = (image + 1) * out < end ? (image + 1) * out : end;
    pool_nhwc_u8_image it = {&s->window,  n, (const char *)p->x + image * in * n, n, (char *)p->y + image * out * n, n,
                             p->is_signed};
    s->bytes->max(&it, i - image * out, next - image * out);
  }
}

static sdx_status compute_last(op_step *c) {
  const pool_state *s = c->state;
  size_t batch = (size_t)step_in(c, 0)->dims[0], out = window_out(&s->window);
  pool_work w = {.params = c->params,
                 .state = s,
                 .x = step_in(c, 0)->data,
                 .y = step_out(c, 0)->data,
                 .is_signed = step_in(c, 0)->dtype == SDX_INT8};
  if (s->bytes) {
    call_parallel(c, batch * out, 1 + 65536 / (s->channels * window_taps(&s->window) + 1), pixels_bytes, &w);
    return call_check(c);
  }
  size_t work = s->reduce ? window_in(&s->window) * CHANNEL_BLOCK : s->channels * window_taps(&s->window);
  size_t units = batch * (s->reduce ? channel_blocks(s) : out);
  call_parallel(c, units, 1 + 16384 / (work + 1), pixels_last, &w);
  return call_check(c);
}

// Places in the plane -> places in the tensor, in the order asked for.
static void place_indices(void *context, size_t begin, size_t end, size_t worker) {
  const pool_work *p = context;
  const window *w = &p->state->window;
  size_t in = window_in(w), out = window_out(w);
  for (size_t i = begin; i < end; i++) {
    for (int64_t *at = p->index + i * out, *last = at + out; at < last; at++) {
      if (*at < 0) continue;
      if (p->params->column_major) {
        int64_t place[WINDOW_MAX_RANK], flat = 0;
        window_unravel((size_t)*at, w->in, w->rank, place);
        for (size_t d = w->rank; d-- > 0;) flat = flat * w->in[d] + place[d];
        *at = flat;
      }
      *at += (int64_t)(i * in);
    }
  }
}

static bool is_whole_plane(const window *w) {
  for (size_t d = 0; d < w->rank; d++)
    if (w->out[d] != 1 || w->kernel[d] != w->in[d] || w->dilation[d] != 1 || w->pad[d] != 0 || w->pad_end[d] != 0)
      return false;
  return true;
}

static sdx_status pool_prepare(op_step *c) {
  const pool_params *p = c->params;
  // Indices may be wanted without Y, whose values then go to scratch.
  const tensor *x = step_in(c, 0), *y = step_out(c, 0) ? step_out(c, 0) : step_out(c, 1);
  const int64_t *in = c->in_types[0]->dims, *out = c->out_types[step_out(c, 0) ? 0 : 1].dims;
  size_t unwanted = 0;
  pool_state *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  if (p->global) {
    int64_t n = 1;
    for (size_t d = 2; d < x->rank; d++) n *= in[d];  // fits: the tensor exists
    s->window = (window){.rank = 1, .in = {n}, .out = {1}, .kernel = {i64_max(n, 1)}, .stride = {1}, .dilation = {1}};
  } else {
    window_attrs_build(&p->window, x->rank - 2u, in + 2, NULL, out + 2, &s->window);
  }
  s->kernel = KERNEL_BEST(pool_f32);
  if (p->kind != POOL_LP && is_whole_plane(&s->window)) s->reduce = KERNEL_BEST(reduce_f32);
  if (c->layout == LAYOUT_CHANNELS_LAST) {
    if (is_byte(x->dtype)) s->bytes = KERNEL_BEST(pool_nhwc_u8);
    else s->last = KERNEL_BEST(pool_nhwc_f32);
    s->channels = (size_t)in[1];
    c->kernel = kernel_best(s->bytes ? "pool_nhwc_u8" : "pool_nhwc_f32")->variant;
    return SDX_OK;
  }
  bool own = x->dtype == SDX_DOUBLE || is_byte(x->dtype);
  c->kernel = own ? "portable" : kernel_best("pool_f32")->variant;
  bool fits = own || floats_reserve(&c->scratch_bytes, x);
  if (step_out(c, 0)) fits = fits && (own || floats_reserve(&c->scratch_bytes, y));
  else fits = fits && size_mul(y->count, sizeof(double), &unwanted) && scratch_reserve(&c->scratch_bytes, unwanted);
  if (!fits) return error_no_memory(c->err, SIZE_MAX);
  return SDX_OK;
}

static sdx_status pool_compute(op_step *c) {
  const pool_params *p = c->params;
  const pool_state *s = c->state;
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0), *index = step_out(c, 1);
  size_t count = y ? y->count : index ? index->count : 0;
  if (count == 0) return SDX_OK;
  if (s->last || s->bytes) return compute_last(c);
  size_t out = window_out(&s->window), planes = count / out, work = out * window_taps(&s->window);
  size_t grain = 1 + 16384 / (work + 1);
  pool_work w = {
      .params = p, .state = s, .x = x->data, .y = y ? y->data : c->scratch, .index = index ? index->data : NULL};
  switch (x->dtype) {
    case SDX_DOUBLE:
      call_parallel(c, planes, grain, planes_double, &w);
      break;
    case SDX_INT8:
      call_parallel(c, planes, grain, planes_s8, &w);
      break;
    case SDX_UINT8:
      call_parallel(c, planes, grain, planes_u8, &w);
      break;
    default: {
      char *scratch = c->scratch;
      w.x = floats_load(c, x, &scratch);
      w.y = y ? floats_target(y, &scratch) : (float *)scratch;
      call_parallel(c, planes, grain, planes_float, &w);
      if (y) floats_store(c, y, w.y);
    }
  }
  if (index) call_parallel(c, planes, grain, place_indices, &w);
  return call_check(c);
}

SDX_CASES = {"X=float[1,2,4,51] kernel_shape=1,3 strides=1,3",
             "X=float[2,3,9,8] kernel_shape=3,2 strides=2,1 pads=1,0,1,1 ceil_mode=1",
             "X=float[1,2,7] kernel_shape=3 auto_pad=SAME_UPPER strides=2",
             "X=double[1,1,4,5,6] kernel_shape=2,2,2 dilations=1,2,1", NULL};
static const char *const max_cases[] = {"X=float[2,3,9,8] kernel_shape=3,2 strides=2,1 pads=1,0,1,1 ceil_mode=1",
                                        "X=float[1,2,7] kernel_shape=3 auto_pad=SAME_UPPER strides=2",
                                        "X=double[1,1,4,5,6] kernel_shape=2,2,2 dilations=1,2,1",
                                        "X=float[1,2,4,51] kernel_shape=1,3 strides=1,3",
                                        "X=float[1,2,150] kernel_shape=3 strides=3 pads=1,1",
                                        "X=float[2,3,5,6] kernel_shape=2,3 pads=0,1,1,0 outputs=2",
                                        "X=float[2,1,5,6] kernel_shape=2,2 storage_order=1 outputs=2",
                                        NULL};
static const char *const global_cases[] = {"X=float[2,3,5,6]", "X=float[2,3,7]", "X=double[1,4,2,3,4]", NULL};

#define WINDOW "auto_pad:string=NOTSET ceil_mode:int=0 dilations:ints kernel_shape:ints! pads:ints strides:ints"
#define COMMON                                                                                       \
  .inputs = "X:T", .params_size = sizeof(pool_params), .infer = pool_infer, .layouts = pool_layouts, \
  .prepare = pool_prepare, .compute = pool_compute
#define FLOATS "T=float,double,float16,bfloat16"

SDX_OP(MaxPool) = {COMMON,
                   .since = 22,
                   .versions = "22 12 11 10 8 1",
                   .outputs = "Y:T Indices:I?",
                   .types = FLOATS ",int8,uint8;I=int64",
                   .attrs = WINDOW " storage_order:int=0",
                   .params = max_pool_read,
                   .cases = max_cases};
SDX_OP(AveragePool) = {COMMON,
                       .since = 22,
                       .versions = "22 19 11 10 7 1",
                       .outputs = "Y:T",
                       .types = FLOATS,
                       .attrs = WINDOW " count_include_pad:int=0",
                       .params = average_pool_read,
                       .cases = cases};
SDX_OP(LpPool) = {COMMON,
                  .since = 22,
                  .versions = "22 18 11 2 1",
                  .outputs = "Y:T",
                  .types = FLOATS,
                  .attrs = WINDOW " p:int=2",
                  .attrs_old = "p:float=2<2",
                  .params = lp_pool_read,
                  .upgrade = lp_pool_upgrade,
                  .cases = cases};
SDX_OP(GlobalMaxPool) = {COMMON,
                         .since = 22,
                         .versions = "22 1",
                         .outputs = "Y:T",
                         .types = FLOATS,
                         .params = global_max_pool_read,
                         .cases = global_cases};
SDX_OP(GlobalAveragePool) = {COMMON,
                             .since = 22,
                             .versions = "22 1",
                             .outputs = "Y:T",
                             .types = FLOATS,
                             .params = global_average_pool_read,
                             .cases = global_cases};
SDX_OP(GlobalLpPool) = {COMMON,
                        .since = 22,
                        .versions = "22 2 1",
                        .outputs = "Y:T",
                        .types = FLOATS,
                        .attrs = "p:int=2",
                        .attrs_old = "p:float=2<2",
                        .params = global_lp_pool_read,
                        .upgrade = lp_pool_upgrade,
                        .cases = global_cases};
