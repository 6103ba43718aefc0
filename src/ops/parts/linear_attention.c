// SPDX-License-Identifier: Apache-2.0
// See linear_attention.h. Heads are packed into the last dimension: [batch, time, heads * width]. The state is kept in
// float; each head is one thread's work from the first step to the last.
#include "ops/parts/linear_attention.h"

#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"

enum { Q, K, V, PAST, DECAY, BETA };

enum { MOST_STATES = 8 };

sdx_status linear_rule_read(op_params_context *c, linear_rule *rule) {
  str name = params_string(c, "update_rule");
  rule->gated = str_is(name, "gated") || str_is(name, "gated_delta");
  rule->delta = str_is(name, "delta") || str_is(name, "gated_delta");
  if (rule->gated || rule->delta || str_is(name, "linear")) return SDX_OK;
  return params_fail(c, "update_rule", "is '%.*s', expected one of linear, gated, delta, gated_delta", STR_ARG(name));
}

static sdx_status read_shared(op_params_context *c, linear_attention_params *p) {
  p->heads = params_int(c, "q_num_heads"), p->kv_heads = params_int(c, "kv_num_heads");
  p->scale = params_float(c, "scale");
  SDX_TRY(linear_rule_read(c, &p->rule));
  if (p->kv_heads < 1 || p->kv_heads > INT32_MAX)
    return params_fail(c, "kv_num_heads", "is %lld, expected at least 1", (long long)p->kv_heads);
  if (p->heads >= 1 && p->heads <= INT32_MAX) return SDX_OK;
  return params_fail(c, "q_num_heads", "is %lld, expected at least 1", (long long)p->heads);
}

sdx_status linear_attention_read(op_params_context *c, void *params) {
  linear_attention_params *p = params;
  SDX_TRY(read_shared(c, p));
  if (p->heads % p->kv_heads == 0) return SDX_OK;
  return params_fail(c, "q_num_heads", "is %lld, expected a positive multiple of kv_num_heads %lld",
                     (long long)p->heads, (long long)p->kv_heads);
}

sdx_status linear_attention_read_microsoft(op_params_context *c, void *params) {
  linear_attention_params *p = params;
  SDX_TRY(read_shared(c, p));
  p->window = params_int(c, "state_window");
  if (p->window < 0 || p->window > MOST_STATES)
    return params_fail(c, "state_window", "is %lld, expected 0 to %d", (long long)p->window, MOST_STATES);
  if (p->heads % p->kv_heads == 0 || p->kv_heads % p->heads == 0) return SDX_OK;
  return params_fail(c, "q_num_heads", "of %lld and kv_num_heads %lld neither is a multiple of the other",
                     (long long)p->heads, (long long)p->kv_heads);
}

static sdx_status check_given(op_step *c, size_t input, bool needed) {
  bool given = infer_has(c, input);
  if (given == needed) return SDX_OK;
  return step_fail_at(c, at_input(input), SDX_INVALID_GRAPH, "is %s",
                      needed ? "missing, which the update_rule needs" : "given, which the update_rule does not take");
}

// The width of a head from hidden = heads * width; agrees with *width where that is known.
static sdx_status split(op_step *c, size_t input, int64_t heads, int64_t *width) {
  int64_t hidden = infer_dim(c, input, 2);
  if (hidden < 0) return SDX_OK;
  if (hidden % heads || (*width >= 0 && hidden / heads != *width))
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE,
                        "has %lld columns, which are not %lld heads of one width", (long long)hidden, (long long)heads);
  *width = hidden / heads;
  return SDX_OK;
}

static sdx_status check_columns(op_step *c, size_t input, int64_t one, int64_t other) {
  int64_t columns = infer_dim(c, input, 2);
  if (columns < 0 || one < 0 || other < 0 || columns == one || columns == other) return SDX_OK;
  return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has %lld columns, expected %lld or %lld",
                      (long long)columns, (long long)one, (long long)other);
}

sdx_status linear_attention_infer(op_step *c) {
  const linear_attention_params *p = c->params;
  int64_t batch = DIM_UNKNOWN, time = DIM_UNKNOWN, width = DIM_UNKNOWN, v_width = DIM_UNKNOWN, hidden = DIM_UNKNOWN,
          all = DIM_UNKNOWN, kv_heads = p->kv_heads;
  SDX_TRY(check_given(c, DECAY, p->rule.gated));
  SDX_TRY(check_given(c, BETA, p->rule.delta));
  int first = p->window > 0, window_rank = 4 + first;
  for (size_t i = Q; i <= BETA; i++) {
    SDX_TRY(infer_rank(c, i, i == PAST ? window_rank : 3, i == PAST ? window_rank : 3));
    SDX_TRY(infer_agree(c, i, i == PAST ? first : 0, "batch", &batch));
    if (i != PAST) SDX_TRY(infer_agree(c, i, 1, "time", &time));
  }
  SDX_TRY(split(c, Q, p->heads, &width));
  SDX_TRY(split(c, K, p->kv_heads, &width));
  SDX_TRY(split(c, V, p->kv_heads, &v_width));
  SDX_TRY(infer_agree(c, PAST, first + 1, "heads", &kv_heads));
  SDX_TRY(infer_agree(c, PAST, first + 2, "width of keys", &width));
  SDX_TRY(infer_agree(c, PAST, first + 3, "width of values", &v_width));
  int64_t window = p->window;
  if (first) SDX_TRY(infer_agree(c, PAST, 0, "states", &window));
  if (v_width >= 0 && !i64_mul(v_width, i64_max(p->heads, p->kv_heads), &hidden))
    return step_fail_at(c, at_output(0), SDX_INVALID_SHAPE, "would be too large");
  if (width >= 0 && !i64_mul(width, p->kv_heads, &all))
    return step_fail(c, SDX_INVALID_SHAPE, "the state would be too large");
  SDX_TRY(check_columns(c, DECAY, p->kv_heads, all));
  SDX_TRY(check_columns(c, BETA, p->kv_heads, 1));
  bool past = infer_has(c, PAST);
  SDX_TRY(infer_output(c, 0, infer_dtype_of(c, Q), 3, (int64_t[]){batch, time, hidden}));
  int64_t state[5] = {window, batch, p->kv_heads, width, v_width};
  return infer_output(c, 1, infer_dtype_of(c, past ? PAST : Q), window_rank, state + !first);
}

// ---- one head -------------------------------------------------------------------------------------

void linear_decay(const linear_state *s, const float *decay, bool each) {
  for (size_t i = 0; i < s->width; i++) {
    float factor = expf(decay[each ? i : 0]);
    for (size_t m = 0; m < s->v_width; m++) s->at[i * s->v_width + m] *= factor;
  }
}

void linear_write(const linear_state *s, const float *k, const float *v, const float *beta) {
  size_t width = s->width, v_width = s->v_width;
  float *row = s->row, *state = s->at;
  for (size_t m = 0; m < v_width; m++) row[m] = beta ? 0 : v[m];
  if (beta) {
    for (size_t i = 0; i < width; i++)
      for (size_t m = 0; m < v_width; m++) row[m] += state[i * v_width + m] * k[i];
    for (size_t m = 0; m < v_width; m++) row[m] = *beta * (v[m] - row[m]);
  }
  for (size_t i = 0; i < width; i++)
    for (size_t m = 0; m < v_width; m++) state[i * v_width + m] += k[i] * row[m];
}

void linear_read(const linear_state *s, const float *q, float scale, float *y) {
  for (size_t m = 0; m < s->v_width; m++) y[m] = 0;
  for (size_t i = 0; i < s->width; i++)
    for (size_t m = 0; m < s->v_width; m++) y[m] += q[i] * s->at[i * s->v_width + m];
  for (size_t m = 0; m < s->v_width; m++) y[m] *= scale;
}

// ---- compute --------------------------------------------------------------------------------------

typedef struct linear_job {
  const float *q, *k, *v, *past, *decay, *beta;
  float *y, *states, *row;  // states: `window` of all heads; row: v_width numbers for each head
  size_t batch, heads, kv_heads, time, window, width, v_width, decay_columns, beta_columns;
  float scale;
} linear_job;

// One step of one head.
static void step(const linear_job *j, size_t at, size_t head, const linear_state *s) {
  size_t width = j->width, v_width = j->v_width;
  bool each = j->decay_columns != j->kv_heads;
  const float *k = j->k + (at * j->kv_heads + head) * width, *v = j->v + (at * j->kv_heads + head) * v_width;
  if (j->decay) linear_decay(s, j->decay + at * j->decay_columns + head * (each ? width : 1), each);
  linear_write(s, k, v, j->beta ? j->beta + at * j->beta_columns + (j->beta_columns == 1 ? 0 : head) : NULL);
  size_t readers = j->heads > j->kv_heads ? j->heads / j->kv_heads : 1,
         sharing = j->heads < j->kv_heads ? j->kv_heads / j->heads : 1;
  for (size_t g = 0; g < readers; g++) {
    size_t out = head * readers + g;
    linear_read(s, j->q + (at * j->heads + out / sharing) * width, j->scale,
                j->y + (at * j->kv_heads * readers + out) * v_width);
  }
}

static void heads_range(void *context, size_t begin, size_t end, size_t worker) {
  const linear_job *j = context;
  size_t size = j->width * j->v_width, all = j->batch * j->kv_heads * size;
  for (size_t i = begin; i < end; i++) {
    float *first = j->states + i * size;
    linear_state s = {first + (j->window - 1) * all, j->row + i * j->v_width, j->width, j->v_width};
    if (j->past && size) memcpy(s.at, j->past + (j->window - 1) * all + i * size, size * sizeof *s.at);
    else
      for (size_t n = 0; n < size; n++) s.at[n] = 0;
    for (size_t w = 0; w + (j->time ? j->time : 1) < j->window; w++)
      for (size_t n = 0; n < size; n++) first[w * all + n] = 0;
    for (size_t t = 0; t < j->time; t++) {
      step(j, i / j->kv_heads * j->time + t, i % j->kv_heads, &s);
      if (t + j->window >= j->time && t + 1 < j->time && size)
        memcpy(first + (t + j->window - j->time) * all, s.at, size * sizeof *s.at);
    }
  }
}

sdx_status linear_attention_prepare(op_step *c) { return prepare_widened(c, 0); }

static const float *data_of(const tensor *t) { return t ? t->data : NULL; }

static sdx_status attend_linear(op_step *c) {
  const linear_attention_params *p = c->params;
  const tensor *q = step_in(c, Q), *v = step_in(c, V), *decay = step_in(c, DECAY), *beta = step_in(c, BETA);
  tensor *y = step_out(c, 0), *state = step_out(c, 1);
  linear_job j = {.q = q->data,
                  .k = step_in(c, K)->data,
                  .v = v->data,
                  .past = data_of(step_in(c, PAST)),
                  .decay = data_of(decay),
                  .beta = data_of(beta),
                  .batch = (size_t)q->dims[0],
                  .heads = (size_t)p->heads,
                  .window = p->window ? (size_t)p->window : 1,
                  .kv_heads = (size_t)p->kv_heads,
                  .time = (size_t)q->dims[1],
                  .decay_columns = decay ? (size_t)decay->dims[2] : 0,
                  .beta_columns = beta ? (size_t)beta->dims[2] : 0};
  j.width = (size_t)q->dims[2] / j.heads, j.v_width = (size_t)v->dims[2] / j.kv_heads;
  j.scale = p->scale != 0 ? p->scale : 1 / sqrtf((float)j.width);
  size_t heads = j.batch * j.kv_heads, readers = j.heads > j.kv_heads ? j.heads : j.kv_heads,
         sizes[3] = {heads * j.v_width, heads * j.width * j.v_width * j.window, j.batch * j.time * readers * j.v_width};
  float *room[3] = {NULL, state ? state->data : NULL, y ? y->data : NULL};
  for (size_t i = 0; i < 3; i++)
    if (!room[i] && !(room[i] = call_alloc(c, sizes[i] * sizeof(float))))
      return call_no_memory(c, sizes[i] * sizeof(float));
  j.row = room[0], j.states = room[1], j.y = room[2];
  call_parallel(c, heads, 1 + GRAIN_CHEAP / (j.width * j.v_width * j.time + 1), heads_range, &j);
  return call_check(c);
}
sdx_status linear_attention_compute(op_step *c) { return call_widened(c, attend_linear); }
