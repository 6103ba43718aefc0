// SPDX-License-Identifier: Apache-2.0
// See causal_conv.h.
#include "ops/parts/causal_conv.h"

#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"

enum { X, W, BIAS, PAST };
enum { MOST_STATES = 8 };

sdx_status causal_conv_read(op_params_context *c, void *params) {
  causal_conv_params *p = params;
  str name = params_string(c, "activation");
  p->dilation = 1;
  p->silu = str_is(name, "silu") || str_is(name, "swish");
  if (p->silu || str_is(name, "none")) return SDX_OK;
  return params_fail(c, "activation", "is '%.*s', expected one of none, silu, swish", STR_ARG(name));
}

static sdx_status read_dilation(op_params_context *c, causal_conv_params *p) {
  p->dilation = params_int(c, "dilation");
  if (p->dilation >= 1 && p->dilation <= INT32_MAX) return SDX_OK;
  return params_fail(c, "dilation", "is %lld, expected 1 to 2^31 - 1", (long long)p->dilation);
}
static sdx_status read_count(op_params_context *c, const char *name, int64_t *count) {
  *count = params_int(c, name);
  if (*count >= 0 && *count <= MOST_STATES) return SDX_OK;
  return params_fail(c, name, "is %lld, expected 0 to %d", (long long)*count, MOST_STATES);
}

sdx_status causal_conv_read_microsoft(op_params_context *c, void *at) {
  causal_conv_params *p = at;
  SDX_TRY(causal_conv_read(c, at));
  p->last = params_int(c, "channels_last") != 0;
  if (params_int(c, "ndim") != 1)
    return params_fail(c, "ndim", "is %lld, only 1 is supported", (long long)params_int(c, "ndim"));
  SDX_TRY(read_count(c, "state_window", &p->window));
  return read_dilation(c, p);
}

sdx_status causal_conv_read_varlen(op_params_context *c, void *at) {
  causal_conv_params *p = at;
  SDX_TRY(causal_conv_read(c, at));
  p->last = true;
  SDX_TRY(read_count(c, "state_update_capacity", &p->capacity));
  return read_dilation(c, p);
}

// ---- infer ----------------------------------------------------------------------------------------

// Weights and bias; *channels is shared with the input, *kept is what the state holds of a channel.
static sdx_status check_weights(op_step *c, size_t bias, int64_t *channels, int64_t *kept) {
  const causal_conv_params *p = c->params;
  int64_t one = 1, taps = infer_dim(c, W, 2);
  SDX_TRY(infer_rank(c, W, 3, 3));
  SDX_TRY(infer_rank(c, bias, 1, 1));
  SDX_TRY(infer_agree(c, W, 0, "channels", channels));
  SDX_TRY(infer_agree(c, W, 1, "channels of a group", &one));
  SDX_TRY(infer_agree(c, bias, 0, "channels", channels));
  if (taps == 0) return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "is a kernel of length 0");
  *kept = DIM_UNKNOWN;
  if (taps > 0 && !i64_mul(taps - 1, p->dilation, kept))
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "and the dilation are too large");
  return SDX_OK;
}

// The channels of an input with them last, as one number.
static sdx_status last_channels(op_step *c, int64_t *channels) {
  int rank = infer_rank_of(c, X);
  int64_t all = 1;
  for (int d = 2; d < rank; d++)
    if (c->in_types[X]->dims[d] < 0) return SDX_OK;
    else if (!i64_mul(all, c->in_types[X]->dims[d], &all))
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has too many channels");
  if (rank >= 0) *channels = all;
  return SDX_OK;
}

sdx_status causal_conv_infer(op_step *c) {
  const causal_conv_params *p = c->params;
  int rank = infer_rank_of(c, X), first = p->window > 0, time = p->last ? 1 : 2;
  int64_t batch = DIM_UNKNOWN, channels = DIM_UNKNOWN, kept, window = p->window, state[TENSOR_MAX_RANK + 1];
  SDX_TRY(infer_rank(c, X, 3, p->last ? TENSOR_MAX_RANK - 1 : 3));
  SDX_TRY(infer_agree(c, X, 0, "batch", &batch));
  if (p->last) SDX_TRY(last_channels(c, &channels));
  else SDX_TRY(infer_agree(c, X, 1, "channels", &channels));
  SDX_TRY(check_weights(c, BIAS, &channels, &kept));
  SDX_TRY(infer_same(c, 0, X));
  if (rank < 0) return infer_output(c, 1, infer_dtype_of(c, X), -1, NULL);
  SDX_TRY(infer_rank(c, PAST, rank + first, rank + first));
  state[0] = window;
  for (int d = 0; d < rank; d++) state[first + d] = d == time ? kept : c->in_types[X]->dims[d];
  if (!p->last) state[first + 1] = channels;
  for (int d = 0; d < rank + first; d++)
    SDX_TRY(infer_agree(c, PAST, d, d - first == time ? "kept positions" : "size", &state[d]));
  return infer_output(c, 1, infer_dtype_of(c, X), rank + first, state);
}

// ---- one channel ----------------------------------------------------------------------------------

typedef struct causal_lane {
  const float *x, *w, *past;  // past NULL: zeros
  size_t step, past_step;
  size_t length, taps, dilation;
  float bias;
  bool silu;
} causal_lane;

static size_t kept_of(const causal_lane *l) { return (l->taps - 1) * l->dilation; }

// Number `at` of past and input put together.
static inline float number(const causal_lane *l, size_t at, size_t kept) {
  if (at >= kept) return l->x[(at - kept) * l->step];
  return l->past ? l->past[at * l->past_step] : 0;
}

static void convolve_lane(const causal_lane *l, float *y) {
  size_t kept = kept_of(l);
  for (size_t t = 0; t < l->length; t++) {
    float sum = 0;
    for (size_t k = 0; k < l->taps; k++) sum += l->w[k] * number(l, t + k * l->dilation, kept);
    sum += l->bias;
    y[t * l->step] = l->silu ? sum / (1 + expf(-sum)) : sum;
  }
}

// The state after `positions` of the input.
static void keep_lane(const causal_lane *l, size_t positions, float *state) {
  size_t kept = kept_of(l);
  for (size_t k = 0; k < kept; k++) state[k * l->past_step] = number(l, positions + k, kept);
}

// ---- compute --------------------------------------------------------------------------------------

typedef struct causal_job {
  causal_lane lane;
  const float *bias;
  float *y, *state;  // either may be NULL
  size_t batch, channels, window;
  bool last;
  const int32_t *ends;  // of each sample; NULL: all are as long
} causal_job;

static void channels_range(void *context, size_t begin, size_t end, size_t worker) {
  const causal_job *j = context;
  for (size_t i = begin; i < end; i++) {
    causal_lane l = j->lane;
    size_t b = i / j->channels, channel = i % j->channels, kept = kept_of(&l), states = j->window ? j->window : 1,
           first = j->last ? b * l.length * j->channels + channel : i * l.length,
           at = l.past_step != 1 ? b * kept * j->channels + channel : i * kept;
    if (j->ends) {
      first = (size_t)j->ends[b] * j->channels + channel;
      l.length = (size_t)(j->ends[b + 1] - j->ends[b]);
    }
    l.x += first, l.w += channel * l.taps;
    if (l.past) l.past += (states - 1) * j->batch * j->channels * kept + at;
    l.bias = j->bias ? j->bias[channel] : 0;
    if (j->y) convolve_lane(&l, j->y + first);
    for (size_t s = 0; j->state && s < states; s++) {
      float *state = j->state + s * j->batch * j->channels * kept + at;
      if (l.length + s + 1 > states || !j->window)
        keep_lane(&l, j->window ? l.length + s + 1 - states : l.length, state);
      else
        for (size_t k = 0; k < kept; k++) state[k * l.past_step] = 0;
    }
  }
}

sdx_status causal_conv_prepare(op_step *c) { return prepare_widened(c, 0); }

static const float *data_of(const tensor *t) { return t ? t->data : NULL; }

static causal_job job_of(op_step *c, size_t bias, size_t past) {
  const causal_conv_params *p = c->params;
  const tensor *w = step_in(c, W);
  tensor *y = step_out(c, 0), *state = step_out(c, 1);
  return (causal_job){.lane = {.x = step_in(c, X)->data,
                               .w = w->data,
                               .past = data_of(step_in(c, past)),
                               .step = p->last ? (size_t)w->dims[0] : 1,
                               .past_step = 1,
                               .taps = (size_t)w->dims[2],
                               .dilation = (size_t)p->dilation,
                               .silu = p->silu},
                      .bias = data_of(step_in(c, bias)),
                      .y = y ? y->data : NULL,
                      .state = state ? state->data : NULL,
                      .channels = (size_t)w->dims[0],
                      .window = (size_t)p->window,
                      .last = p->last};
}

static sdx_status convolve(op_step *c) {
  const causal_conv_params *p = c->params;
  const tensor *x = step_in(c, X);
  causal_job j = job_of(c, BIAS, PAST);
  j.batch = (size_t)x->dims[0], j.lane.length = (size_t)x->dims[p->last ? 1 : 2];
  j.lane.past_step = j.lane.step;
  call_parallel(c, j.batch * j.channels, 1 + GRAIN_CHEAP / (j.lane.length * j.lane.taps + 1), channels_range, &j);
  return call_check(c);
}
sdx_status causal_conv_compute(op_step *c) { return call_widened(c, convolve); }

// ---- samples of different lengths -----------------------------------------------------------------

enum { ENDS = 2, VARLEN_BIAS, INITIAL, CAPTURE };

sdx_status causal_conv_infer_varlen(op_step *c) {
  const causal_conv_params *p = c->params;
  int64_t channels = DIM_UNKNOWN, batch = DIM_UNKNOWN, kept, ends = infer_dim(c, ENDS, 0);
  SDX_TRY(infer_rank(c, X, 2, 2));
  SDX_TRY(infer_rank(c, ENDS, 1, 1));
  SDX_TRY(infer_rank(c, INITIAL, 3, 3));
  SDX_TRY(infer_rank(c, CAPTURE, 1, 1));
  SDX_TRY(infer_agree(c, X, 1, "channels", &channels));
  SDX_TRY(check_weights(c, VARLEN_BIAS, &channels, &kept));
  if (ends == 0)
    return step_fail_at(c, at_input(ENDS), SDX_INVALID_SHAPE, "has no elements, expected the samples and one");
  if (ends > 0) batch = ends - 1;
  SDX_TRY(infer_agree(c, INITIAL, 0, "samples", &batch));
  SDX_TRY(infer_agree(c, INITIAL, 1, "channels", &channels));
  SDX_TRY(infer_agree(c, INITIAL, 2, "kept positions", &kept));
  SDX_TRY(infer_agree(c, CAPTURE, 0, "samples", &batch));
  if ((p->capacity > 0) != (infer_has(c, CAPTURE)))
    return step_fail_at(c, at_input(CAPTURE), SDX_INVALID_GRAPH, "goes with state_update_capacity");
  SDX_TRY(infer_same(c, 0, X));
  SDX_TRY(infer_output(c, 1, infer_dtype_of(c, X), 3, (int64_t[]){batch, channels, kept}));
  return infer_output(c, 2, infer_dtype_of(c, X), 3, (int64_t[]){batch, p->capacity, channels});
}

static sdx_status convolve_varlen(op_step *c) {
  const tensor *x = step_in(c, X), *ends = step_in(c, ENDS), *capture = step_in(c, CAPTURE);
  tensor *update = step_out(c, 2);
  causal_job j = job_of(c, VARLEN_BIAS, INITIAL);
  size_t row = j.channels * sizeof(float), capacity = (size_t)((const causal_conv_params *)c->params)->capacity;
  j.ends = ends->data, j.batch = ends->count - 1;
  for (size_t b = 0; b <= j.batch; b++)
    if (j.ends[b] < 0 || j.ends[b] > x->dims[0] || (b == 0 && j.ends[0]) || (b && j.ends[b] < j.ends[b - 1]) ||
        (b == j.batch && j.ends[b] != x->dims[0]))
      return step_fail_at(c, at_input(ENDS), SDX_OUT_OF_RANGE,
                          "is %d at %zu: samples must rise from 0 to all %lld rows", j.ends[b], b,
                          (long long)x->dims[0]);
  call_parallel(c, j.batch * j.channels, 1 + GRAIN_CHEAP / (j.lane.taps * 16), channels_range, &j);
  if (update && update->bytes) memset(update->data, 0, update->bytes);
  for (size_t b = 0; update && capacity && b < j.batch; b++) {
    int64_t n = i64_min(((const int32_t *)capture->data)[b], i64_min((int64_t)capacity, j.ends[b + 1] - j.ends[b]));
    if (n > 0 && row)
      memcpy((char *)update->data + b * capacity * row, (const char *)x->data + (size_t)j.ends[b] * row,
             (size_t)n * row);
  }
  return call_check(c);
}
sdx_status causal_conv_compute_varlen(op_step *c) { return call_widened(c, convolve_varlen); }
