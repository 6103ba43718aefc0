// SPDX-License-Identifier: Apache-2.0
// MoE: a mixture of experts. Every token goes through the k experts whose router numbers are largest, and their
// results are added with the softmax of those numbers as weights (over all experts, then made to sum to 1 if
// normalize_routing_weights). An expert is fc2(act(fc1 x)), or fc2(act(fc1 x) * fc3 x).
// QMoE: the same with weights of 2, 4 or 8 bits that stay packed (packed_weights.h).
//
//   gelu     the form with tanh, as onnxruntime has it
//   swiglu   G sigmoid(alpha G) (L + beta), G at most `swiglu_limit`, L within it; G and L are fc1 and fc3, or the
//            even and odd columns of fc1 (swiglu_fusion 1), or its halves (2)
//
// The tokens of one expert are gathered and multiplied together; experts add in their order.
#include <math.h>

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/floats.h"
#include "ops/parts/packed_weights.h"

typedef enum expert_act { ACT_RELU, ACT_GELU, ACT_SILU, ACT_SWIGLU, ACT_IDENTITY } expert_act;
static const char *const act_names[] = {"relu", "gelu", "silu", "swiglu", "identity"};

// Inputs of one projection.
typedef struct places {
  size_t weights, bias, scales, zeros;  // SIZE_MAX: the operator has none
} places;
static const places plain_places[3] = {
    {2, 3, SIZE_MAX, SIZE_MAX}, {4, 5, SIZE_MAX, SIZE_MAX}, {6, 7, SIZE_MAX, SIZE_MAX}};
static const places narrow_places[3] = {{2, 4, 3, 11}, {5, 7, 6, 12}, {8, 10, 9, 13}};
enum { X, ROUTER, FC1 = 0, FC2, FC3, ROUTER_WEIGHTS = 14 };

typedef struct moe_params {
  bool narrow, normalize, limited;
  int64_t k, fusion;
  expert_act act;
  float alpha, beta, limit;
  size_t bits[3], block;  // block 0: a row is one
} moe_params;

static sdx_status read_common(op_params_context *c, moe_params *p) {
  str act = params_string(c, "activation_type");
  p->k = params_int(c, "k"), p->fusion = params_int(c, "swiglu_fusion");
  p->normalize = params_int(c, "normalize_routing_weights") != 0;
  p->alpha = params_float(c, "activation_alpha"), p->beta = params_float(c, "activation_beta");
  p->limited = params_has(c, "swiglu_limit");
  if (p->limited) p->limit = params_float(c, "swiglu_limit");
  size_t i = 0;
  while (i < 5 && !str_is(act, act_names[i])) i++;
  if (i == 5)
    return params_fail(c, "activation_type", "is '%.*s', expected one of relu, gelu, silu, swiglu, identity",
                       STR_ARG(act));
  p->act = (expert_act)i;
  if (p->k < 1 || p->k > INT32_MAX) return params_fail(c, "k", "is %lld, expected at least 1", (long long)p->k);
  if (p->fusion < 0 || p->fusion > 2)
    return params_fail(c, "swiglu_fusion", "is %lld, expected 0 to 2", (long long)p->fusion);
  if (p->act != ACT_SWIGLU) p->fusion = 0;
  if (params_int(c, "use_sparse_mixer")) return params_fail(c, "use_sparse_mixer", "is set, which is not supported");
  return SDX_OK;
}
static sdx_status moe_read(op_params_context *c, void *p) { return read_common(c, p); }

static sdx_status qmoe_read(op_params_context *c, void *params) {
  static const char *const names[3] = {"fc1_expert_weight_bits", "fc2_expert_weight_bits", "fc3_expert_weight_bits"};
  moe_params *p = params;
  str kind = params_string(c, "quant_type");
  p->narrow = true;
  for (size_t i = 0; i < 3; i++) {
    const char *name = params_has(c, names[i]) ? names[i] : "expert_weight_bits";
    int64_t bits = params_int(c, name);
    if (bits != 2 && bits != 4 && bits != 8)
      return params_fail(c, name, "is %lld, expected 2, 4 or 8", (long long)bits);
    p->bits[i] = (size_t)bits;
  }
  int64_t block = params_int(c, "block_size");
  if (block > 0 && (block < 16 || block > 1 << 20 || (block & (block - 1))))
    return params_fail(c, "block_size", "is %lld, expected a power of 2 from 16 to 2^20", (long long)block);
  p->block = block > 0 ? (size_t)block : 0;
  if (!str_is(kind, "int")) return params_fail(c, "quant_type", "is '%.*s', expected 'int'", STR_ARG(kind));
  if (params_int(c, "weights_prepacked") > 0)
    return params_fail(c, "weights_prepacked", "is set: weights packed for a particular device cannot be read");
  return read_common(c, p);
}

// ---- sizes ----------------------------------------------------------------------------------------

static const places *places_of(const moe_params *p) { return p->narrow ? narrow_places : plain_places; }

// Dimension `axis` of a projection's input is `size`.
static sdx_status agree(op_step *c, size_t input, int axis, const char *what, int64_t size) {
  if (input >= c->input_count || !c->in_types[input]) return SDX_OK;
  return infer_agree(c, input, axis, what, &size);
}

// Weights [experts, n, k] and what belongs to them; unknown sizes are taken from the weights.
static sdx_status check_projection(op_step *c, size_t which, int64_t *experts, int64_t *n, int64_t *k) {
  const moe_params *p = c->params;
  const places *at = &places_of(p)[which];
  int64_t per = p->narrow ? 8 / (int64_t)p->bits[which] : 1, bytes = infer_dim(c, at->weights, 2);
  if (at->weights >= c->input_count || !c->in_types[at->weights]) return SDX_OK;
  SDX_TRY(infer_rank(c, at->weights, 3, 3));
  SDX_TRY(infer_agree(c, at->weights, 0, "experts", experts));
  SDX_TRY(infer_agree(c, at->weights, 1, "rows", n));
  if (bytes >= 0 && *k >= 0 && (bytes > INT64_MAX / per || bytes * per != *k))
    return step_fail_at(c, at_input(at->weights), SDX_INVALID_SHAPE, "has rows of %lld elements, expected %lld",
                        (long long)bytes, (long long)(*k / per));
  if (bytes >= 0 && bytes <= INT64_MAX / per) *k = bytes * per;
  SDX_TRY(infer_rank(c, at->bias, 2, 2));
  SDX_TRY(agree(c, at->bias, 0, "experts", *experts));
  SDX_TRY(agree(c, at->bias, 1, "elements of a bias", *n));
  if (!p->narrow) return SDX_OK;
  SDX_TRY(infer_need(c, at->scales));
  int64_t block = (int64_t)p->block, blocks = *k < 0 || !block ? *k : *k / block + (*k % block != 0);
  SDX_TRY(infer_rank(c, at->scales, p->block ? 3 : 2, 3));
  SDX_TRY(agree(c, at->scales, 0, "experts", *experts));
  SDX_TRY(agree(c, at->scales, 1, "rows", *n));
  SDX_TRY(infer_rank(c, at->zeros, p->block ? 3 : 2, p->block ? 3 : 2));
  SDX_TRY(agree(c, at->zeros, 0, "experts", *experts));
  if (!p->block) {
    if (infer_rank_of(c, at->scales) == 3) SDX_TRY(agree(c, at->scales, 2, "blocks", 1));
    return agree(c, at->zeros, 1, "bytes of zero points", *n < 0 ? *n : *n / per + (*n % per != 0));
  }
  SDX_TRY(agree(c, at->scales, 2, "blocks", blocks));
  SDX_TRY(agree(c, at->zeros, 1, "rows", *n));
  return agree(c, at->zeros, 2, "bytes of zero points", blocks < 0 ? blocks : blocks / per + (blocks % per != 0));
}

static sdx_status moe_infer(op_step *c) {
  const moe_params *p = c->params;
  const places *at = places_of(p);
  int rank = infer_rank_of(c, X);
  int64_t hidden = rank > 0 ? c->in_types[X]->dims[rank - 1] : DIM_UNKNOWN, experts = infer_dim(c, ROUTER, 1);
  int64_t tokens = rank > 0 ? 1 : DIM_UNKNOWN, rows = DIM_UNKNOWN, inner;
  SDX_TRY(infer_rank(c, X, 2, 3));
  SDX_TRY(infer_rank(c, ROUTER, 2, 2));
  for (int i = 0; i + 1 < rank; i++)
    if (tokens >= 0 && (c->in_types[X]->dims[i] < 0 || !i64_mul(tokens, c->in_types[X]->dims[i], &tokens)))
      tokens = DIM_UNKNOWN;
  SDX_TRY(agree(c, ROUTER, 0, "tokens", tokens));
  if (p->narrow) {
    SDX_TRY(infer_rank(c, ROUTER_WEIGHTS, 2, 2));
    SDX_TRY(agree(c, ROUTER_WEIGHTS, 0, "tokens", tokens));
    SDX_TRY(agree(c, ROUTER_WEIGHTS, 1, "experts", experts));
  }
  if (experts >= 0 && p->k > experts)
    return step_fail_at(c, at_attribute("k"), SDX_OUT_OF_RANGE, "is %lld, but there are %lld experts", (long long)p->k,
                        (long long)experts);
  bool third = infer_has(c, at[FC3].weights);
  if (third && p->fusion)
    return step_fail(c, SDX_INVALID_GRAPH, "swiglu_fusion %lld leaves no place for fc3", (long long)p->fusion);
  if (p->act == ACT_SWIGLU && !p->fusion && !third)
    return step_fail(c, SDX_INVALID_GRAPH, "swiglu without swiglu_fusion needs fc3");
  SDX_TRY(check_projection(c, FC1, &experts, &rows, &hidden));
  if (p->fusion && rows >= 0 && rows % 2)
    return step_fail(c, SDX_INVALID_SHAPE, "fc1 has %lld rows, which are not two halves", (long long)rows);
  inner = rows >= 0 && p->fusion ? rows / 2 : rows;
  SDX_TRY(check_projection(c, FC2, &experts, &hidden, &inner));
  SDX_TRY(check_projection(c, FC3, &experts, &inner, &hidden));
  return infer_same(c, 0, X);
}

// ---- prepare --------------------------------------------------------------------------------------

typedef struct moe_state {
  size_t tokens, experts, hidden, rows, inner;  // rows: of fc1
  size_t gemm, total;                           // bytes of scratch
  size_t threads;
  int precision;
} moe_state;

static bool plan_of(const moe_state *s, size_t m, size_t n, size_t k, gemm_f32_plan *plan) {
  gemm_f32_shape shape = {.m = m, .n = n, .k = k, .threads = s->threads, .precision = s->precision, .fill_b = true};
  return gemm_f32_plan_init(plan, &shape);
}

static bool reserve(size_t *total, size_t a, size_t b, size_t element) {
  return size_mul(a, b, &a) && size_mul(a, element, &a) && scratch_reserve(total, a);
}

static sdx_status moe_prepare(op_step *c) {
  const moe_params *p = c->params;
  const places *at = places_of(p);
  moe_state *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  const tensor *x = step_in(c, X), *fc1 = step_in(c, at[FC1].weights);
  s->hidden = (size_t)x->dims[x->rank - 1], s->experts = (size_t)fc1->dims[0], s->rows = (size_t)fc1->dims[1];
  s->inner = p->fusion ? s->rows / 2 : s->rows;
  s->tokens = s->hidden ? x->count / s->hidden : 0;
  s->threads = c->threads, s->precision = c->precision;
  c->kernel = "portable";
  if (x->count == 0) return SDX_OK;
  gemm_f32_plan first, second;
  if (!plan_of(s, s->tokens, s->rows, s->hidden, &first) || !plan_of(s, s->tokens, s->hidden, s->inner, &second))
    return error_no_memory(c->err, SIZE_MAX);
  s->gemm = first.scratch_bytes > second.scratch_bytes ? first.scratch_bytes : second.scratch_bytes;
  c->kernel = first.name;
  bool fits = floats_reserve(&s->total, x) && floats_reserve(&s->total, step_out(c, 0)) &&
              floats_reserve(&s->total, step_in(c, ROUTER)) &&
              floats_reserve(&s->total, p->narrow ? step_in(c, ROUTER_WEIGHTS) : NULL) &&
              scratch_reserve(&s->total, s->gemm) && reserve(&s->total, s->tokens, s->hidden, 8) &&
              reserve(&s->total, s->tokens, s->rows, 4) && reserve(&s->total, s->tokens, s->inner, 8) &&
              reserve(&s->total, s->tokens, (size_t)p->k, sizeof(float)) &&
              reserve(&s->total, s->tokens, (size_t)p->k, sizeof(uint32_t)) && reserve(&s->total, s->tokens, 1, 16) &&
              reserve(&s->total, s->experts, 1, 4) &&
              scratch_reserve(&s->total, (s->rows > s->hidden ? s->rows : s->hidden) * sizeof(float));
  c->scratch_bytes = s->total;
  return fits ? SDX_OK : error_no_memory(c->err, SIZE_MAX);
}

// ---- compute --------------------------------------------------------------------------------------

// The k largest of a token's numbers, first ones first, and the weights of their experts.
static void route(const moe_params *p, const float *scores, const float *weights, size_t experts, uint32_t *chosen,
                  float *share, float *room) {
  float max = -INFINITY, sum = 0;
  for (size_t e = 0; e < experts; e++) max = scores[e] > max ? scores[e] : max;
  for (size_t e = 0; e < experts; e++) sum += room[e] = expf(scores[e] - max);
  for (size_t e = 0; e < experts; e++) room[e] = weights ? weights[e] : room[e] / sum;
  float total = 0;
  for (size_t i = 0; i < (size_t)p->k; i++) {
    size_t best = SIZE_MAX;
    for (size_t e = 0; e < experts; e++) {
      bool taken = false;
      for (size_t b = 0; b < i; b++) taken |= chosen[b] == e;
      if (!taken && (best == SIZE_MAX || scores[e] > scores[best])) best = e;
    }
    chosen[i] = (uint32_t)best;
    share[i] = room[best];
    total += share[i];
  }
  for (size_t i = 0; p->normalize && i < (size_t)p->k; i++) share[i] = total != 0 ? share[i] / total : 0;
}

// Rows of weights in any float type as columns of B.
typedef struct plain_weights {
  const tensor *t;
  size_t first, k;  // element of row 0, elements of a row
} plain_weights;

static void plain_fill(void *context, size_t batch, float *panel, size_t stride, size_t k0, size_t kc, size_t n0,
                       size_t nc) {
  const plain_weights *w = context;
  float block[256];
  for (size_t n = n0; n < n0 + nc; n++)
    for (size_t k = 0; k < kc; k += 256) {
      size_t m = kc - k < 256 ? kc - k : 256;
      widen_read((sdx_dtype)w->t->dtype, w->t->data, w->first + n * w->k + k0 + k, m, block);
      for (size_t i = 0; i < m; i++) panel[(k + i) * stride + n - n0] = block[i];
    }
}

typedef struct expert_call {
  op_step *call;
  const moe_state *s;
  size_t expert, m;
  void *gemm;
  float *bias;  // room for one
} expert_call;

// y [m, n] = x [m, k] times the expert's weights, plus its bias.
static sdx_status project(const expert_call *e, size_t which, const float *x, float *y, size_t n, size_t k) {
  op_step *c = e->call;
  const moe_params *p = c->params;
  const places *at = &places_of(p)[which];
  const tensor *w = step_in(c, at->weights), *bias = step_in(c, at->bias);
  gemm_f32_plan plan;
  if (!plan_of(e->s, e->m, n, k, &plan)) return call_no_memory(c, SIZE_MAX);
  void *scratch = plan.scratch_bytes <= e->s->gemm ? e->gemm : call_alloc(c, plan.scratch_bytes);
  if (!scratch) return call_no_memory(c, plan.scratch_bytes);
  plain_weights plain = {w, e->expert * n * k, k};
  packed_weights narrow = {.bits = p->bits[which], .first = e->expert * n};
  tensor row_zeros;  // zero points of whole rows lie along the rows
  if (p->narrow) {
    narrow.row_bytes = (size_t)w->dims[2];
    narrow.data = (const uint8_t *)w->data + e->expert * n * narrow.row_bytes;
    narrow.block = p->block ? p->block : k, narrow.blocks = (k + narrow.block - 1) / narrow.block;
    narrow.scales = step_in(c, at->scales), narrow.zeros = step_in(c, at->zeros);
    narrow.zero_bytes = (narrow.blocks * narrow.bits + 7) / 8;
    if (narrow.zeros && !p->block) {
      float *zeros = call_alloc(c, (narrow.first + n) * sizeof *zeros);
      if (!zeros) return call_no_memory(c, (narrow.first + n) * sizeof *zeros);
      const uint8_t *row = (const uint8_t *)narrow.zeros->data + e->expert * (size_t)narrow.zeros->dims[1];
      for (size_t i = 0; i < n; i++) zeros[narrow.first + i] = (float)packed_at(row, i, narrow.bits);
      row_zeros = *narrow.zeros;
      row_zeros.dtype = SDX_FLOAT, row_zeros.data = zeros, narrow.zeros = &row_zeros;
    }
  }
  gemm_f32_call call = {.a = {.data = x, .row_stride = k, .column_stride = 1},
                        .fill = p->narrow ? packed_fill : plain_fill,
                        .fill_context = p->narrow ? (void *)&narrow : (void *)&plain,
                        .c = y,
                        .c_stride = n,
                        .epilogue = GEMM_F32_PLAIN};
  if (bias) {
    widen_read((sdx_dtype)bias->dtype, bias->data, e->expert * n, n, e->bias);
    call.epilogue.bias = e->bias, call.epilogue.bias_kind = GEMM_BIAS_PER_COLUMN;
  }
  gemm_f32_run(&plan, &call, scratch);
  return call_check(c);
}

static float act_of(expert_act act, float v) {
  switch (act) {
    case ACT_RELU:
      return v > 0 ? v : 0;
    case ACT_GELU:
      return 0.5f * v * (1 + tanhf(0.79788456f * (v + 0.044715f * v * v * v)));
    case ACT_SILU:
      return v / (1 + expf(-v));
    default:
      return v;
  }
}

// rows [m, rows of fc1] (and third [m, inner]) to out [m, inner].
typedef struct act_job {
  const moe_params *p;
  const float *rows, *third;
  float *out;
  size_t inner;
} act_job;

static void act_range(void *context, size_t begin, size_t end, size_t worker) {
  const act_job *j = context;
  const moe_params *p = j->p;
  for (size_t i = begin; i < end; i++) {
    size_t r = i / j->inner, k = i % j->inner;
    const float *row = j->rows + r * j->inner * 2;
    float g = p->fusion == 1 ? row[2 * k] : p->fusion == 2 ? row[k] : j->rows[i];
    float l = p->fusion == 1 ? row[2 * k + 1] : p->fusion == 2 ? row[j->inner + k] : j->third ? j->third[i] : 1;
    if (p->act != ACT_SWIGLU) {
      j->out[i] = act_of(p->act, g) * l;
      continue;
    }
    if (p->limited) g = g > p->limit ? p->limit : g, l = l > p->limit ? p->limit : l < -p->limit ? -p->limit : l;
    j->out[i] = g / (1 + expf(-p->alpha * g)) * (l + p->beta);
  }
}

static sdx_status moe_compute(op_step *c) {
  const moe_params *p = c->params;
  const moe_state *s = c->state;
  tensor *y = step_out(c, 0);
  char *scratch = c->scratch;
  size_t hidden = s->hidden, k = (size_t)p->k;
  if (!y || y->count == 0) return SDX_OK;
  const float *x = floats_load(c, step_in(c, X), &scratch);
  float *out = floats_target(y, &scratch);
  const float *router = floats_load(c, step_in(c, ROUTER), &scratch);
  const float *weights = floats_load(c, p->narrow ? step_in(c, ROUTER_WEIGHTS) : NULL, &scratch);
  void *gemm = scratch_take(&scratch, s->gemm);
  float *gathered = scratch_take(&scratch, s->tokens * hidden * 8), *result = gathered + s->tokens * hidden;
  float *rows = scratch_take(&scratch, s->tokens * s->rows * 4);
  float *mixed = scratch_take(&scratch, s->tokens * s->inner * 8), *third = mixed + s->tokens * s->inner;
  float *share = scratch_take(&scratch, s->tokens * k * sizeof *share);
  uint32_t *chosen = scratch_take(&scratch, s->tokens * k * sizeof *chosen);
  size_t *tokens = scratch_take(&scratch, s->tokens * 16), *slots = tokens + s->tokens;
  float *room = scratch_take(&scratch, s->experts * sizeof *room);
  expert_call e = {.call = c, .s = s, .gemm = gemm, .bias = (float *)scratch};
  bool has_third = step_in(c, places_of(p)[FC3].weights) != NULL;
  for (size_t t = 0; t < s->tokens; t++) {
    route(p, router + t * s->experts, weights ? weights + t * s->experts : NULL, s->experts, chosen + t * k,
          share + t * k, room);
    SDX_TRY(call_check_in(c, t));
  }
  SDX_TRY(call_zero(c, out, y->count * sizeof *out));
  for (e.expert = 0; e.expert < s->experts; e.expert++) {
    e.m = 0;
    for (size_t i = 0; i < s->tokens * k; i++) {
      SDX_TRY(call_check_in(c, i));
      if (chosen[i] != e.expert) continue;
      memcpy(gathered + e.m * hidden, x + i / k * hidden, hidden * sizeof *x);
      tokens[e.m] = i / k, slots[e.m++] = i;
    }
    if (!e.m) continue;
    SDX_TRY(project(&e, FC1, gathered, rows, s->rows, hidden));
    if (has_third) SDX_TRY(project(&e, FC3, gathered, third, s->inner, hidden));
    act_job j = {p, rows, has_third ? third : NULL, mixed, s->inner};
    call_parallel(c, e.m * s->inner, GRAIN_COSTLY, act_range, &j);
    SDX_TRY(project(&e, FC2, mixed, result, hidden, s->inner));
    for (size_t i = 0; i < e.m && !pool_stopped_in(i); i++)
      for (size_t d = 0; d < hidden; d++) out[tokens[i] * hidden + d] += share[slots[i]] * result[i * hidden + d];
  }
  floats_store(c, y, out);
  return SDX_OK;
}

SDX_CASES = {
    "input=float[3,8] router_probs=float[3,4] fc1_experts_weights=float[4,16,8] fc1_experts_bias=float[4,16] "
    "fc2_experts_weights=float[4,8,16] fc2_experts_bias=float[4,8] k=2 activation_type=silu",
    NULL};
static const char *const narrow_cases[] = {
    "input=float[3,16] router_probs=float[3,4] fc1_experts_weights=uint8[4,32,8] fc1_scales=float[4,32] "
    "fc2_experts_weights=uint8[4,16,16] fc2_scales=float[4,16] k=2 activation_type=gelu",
    NULL};

// clang-format off
#define ATTRS "activation_alpha:float=1 activation_beta:float=0 activation_type:string=relu k:int=1 " \
              "normalize_routing_weights:int=0 swiglu_fusion:int=0 swiglu_limit:float use_sparse_mixer:int=0"
#define COMMON .since = 1, .versions = "1", .outputs = "output:T", .params_size = sizeof(moe_params),                  \
.infer = moe_infer,                                                                                                    \
               .prepare = moe_prepare, .compute = moe_compute
SDX_OP_MS(MoE) = {
    COMMON, .inputs = "input:T router_probs:T fc1_experts_weights:T fc1_experts_bias:T? fc2_experts_weights:T "
                      "fc2_experts_bias:T? fc3_experts_weights:T? fc3_experts_bias:T?",
    .types = "T=float,float16,bfloat16", .attrs = ATTRS, .params = moe_read, .cases = cases};
SDX_OP_MS(QMoE) = {
    COMMON, .inputs = "input:T router_probs:T fc1_experts_weights:T1 fc1_scales:T2? fc1_experts_bias:T? "
                      "fc2_experts_weights:T1 fc2_scales:T2? fc2_experts_bias:T? fc3_experts_weights:T1? "
                      "fc3_scales:T2? fc3_experts_bias:T? fc1_zero_points:T1? fc2_zero_points:T1? "
                      "fc3_zero_points:T1? router_weights:T?",
    .types = "T=float,float16,bfloat16;T1=uint8;T2=float,float16,bfloat16",
    .attrs = ATTRS " block_size:int=0 expert_weight_bits:int=4 fc1_expert_weight_bits:int fc2_expert_weight_bits:int "
             "fc3_expert_weight_bits:int quant_type:string=int weights_prepacked:int=-1",
    .params = qmoe_read, .cases = narrow_cases};
// clang-format on
