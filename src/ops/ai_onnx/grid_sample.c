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
#include "ops/prepare.h"
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
  double floored = floor(x), part = x - floored;
  int64_t first = (int64_t)floored;
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
  size_t taps, room;  // of a point, at most; of the picks of a worker
  char *scratch;
} work;

// What points take from each channel's plane: the same for all channels. Taps outside are left out.
typedef struct picks {
  size_t *place;
  double *weight;
  size_t *count;  // per point, whose picks start at its number times `taps`
} picks;

enum { PICKS = 1024 };  // of a worker, unless a point alone has more

static size_t taps_of(const sample_params *p, size_t spatial) {
  return (size_t)1 << (p->mode == CUBIC ? 2 * spatial : p->mode == LINEAR ? spatial : 0);
}
static size_t room_of(size_t taps) { return taps > PICKS ? taps : PICKS; }
static size_t picks_bytes(size_t room) { return room * (2 * sizeof(size_t) + sizeof(double)); }

static sdx_status grid_sample_prepare(op_step *c) {
  size_t room = room_of(taps_of(c->params, step_in(c, X)->rank - 2u)), workers = c->threads ? c->threads : 1;
  return size_mul(picks_bytes(room), workers, &c->scratch_bytes) ? SDX_OK : error_no_memory(c->err, SIZE_MAX);
}

// All combinations of the axes' taps, the innermost moving fastest: axis by axis, each entry becomes one per tap.
static void combine(const work *w, const axis_taps *taps, size_t point, picks *k) {
  size_t *place = k->place + point * w->taps, total = 1;
  double *weight = k->weight + point * w->taps;
  place[0] = 0, weight[0] = 1;
  for (size_t d = 0; d < w->spatial; d++) {
    size_t index[4], count = 0, size = (size_t)w->x->dims[d + 2],
                     each = w->p->mode == CUBIC ? 4 : 1 + (w->p->mode == LINEAR);
    double part[4];
    for (size_t i = 0; i < each; i++)
      if (taps[d].index[i] >= 0) index[count] = (size_t)taps[d].index[i], part[count++] = taps[d].weight[i];
    for (size_t e = total; e-- > 0;) {
      size_t base = place[e] * size;
      double before = weight[e];
      for (size_t i = count; i-- > 0;) place[e * count + i] = base + index[i], weight[e * count + i] = before * part[i];
    }
    total *= count;
  }
  k->count[point] = total;
}

static void add_floats(const work *w, const picks *k, size_t points, size_t base, size_t target) {
  const float *x = (const float *)w->x->data + base;
  float *y = (float *)w->y->data + target;
  for (size_t i = 0; i < points; i++) {
    const size_t *place = k->place + i * w->taps;
    const double *weight = k->weight + i * w->taps;
    double sum = 0;
    if (k->count[i] == 4) {  // two linear axes: without a loop
      for (size_t t = 0; t < 4; t++) sum += weight[t] * (double)x[place[t]];
    } else {
      for (size_t t = 0; t < k->count[i]; t++) sum += weight[t] * (double)x[place[t]];
    }
    y[i] = (float)sum;
  }
}

// Points [target, target + points) of one channel, whose plane of X starts at `base`.
static void pick(const work *w, const picks *k, size_t points, size_t base, size_t target) {
  if (w->p->mode != NEAREST && w->x->dtype == SDX_FLOAT) {
    add_floats(w, k, points, base, target);
    return;
  }
  for (size_t i = 0; i < points; i++, target++) {
    const size_t *place = k->place + i * w->taps;
    double sum = 0;
    char *to = (char *)w->y->data + target * w->element;
    if (w->p->mode != NEAREST) {
      for (size_t t = 0; t < k->count[i]; t++)
        sum += k->weight[i * w->taps + t] * tensor_number_at(w->x, base + place[t]);
      convert_from_doubles((sdx_dtype)w->y->dtype, w->y->data, target, 1, &sum);
    } else if (k->count[i]) {
      memcpy(to, (const char *)w->x->data + (base + *place) * w->element, w->element);
    } else {
      memset(to, 0, w->element);
    }
  }
}

static void sample_range(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  picks k = {.place = (size_t *)(void *)(w->scratch + worker * picks_bytes(w->room))};
  k.count = k.place + w->room, k.weight = (double *)(void *)(k.count + w->room);
  axis_taps taps[WINDOW_MAX_RANK];
  for (size_t first = begin, points; first < end && !pool_stopped(); first += points) {
    size_t n = first / w->out, point = first % w->out, left = end - first;
    points = w->room / w->taps < left ? w->room / w->taps : left;
    if (points > w->out - point) points = w->out - point;
    for (size_t i = 0; i < points; i++) {
      for (size_t d = 0; d < w->spatial; d++) {
        // The grid names the innermost axis first.
        double v = tensor_number_at(w->grid, (first + i) * w->spatial + w->spatial - 1 - d);
        find_taps(w->p, v, w->grid->dtype == SDX_DOUBLE, w->x->dims[d + 2], &taps[d]);
      }
      combine(w, taps, i, &k);
    }
    for (size_t c = n * w->channels; c < (n + 1) * w->channels; c++) pick(w, &k, points, c * w->in, c * w->out + point);
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
  w.taps = taps_of(w.p, w.spatial), w.room = room_of(w.taps), w.scratch = c->scratch;
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
    "X=float[2,3,9,7] grid=float[2,17,18,2]@-2..2 not=string,bool,complex64,complex128",
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
    .prepare = grid_sample_prepare,
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
