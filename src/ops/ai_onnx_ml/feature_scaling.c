// SPDX-License-Identifier: Apache-2.0
// Elementwise preparation of features, the last axis being the feature:
//
//   Scaler      (x - offset) * scale          one pair, or one for each feature
//   Normalizer  rows over max(x), sum |x| or sqrt(sum x^2); a divisor of 0 leaves the row
//   Binarizer   x > threshold
//   Imputer     a value that is missing (NaN, or replaced_value) becomes the imputed one
#include <math.h>

#include "kernels/binary_f32/binary_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "tensor/convert.h"

enum { SMALL = 64 };  // elements converted at once

// ---- Scaler ---------------------------------------------------------------------------------------

typedef struct scaler_params {
  const float *offset, *scale;
  size_t offsets, scales;
} scaler_params;

static sdx_status scaler_read(op_params_context *c, void *params) {
  scaler_params *p = params;
  p->offset = params_floats(c, "offset", &p->offsets), p->scale = params_floats(c, "scale", &p->scales);
  if (p->offsets > 1 && p->scales > 1 && p->offsets != p->scales)
    return params_fail(c, "scale", "has %zu entries, but 'offset' has %zu", p->scales, p->offsets);
  return SDX_OK;
}

static int64_t last_dim(const op_step *c) {
  return infer_rank_of(c, 0) > 0 ? c->in_types[0]->dims[infer_rank_of(c, 0) - 1] : DIM_UNKNOWN;
}

static sdx_status scaler_infer(op_step *c) {
  const scaler_params *p = c->params;
  int64_t columns = last_dim(c);
  SDX_TRY(infer_rank(c, 0, 1, -1));
  if (columns >= 0 &&
      ((p->offsets > 1 && (int64_t)p->offsets != columns) || (p->scales > 1 && (int64_t)p->scales != columns)))
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE,
                        "has %lld features, but there are %zu offsets and %zu scales", (long long)columns, p->offsets,
                        p->scales);
  return infer_same_as(c, 0, 0, SDX_FLOAT);
}

// Offsets and scales of some rows, one after the other, so that loops are long.
typedef struct scaler_state {
  float *offset, *scale;
  size_t period;
} scaler_state;

static sdx_status scaler_prepare(op_step *c) {
  enum { LONG = 1024 };
  const scaler_params *p = c->params;
  const tensor *x = step_in(c, 0);
  const size_t columns = (size_t)x->dims[x->rank - 1];
  if (x->dtype != SDX_FLOAT || x->count == 0) return SDX_OK;
  scaler_state *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  s->period = columns * (columns < LONG ? LONG / columns : 1);
  s->period = s->period < x->count ? s->period : x->count;
  s->offset = arena_array(c->memory, s->period, sizeof *s->offset);
  s->scale = arena_array(c->memory, s->period, sizeof *s->scale);
  if (!s->offset || !s->scale) return error_no_memory(c->err, s->period * sizeof *s->scale);
  for (size_t i = 0; i < s->period; i++) {
    const size_t k = i % columns;
    s->offset[i] = p->offsets ? p->offset[p->offsets > 1 ? k : 0] : 0;
    s->scale[i] = p->scales ? p->scale[p->scales > 1 ? k : 0] : 1;
  }
  c->state = s;
  return SDX_OK;
}

typedef struct scaler_work {
  const scaler_state *state;
  const binary_f32_kernel *kernel;
  const float *x;
  float *y;
  size_t count;
} scaler_work;

static void scale_periods(void *context, size_t begin, size_t end, size_t worker) {
  const scaler_work *w = context;
  const scaler_state *s = w->state;
  for (size_t i = begin * s->period; i < end * s->period && i < w->count; i += s->period) {
    const size_t n = w->count - i < s->period ? w->count - i : s->period;
    w->kernel->fn[BINARY_F32_SUB][BINARY_VV](w->x + i, s->offset, w->y + i, n);
    w->kernel->fn[BINARY_F32_MUL][BINARY_VV](w->y + i, s->scale, w->y + i, n);
  }
}

static sdx_status scaler_compute(op_step *c) {
  const scaler_params *p = c->params;
  const tensor *x = step_in(c, 0);
  size_t columns = (size_t)x->dims[x->rank - 1];
  float *y = step_out(c, 0)->data;
  if (c->state) {
    scaler_work w = {c->state, KERNEL_BEST(binary_f32), x->data, y, x->count};
    call_parallel(c, (x->count + w.state->period - 1) / w.state->period, 16, scale_periods, &w);
    return call_check(c);
  }
  for (size_t i = 0; i < x->count; i++) {
    SDX_TRY(call_check_in(c, i));
    double v = tensor_number_at(x, i);
    size_t k = i % columns;
    float offset = p->offsets ? p->offset[p->offsets > 1 ? k : 0] : 0,
          scale = p->scales ? p->scale[p->scales > 1 ? k : 0] : 1;
    y[i] = (float)((v - (double)offset) * (double)scale);
  }
  return call_check(c);
}

// ---- Normalizer -----------------------------------------------------------------------------------

typedef enum norm { NORM_MAX, NORM_L1, NORM_L2 } norm;
typedef struct normalizer_params {
  norm norm;
} normalizer_params;

static sdx_status normalizer_read(op_params_context *c, void *params) {
  str s = params_string(c, "norm");
  normalizer_params *p = params;
  p->norm = str_is(s, "MAX") ? NORM_MAX : str_is(s, "L1") ? NORM_L1 : NORM_L2;
  return str_is(s, "MAX") || str_is(s, "L1") || str_is(s, "L2")
             ? SDX_OK
             : params_fail(c, "norm", "is '%.*s', expected MAX, L1 or L2", STR_ARG(s));
}

static sdx_status normalizer_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 0, 1, -1));
  return infer_same_as(c, 0, 0, SDX_FLOAT);
}

static sdx_status normalizer_compute(op_step *c) {
  norm norm = ((const normalizer_params *)c->params)->norm;
  const tensor *x = step_in(c, 0);
  float *y = step_out(c, 0)->data;
  size_t n = (size_t)x->dims[x->rank - 1];
  for (size_t row = 0; n && row < x->count / n; row++, y += n) {
    SDX_TRY(call_check_in(c, row));
    double divisor = norm == NORM_MAX ? -INFINITY : 0, v[SMALL];
    for (size_t done = 0; done < n; done += SMALL) {
      size_t m = n - done < SMALL ? n - done : SMALL;
      SDX_TRY(call_check_in(c, done / SMALL));
      convert_to_doubles((sdx_dtype)x->dtype, x->data, row * n + done, m, v);
      for (size_t i = 0; i < m; i++)
        divisor = norm == NORM_MAX ? (v[i] > divisor ? v[i] : divisor)
                                   : divisor + (norm == NORM_L1 ? fabs(v[i]) : v[i] * v[i]);
    }
    if (norm == NORM_L2) divisor = sqrt(divisor);
    if (divisor == 0) divisor = 1;
    for (size_t done = 0; done < n; done += SMALL) {
      size_t m = n - done < SMALL ? n - done : SMALL;
      SDX_TRY(call_check_in(c, done / SMALL));
      convert_to_doubles((sdx_dtype)x->dtype, x->data, row * n + done, m, v);
      for (size_t i = 0; i < m; i++) y[done + i] = (float)(v[i] / divisor);
    }
  }
  return call_check(c);
}

// ---- Binarizer ------------------------------------------------------------------------------------

typedef struct binarizer_params {
  float threshold;
} binarizer_params;

static sdx_status binarizer_read(op_params_context *c, void *params) {
  ((binarizer_params *)params)->threshold = params_float(c, "threshold");
  return SDX_OK;
}

static sdx_status feature_scaling_infer(op_step *c) { return infer_same(c, 0, 0); }

static sdx_status binarizer_compute(op_step *c) {
  double threshold = (double)((const binarizer_params *)c->params)->threshold, v[SMALL];
  const tensor *x = step_in(c, 0);
  for (size_t done = 0; done < x->count; done += SMALL) {
    size_t m = x->count - done < SMALL ? x->count - done : SMALL;
    SDX_TRY(call_check_in(c, done / SMALL));
    convert_to_doubles((sdx_dtype)x->dtype, x->data, done, m, v);
    for (size_t i = 0; i < m; i++) v[i] = v[i] > threshold;
    convert_from_doubles((sdx_dtype)x->dtype, step_out(c, 0)->data, done, m, v);
  }
  return call_check(c);
}

// ---- Imputer --------------------------------------------------------------------------------------

typedef struct imputer_params {
  const float *floats;
  const int64_t *ints;
  size_t count;
  float replaced_float;
  int64_t replaced_int;
} imputer_params;

static sdx_status imputer_read(op_params_context *c, void *params) {
  imputer_params *p = params;
  size_t n = 0, m = 0;
  p->floats = params_floats(c, "imputed_value_floats", &n), p->ints = params_ints(c, "imputed_value_int64s", &m);
  if (!n == !m)
    return params_fail(c, "imputed_value_floats", "and 'imputed_value_int64s': %s given, exactly one is expected",
                       n ? "both are" : "none is");
  p->count = n + m;
  if (!n) p->floats = NULL;
  p->replaced_float = params_float(c, "replaced_value_float");
  p->replaced_int = params_int(c, "replaced_value_int64");
  return SDX_OK;
}

static sdx_status imputer_infer(op_step *c) {
  const imputer_params *p = c->params;
  int64_t columns = last_dim(c);
  sdx_dtype d = infer_dtype_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 1, -1));
  if (p->count > 1 && columns >= 0 && (int64_t)p->count != columns)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld features, but there are %zu imputed values",
                        (long long)columns, p->count);
  if (d && (d == SDX_FLOAT || d == SDX_DOUBLE) != (p->floats != NULL))
    return step_fail_at(c, at_input(0), SDX_INVALID_GRAPH, "is %s, but the imputed values are %s", dtype_name(d),
                        p->floats ? "floats" : "integers");
  return infer_same(c, 0, 0);
}

static sdx_status imputer_compute(op_step *c) {
  const imputer_params *p = c->params;
  const tensor *x = step_in(c, 0);
  void *y = step_out(c, 0)->data;
  size_t columns = (size_t)x->dims[x->rank - 1];
  for (size_t i = 0; i < x->count; i++) {
    SDX_TRY(call_check_in(c, i));
    size_t k = p->count > 1 ? i % columns : 0;
    if (p->floats) {
      double v = tensor_number_at(x, i), replaced = (double)p->replaced_float;
      if (isnan(replaced) ? isnan(v) : v == replaced) v = (double)p->floats[k];
      convert_from_doubles((sdx_dtype)x->dtype, y, i, 1, &v);
    } else {
      int64_t v = convert_get_int((sdx_dtype)x->dtype, x->data, i);
      convert_set_int((sdx_dtype)x->dtype, y, i, v == p->replaced_int ? p->ints[k] : v);
    }
  }
  return call_check(c);
}

SDX_CASES = {"X=float[3,4] offset=1,2,3,4 scale=0.5", "X=int64[2,2] scale=2", NULL};
static const char *const normalizer_cases[] = {"X=float[3,4] norm=L2", "X=double[2,5] norm=L1", "X=int32[2,3]", NULL};
static const char *const binarizer_cases[] = {"X=float[3,4] threshold=0.2", NULL};
static const char *const imputer_cases[] = {"X=float[3,4] imputed_value_floats=7 replaced_value_float=0",
                                            "X=int64[3,2] imputed_value_int64s=7,8 replaced_value_int64=1", NULL};

#define COMMON .since = 1, .versions = "1", .inputs = "X:T", .types = "T=float,double,int32,int64"

SDX_OP_ML(Scaler) = {COMMON,
                     .outputs = "Y:float",
                     .attrs = "offset:floats scale:floats",
                     .params_size = sizeof(scaler_params),
                     .params = scaler_read,
                     .infer = scaler_infer,
                     .prepare = scaler_prepare,
                     .compute = scaler_compute,
                     .cases = cases};
SDX_OP_ML(Normalizer) = {COMMON,
                         .outputs = "Y:float",
                         .attrs = "norm:string=MAX",
                         .params_size = sizeof(normalizer_params),
                         .params = normalizer_read,
                         .infer = normalizer_infer,
                         .compute = normalizer_compute,
                         .cases = normalizer_cases};
SDX_OP_ML(Binarizer) = {COMMON,
                        .outputs = "Y:T",
                        .attrs = "threshold:float=0",
                        .params_size = sizeof(binarizer_params),
                        .params = binarizer_read,
                        .infer = feature_scaling_infer,
                        .compute = binarizer_compute,
                        .cases = binarizer_cases};
SDX_OP_ML(Imputer) = {
    COMMON,
    .outputs = "Y:T",
    .attrs =
        "imputed_value_floats:floats imputed_value_int64s:ints replaced_value_float:float=0 replaced_value_int64:int=0",
    .params_size = sizeof(imputer_params),
    .params = imputer_read,
    .infer = imputer_infer,
    .compute = imputer_compute,
    .cases = imputer_cases};
