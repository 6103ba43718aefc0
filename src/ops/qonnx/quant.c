// SPDX-License-Identifier: Apache-2.0
// What networks trained for few bits carry; numbers stay floats of whatever type x has.
//
// Quant         q = round(clamp(x / scale + zero, low, high))     y = (q - zero) * scale      (signed, 1 bit: q = +-1)
// BipolarQuant  y = (x >= 0 ? 1 : -1) * scale
// Trunc         q = round(rint(x / scale + zero) / step)          y = (q - zero) * scale
//               version 2 clamps before `round`, takes step from scales and ends with y = (q - zero / step) * out_scale
// FloatQuant    x / scale rounded to the nearest float of so many bits of exponent and mantissa, times scale
//
// IntQuant is Quant by another name. Every operation is rounded to float (double: not), as the packages qonnx and
// Brevitas do it; x, scales and zero points broadcast, widths of bits are one number.
#include <float.h>
#include <math.h>
#include <strings.h>

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

typedef enum rounding { HALF_EVEN, CEIL, FLOOR, UP, DOWN, HALF_UP, HALF_DOWN } rounding;

typedef struct quant_params {
  rounding rounding;
  bool is_signed, narrow;                // Quant, Trunc
  bool has_inf, has_nan, is_saturating;  // FloatQuant
} quant_params;

static sdx_status read_rounding(op_params_context *c, rounding *out) {
  static const struct {
    const char *name;
    rounding mode;
  } modes[] = {
      {"ROUND", HALF_EVEN}, {"HALF_EVEN", HALF_EVEN}, {"CEIL", CEIL},           {"FLOOR", FLOOR},       {"UP", UP},
      {"DOWN", DOWN},       {"HALF_UP", HALF_UP},     {"HALF_DOWN", HALF_DOWN}, {"ROUND_TO_ZERO", DOWN}};
  str text = params_string(c, "rounding_mode");
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    if (strlen(modes[i].name) != text.size || strncasecmp(modes[i].name, text.at, text.size) != 0) continue;
    *out = modes[i].mode;
    return SDX_OK;
  }
  return params_fail(c, "rounding_mode",
                     "is '%.*s', expected ROUND, HALF_EVEN, CEIL, FLOOR, UP, DOWN, ROUND_TO_ZERO, HALF_UP or HALF_DOWN",
                     STR_ARG(text));
}

static sdx_status quant_read(op_params_context *c, void *params) {
  quant_params *p = params;
  p->is_signed = params_int(c, "signed") != 0;
  p->narrow = params_int(c, "narrow") != 0;
  return read_rounding(c, &p->rounding);
}

static sdx_status float_quant_read(op_params_context *c, void *params) {
  quant_params *p = params;
  p->has_inf = params_int(c, "has_inf") != 0;
  p->has_nan = params_int(c, "has_nan") != 0;
  p->is_saturating = params_int(c, "saturation") != 0;
  if (!p->is_saturating && !p->has_inf && !p->has_nan)
    return params_fail(c, "saturation", "is 0, which needs has_inf or has_nan for what is too large");
  return read_rounding(c, &p->rounding);
}

static sdx_status quant_infer(op_step *c) { return infer_broadcast(c, 0, 0, c->input_count, infer_dtype_of(c, 0)); }

// ---- elements in blocks ---------------------------------------------------------------------------

enum { BLOCK = 256, MOST_OPERANDS = 4 };

// A tensor that broadcasts: its elements walked in the order of the output's.
typedef struct operand {
  const tensor *tensor;
  size_t step[TENSOR_MAX_RANK];
} operand;

typedef struct quant_job quant_job;
struct quant_job {
  const quant_params *params;
  void (*block)(const quant_job *j, double (*v)[BLOCK], size_t n);  // operands in v, the result in v[0]
  tensor *out;
  bool single;       // every operation is rounded to float
  double low, high;  // bounds of the codes
  double step;       // Trunc 1
  double mantissa;   // FloatQuant: bits
  double least;      // and the lowest exponent of a step between floats
  size_t operand_count, rank, dims[TENSOR_MAX_RANK];
  operand in[MOST_OPERANDS];
};

static inline double rounded(const quant_job *j, double v) { return j->single ? (double)(float)v : v; }

// Dimensions that all operands cross in one stride are merged, so that runs are long.
static void walk_init(quant_job *j) {
  size_t rank = 0, stride[MOST_OPERANDS], dims[TENSOR_MAX_RANK], step[MOST_OPERANDS][TENSOR_MAX_RANK];
  for (size_t k = 0; k < j->operand_count; k++) stride[k] = 1;
  for (size_t i = 0; i < j->out->rank; i++) {  // from the innermost
    size_t n = (size_t)j->out->dims[j->out->rank - 1 - i];
    bool merged = rank > 0;
    if (n == 1) continue;
    for (size_t k = 0; k < j->operand_count; k++) {
      const tensor *t = j->in[k].tensor;
      size_t have = i < t->rank ? (size_t)t->dims[t->rank - 1 - i] : 1;
      step[k][rank] = have == 1 ? 0 : stride[k];
      stride[k] *= have;
      if (merged && step[k][rank] != step[k][rank - 1] * dims[rank - 1]) merged = false;
    }
    if (merged) dims[rank - 1] *= n;
    else dims[rank++] = n;
  }
  j->rank = rank ? rank : 1;
  j->dims[0] = 1;
  for (size_t d = 0; d < rank; d++) {
    j->dims[d] = dims[rank - 1 - d];
    for (size_t k = 0; k < j->operand_count; k++) j->in[k].step[d] = step[k][rank - 1 - d];
  }
}

static void read_block(const quant_job *j, const operand *o, size_t at, size_t n, double *to) {
  size_t index[TENSOR_MAX_RANK], from = 0, inner = j->rank - 1;
  for (size_t d = j->rank; d-- > 0; at /= j->dims[d]) {
    index[d] = at % j->dims[d];
    from += index[d] * o->step[d];
  }
  while (n) {
    size_t run = j->dims[inner] - index[inner] < n ? j->dims[inner] - index[inner] : n;
    convert_to_doubles((sdx_dtype)o->tensor->dtype, o->tensor->data, from, o->step[inner] ? run : 1, to);
    if (!o->step[inner])
      for (size_t i = 1; i < run; i++) to[i] = to[0];
    to += run, n -= run, from += run * o->step[inner];
    index[inner] += run;
    for (size_t d = inner; d > 0 && index[d] == j->dims[d]; d--) {
      from = from - o->step[d] * j->dims[d] + o->step[d - 1];
      index[d] = 0, index[d - 1]++;
    }
  }
}

static void quant_range(void *context, size_t begin, size_t end, size_t worker) {
  const quant_job *j = context;
  double v[MOST_OPERANDS][BLOCK];
  for (size_t at = begin; at < end; at += BLOCK) {
    size_t n = end - at < BLOCK ? end - at : BLOCK;
    for (size_t k = 0; k < j->operand_count; k++) read_block(j, &j->in[k], at, n, v[k]);
    j->block(j, v, n);
    convert_from_doubles((sdx_dtype)j->out->dtype, j->out->data, at, n, v[0]);
  }
}

static sdx_status quant_run(op_step *c, quant_job *j, size_t count, const size_t operands[]) {
  j->params = c->params;
  j->operand_count = count;
  for (size_t k = 0; k < count; k++) j->in[k].tensor = step_in(c, operands[k]);
  walk_init(j);
  call_parallel(c, j->out->count, GRAIN_COSTLY, quant_range, j);
  return call_check(c);
}

// ---- formulas ---------------------------------------------------------------------------------------

#define EACH(expression) \
  for (size_t i = 0; i < n; i++) y[i] = rounded(j, expression);
static void round_block(const quant_job *j, double *y, size_t n) {
  switch (j->params->rounding) {
    case HALF_EVEN:
      EACH(rint(y[i])) break;
    case CEIL:
      EACH(ceil(y[i])) break;
    case FLOOR:
      EACH(floor(y[i])) break;
    case UP:
      EACH(copysign(ceil(fabs(y[i])), y[i])) break;
    case DOWN:
      EACH(trunc(y[i])) break;
    case HALF_UP:
      EACH(copysign(floor(rounded(j, fabs(y[i]) + 0.5)), y[i])) break;
    case HALF_DOWN:
      EACH(copysign(ceil(rounded(j, fabs(y[i]) - 0.5)), y[i])) break;
  }
}

// NaN stays.
static void clamp_block(const quant_job *j, double *y, size_t n) {
  for (size_t i = 0; i < n; i++) {
    y[i] = y[i] > j->high ? j->high : y[i];
    y[i] = y[i] < j->low ? j->low : y[i];
  }
}

static void code_block(const quant_job *j, double *y, const double *scale, const double *zero, size_t n) {
  EACH(y[i] / scale[i])
  EACH(y[i] + zero[i])
}
static void value_block(const quant_job *j, double *y, const double *scale, const double *zero, size_t n) {
  EACH(y[i] - zero[i])
  EACH(y[i] * scale[i])
}

static void quant_block(const quant_job *j, double (*v)[BLOCK], size_t n) {
  code_block(j, v[0], v[1], v[2], n);
  clamp_block(j, v[0], n);
  round_block(j, v[0], n);
  value_block(j, v[0], v[1], v[2], n);
}

static void one_bit_block(const quant_job *j, double (*v)[BLOCK], size_t n) {
  code_block(j, v[0], v[1], v[2], n);
  for (size_t i = 0; i < n; i++) v[0][i] = v[0][i] >= 0 ? 1 : -1;
  value_block(j, v[0], v[1], v[2], n);
}

static void bipolar_block(const quant_job *j, double (*v)[BLOCK], size_t n) {
  for (size_t i = 0; i < n; i++) v[0][i] = v[0][i] >= 0 ? v[1][i] : -v[1][i];
}

static void trunc_block(const quant_job *j, double (*v)[BLOCK], size_t n) {
  double *y = v[0];
  code_block(j, y, v[1], v[2], n);
  EACH(rint(y[i]) / j->step)
  round_block(j, y, n);
  value_block(j, y, v[1], v[2], n);
}

static void trunc_scaled_block(const quant_job *j, double (*v)[BLOCK], size_t n) {
  double *y = v[0], step[BLOCK];
  code_block(j, y, v[1], v[2], n);
  for (size_t i = 0; i < n; i++) step[i] = exp2(rint(rounded(j, log2(rounded(j, v[3][i] / v[1][i])))));
  EACH(rint(y[i]) / step[i])
  clamp_block(j, y, n);
  round_block(j, y, n);
  for (size_t i = 0; i < n; i++) v[2][i] = rounded(j, v[2][i] / step[i]);
  value_block(j, y, v[3], v[2], n);
}

static void float_block(const quant_job *j, double (*v)[BLOCK], size_t n) {
  const quant_params *p = j->params;
  double *y = v[0], step[BLOCK], tiny = j->single ? (double)FLT_MIN : DBL_MIN;
  EACH(y[i] / v[1][i])
  for (size_t i = 0; i < n; i++) {
    double e = floor(rounded(j, log2(rounded(j, fabs(y[i]) + tiny)))) - j->mantissa;
    step[i] = rounded(j, exp2(e < j->least ? j->least : e));
  }
  EACH(y[i] / step[i])
  round_block(j, y, n);
  EACH(y[i] * step[i])
  for (size_t i = 0; i < n; i++) {
    double x = y[i], over = p->is_saturating ? j->high : p->has_inf ? (double)INFINITY : (double)NAN;
    if (fabs(x) > j->high) y[i] = copysign(over, x);
    y[i] *= v[1][i];
  }
}

// ---- operators --------------------------------------------------------------------------------------

static sdx_status one_number(op_step *c, size_t input, const char *name, double *out) {
  const tensor *t = step_in(c, input);
  char shape[200];
  if (t->count != 1)
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has shape %s, expected one number",
                        shape_describe(t->dims, t->rank, shape, sizeof shape));
  *out = tensor_number_at(t, 0);
  return SDX_OK;
}

static void bounds(quant_job *j, double bits) {
  const quant_params *p = j->params;
  if (p->is_signed) {
    double half = rounded(j, exp2(rounded(j, bits - 1)));
    j->low = rounded(j, p->narrow - half);
    j->high = rounded(j, half - 1);
  } else {
    j->low = 0;
    j->high = rounded(j, rounded(j, exp2(bits)) - 1 - p->narrow);
  }
}

static quant_job job_of(op_step *c) {
  return (quant_job){.params = c->params, .out = step_out(c, 0), .single = step_in(c, 0)->dtype != SDX_DOUBLE};
}

static sdx_status quant_compute(op_step *c) {
  quant_job j = job_of(c);
  double bits;
  if (!j.out || j.out->count == 0) return SDX_OK;
  SDX_TRY(one_number(c, 3, "bitwidth", &bits));
  bounds(&j, bits);
  j.block = bits == 1 && j.params->is_signed ? one_bit_block : quant_block;
  return quant_run(c, &j, 3, (const size_t[]){0, 1, 2});
}

static sdx_status bipolar_quant_compute(op_step *c) {
  quant_job j = job_of(c);
  if (!j.out || j.out->count == 0) return SDX_OK;
  j.block = bipolar_block;
  return quant_run(c, &j, 2, (const size_t[]){0, 1});
}

// Version 1 has no scale of the output. The number of inputs tells the versions apart, which holds for files without an
// import of the domain, too.
static sdx_status trunc_compute(op_step *c) {
  quant_job j = job_of(c);
  double from, to;
  bool scaled = c->input_count > 5;
  if (!j.out || j.out->count == 0) return SDX_OK;
  SDX_TRY(one_number(c, 3, "input_bit_width", &from));
  SDX_TRY(one_number(c, scaled ? 5 : 4, "output_bit_width", &to));
  bounds(&j, to);
  j.step = rounded(&j, exp2(rounded(&j, from - to)));
  j.block = scaled ? trunc_scaled_block : trunc_block;
  return quant_run(c, &j, scaled ? 4 : 3, (const size_t[]){0, 1, 2, 4});
}

static sdx_status float_quant_compute(op_step *c) {
  quant_job j = job_of(c);
  double exponent, bias, limit;
  if (!j.out || j.out->count == 0) return SDX_OK;
  SDX_TRY(one_number(c, 2, "exponent_bitwidth", &exponent));
  SDX_TRY(one_number(c, 3, "mantissa_bitwidth", &j.mantissa));
  SDX_TRY(one_number(c, 4, "exponent_bias", &bias));
  SDX_TRY(one_number(c, 5, "max_val", &limit));
  j.least = 1 - bias - j.mantissa;
  j.high = (2 - exp2(-ceil(j.mantissa))) * exp2(exp2(exponent) - 1 - bias);
  if (!(j.high < limit)) j.high = limit;
  j.block = float_block;
  return quant_run(c, &j, 2, (const size_t[]){0, 1});
}

SDX_CASES = {"X=float[2,3,4] scale=float(0.25) zeropt=float(0) bitwidth=float(4) signed=1 narrow=0",
             "X=float[2,3,4] scale=positive[3,1] zeropt=float[3,1](1,0,2) bitwidth=float(3.5) signed=0 narrow=1",
             "X=float[5] scale=float(0.5) zeropt=float(0) bitwidth=float(1) signed=1 narrow=1 rounding_mode=FLOOR",
             NULL};
static const char *const bipolar_cases[] = {"X=float[2,3,4] scale=positive[3,1]", NULL};
static const char *const trunc_cases[] = {
    "X=float[2,3] scale=float(0.25) zeropt=float(0) input_bit_width=float(8) output_scale=float(1) "
    "output_bit_width=float(6)",
    "X=float[2,3] scale=float(0.25) zeropt=float(1) input_bit_width=float(8) output_scale=float(6) rounding_mode=CEIL",
    NULL};
static const char *const float_cases[] = {
    "X=float[2,3,4] scale=float(0.5) exponent_bitwidth=float(4) mantissa_bitwidth=float(3) exponent_bias=float(7) "
    "max_val=float(448)",
    NULL};

#define X_TYPES "T=" TYPES_FLOAT ";N=" TYPES_NUMBER
#define QUANT                                                                                                     \
  {                                                                                                               \
    .since = 1, .versions = "1", .inputs = "X:T scale:N zeropt:N bitwidth:N", .outputs = "Y:T", .types = X_TYPES, \
    .attrs = "narrow:int=0 rounding_mode:string=ROUND signed:int=1", .flags = OP_INPLACE,                         \
    .params_size = sizeof(quant_params), .params = quant_read, .infer = quant_infer, .compute = quant_compute,    \
    .cases = cases                                                                                                \
  }
SDX_OP_QONNX(Quant) = QUANT;
SDX_OP_QONNX(IntQuant) = QUANT;

SDX_OP_QONNX(BipolarQuant) = {.since = 1,
                              .versions = "1",
                              .inputs = "X:T scale:N",
                              .outputs = "Y:T",
                              .types = X_TYPES,
                              .flags = OP_INPLACE,
                              .infer = quant_infer,
                              .compute = bipolar_quant_compute,
                              .cases = bipolar_cases};

SDX_OP_QONNX(Trunc) = {.since = 2,
                       .versions = "2 1",
                       .inputs = "X:T scale:N zeropt:N input_bit_width:N output_scale:N output_bit_width:N?",
                       .outputs = "Y:T",
                       .types = X_TYPES,
                       .attrs = "narrow:int=0 rounding_mode:string=FLOOR signed:int=1",
                       .flags = OP_INPLACE,
                       .params_size = sizeof(quant_params),
                       .params = quant_read,
                       .infer = quant_infer,
                       .compute = trunc_compute,
                       .cases = trunc_cases};

SDX_OP_QONNX(FloatQuant) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T scale:N exponent_bitwidth:N mantissa_bitwidth:N exponent_bias:N max_val:N",
    .outputs = "Y:T",
    .types = X_TYPES,
    .attrs = "has_inf:int=0 has_nan:int=0 has_subnormal:int=0 rounding_mode:string=ROUND saturation:int=1",
    .flags = OP_INPLACE,
    .params_size = sizeof(quant_params),
    .params = float_quant_read,
    .infer = quant_infer,
    .compute = float_quant_compute,
    .cases = float_cases};
