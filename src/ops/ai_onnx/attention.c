// SPDX-License-Identifier: Apache-2.0
// Attention: softmax(softcap(scale Q K') + mask) V with grouped heads, key and value cache, causal and sliding
// windows. Inputs are [batch, heads, time, width] or [batch, time, heads * width]; the work is in attend.h.
// The scale is applied to the product, not as its square root to both factors.
// _plain_softmax: made of a Softmax, whose rows that see no key are NaN.
// History: 24 nonpad_kv_seqlen (a cache that is kept outside), 25 window sizes.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/attend.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/floats.h"
#include "ops/parts/move.h"
#include "ops/parts/row.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTHS };
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

typedef struct attention_params {
  int64_t heads, kv_heads;  // 0: not given
  bool causal, has_scale, precise, plain;
  double scale, softcap;
  int64_t left, right;
  attend_stage stage;
} attention_params;

static sdx_status attention_read(op_params_context *c, void *params) {
  attention_params *p = params;
  *p = (attention_params){.heads = params_has(c, "q_num_heads") ? params_int(c, "q_num_heads") : 0,
                          .kv_heads = params_has(c, "kv_num_heads") ? params_int(c, "kv_num_heads") : 0,
                          .causal = params_int(c, "is_causal") != 0,
                          .has_scale = params_has(c, "scale"),
                          .softcap = (double)params_float(c, "softcap"),
                          .plain = params_int(c, "_plain_softmax") != 0,
                          .left = params_int(c, "left_window_size"),
                          .right = params_int(c, "right_window_size")};
  if (p->has_scale) p->scale = (double)params_float(c, "scale");
  if (params_has(c, "q_num_heads") && p->heads < 1)
    return params_fail(c, "q_num_heads", "is %lld, expected at least 1", (long long)p->heads);
  if (params_has(c, "kv_num_heads") && p->kv_heads < 1)
    return params_fail(c, "kv_num_heads", "is %lld, expected at least 1", (long long)p->kv_heads);
  if (p->left < -1) return params_fail(c, "left_window_size", "is %lld, expected at least -1", (long long)p->left);
  if (p->right < -1) return params_fail(c, "right_window_size", "is %lld, expected at least -1", (long long)p->right);
  if (p->causal) p->right = 0;
  int64_t stage = params_int(c, "qk_matmul_output_mode");
  if (stage < 0 || stage > 3)
    return params_fail(c, "qk_matmul_output_mode", "is %lld, expected 0 to 3", (long long)stage);
  p->stage = (attend_stage)stage;
  if (params_has(c, "softmax_precision")) {
    int64_t precision = params_int(c, "softmax_precision");
    if (precision != SDX_FLOAT && precision != SDX_FLOAT16 && precision != SDX_DOUBLE && precision != SDX_BFLOAT16)
      return params_fail(c, "softmax_precision", "is %lld, expected one of 1, 10, 11, 16", (long long)precision);
    p->precise = precision == SDX_DOUBLE;
  }
  return SDX_OK;
}

// ---- infer ----------------------------------------------------------------------------------------

// Negative: not known.
typedef struct sizes {
  int rank;
  int64_t batch, heads, kv_heads, rows, incoming, past, columns, width, v_width;
} sizes;

// hidden = heads * width, whichever of them are known.
static sdx_status split_hidden(op_step *c, size_t input, int64_t *heads, int64_t given, int64_t *width) {
  int64_t hidden = infer_dim(c, input, 2);
  if (given == 0)
    return step_fail(c, SDX_INVALID_GRAPH, "inputs of rank 3 need the attributes q_num_heads and kv_num_heads");
  if (hidden >= 0 && hidden % given != 0)
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE,
                        "has %lld columns, expected a multiple of its %lld heads", (long long)hidden, (long long)given);
  int64_t own = hidden >= 0 ? hidden / given : DIM_UNKNOWN;
  if (own >= 0 && *width >= 0 && own != *width)
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has heads of %lld numbers, expected %lld",
                        (long long)own, (long long)*width);
  if (own >= 0) *width = own;
  *heads = given;
  return SDX_OK;
}

static sdx_status measure_heads(op_step *c, const attention_params *p, sizes *s) {
  SDX_TRY(infer_agree(c, K, 0, "batch", &s->batch));
  SDX_TRY(infer_agree(c, V, 0, "batch", &s->batch));
  if (s->rank == 3) {
    SDX_TRY(split_hidden(c, Q, &s->heads, p->heads, &s->width));
    SDX_TRY(split_hidden(c, K, &s->kv_heads, p->kv_heads, &s->width));
    SDX_TRY(split_hidden(c, V, &s->kv_heads, p->kv_heads, &s->v_width));
    s->rows = infer_dim(c, Q, 1);
    SDX_TRY(infer_agree(c, K, 1, "keys", &s->incoming));
    return infer_agree(c, V, 1, "keys", &s->incoming);
  }
  s->heads = p->heads ? p->heads : DIM_UNKNOWN, s->kv_heads = p->kv_heads ? p->kv_heads : DIM_UNKNOWN;
  SDX_TRY(infer_agree(c, Q, 1, "heads", &s->heads));
  SDX_TRY(infer_agree(c, K, 1, "heads", &s->kv_heads));
  SDX_TRY(infer_agree(c, V, 1, "heads", &s->kv_heads));
  s->rows = infer_dim(c, Q, 2);
  SDX_TRY(infer_agree(c, K, 2, "keys", &s->incoming));
  SDX_TRY(infer_agree(c, V, 2, "keys", &s->incoming));
  SDX_TRY(infer_agree(c, Q, 3, "width", &s->width));
  SDX_TRY(infer_agree(c, K, 3, "width", &s->width));
  return infer_agree(c, V, 3, "width", &s->v_width);
}

static sdx_status measure_past(op_step *c, sizes *s) {
  if (infer_has(c, PAST_KEY) != infer_has(c, PAST_VALUE))
    return step_fail_at(c, at_input(infer_has(c, PAST_KEY) ? PAST_VALUE : PAST_KEY), SDX_INVALID_GRAPH,
                        "is missing: past_key and past_value go together");
  if (infer_has(c, LENGTHS) && infer_has(c, PAST_KEY))
    return step_fail_at(c, at_input(LENGTHS), SDX_INVALID_GRAPH, "cannot be combined with past_key and past_value");
  SDX_TRY(infer_rank(c, LENGTHS, 1, 1));
  SDX_TRY(infer_agree(c, LENGTHS, 0, "batch", &s->batch));
  s->past = 0;
  if (infer_has(c, PAST_KEY)) {
    s->past = DIM_UNKNOWN;
    for (size_t i = PAST_KEY; i <= PAST_VALUE; i++) {
      SDX_TRY(infer_rank(c, i, 4, 4));
      SDX_TRY(infer_agree(c, i, 0, "batch", &s->batch));
      SDX_TRY(infer_agree(c, i, 1, "heads", &s->kv_heads));
      SDX_TRY(infer_agree(c, i, 2, "past keys", &s->past));
      SDX_TRY(infer_agree(c, i, 3, "width", i == PAST_KEY ? &s->width : &s->v_width));
    }
  }
  s->columns = s->past == 0 ? s->incoming : DIM_UNKNOWN;
  if (s->past > 0 && s->incoming >= 0 && !i64_add(s->past, s->incoming, &s->columns))
    return step_fail(c, SDX_INVALID_SHAPE, "past and new keys are too many");
  return SDX_OK;
}

// Broadcast to [batch, heads, rows, columns], but the last dimension may only be shorter.
static sdx_status check_mask(op_step *c, const sizes *s) {
  const int64_t full[4] = {s->batch, s->heads, s->rows, s->columns};
  SDX_TRY(infer_rank(c, MASK, 1, 4));
  int rank = infer_has(c, MASK) ? infer_rank_of(c, MASK) : 0;
  for (int d = 0; d < rank; d++) {
    int64_t dim = c->in_types[MASK]->dims[d], whole = full[4 - rank + d];
    if (dim < 0 || whole < 0) continue;
    if (d == rank - 1 ? dim > whole : dim != whole && dim != 1)
      return step_fail_at(c, at_input(3), SDX_INVALID_SHAPE, "has %lld as its dimension %d where the scores have %lld",
                          (long long)dim, d, (long long)whole);
  }
  return SDX_OK;
}

static sdx_status measure(op_step *c, sizes *s) {
  const attention_params *p = c->params;
  *s = (sizes){DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN,
               DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN};
  for (size_t i = Q; i <= V; i++) {
    SDX_TRY(infer_rank(c, i, 3, 4));
    int rank = infer_rank_of(c, i);
    if (rank >= 0 && s->rank >= 0 && rank != s->rank)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has rank %d, but the ones before have %d", rank, s->rank);
    if (rank >= 0) s->rank = rank;
  }
  if (s->rank < 0) return SDX_OK;
  s->batch = infer_dim(c, Q, 0);
  SDX_TRY(measure_heads(c, p, s));
  SDX_TRY(measure_past(c, s));
  if (s->heads >= 0 && s->kv_heads >= 0 && (s->kv_heads == 0 || s->heads % s->kv_heads != 0))
    return step_fail(c, SDX_INVALID_SHAPE, "%lld query heads cannot be divided among %lld key and value heads",
                     (long long)s->heads, (long long)s->kv_heads);
  return check_mask(c, s);
}

static sdx_status attention_infer(op_step *c) {
  sizes s;
  SDX_TRY(measure(c, &s));
  sdx_dtype key = infer_dtype_of(c, Q), value = infer_dtype_of(c, V);
  if (s.rank < 0) {
    SDX_TRY(infer_output(c, Y, key, -1, NULL));
    SDX_TRY(infer_output(c, PRESENT_KEY, key, -1, NULL));
    SDX_TRY(infer_output(c, PRESENT_VALUE, value, -1, NULL));
    return infer_output(c, SCORES, key, -1, NULL);
  }
  int64_t hidden = DIM_UNKNOWN;
  if (s.heads >= 0 && s.v_width >= 0 && !i64_mul(s.heads, s.v_width, &hidden))
    return step_fail_at(c, at_output(0), SDX_INVALID_SHAPE, "would be too large");
  int64_t flat[3] = {s.batch, s.rows, hidden}, heads[4] = {s.batch, s.heads, s.rows, s.v_width};
  SDX_TRY(infer_output(c, Y, key, s.rank, s.rank == 3 ? flat : heads));
  SDX_TRY(infer_output(c, PRESENT_KEY, key, 4, (int64_t[]){s.batch, s.kv_heads, s.columns, s.width}));
  SDX_TRY(infer_output(c, PRESENT_VALUE, value, 4, (int64_t[]){s.batch, s.kv_heads, s.columns, s.v_width}));
  return infer_output(c, SCORES, key, 4, (int64_t[]){s.batch, s.heads, s.rows, s.columns});
}

// ---- prepare and compute --------------------------------------------------------------------------

typedef struct attention_state {
  attend_plan plan;
  size_t past;
} attention_state;

static sdx_status attention_prepare(op_step *c) {
  const attention_params *p = c->params;
  const tensor *q = step_in(c, Q), *k = step_in(c, K), *v = step_in(c, V);
  const tensor *past = c->input_count > PAST_KEY ? step_in(c, PAST_KEY) : NULL;
  attention_state *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  s->past = past ? (size_t)past->dims[2] : 0;
  attend_shape shape = {.dtype = q->dtype == SDX_DOUBLE ? SDX_DOUBLE : SDX_FLOAT, .batch = (size_t)q->dims[0]};
  if (q->rank == 3) {
    shape.heads = (size_t)p->heads, shape.kv_heads = (size_t)p->kv_heads;
    shape.rows = (size_t)q->dims[1], shape.columns = (size_t)k->dims[1] + s->past;
    shape.width = (size_t)q->dims[2] / shape.heads, shape.v_width = (size_t)v->dims[2] / shape.kv_heads;
  } else {
    shape.heads = (size_t)q->dims[1], shape.kv_heads = (size_t)k->dims[1];
    shape.rows = (size_t)q->dims[2], shape.columns = (size_t)k->dims[2] + s->past;
    shape.width = (size_t)q->dims[3], shape.v_width = (size_t)v->dims[3];
  }
  if (!attend_plan_init(&s->plan, &shape, c->threads, c->precision)) return error_no_memory(c->err, SIZE_MAX);
  c->kernel = s->plan.gemm ? s->plan.scores[0].name : "portable";
  return prepare_widened(c, s->plan.scratch_bytes);
}

// Steps of a tensor of rank 3 or 4 as [batch, heads, rows, width].
static attend_view view(const tensor *t, size_t heads, size_t rows, size_t width) {
  if (t->rank == 3) return (attend_view){t->data, heads * rows * width, width, heads * width};
  return (attend_view){t->data, heads * rows * width, rows * width, width};
}

// Past and incoming rows in one piece: in the output `present` if it is wanted. Where there is nothing to join the
// input is used as it lies.
static sdx_status join(op_step *c, size_t input, size_t past, size_t present, const attention_state *s, size_t width,
                       attend_view *out) {
  const attend_shape *shape = &s->plan.shape;
  sdx_dtype dtype = shape->dtype;
  const tensor *in = step_in(c, input), *old = step_in(c, past);
  tensor *wanted = step_out(c, present);
  size_t element = dtype == SDX_DOUBLE ? sizeof(double) : sizeof(float), incoming = shape->columns - s->past;
  size_t total = shape->batch * shape->kv_heads * shape->columns * width;
  *out = view(in, shape->kv_heads, incoming, width);
  if (!old && !wanted && in->dtype == dtype) return SDX_OK;
  char *at = wanted && wanted->dtype == dtype ? wanted->data : call_alloc(c, total * element);
  if (!at) return call_no_memory(c, total * element);
  attend_view from = *out;
  *out = (attend_view){at, shape->kv_heads * shape->columns * width, shape->columns * width, width};
  for (size_t h = 0; h < shape->batch * shape->kv_heads; h++) {
    char *to = at + h * shape->columns * width * element;
    if (old) attend_load(dtype, old, h * s->past * width, s->past * width, to);
    to += s->past * width * element;
    size_t first = h / shape->kv_heads * from.batch + h % shape->kv_heads * from.head;
    if (from.row == width) attend_load(dtype, in, first, incoming * width, to);
    else
      for (size_t r = 0; r < incoming; r++)
        attend_load(dtype, in, first + r * from.row, width, to + r * width * element);
    SDX_TRY(call_check(c));
  }
  if (wanted && wanted->data != at) attend_store(dtype, wanted, at);
  return SDX_OK;
}

// The mask as numbers to add: false is -inf.
static sdx_status make_bias(op_step *c, const attend_shape *shape, attend_bias *bias) {
  const tensor *mask = step_in(c, MASK);
  if (!mask) return SDX_OK;
  size_t step = 1, steps[4] = {0};
  for (size_t d = mask->rank; d-- > 0;) {
    if (mask->dims[d] != 1) steps[4 - mask->rank + d] = step;
    step *= (size_t)mask->dims[d];
  }
  *bias = (attend_bias){mask->data, steps[0], steps[1], steps[2], (size_t)mask->dims[mask->rank - 1], 0};
  if (mask->dtype == shape->dtype) return SDX_OK;
  void *at = call_alloc(c, mask->count * sizeof(double));
  if (!at) return call_no_memory(c, mask->count * sizeof(double));
  bias->at = at;
  if (mask->dtype != SDX_BOOL) {
    attend_load(shape->dtype, mask, 0, mask->count, at);
    return SDX_OK;
  }
  const uint8_t *open = mask->data;
  for (size_t i = 0; i < mask->count; i++) {
    if (shape->dtype == SDX_DOUBLE) ((double *)at)[i] = open[i] ? 0 : -(double)INFINITY;
    else ((float *)at)[i] = open[i] ? 0 : -INFINITY;
  }
  return SDX_OK;
}

// A cache kept outside: how many keys of each sample count, and where its queries stand.
static sdx_status read_lengths(op_step *c, const attend_shape *shape, attend_call *a) {
  const tensor *lengths = step_in(c, LENGTHS);
  if (!lengths) return SDX_OK;
  a->lengths = lengths->data;
  for (size_t i = 0; i < lengths->count; i++)
    if (a->lengths[i] < 0 || a->lengths[i] > (int64_t)shape->columns)
      return step_fail_at(c, at_input(6), SDX_OUT_OF_RANGE, "is %lld at %zu, expected within [0, %zu]",
                          (long long)a->lengths[i], i, shape->columns);
  a->offsets = a->lengths;
  a->offset = -(int64_t)shape->rows;
  return SDX_OK;
}

static sdx_status attention(op_step *c) {
  const attention_params *p = c->params;
  const attention_state *s = c->state;
  const attend_shape *shape = &s->plan.shape;
  const tensor *stages = step_out(c, SCORES);
  attend_call a = {.q = view(step_in(c, Q), shape->heads, shape->rows, shape->width),
                   .scale = p->has_scale ? p->scale : 1 / sqrt((double)shape->width),
                   .softcap = p->softcap,
                   .offset = (int64_t)s->past,
                   .left = p->left,
                   .right = p->right,
                   .precise = p->precise,
                   .plain = p->plain,
                   .stages = stages ? stages->data : NULL,
                   .stage = p->stage};
  SDX_TRY(join(c, K, PAST_KEY, PRESENT_KEY, s, shape->width, &a.k));
  SDX_TRY(join(c, V, PAST_VALUE, PRESENT_VALUE, s, shape->v_width, &a.v));
  SDX_TRY(make_bias(c, shape, &a.bias[0]));
  SDX_TRY(read_lengths(c, shape, &a));
  tensor *y = step_out(c, Y);
  if (!y && !stages) return SDX_OK;
  if (y) {
    a.y = view(y, shape->heads, shape->rows, shape->v_width);
  } else {  // only the scores are wanted
    size_t bytes = shape->batch * shape->heads * shape->rows * shape->v_width * sizeof(double);
    a.y = (attend_view){call_alloc(c, bytes), shape->heads * shape->rows * shape->v_width, shape->rows * shape->v_width,
                        shape->v_width};
    if (!a.y.at) return call_no_memory(c, bytes);
  }
  void *scratch = call_scratch(c, s->plan.scratch_bytes);
  if (!scratch) return c->err->status;
  attend_run(c, &s->plan, &a, scratch);
  return call_check(c);
}

static sdx_status attention_compute(op_step *c) { return call_widened(c, attention); }

SDX_CASES = {"Q=float[2,4,5,8] K=float[2,2,6,8] V=float[2,2,6,3]",
             "Q=float[1,5,8] K=float[1,6,8] V=float[1,6,4] q_num_heads=2 kv_num_heads=2 is_causal=1",
             "Q=double[1,2,3,4] K=double[1,2,5,4] V=double[1,2,5,4]",
             "Q=float[2,2,3,4] K=float[2,2,5,4] V=float[2,2,5,4] attn_mask=float[3,5]",
             "Q=float[2,2,3,4] K=float[2,2,5,4] V=float[2,2,5,6] attn_mask=bool[3,5](1,1,0,1,0,1,0,0,1,1,0,0,0,0,1)",
             "Q=float[1,2,3,4] K=float[1,2,3,4] V=float[1,2,3,4] past_key=float[1,2,2,4] past_value=float[1,2,2,4] "
             "outputs=3",
             NULL};

// clang-format off
SDX_OP(Attention) = {
    .since = 25, .versions = "25 24 23",
    .inputs = "Q:T1 K:T1 V:T2 attn_mask:U? past_key:T1? past_value:T2? nonpad_kv_seqlen:int64?",
    .outputs = "Y:T1 present_key:T1? present_value:T2? qk_matmul_output:T1?",
    .types = "T1=" TYPES_FLOAT ";T2=" TYPES_FLOAT ";U=" TYPES_NUMBER ",bool",
    .attrs = "is_causal:int=0 kv_num_heads:int left_window_size:int=-1 q_num_heads:int qk_matmul_output_mode:int=0 "
             "right_window_size:int=-1 _plain_softmax:int=0 scale:float softcap:float=0 softmax_precision:int",
    .params_size = sizeof(attention_params), .params = attention_read, .infer = attention_infer,
    .prepare = attention_prepare,
    .compute = attention_compute, .cases = cases,
};
// clang-format on
