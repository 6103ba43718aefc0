// SPDX-License-Identifier: Apache-2.0
// HannWindow HammingWindow BlackmanWindow: a - b cos(2 pi k / n) + c cos(4 pi k / n) for k < size, where n is size, or
// size - 1 if not periodic. MelWeightMatrix: triangles, evenly spaced on the mel scale, that gather the bins of a
// spectrum. Computed in double, then brought to output_datatype.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

static const double pi = 3.14159265358979323846;

typedef struct window_params {
  double a, b, c;
  bool periodic;
  sdx_dtype dtype;
} window_params;

#define OUTPUT_TYPES TYPES_INTEGER "," TYPES_FLOAT

static sdx_status read_dtype(op_params_context *c, sdx_dtype *dtype) {
  int64_t value = params_int(c, "output_datatype");
  *dtype = value > 0 && value < SDX_DTYPE_COUNT ? (sdx_dtype)value : SDX_UNDEFINED;
  bool is_float = *dtype == SDX_FLOAT || *dtype == SDX_DOUBLE || *dtype == SDX_FLOAT16 || *dtype == SDX_BFLOAT16;
  if (is_float || (dtype_is_int(*dtype) && !dtype_is_packed(*dtype))) return SDX_OK;
  return params_fail(c, "output_datatype", "is %lld, expected a type for numbers", (long long)value);
}

static sdx_status read_window(op_params_context *c, window_params *p) {
  p->periodic = params_int(c, "periodic") != 0;
  return read_dtype(c, &p->dtype);
}
static sdx_status hann_read(op_params_context *c, void *params) {
  *(window_params *)params = (window_params){.a = 0.5, .b = 0.5};
  return read_window(c, params);
}
static sdx_status hamming_read(op_params_context *c, void *params) {
  *(window_params *)params = (window_params){.a = 25.0 / 46, .b = 21.0 / 46};
  return read_window(c, params);
}
static sdx_status blackman_read(op_params_context *c, void *params) {
  *(window_params *)params = (window_params){.a = 0.42, .b = 0.5, .c = 0.08};
  return read_window(c, params);
}

// Integer input `input` if known now, else DIM_UNKNOWN; it may not be below `least`.
static sdx_status read_int(op_step *c, size_t input, const char *name, int64_t least, int64_t *value) {
  size_t count;
  const int64_t *at = infer_constant_ints(c, input, &count);
  *value = DIM_UNKNOWN;
  if (!at) return SDX_OK;
  if (count != 1) return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has %zu elements, expected 1", count);
  if (*at < least)
    return step_fail_at(c, at_input(input), SDX_OUT_OF_RANGE, "is %lld, expected at least %lld", (long long)*at,
                        (long long)least);
  *value = *at;
  return SDX_OK;
}

static sdx_status signal_windows_infer(op_step *c) {
  int64_t size;
  SDX_TRY(read_int(c, 0, "size", 0, &size));
  return infer_output(c, 0, ((const window_params *)c->params)->dtype, 1, &size);
}

enum { BLOCK = 256 };

static sdx_status signal_windows_compute(op_step *c) {
  const window_params *p = c->params;
  tensor *y = step_out(c, 0);
  double block[BLOCK];
  for (size_t i = 0; y && i < y->count; i += BLOCK) {
    size_t n = y->count - i < BLOCK ? y->count - i : BLOCK;
    double length = (double)(p->periodic ? y->count : y->count - 1);
    for (size_t k = 0; k < n; k++) {
      double angle = length > 0 ? 2 * pi * (double)(i + k) / length : pi;  // a single point is the middle
      block[k] = p->a - p->b * cos(angle) + p->c * cos(2 * angle);
    }
    convert_from_doubles((sdx_dtype)y->dtype, y->data, i, n, block);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

static const char *const window_cases[] = {"size=int64(10)", "size=int32(7) periodic=0", "size=int64(1)",
                                           "size=int64(16) output_datatype=11", NULL};

#define WINDOW(lower)                                                                            \
  {                                                                                              \
    .since = 17, .versions = "17", .inputs = "size:T1", .outputs = "output:T2",                  \
    .types = "T1=int32,int64;T2=" OUTPUT_TYPES, .attrs = "output_datatype:int=1 periodic:int=1", \
    .params_size = sizeof(window_params), .params = lower##_read, .infer = signal_windows_infer, \
    .compute = signal_windows_compute, .cases = window_cases                                     \
  }
// clang-format off
SDX_OP(HannWindow) = WINDOW(hann);
SDX_OP(HammingWindow) = WINDOW(hamming);
SDX_OP(BlackmanWindow) = WINDOW(blackman);
// clang-format on

// ---- MelWeightMatrix ------------------------------------------------------------------------------

static sdx_status mel_weight_matrix_read(op_params_context *c, void *params) { return read_dtype(c, params); }

static sdx_status mel_weight_matrix_infer(op_step *c) {
  int64_t bands, length, rate;
  SDX_TRY(read_int(c, 0, "num_mel_bins", 0, &bands));
  SDX_TRY(read_int(c, 1, "dft_length", 0, &length));
  SDX_TRY(read_int(c, 2, "sample_rate", 1, &rate));
  int64_t dims[2] = {length < 0 ? DIM_UNKNOWN : length / 2 + 1, bands};
  return infer_output(c, 0, *(const sdx_dtype *)c->params, 2, dims);
}

typedef struct mel_scale {
  double low, step, length, rate;
  int64_t bins;
} mel_scale;

// The bin of the spectrum at which triangle corner i lies.
static sdx_status mel_corner(op_step *c, const mel_scale *m, size_t i, int64_t *bin) {
  double hertz = 700 * expm1(((double)i * m->step + m->low) / 2595 * log(10)),
         at = floor((m->length + 1) * hertz / m->rate);
  if (!(at >= 0 && at < (double)m->bins))
    return step_fail(c, SDX_OUT_OF_RANGE, "corner %zu of the bands lies at bin %g of a spectrum of %lld", i, at,
                     (long long)m->bins);
  *bin = (int64_t)at;
  return SDX_OK;
}

// Column `band` of the matrix: up from corner 0 to 1, down to 2.
static void mel_band(tensor *y, int64_t band, int64_t bands, const int64_t *corner) {
  for (int64_t k = corner[0]; k <= corner[2] && k <= corner[1]; k++) {
    double up = corner[1] == corner[0] ? 1 : (double)(k - corner[0]) / (double)(corner[1] - corner[0]);
    convert_from_doubles((sdx_dtype)y->dtype, y->data, (size_t)(k * bands + band), 1, &up);
  }
  for (int64_t k = corner[1]; k < corner[2]; k++) {
    double down = (double)(corner[2] - k) / (double)(corner[2] - corner[1]);
    convert_from_doubles((sdx_dtype)y->dtype, y->data, (size_t)(k * bands + band), 1, &down);
  }
}

static sdx_status mel_weight_matrix_compute(op_step *c) {
  tensor *y = step_out(c, 0);
  double edges[2];
  if (!y || y->count == 0) return SDX_OK;
  for (size_t i = 0; i < 2; i++) {
    const tensor *edge = step_in(c, 3 + i);
    if (edge->count != 1)
      return step_fail_at(c, at_input(3 + i), SDX_INVALID_SHAPE, "has %zu elements, expected 1", edge->count);
    edges[i] = 2595 * log1p(tensor_number_at(edge, 0) / 700) / log(10);
  }
  int64_t bands = y->dims[1];
  mel_scale m = {.low = edges[0],
                 .step = (edges[1] - edges[0]) / (double)(bands + 2),
                 .length = (double)tensor_index_at(step_in(c, 1), 0),
                 .rate = (double)tensor_index_at(step_in(c, 2), 0),
                 .bins = y->dims[0]};
  SDX_TRY(call_zero(c, y->data, y->bytes));
  for (int64_t band = 0; band < bands; band++) {
    int64_t corner[3];
    for (size_t i = 0; i < 3; i++) SDX_TRY(mel_corner(c, &m, (size_t)band + i, &corner[i]));
    mel_band(y, band, bands, corner);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

// clang-format off
static const char *const mel_weight_matrix_cases[] = {
    "num_mel_bins=int64(8) dft_length=int64(64) sample_rate=int64(8192) lower_edge_hertz=float(0) "
    "upper_edge_hertz=float(4096)",
    "num_mel_bins=int32(5) dft_length=int32(33) sample_rate=int32(1000) lower_edge_hertz=float(20) "
    "upper_edge_hertz=float(400) output_datatype=11", NULL};

SDX_OP(MelWeightMatrix) = {
    .since = 17, .versions = "17",
    .inputs = "num_mel_bins:T1 dft_length:T1 sample_rate:T1 lower_edge_hertz:T2 upper_edge_hertz:T2",
    .outputs = "output:T3", .types = "T1=int32,int64;T2=" TYPES_FLOAT ";T3=" OUTPUT_TYPES,
    .attrs = "output_datatype:int=1", .params_size = sizeof(sdx_dtype), .params = mel_weight_matrix_read,
    .infer = mel_weight_matrix_infer,
    .compute = mel_weight_matrix_compute,
    .cases = mel_weight_matrix_cases,
};
// clang-format on
