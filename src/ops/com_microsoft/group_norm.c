// SPDX-License-Identifier: Apache-2.0
// GroupNorm: every group of C / groups channels of an image is normalised, then gamma and beta of the channel are
// applied, then SiLU if `activation` is 1. Channels come last or second. SkipGroupNorm normalises X + skip + bias and
// can return that sum; skip may be the same for all places of an image.
// Statistics are taken in double, in the order of the elements of a group.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/normalize.h"

enum { X, GAMMA, BETA, SKIP, BIAS };

typedef struct group_params {
  int64_t groups;
  float epsilon;
  bool silu, last;
} group_params;

static sdx_status group_norm_read(op_params_context *c, void *params) {
  group_params *p = params;
  p->groups = params_int(c, "groups");
  p->silu = params_int(c, "activation") == 1;
  p->last = params_int(c, "channels_last") != 0;
  if (p->groups < 1) return params_fail(c, "groups", "is %lld, expected at least 1", (long long)p->groups);
  int64_t activation = params_int(c, "activation");
  if (activation != 0 && activation != 1)
    return params_fail(c, "activation", "is %lld, expected 0 (none) or 1 (SiLU)", (long long)activation);
  return normalize_epsilon(c, &p->epsilon);
}

static sdx_status check_skip(op_step *c, int rank, int64_t channels) {
  int have = infer_rank_of(c, SKIP);
  if (have < 0 || rank < 0) return SDX_OK;
  if (have != 2 && have != rank)
    return step_fail_at(c, at_input(3), SDX_INVALID_SHAPE, "has rank %d, expected 2 or %d", have, rank);
  const group_params *p = c->params;
  if (have != rank && !p->last) return step_fail_at(c, at_input(3), SDX_INVALID_SHAPE, "of rank 2 needs channels_last");
  int64_t batch = infer_dim(c, X, 0), all = channels;
  SDX_TRY(infer_agree(c, SKIP, 0, "batch", &batch));
  SDX_TRY(infer_agree(c, SKIP, p->last ? have - 1 : 1, "channels", &all));
  int spatial = p->last ? 1 : 2;
  bool same = true, ones = true;
  for (int i = spatial; have == rank && i < rank - p->last; i++) {
    int64_t d = c->in_types[SKIP]->dims[i], x = c->in_types[X]->dims[i];
    same &= d < 0 || x < 0 || d == x, ones &= d < 0 || d == 1;
  }
  if (same || ones) return SDX_OK;
  return step_fail_at(c, at_input(3), SDX_INVALID_SHAPE, "fits neither the shape of X nor one place of it");
}

static sdx_status group_norm_infer(op_step *c) {
  const group_params *p = c->params;
  SDX_TRY(infer_rank(c, X, 3, -1));
  int rank = infer_rank_of(c, X);
  int64_t channels = rank < 0 ? DIM_UNKNOWN : c->in_types[X]->dims[p->last ? rank - 1 : 1];
  if (channels >= 0 && channels % p->groups)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld channels, which cannot be split into %lld groups",
                        (long long)channels, (long long)p->groups);
  for (size_t i = GAMMA; i <= BIAS; i++) {
    if (i == SKIP) continue;
    SDX_TRY(infer_rank(c, i, 1, 1));
    SDX_TRY(infer_agree(c, i, 0, "channels", &channels));
  }
  SDX_TRY(check_skip(c, rank, channels));
  SDX_TRY(infer_same(c, 0, X));
  return infer_same(c, 1, X);
}

static sdx_status group_norm_prepare(op_step *c) { return prepare_widened(c, 0); }

typedef struct group_job {
  const group_params *p;
  const float *x, *gamma, *beta, *skip, *bias;
  float *y, *sum;
  size_t channels, each, places;    // channels of a group; places of an image
  size_t channel_step, place_step;  // in elements
  size_t skip_place;                // 0: one place for all
} group_job;

static void groups_range(void *context, size_t begin, size_t end, size_t worker) {
  const group_job *j = context;
  size_t groups = (size_t)j->p->groups, image = j->channels * j->places;
  for (size_t unit = begin; unit < end; unit++) {
    size_t n = unit / groups, first = unit % groups * j->each;
    const float *skip = j->skip ? j->skip + n * (j->skip_place ? image : j->channels) : NULL;
    float *sums = j->sum + n * image, *y = j->y + n * image;
    const float *x = j->x + n * image;
    // Channels inside or outside: the order of memory, so that both layouts run along it.
    bool inside = j->channel_step == 1;
    size_t outer = inside ? j->places : j->each, inner = inside ? j->each : j->places;
    double total = 0, squares = 0, count = (double)j->each * (double)j->places;
    for (int pass = 0; pass < 3; pass++) {
      double mean = total / count, inverse = 1 / sqrt(squares / count + (double)j->p->epsilon);
      for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < inner; i++) {
          size_t channel = first + (inside ? i : o), place = inside ? o : i;
          size_t at = channel * j->channel_step + place * j->place_step;
          if (pass == 0) {
            float v = x[at];
            if (skip) v += skip[j->skip_place ? at : channel];
            if (j->bias) v += j->bias[channel];
            sums[at] = v;
            total += (double)v;
          } else if (pass == 1) {
            squares += ((double)sums[at] - mean) * ((double)sums[at] - mean);
          } else {
            float v = (float)(((double)sums[at] - mean) * inverse) * j->gamma[channel] + j->beta[channel];
            y[at] = j->p->silu ? v / (1 + expf(-v)) : v;
          }
        }
    }
  }
}

static sdx_status normalize(op_step *c) {
  const group_params *p = c->params;
  const tensor *x = step_in(c, X), *skip = step_in(c, SKIP), *bias = step_in(c, BIAS);
  tensor *y = step_out(c, 0), *sum = step_out(c, 1);
  if (x->count == 0) return SDX_OK;
  group_job j = {.p = p, .x = x->data, .gamma = step_in(c, GAMMA)->data, .beta = step_in(c, BETA)->data};
  j.y = y ? y->data : sum->data;
  j.sum = sum ? sum->data : y->data;  // every element is read before it is written
  j.skip = skip ? skip->data : NULL, j.bias = bias ? bias->data : NULL;
  j.channels = (size_t)x->dims[p->last ? x->rank - 1 : 1], j.each = j.channels / (size_t)p->groups;
  j.places = x->count / (size_t)x->dims[0] / j.channels;
  j.channel_step = p->last ? 1 : j.places, j.place_step = p->last ? j.channels : 1;
  j.skip_place = skip && skip->count == x->count;
  size_t work = j.each * j.places;
  call_parallel(c, (size_t)x->dims[0] * (size_t)p->groups, 1 + GRAIN_CHEAP / work, groups_range, &j);
  return call_check(c);
}
static sdx_status group_norm_compute(op_step *c) { return call_widened(c, normalize); }

SDX_CASES = {"X=float[2,4,5,6] gamma=float[6] beta=float[6] groups=3 activation=1",
             "X=float16[1,4,7,3] gamma=float[4] beta=float[4] groups=2 activation=0 channels_last=0", NULL};
static const char *const skip_cases[] = {
    "X=float[2,4,5,6] gamma=float[6] beta=float[6] skip=float[2,6] bias=float[6] groups=3 activation=1",
    "X=float[2,4,5,6] gamma=float[6] beta=float[6] skip=float[2,4,5,6] groups=3 activation=0", NULL};

// clang-format off
#define RECORD(Inputs, Outputs, Cases)                                                                            \
  .since = 1, .versions = "1", .inputs = Inputs, .outputs = Outputs, .types = "T=float16,float;M=float16,float",  \
  .attrs = "activation:int! channels_last:int=1 epsilon:float=1e-5 groups:int!",                                  \
  .params_size = sizeof(group_params), .params = group_norm_read, .infer = group_norm_infer,                           \
  .prepare = group_norm_prepare,                                                                                       \
  .compute = group_norm_compute, .cases = Cases
SDX_OP_MS(GroupNorm) = {RECORD("X:T gamma:M beta:M", "Y:T", cases)};
SDX_OP_MS(SkipGroupNorm) = {RECORD("X:T gamma:M beta:M skip:T bias:T?", "Y:T S:T?", skip_cases)};
// clang-format on
