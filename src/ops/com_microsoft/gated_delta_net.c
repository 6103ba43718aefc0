// SPDX-License-Identifier: Apache-2.0
// GatedDeltaNet: the recurrence of LinearAttention (../ai_onnx/linear_attention.h) for samples that lie behind one
// another, [tokens, heads, width], with what stands before it in models: decay = -exp(a_log) softplus(decay + dt_bias)
// (gate_activation=qwen), beta = sigmoid(beta), and keys and queries of length 1 (qk_l2_norm). Several value heads may
// share a query and key head. States are [samples, value heads, v_width, width]: the other way round.
//
// state_update (capacity C) says for the first steps of each sample what they did to the state: decays, keys, and what
// was added for the key, each [C, heads, ...], one behind the other.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/linear_attention.h"

enum { Q, K, V, ENDS, DECAY, BETA, INITIAL, A_LOG, DT_BIAS, CAPTURE, ACTIVE };
enum { Y, FINAL, UPDATE };
enum { MOST_STATES = 8 };

typedef struct delta_params {
  linear_rule rule;
  bool qwen, sigmoid, unit;
  float scale;
  int64_t capacity;
} delta_params;

static sdx_status read_choice(op_params_context *c, const char *name, const char *other, bool *chosen) {
  str value = params_string(c, name);
  *chosen = str_is(value, other);
  if (*chosen || str_is(value, "none")) return SDX_OK;
  return params_fail(c, name, "is '%.*s', expected none or %s", STR_ARG(value), other);
}

static sdx_status gated_delta_net_read(op_params_context *c, void *params) {
  delta_params *p = params;
  SDX_TRY(linear_rule_read(c, &p->rule));
  SDX_TRY(read_choice(c, "gate_activation", "qwen", &p->qwen));
  SDX_TRY(read_choice(c, "beta_activation", "sigmoid", &p->sigmoid));
  p->unit = params_int(c, "qk_l2_norm") != 0;
  p->scale = params_float(c, "scale");
  p->capacity = params_int(c, "state_update_capacity");
  if (p->capacity >= 0 && p->capacity <= MOST_STATES) return SDX_OK;
  return params_fail(c, "state_update_capacity", "is %lld, expected 0 to %d", (long long)p->capacity, MOST_STATES);
}

// ---- infer ----------------------------------------------------------------------------------------

// Negative: not known.
typedef struct delta_sizes {
  int tokens_rank;  // 1: [tokens], 2: [batch, time]
  bool packed;
  int64_t first, time, samples, heads, v_heads, width, v_width;  // first: tokens or batch
} delta_sizes;

static sdx_status check_given(op_step *c) {
  const delta_params *p = c->params;
  const struct {
    size_t input;
    bool needed, allowed;
    const char *why;
  } rules[] = {{V, infer_has(c, K), infer_has(c, K), "goes with input 1 ('key')"},
               {DECAY, p->rule.gated, p->rule.gated, "goes with a gated update_rule"},
               {BETA, p->rule.delta, p->rule.delta, "goes with an update_rule with delta"},
               {INITIAL, !infer_has(c, K) || !infer_has(c, ENDS), true, "says what heads or samples there are"},
               {A_LOG, p->qwen, p->qwen, "goes with gate_activation=qwen"},
               {DT_BIAS, p->qwen, p->qwen, "goes with gate_activation=qwen"},
               {CAPTURE, p->capacity > 0, p->capacity > 0, "goes with state_update_capacity"}};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    if (infer_has(c, rules[i].input) ? !rules[i].allowed : rules[i].needed)
      return step_fail_at(c, at_input(rules[i].input), SDX_INVALID_GRAPH, "is %s: it %s",
                          rules[i].needed ? "missing" : "given", rules[i].why);
  return SDX_OK;
}

static sdx_status check_tokens(op_step *c, delta_sizes *s, size_t input, int rank) {
  SDX_TRY(infer_rank(c, input, rank, rank));
  SDX_TRY(infer_agree(c, input, 0, s->tokens_rank == 1 ? "tokens" : "batch", &s->first));
  return s->tokens_rank == 2 ? infer_agree(c, input, 1, "time", &s->time) : SDX_OK;
}

static sdx_status check_heads(op_step *c, delta_sizes *s) {
  int at = s->tokens_rank;
  for (size_t i = Q; i <= K && !s->packed; i++) {
    SDX_TRY(infer_agree(c, i, at, "heads", &s->heads));
    SDX_TRY(infer_agree(c, i, at + 1, "width of keys", &s->width));
  }
  if (!s->packed) {
    SDX_TRY(infer_agree(c, V, at, "heads of values", &s->v_heads));
    SDX_TRY(infer_agree(c, V, at + 1, "width of values", &s->v_width));
  }
  SDX_TRY(infer_rank(c, INITIAL, 4, 4));
  SDX_TRY(infer_agree(c, INITIAL, 0, "samples", &s->samples));
  SDX_TRY(infer_agree(c, INITIAL, 1, "heads of values", &s->v_heads));
  SDX_TRY(infer_agree(c, INITIAL, 2, "width of values", &s->v_width));
  SDX_TRY(infer_agree(c, INITIAL, 3, "width of keys", &s->width));
  int64_t columns = infer_dim(c, Q, at), values = 0;
  if (s->packed && columns >= 0 && s->v_heads >= 0 && s->v_width >= 0 && s->width >= 0) {
    bool fits = i64_mul(s->v_heads, s->v_width, &values) && columns > values && s->width > 0 && s->width < columns &&
                (columns - values) % (2 * s->width) == 0;
    if (!fits)
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld columns, which initial_state does not explain",
                          (long long)columns);
    s->heads = (columns - values) / 2 / s->width;
  }
  if (s->heads >= 0 && s->v_heads >= 0 && (s->heads == 0 || s->v_heads == 0 || s->v_heads % s->heads))
    return step_fail(c, SDX_INVALID_SHAPE, "%lld value heads are not a positive multiple of %lld key heads",
                     (long long)s->v_heads, (long long)s->heads);
  return SDX_OK;
}

static sdx_status check_gates(op_step *c, delta_sizes *s) {
  const delta_params *p = c->params;
  int rank = s->tokens_rank, decay = infer_rank_of(c, DECAY);
  int64_t ends = s->samples >= 0 ? s->samples + 1 : DIM_UNKNOWN, one = 1;
  bool each = decay == rank + 2;
  SDX_TRY(check_tokens(c, s, DECAY, each ? rank + 2 : rank + 1));
  SDX_TRY(check_tokens(c, s, BETA, rank + 1));
  SDX_TRY(infer_agree(c, DECAY, rank, "heads of values", &s->v_heads));
  SDX_TRY(infer_agree(c, BETA, rank, "heads of values", &s->v_heads));
  if (each) SDX_TRY(infer_agree(c, DECAY, rank + 1, "width of keys", &s->width));
  if (each && p->capacity) return step_fail(c, SDX_NOT_SUPPORTED, "state_update_capacity needs one decay for a head");
  for (size_t i = A_LOG; i <= DT_BIAS; i++) {
    SDX_TRY(infer_rank(c, i, 1, 1));
    SDX_TRY(infer_agree(c, i, 0, "heads of values", &s->v_heads));
  }
  SDX_TRY(infer_rank(c, ENDS, 1, 1));
  if (infer_has(c, ENDS) && rank == 2)
    return step_fail_at(c, at_input(ENDS), SDX_INVALID_GRAPH, "goes with tokens of one dimension");
  SDX_TRY(infer_agree(c, ENDS, 0, "ends", &ends));
  if (ends == 0) return step_fail_at(c, at_input(ENDS), SDX_INVALID_SHAPE, "has no elements, expected samples and one");
  if (ends > 0) s->samples = ends - 1;
  SDX_TRY(infer_rank(c, CAPTURE, 1, 1));
  SDX_TRY(infer_agree(c, CAPTURE, 0, "samples", &s->samples));
  SDX_TRY(infer_rank(c, ACTIVE, 1, 1));
  SDX_TRY(infer_agree(c, ACTIVE, 0, "flag", &one));
  if (rank == 2 && s->samples >= 0 && s->first >= 0 && s->samples != s->first)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld samples, initial_state %lld", (long long)s->first,
                        (long long)s->samples);
  if (rank == 1 && !infer_has(c, ENDS) && s->samples >= 0 && s->first > 0 && (s->samples == 0 || s->first % s->samples))
    return step_fail(c, SDX_INVALID_SHAPE, "%lld tokens are not a multiple of %lld samples", (long long)s->first,
                     (long long)s->samples);
  return SDX_OK;
}

static sdx_status measure(op_step *c, delta_sizes *s) {
  int rank = infer_rank_of(c, Q);
  *s = (delta_sizes){.packed = !infer_has(c, K),
                     .first = DIM_UNKNOWN,
                     .time = DIM_UNKNOWN,
                     .samples = DIM_UNKNOWN,
                     .heads = DIM_UNKNOWN,
                     .v_heads = DIM_UNKNOWN,
                     .width = DIM_UNKNOWN,
                     .v_width = DIM_UNKNOWN};
  int behind = s->packed ? 1 : 2;
  SDX_TRY(check_given(c));
  SDX_TRY(infer_rank(c, Q, 1 + behind, 2 + behind));
  if (rank < 0) return SDX_OK;
  s->tokens_rank = rank - behind;
  for (size_t i = Q; i <= V; i++) SDX_TRY(check_tokens(c, s, i, rank));
  SDX_TRY(check_heads(c, s));
  return check_gates(c, s);
}

static sdx_status gated_delta_net_infer(op_step *c) {
  const delta_params *p = c->params;
  delta_sizes s;
  SDX_TRY(measure(c, &s));
  int64_t update = DIM_UNKNOWN, keys, values;
  if (s.heads >= 0 && s.v_heads >= 0 && s.width >= 0 && s.v_width >= 0 &&
      !(i64_mul(s.heads, s.width, &keys) && i64_mul(s.v_heads, s.v_width, &values) && i64_add(keys, values, &keys) &&
        i64_add(keys, s.v_heads, &keys) && i64_mul(keys, p->capacity, &update)))
    return step_fail(c, SDX_INVALID_SHAPE, "the state updates would be too large");
  if (s.tokens_rank == 0) {
    SDX_TRY(infer_output(c, Y, infer_dtype_of(c, Q), -1, NULL));
  } else {
    int64_t dims[4] = {s.first, s.time, s.v_heads, s.v_width};
    if (s.tokens_rank == 1) dims[1] = s.first;
    SDX_TRY(infer_output(c, Y, infer_dtype_of(c, Q), s.tokens_rank + 2, dims + (s.tokens_rank == 1)));
  }
  SDX_TRY(infer_output(c, FINAL, SDX_FLOAT, 4, (int64_t[]){s.samples, s.v_heads, s.v_width, s.width}));
  return infer_output(c, UPDATE, SDX_FLOAT, 2, (int64_t[]){s.samples, update});
}

// ---- compute --------------------------------------------------------------------------------------

// Rows of `columns` numbers for each token; heads of `width` from `at` on.
typedef struct token_heads {
  const float *at;
  size_t columns, width;
} token_heads;

typedef struct delta_job {
  const delta_params *p;
  token_heads q, k, v;
  const float *decay, *beta, *initial, *a_log, *dt_bias;
  const int32_t *ends, *capture;  // ends NULL: all samples are as long
  float *y, *final, *update, *room;
  size_t tokens, samples, heads, v_heads, width, v_width, room_each;
  bool each;  // a decay for each number of a key
  float scale;
} delta_job;

static const float *head_at(const token_heads *h, size_t token, size_t head) {
  return h->at + token * h->columns + head * h->width;
}

// x, or x / |x| in `to`.
static const float *unit(const delta_job *j, const float *x, float *to) {
  double squares = 1e-6;
  if (!j->p->unit) return x;
  for (size_t i = 0; i < j->width; i++) squares += (double)x[i] * (double)x[i];
  for (size_t i = 0; i < j->width; i++) to[i] = (float)((double)x[i] / sqrt(squares));
  return to;
}

static float softplus(float x) { return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x)); }

static void decays(const delta_job *j, size_t token, size_t head, float *to) {
  size_t n = j->each ? j->width : 1;
  const float *from = j->decay + (token * j->v_heads + head) * n;
  for (size_t i = 0; i < n; i++)
    to[i] = j->p->qwen ? -expf(j->a_log[head]) * softplus(from[i] + j->dt_bias[head]) : from[i];
}

// What a step did, for the caller to do again.
static void capture(const delta_job *j, size_t sample, size_t step, size_t head, float decay, const float *k,
                    const float *added) {
  size_t capacity = (size_t)j->p->capacity, group = j->v_heads / j->heads,
         row = j->v_heads + j->heads * j->width + j->v_heads * j->v_width;
  float *to = j->update + sample * capacity * row, *keys = to + capacity * j->v_heads,
        *values = keys + capacity * j->heads * j->width;
  to[step * j->v_heads + head] = decay;
  if (head % group == 0 && j->width)
    memcpy(keys + (step * j->heads + head / group) * j->width, k, j->width * sizeof *k);
  if (j->v_width) memcpy(values + (step * j->v_heads + head) * j->v_width, added, j->v_width * sizeof *added);
}

static void heads_range(void *context, size_t begin, size_t end, size_t worker) {
  const delta_job *j = context;
  size_t size = j->width * j->v_width, group = j->v_heads / j->heads;
  for (size_t i = begin; i < end; i++) {
    size_t sample = i / j->v_heads, head = i % j->v_heads, first = sample * (j->tokens / j->samples),
           last = first + j->tokens / j->samples;
    if (j->ends) first = (size_t)j->ends[sample], last = (size_t)j->ends[sample + 1];
    float *room = j->room + i * j->room_each, *own_q = room + size + j->v_width, *own_k = own_q + j->width,
          *decay = own_k + j->width;
    linear_state s = {room, room + size, j->width, j->v_width};
    for (size_t n = 0; n < size; n++)
      s.at[n] = j->initial ? j->initial[i * size + n % j->v_width * j->width + n / j->v_width] : 0;
    for (size_t t = first; t < last; t++) {
      const float *q = unit(j, head_at(&j->q, t, head / group), own_q),
                  *k = unit(j, head_at(&j->k, t, head / group), own_k);
      float rate = j->beta ? j->beta[t * j->v_heads + head] : 0;
      if (j->p->sigmoid) rate = 1 / (1 + expf(-rate));
      if (j->decay) decays(j, t, head, decay), linear_decay(&s, decay, j->each);
      linear_write(&s, k, head_at(&j->v, t, head), j->beta ? &rate : NULL);
      linear_read(&s, q, j->scale, j->y + (t * j->v_heads + head) * j->v_width);
      if (j->update && (int64_t)(t - first) < i64_min(j->p->capacity, j->capture[sample]))
        capture(j, sample, t - first, head, j->decay ? expf(decay[0]) : 1, k, s.row);
    }
    for (size_t n = 0; j->final && n < size; n++)
      j->final[i * size + n % j->v_width * j->width + n / j->v_width] = s.at[n];
  }
}

static const float *data_of(const tensor *t) { return t ? t->data : NULL; }

static sdx_status check_ends(op_step *c, const delta_job *j) {
  for (size_t b = 0; j->ends && b <= j->samples; b++)
    if (j->ends[b] < 0 || (size_t)j->ends[b] > j->tokens || (b == 0 && j->ends[0]) ||
        (b && j->ends[b] < j->ends[b - 1]) || (b == j->samples && (size_t)j->ends[b] != j->tokens))
      return step_fail_at(c, at_input(ENDS), SDX_OUT_OF_RANGE, "is %d at %zu: it must rise from 0 to all %zu rows",
                          j->ends[b], b, j->tokens);
  return SDX_OK;
}

static sdx_status delta_net(op_step *c) {
  const delta_params *p = c->params;
  const tensor *q = step_in(c, Q), *key = step_in(c, K), *value = step_in(c, V), *ends = step_in(c, ENDS),
               *initial = step_in(c, INITIAL), *decay = step_in(c, DECAY), *captured = step_in(c, CAPTURE),
               *active = step_in(c, ACTIVE);
  tensor *y = step_out(c, Y), *final = step_out(c, FINAL), *update = step_out(c, UPDATE);
  size_t behind = key ? 2 : 1, columns = (size_t)q->dims[q->rank - 1];
  delta_job j = {.p = p,
                 .decay = data_of(decay),
                 .beta = data_of(step_in(c, BETA)),
                 .initial = data_of(initial),
                 .a_log = data_of(step_in(c, A_LOG)),
                 .dt_bias = data_of(step_in(c, DT_BIAS)),
                 .ends = ends ? ends->data : NULL,
                 .capture = captured ? captured->data : NULL,
                 .final = final ? final->data : NULL,
                 .tokens = 1,
                 .samples = ends ? ends->count - 1 : (size_t)initial->dims[0],
                 .each = decay && decay->rank == q->rank - behind + 2};
  for (size_t d = 0; d + behind < q->rank; d++) j.tokens *= (size_t)q->dims[d];
  const int64_t *v_dims = value ? value->dims + value->rank - 2 : initial->dims + 1;
  j.v_heads = (size_t)v_dims[0], j.v_width = (size_t)v_dims[1];
  j.width = (size_t)(key ? key->dims[key->rank - 1] : initial->dims[3]);
  j.heads = key ? (size_t)key->dims[key->rank - 2] : (columns - j.v_heads * j.v_width) / 2 / j.width;
  if (key) {
    j.q = (token_heads){q->data, j.heads * j.width, j.width};
    j.k = (token_heads){key->data, j.heads * j.width, j.width};
    j.v = (token_heads){value->data, j.v_heads * j.v_width, j.v_width};
  } else {
    const float *at = q->data;
    j.q = (token_heads){at, columns, j.width}, j.k = (token_heads){at + j.heads * j.width, columns, j.width};
    j.v = (token_heads){at + 2 * j.heads * j.width, columns, j.v_width};
  }
  SDX_TRY(check_ends(c, &j));
  if (update && update->bytes) memset(update->data, 0, update->bytes);
  if (update && p->capacity && !(active && ((const int32_t *)active->data)[0] == 0)) j.update = update->data;
  j.scale = p->scale != 0 ? p->scale : 1 / sqrtf((float)j.width);
  int64_t room[3] = {(int64_t)(j.samples * j.v_heads), 0, sizeof(float)};
  size_t bytes = SIZE_MAX, of_y = j.tokens * j.v_heads * j.v_width * sizeof(float);
  j.room_each = j.width * j.v_width + j.v_width + 3 * j.width + 1, room[1] = (int64_t)j.room_each;
  if (!size_product(room, 3, &bytes) || !(j.room = call_alloc(c, bytes))) return call_no_memory(c, bytes);
  j.y = y ? y->data : call_alloc(c, of_y);
  if (!j.y) return call_no_memory(c, of_y);
  if (j.samples == 0 || j.heads == 0) return SDX_OK;
  call_parallel(c, j.samples * j.v_heads, 1 + GRAIN_CHEAP / (j.width * j.v_width * j.tokens + 1), heads_range, &j);
  return call_check(c);
}

static sdx_status gated_delta_net_prepare(op_step *c) { return prepare_widened(c, 0); }
static sdx_status gated_delta_net_compute(op_step *c) { return call_widened(c, delta_net); }

SDX_CASES = {
    "query=float[5,2,4] key=float[5,2,4] value=float[5,4,3] cu_seqlens=int32[3](0,2,5) decay=float[5,4]@-2..0 "
    "beta=float[5,4]@0..1 outputs=2 qk_l2_norm=1",
    "query=float[2,3,20] decay=float[2,3,2] initial_state=float[2,2,4,3] a_log=float[2]@-1..0 "
    "dt_bias=float[2] capture_count=int32[2](1,2) gate_activation=qwen update_rule=gated "
    "state_update_capacity=2 outputs=3",
    NULL};

// clang-format off
SDX_OP_MS(GatedDeltaNet) = {
    .since = 1, .versions = "1",
    .inputs = "query:T key:T? value:T? cu_seqlens:TI? decay:TS? beta:TS? initial_state:TS? a_log:TS? dt_bias:TS? "
              "capture_count:TI? state_update_active:TI?",
    .outputs = "output:T final_state:TS? state_update:TS?", .types = "T=float,float16,bfloat16;TS=float;TI=int32",
    .attrs = "beta_activation:string=none chunk_size:int=64 gate_activation:string=none qk_l2_norm:int=0 scale:float=0 "
             "state_update_capacity:int=0 update_rule:string=gated_delta",
    .params_size = sizeof(delta_params), .params = gated_delta_net_read, .infer = gated_delta_net_infer,
    .prepare = gated_delta_net_prepare, .compute = gated_delta_net_compute,
    .cases = cases,
};
// clang-format on
