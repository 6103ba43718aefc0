// SPDX-License-Identifier: Apache-2.0
// GridSample: Y[n][c][o] = X[n][c] sampled at grid[n][o], coordinates in [-1, 1], innermost axis first.
// AffineGrid: such a grid from an affine map of the regular one.
//
//   Per output point and axis there are 1, 2 or 4 taps (nearest, linear, cubic with a = -0.75), the same for
//   all channels. What lies outside is 0, the border, or reflected; padding applies to the point (but for
//   cubic with border) and to each tap. Coordinates are in float (double for a double grid), sums in double. NaN counts
//   as -1, far points are clamped to 2^40, so any grid takes the same time.
//
// History: 16 had two spatial axes and the names bilinear and bicubic; 20 any number; 22 bfloat16.
#include <math.h>

#include "base/size.h"
#include "kernels/window.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "tensor/convert.h"

typedef enum mode { NEAREST, LINEAR, CUBIC } mode;
typedef enum padding { ZEROS, BORDER, REFLECTION } padding;

typedef struct sample_params {
  mode mode;
  padding padding;
  bool align_corners;
} sample_params;

enum { X, GRID };

static sdx_status grid_sample_read(op_params_context *c, void *params) {
  sample_params *p = params;
  str m = params_string(c, "mode"), pad = params_string(c, "padding_mode");
  p->mode = str_is(m, "nearest") ? NEAREST : str_is(m, "linear") ? LINEAR : CUBIC;
  if (p->mode == CUBIC && !str_is(m, "cubic"))
    return params_fail(c, "mode", "is '%.*s', expected nearest, linear or cubic", STR_ARG(m));
  p->padding = str_is(pad, "zeros") ? ZEROS : str_is(pad, "border") ? BORDER : REFLECTION;
  if (p->padding == REFLECTION && !str_is(pad, "reflection"))
    return params_fail(c, "padding_mode", "is '%.*s', expected zeros, border or reflection", STR_ARG(pad));
  p->align_corners = params_int(c, "align_corners") != 0;
  return SDX_OK;
}

static sdx_status grid_sample_upgrade(op_upgrade *u) {
  const attr *m = node_attr(u->node, "mode");
  if (u->version >= 20) return SDX_OK;
  if (!m || str_is(m->s, "bilinear")) return node_set_attr(u->graph, u->node, attr_of_string("mode", "linear"));
  return str_is(m->s, "bicubic") ? node_set_attr(u->graph, u->node, attr_of_string("mode", "cubic")) : SDX_OK;
}

static sdx_status grid_sample_infer(op_step *c) {
  SDX_TRY(infer_rank(c, X, 3, WINDOW_MAX_RANK + 2));
  SDX_TRY(infer_rank(c, GRID, 3, WINDOW_MAX_RANK + 2));
  int rank = infer_rank_of(c, X), grid_rank = infer_rank_of(c, GRID);
  if (rank < 0 || grid_rank < 0) return infer_output(c, 0, infer_dtype_of(c, X), -1, NULL);
  const int64_t *x = c->in_types[X]->dims, *g = c->in_types[GRID]->dims;
  if (rank != grid_rank)
    return step_fail_at(c, at_input(GRID), SDX_INVALID_SHAPE, "has rank %d, expected %d: like X", grid_rank, rank);
  if (g[rank - 1] >= 0 && g[rank - 1] != rank - 2)
    return step_fail_at(c, at_input(GRID), SDX_INVALID_SHAPE, "has %lld as its last dimension, expected %d",
                        (long long)g[rank - 1], rank - 2);
  if (x[0] >= 0 && g[0] >= 0 && x[0] != g[0])
    return step_fail_at(c, at_input(GRID), SDX_INVALID_SHAPE, "has batch %lld, expected %lld: like X", (long long)g[0],
                        (long long)x[0]);
  int64_t out[WINDOW_MAX_RANK + 2] = {x[0] >= 0 ? x[0] : g[0], x[1]};
  for (int i = 2; i < rank; i++) {
    out[i] = g[i - 1];
    if (x[i] == 0)
      return step_fail_at(c, at_input(X), SDX_INVALID_SHAPE, "has 0 in dimension %d, expected something to sample", i);
  }
  return infer_output(c, 0, infer_dtype_of(c, X), rank, out);
}

// ---- compute --------------------------------------------------------------------------------------

typedef struct axis_taps {
  int64_t index[4];  // -1: outside, adds nothing
  double weight[4];
} axis_taps;

static double reflect(double x, double low, double high) {
  double range = high - low;
  if (x >= low && x <= high) return x;
  if (range <= 0) return low;
  double beyond = x < low ? low - x : x - high, times = floor(beyond / range), rest = beyond - times * range;
  bool even = fmod(times, 2) == 0;
  return (x < low) == even ? low + rest : high - rest;
}

static int64_t settle(const sample_params *p, int64_t i, int64_t size, double low, double high) {
  if (i >= 0 && i < size) return i;
  if (p->padding == ZEROS) return -1;
  if (p->padding == BORDER) return i < 0 ? 0 : size - 1;
  int64_t r = (int64_t)reflect((double)i, low, high);
  return r < 0 ? 0 : r >= size ? size - 1 : r;
}

static void cubic_weights(double t, double *w) {
  const double a = -0.75;
  double u = t + 1, v = 1 - t, z = 2 - t;
  w[0] = ((a * u - 5 * a) * u + 8 * a) * u - 4 * a;
  w[1] = ((a + 2) * t - (a + 3)) * t * t + 1;
  w[2] = ((a + 2) * v - (a + 3)) * v * v + 1;
  w[3] = ((a * z - 5 * a) * z + 8 * a) * z - 4 * a;
}

static void find_taps(const sample_params *p, double normalized, bool in_double, int64_t size, axis_taps *t) {
  double x, low = p->align_corners ? 0 : -0.5, high = p->align_corners ? (double)(size - 1) : (double)size - 0.5;
  if (in_double)
    x = p->align_corners ? (normalized + 1) / 2 * (double)(size - 1) : ((normalized + 1) * (double)size - 1) / 2;
  else {
    float n = (float)normalized;
    x = (double)(p->align_corners ? (n + 1) / 2 * (float)(size - 1) : ((n + 1) * (float)size - 1) / 2);
  }
  if (isnan(x)) x = -1;
  x = x > 0x1p40 ? 0x1p40 : x < -0x1p40 ? -0x1p40 : x;
  if (p->mode == NEAREST) x = rint(x);
  if (x < low || x > high) {
    if (p->padding == BORDER && p->mode != CUBIC) x = x < 0 ? 0 : (double)(size - 1);  // as PyTorch: taps only
    else if (p->padding == REFLECTION) x = reflect(x, low, high);
  }
  int64_t first = (int64_t)floor(x);
  double part = x - floor(x);
  if (p->mode == NEAREST) {
    t->index[0] = settle(p, (int64_t)x, size, low, high), t->weight[0] = 1;
  } else if (p->mode == LINEAR) {
    for (int i = 0; i < 2; i++) t->index[i] = settle(p, first + i, size, low, high);
    t->weight[0] = 1 - part, t->weight[1] = part;
  } else {
    for (int i = 0; i < 4; i++) t->index[i] = settle(p, first - 1 + i, size, low, high);
    cubic_weights(part, t->weight);
  }
}

typedef struct work {
  const sample_params *p;
  const tensor *x, *grid;
  tensor *y;
  size_t spatial, channels, in, out, element;
} work;

static void sample_point(const work *w, size_t n, size_t point, const axis_taps *taps) {
  static const int64_t counts[] = {[NEAREST] = 1, [LINEAR] = 2, [CUBIC] = 4};
  int64_t most[WINDOW_MAX_RANK], at[WINDOW_MAX_RANK] = {0};
  for (size_t d = 0; d < w->spatial; d++) most[d] = counts[w->p->mode];
  for (size_t c = 0; c < w->channels; c++) {
    size_t base = (n * w->channels + c) * w->in, target = (n * w->channels + c) * w->out + point;
    double sum = 0;
    do {
      double weight = 1;
      size_t place = 0;
      bool inside = true;
      for (size_t d = 0; d < w->spatial; d++) {
        int64_t i = taps[d].index[at[d]];
        inside &= i >= 0;
        weight *= taps[d].weight[at[d]];
        place = place * (size_t)w->x->dims[d + 2] + (size_t)i;
      }
      if (w->p->mode == NEAREST) {
        char *to = (char *)w->y->data + target * w->element;
        if (inside) memcpy(to, (const char *)w->x->data + (base + place) * w->element, w->element);
        else memset(to, 0, w->element);
      } else if (inside) {
        sum += weight * tensor_number_at(w->x, base + place);
      }
    } while (window_next(at, most, w->spatial));
    if (w->p->mode != NEAREST) convert_from_doubles((sdx_dtype)w->y->dtype, w->y->data, target, 1, &sum);
  }
}

static void sample_range(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  axis_taps taps[WINDOW_MAX_RANK];
  for (size_t i = begin; i < end; i++) {
    for (size_t d = 0; d < w->spatial; d++) {
      // The grid names the innermost axis first.
      double v = tensor_number_at(w->grid, i * w->spatial + w->spatial - 1 - d);
      find_taps(w->p, v, w->grid->dtype == SDX_DOUBLE, w->x->dims[d + 2], &taps[d]);
    }
    sample_point(w, i / w->out, i % w->out, taps);
  }
}

static sdx_status grid_sample_compute(op_step *c) {
  const tensor *x = step_in(c, X);
  tensor *y = step_out(c, 0);
  work w = {.p = c->params, .x = x, .grid = step_in(c, GRID), .y = y, .spatial = x->rank - 2u};
  if (y->count == 0) return SDX_OK;
  double probe;
  if (w.p->mode != NEAREST && !convert_to_doubles((sdx_dtype)x->dtype, x->data, 0, 1, &probe))
    return step_fail_at(c, at_input(0), SDX_NOT_SUPPORTED, "is %s, which can only be sampled with mode 'nearest'",
                        dtype_name((sdx_dtype)x->dtype));
  w.channels = (size_t)x->dims[1], w.element = y->bytes / y->count;
  w.in = window_product(x->dims + 2, w.spatial), w.out = window_product(y->dims + 2, w.spatial);
  call_parallel(c, (size_t)y->dims[0] * w.out, 1 + 4096 / (w.channels * (w.p->mode == CUBIC ? 16 : 4)), sample_range,
                &w);
  return call_check(c);
}

// ---- AffineGrid -----------------------------------------------------------------------------------

enum { THETA, SIZE };

static sdx_status affine_grid_read(op_params_context *c, void *params) {
  ((sample_params *)params)->align_corners = params_int(c, "align_corners") != 0;
  return SDX_OK;
}

static sdx_status affine_grid_infer(op_step *c) {
  size_t count = 0;
  const int64_t *size = infer_constant_ints(c, SIZE, &count);
  SDX_TRY(infer_rank(c, THETA, 3, 3));
  SDX_TRY(infer_rank(c, SIZE, 1, 1));
  if (!size) return infer_output(c, 0, infer_dtype_of(c, THETA), -1, NULL);
  if (count != 4 && count != 5)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has %zu elements, expected 4 or 5", count);
  int64_t out[5], spatial = (int64_t)count - 2;
  out[0] = size[0];
  for (int64_t d = 0; d < spatial; d++) out[d + 1] = size[d + 2];
  out[count - 1] = spatial;
  for (size_t i = 0; i < count; i++)
    if (out[i] < 0)
      return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "holds %lld, expected a size", (long long)out[i]);
  const int64_t want[3] = {size[0], spatial, spatial + 1};
  for (int i = 0; infer_rank_of(c, THETA) == 3 && i < 3; i++) {
    int64_t have = c->in_types[THETA]->dims[i];
    if (have >= 0 && have != want[i])
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld in dimension %d, expected %lld", (long long)have,
                          i, (long long)want[i]);
  }
  return infer_output(c, 0, infer_dtype_of(c, THETA), (int)count, out);
}

typedef struct affine {
  const sample_params *p;
  const tensor *theta;
  tensor *y;
  size_t spatial, points;
} affine;

static void affine_range(void *context, size_t begin, size_t end, size_t worker) {
  const affine *w = context;
  for (size_t i = begin; i < end; i++) {
    size_t n = i / w->points, rest = i % w->points;
    double at[3] = {0};  // innermost axis first
    for (size_t d = 0; d < w->spatial; d++) {
      int64_t size = w->y->dims[w->spatial - d];
      double k = (double)(rest % (size_t)size);
      rest /= (size_t)size;
      at[d] = w->p->align_corners ? (size > 1 ? 2 * k / (double)(size - 1) - 1 : -1) : (2 * k + 1) / (double)size - 1;
    }
    for (size_t r = 0; r < w->spatial; r++) {
      size_t row = (n * w->spatial + r) * (w->spatial + 1);
      double sum = tensor_number_at(w->theta, row + w->spatial);
      for (size_t d = 0; d < w->spatial; d++) sum += tensor_number_at(w->theta, row + d) * at[d];
      convert_from_doubles((sdx_dtype)w->y->dtype, w->y->data, i * w->spatial + r, 1, &sum);
    }
  }
}

static sdx_status affine_grid_compute(op_step *c) {
  affine w = {.p = c->params, .theta = step_in(c, THETA), .y = step_out(c, 0)};
  if (w.y->count == 0) return SDX_OK;
  w.spatial = w.y->rank - 2u;
  w.points = window_product(w.y->dims + 1, w.spatial);
  call_parallel(c, (size_t)w.y->dims[0] * w.points, 2048, affine_range, &w);
  return call_check(c);
}

SDX_CASES = {
    "X=float[2,3,5,6] grid=float[2,4,3,2] not=string,bool,complex64,complex128",
    "X=float[1,2,4,4] grid=float[1,3,3,2] mode=cubic padding_mode=reflection align_corners=1 "
    "not=string,bool,complex64,complex128",
    "X=double[1,1,3,4,5] grid=float[1,2,2,2,3] mode=nearest padding_mode=border",
    "X=float[1,2,5,4] grid=float[1,3,5,2]@-2..2 mode=cubic padding_mode=border not=string,bool,complex64,complex128",
    "X=string[1,1,4,4] grid=float[1,3,3,2] mode=nearest",
    "X=complex64[1,2,4,4] grid=float[1,3,3,2] mode=nearest",
    "X=bool[1,2,4,4] grid=float[1,3,3,2] mode=nearest",
    NULL};
static const char *const affine_cases[] = {"theta=float[2,2,3] size=int64(2,3,4,5)",
                                           "theta=float[1,3,4] size=int64(1,3,2,4,5) align_corners=1", NULL};

SDX_OP(GridSample) = {
    .since = 22,
    .versions = "22 20 16",
    .inputs = "X:T1 grid:T2",
    .outputs = "Y:T1",
    .types =
        "T1=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,complex64,complex128,"
        "string;T2=float,double,float16,bfloat16",
    .attrs = "align_corners:int=0 mode:string=linear padding_mode:string=zeros",
    .params_size = sizeof(sample_params),
    .params = grid_sample_read,
    .upgrade = grid_sample_upgrade,
    .infer = grid_sample_infer,
    .compute = grid_sample_compute,
    .cases = cases,
};

SDX_OP(AffineGrid) = {
    .since = 20,
    .versions = "20",
    .inputs = "theta:T1 size:T2",
    .outputs = "grid:T1",
    .types = "T1=float,double,float16,bfloat16;T2=int64",
    .attrs = "align_corners:int=0",
    .params_size = sizeof(sample_params),
    .params = affine_grid_read,
    .infer = affine_grid_infer,
    .compute = affine_grid_compute,
    .cases = affine_cases,
};
