// SPDX-License-Identifier: Apache-2.0
// Resize and, older, Upsample: Y = X sampled on another grid, one axis after the other.
//
//   For every resized axis a table holds the source indices and weights of each output index (nearest
//   has one tap, linear two, cubic four, antialiasing as many as the shrunken filter spans). Nearest
//   only gathers, so it works on every type. Coordinates are computed in float, the precision the scales
//   are given in: that is what onnxruntime does, and a double would fall on the other side of exact ties.
//   length_resized of align_corners is scale * length, not rounded (the ONNX reference and its tests;
//   onnxruntime uses the rounded length). Antialiasing repeats the border (reference); exclude_outside=1
//   drops and renormalizes there.
//
// History: 10 had scales only, asymmetric coordinates and its own rounding; 11 added the modes, roi and
// sizes (inputs that may be empty); 13 made them optional; 18 antialias, axes, keep_aspect_ratio_policy.
// Upsample 1 has height_scale and width_scale, 7 the attribute scales, 9 the input.
#include <math.h>

#include "base/size.h"
#include "kernels/loop.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/widen.h"

typedef enum mode { NEAREST, LINEAR, CUBIC } mode;
typedef enum coordinates { HALF_PIXEL, HALF_PIXEL_SYMMETRIC, PYTORCH, ALIGN, ASYMMETRIC, CROP, TF_NEAREST } coordinates;
// OUTWARDS, before nearest_mode existed: up where the axis shrinks, down where it grows.
typedef enum rounding { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL, OUTWARDS } rounding;
typedef enum policy { STRETCH, NOT_LARGER, NOT_SMALLER } policy;

typedef struct resize_params {
  mode mode;
  coordinates coordinates;
  rounding rounding;
  policy policy;
  bool antialias, exclude_outside, has_axes;
  float cubic_a, extrapolation;
  const int64_t *axes;
  size_t axis_count;
  size_t roi, scales, sizes;  // which inputs; NONE: the operator has none
} resize_params;

enum { X };
static const size_t NONE = SIZE_MAX;

// ---- params ---------------------------------------------------------------------------------------

static sdx_status choose(op_params_context *c, const char *name, const char *const *names, size_t count, int *out) {
  str s = params_string(c, name);
  for (size_t i = 0; i < count; i++) {
    if (!str_is(s, names[i])) continue;
    *out = (int)i;
    return SDX_OK;
  }
  return params_fail(c, name, "is '%.*s', expected one of its values (such as '%s' and '%s')", STR_ARG(s), names[0],
                     names[1]);
}
#define CHOOSE(name, field, type, ...)                                          \
  do {                                                                          \
    static const char *const names_[] = {__VA_ARGS__};                          \
    int choice_ = 0;                                                            \
    SDX_TRY(choose(c, name, names_, sizeof names_ / sizeof *names_, &choice_)); \
    (field) = (type)choice_;                                                    \
  } while (0)

static sdx_status resize_read(op_params_context *c, void *params) {
  resize_params *p = params;
  CHOOSE("mode", p->mode, mode, "nearest", "linear", "cubic");
  CHOOSE("coordinate_transformation_mode", p->coordinates, coordinates, "half_pixel", "half_pixel_symmetric",
         "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize", "tf_half_pixel_for_nn");
  CHOOSE("nearest_mode", p->rounding, rounding, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil");
  CHOOSE("keep_aspect_ratio_policy", p->policy, policy, "stretch", "not_larger", "not_smaller");
  if (params_int(c, "_outwards")) p->rounding = OUTWARDS;
  p->antialias = params_int(c, "antialias") != 0 && p->mode != NEAREST;
  p->exclude_outside = params_int(c, "exclude_outside") != 0;
  p->cubic_a = params_float(c, "cubic_coeff_a");
  p->extrapolation = params_float(c, "extrapolation_value");
  p->roi = 1, p->scales = 2, p->sizes = 3;
  p->axes = params_ints(c, "axes", &p->axis_count);
  p->has_axes = params_has(c, "axes");
  if (p->axis_count > TENSOR_MAX_RANK)
    return params_fail(c, "axes", "has %zu entries, tensors have at most %d", p->axis_count, TENSOR_MAX_RANK);
  return SDX_OK;
}

static sdx_status upsample_read(op_params_context *c, void *params) {
  resize_params *p = params;
  str method = params_string(c, "mode");
  *p = (resize_params){.coordinates = ASYMMETRIC, .rounding = OUTWARDS, .roi = NONE, .scales = 1, .sizes = NONE};
  // Version 1 says "bilinear", and exporters kept saying it.
  p->mode = str_is(method, "linear") || str_is(method, "bilinear") ? LINEAR : str_is(method, "cubic") ? CUBIC : NEAREST;
  p->cubic_a = -0.75f;
  if (p->mode == NEAREST && !str_is(method, "nearest"))
    return params_fail(c, "mode", "is '%.*s', expected nearest or linear", STR_ARG(method));
  return SDX_OK;
}

// ---- upgrade --------------------------------------------------------------------------------------

static sdx_status resize_upgrade(op_upgrade *u) {
  if (u->version >= 11) return SDX_OK;
  value_id scales = u->node->input_count > 1 ? u->node->inputs[1] : VALUE_ABSENT;
  SDX_TRY(upgrade_set_input(u, 2, scales));
  SDX_TRY(upgrade_set_input(u, 1, VALUE_ABSENT));
  SDX_TRY(node_set_attr(u->graph, u->node, attr_of_string("coordinate_transformation_mode", "asymmetric")));
  return node_set_attr(u->graph, u->node, attr_of_int("_outwards", 1));
}

static value_id constant_floats(graph *g, const float *at, size_t count) {
  int64_t *dims = arena_alloc(g->memory, sizeof *dims);
  tensor *t = arena_zalloc(g->memory, sizeof *t);
  void *data = arena_copy(g->memory, at, count * sizeof *at);
  if (!dims || !t || !data) return VALUE_ABSENT;
  *dims = (int64_t)count;
  *t = (tensor){.data = data, .dims = dims, .count = count, .bytes = count * sizeof *at, .dtype = SDX_FLOAT, .rank = 1};
  return graph_add_constant(g, (str){0}, t);
}

static sdx_status upsample_upgrade(op_upgrade *u) {
  node *n = u->node;
  const attr *list = node_attr(n, "scales");
  value_id scales = VALUE_ABSENT;
  float four[4] = {1, 1, node_attr_float(n, "height_scale", 1), node_attr_float(n, "width_scale", 1)};
  if (u->version >= 9) return SDX_OK;
  if (u->version < 7) scales = constant_floats(u->graph, four, 4);
  else if (list) scales = constant_floats(u->graph, list->floats.at, list->floats.count);
  if (!scales) return upgrade_fail_at(u, at_attribute("scales"), SDX_INVALID_GRAPH, "is missing");
  return upgrade_set_input(u, 1, scales);
}

// ---- geometry: shared by infer and compute --------------------------------------------------------

typedef struct grid {
  size_t rank, count;             // count: resized axes
  int64_t axes[TENSOR_MAX_RANK];  // normalized
  float scale[TENSOR_MAX_RANK];   // per axis of the tensor, 1 where not resized
  float length[TENSOR_MAX_RANK];  // length_resized of the formulas
  int64_t out[TENSOR_MAX_RANK];
} grid;

static bool is_given(const tensor *t) { return t && t->count > 0; }

// Entry i of `scales`, for axis d of `in` elements (< 0: free, and then its output is).
static sdx_status grid_scale(grid *g, const tensor *scales, size_t i, int64_t d, int64_t in, error *err) {
  float s = ((const float *)scales->data)[i];
  if (!(s > 0) || isinf(s))
    return error_at(err, part_named(PART_INPUT, STR("scales")), SDX_INVALID_ARGUMENT,
                    "[%zu] is %g, expected a positive finite number", i, (double)s);
  g->scale[d] = s;
  if (in < 0) {
    if (s != 1) g->out[d] = DIM_UNKNOWN;
    return SDX_OK;
  }
  g->length[d] = s * (float)in;
  if (g->length[d] >= 0x1p40f)
    return error_at(err, part_named(PART_INPUT, STR("scales")), SDX_LIMIT_EXCEEDED,
                    "[%zu] is %g: axis %lld of %lld elements would grow past 2^40", i, (double)s, (long long)d,
                    (long long)in);
  g->out[d] = (int64_t)g->length[d];
  // A float holds sizes to 2^24 exactly; beyond, an unscaled axis must still keep its size.
  if (s == 1) g->out[d] = in, g->length[d] = (float)in;
  return SDX_OK;
}

// The same for `sizes`. *common: the scale of all axes under the policies that keep the aspect; 0: none seen yet,
// NaN: not known.
static sdx_status grid_size(grid *g, const tensor *sizes, size_t i, int64_t d, int64_t in, policy policy,
                            double *common, error *err) {
  int64_t size = tensor_index_at(sizes, i);
  if (size < 0 || size > (int64_t)1 << 40)
    return error_at(err, part_named(PART_INPUT, STR("sizes")), SDX_OUT_OF_RANGE, "[%zu] is %lld, expected 0 to 2^40", i,
                    (long long)size);
  if (in == 0 && size > 0)
    return error_set(err, SDX_INVALID_SHAPE, "axis %lld is empty and cannot be resized to %lld", (long long)d,
                     (long long)size);
  g->out[d] = size;
  g->length[d] = (float)size;
  if (in > 0) {
    g->scale[d] = (float)size / (float)in;
    double s = (double)size / (double)in;
    if (*common == 0 || (policy == NOT_LARGER ? s < *common : s > *common)) *common = s;
  } else if (in < 0) {
    *common = NAN;
  }
  return SDX_OK;
}

static sdx_status grid_keep_aspect(grid *g, const int64_t *dims, double common, error *err) {
  for (size_t i = 0; i < g->count; i++) {
    int64_t d = g->axes[i];
    if (dims[d] < 0 || isnan(common)) g->out[d] = DIM_UNKNOWN;
    else
      g->scale[d] = (float)common, g->length[d] = (float)(common * (double)dims[d]),
      g->out[d] = (int64_t)(common * (double)dims[d] + 0.5);
    if (g->out[d] > (int64_t)1 << 40)
      return error_set(err, SDX_LIMIT_EXCEEDED, "axis %lld would grow past 2^40", (long long)d);
  }
  return SDX_OK;
}

// dims may hold free ones (< 0): their outputs stay free.
static sdx_status grid_make(op_step *c, const int64_t *dims, size_t rank, const tensor *scales, const tensor *sizes,
                            grid *g) {
  const resize_params *p = c->params;
  error *err = c->err;
  *g = (grid){.rank = rank, .count = p->has_axes ? p->axis_count : rank};
  bool seen[TENSOR_MAX_RANK] = {0};
  for (size_t i = 0; i < rank; i++) g->out[i] = dims[i], g->scale[i] = 1, g->length[i] = (float)dims[i];
  for (size_t i = 0; i < g->count; i++) {
    g->axes[i] = p->has_axes ? p->axes[i] : (int64_t)i;
    SDX_TRY(step_axis(c, &g->axes[i], rank, at_attribute("axes")));
    if (seen[g->axes[i]])
      return error_at(err, at_attribute("axes"), SDX_INVALID_ARGUMENT, "lists axis %lld twice", (long long)g->axes[i]);
    seen[g->axes[i]] = true;
  }
  if (is_given(scales) == is_given(sizes))
    return error_set(err, SDX_INVALID_ARGUMENT,
                     is_given(scales) ? "both 'scales' and 'sizes' are given, one is expected"
                                      : "neither 'scales' nor 'sizes' is given");
  const tensor *list = is_given(scales) ? scales : sizes;
  if (list->count != g->count)
    return error_at(err, part_named(PART_INPUT, list == scales ? STR("scales") : STR("sizes")), SDX_INVALID_SHAPE,
                    "has %zu elements, expected one for each of %zu resized axes", list->count, g->count);
  double common = 0;
  for (size_t i = 0; i < g->count; i++) {
    int64_t d = g->axes[i];
    if (list == scales) SDX_TRY(grid_scale(g, scales, i, d, dims[d], err));
    else SDX_TRY(grid_size(g, sizes, i, d, dims[d], p->policy, &common, err));
  }
  return list == sizes && p->policy != STRETCH ? grid_keep_aspect(g, dims, common, err) : SDX_OK;
}

// ---- infer ----------------------------------------------------------------------------------------

// Given, left out, or not known yet?
typedef enum presence { LEFT_OUT, GIVEN, MAYBE } presence;
static presence present(const op_step *c, size_t i) {
  if (i >= c->input_count || !c->in_types[i]) return LEFT_OUT;
  if (c->constants[i]) return c->constants[i]->count ? GIVEN : LEFT_OUT;
  int64_t count = infer_count(c, i);
  return count < 0 ? MAYBE : count ? GIVEN : LEFT_OUT;
}

static sdx_status resize_infer(op_step *c) {
  const resize_params *p = c->params;
  int rank = infer_rank_of(c, X);
  sdx_dtype dtype = infer_dtype_of(c, X);
  if (rank < 0) return infer_output(c, 0, dtype, -1, NULL);
  presence scales = present(c, p->scales), sizes = present(c, p->sizes);
  if (scales == sizes && scales != MAYBE)
    return step_fail(c, SDX_INVALID_ARGUMENT, "%s of 'scales' and 'sizes' given, exactly one is expected",
                     scales == GIVEN ? "both" : "neither");
  const tensor *list = scales == GIVEN ? c->constants[p->scales] : sizes == GIVEN ? c->constants[p->sizes] : NULL;
  if (list && (scales == LEFT_OUT || sizes == LEFT_OUT)) {
    grid g;
    bool first = scales == GIVEN;
    SDX_TRY(step_located(
        c, grid_make(c, c->in_types[X]->dims, (size_t)rank, first ? list : NULL, first ? NULL : list, &g)));
    return infer_output(c, 0, dtype, rank, g.out);
  }
  int64_t dims[TENSOR_MAX_RANK];
  for (int i = 0; i < rank; i++) dims[i] = p->has_axes ? c->in_types[X]->dims[i] : DIM_UNKNOWN;
  for (size_t i = 0; i < p->axis_count; i++) {
    int64_t axis = p->axes[i];
    SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axes"), c->err)));
    dims[axis] = DIM_UNKNOWN;
  }
  return infer_output(c, 0, dtype, rank, dims);
}

// ---- tables ---------------------------------------------------------------------------------------

typedef struct table {
  size_t taps;
  int64_t *index;  // [out * taps]; first of a group -1: extrapolated
  double *weight;  // NULL for nearest
} table;

static size_t taps_of(const resize_params *p, int64_t in, int64_t out) {
  if (p->mode == NEAREST) return 1;
  size_t support = p->mode == LINEAR ? 1 : 2;
  // scale * in bounds the filter's width without knowing the scale: it is at least out, or out - 1/2 where the aspect
  // is kept and out rounded.
  int64_t twice = i64_max(p->policy == STRETCH ? 2 * out : 2 * out - 1, 1);
  if (!p->antialias || twice >= 2 * in) return 2 * support;
  return 2 * (support * (size_t)((2 * in + twice - 1) / twice) + 1);
}
static size_t table_bytes(const resize_params *p, int64_t in, int64_t out) {
  return (size_t)out * taps_of(p, in, out) * (sizeof(int64_t) + sizeof(double));
}

static float source_of(const resize_params *p, const grid *g, size_t d, int64_t in, int64_t o, const float *roi) {
  float x = (float)o, s = g->scale[d], length = g->length[d], last = (float)(in - 1);
  switch (p->coordinates) {
    case HALF_PIXEL:
      return (x + 0.5f) / s - 0.5f;
    case HALF_PIXEL_SYMMETRIC: {
      double exact = (double)s * (double)in, shift = (double)in / 2 * (1 - (double)g->out[d] / exact);
      return (float)(shift + ((double)x + 0.5) / (double)s - 0.5);
    }
    case PYTORCH:
      return g->out[d] > 1 ? (x + 0.5f) / s - 0.5f : 0;
    case ALIGN:
      return g->out[d] > 1 ? x * last / (length - 1) : 0;
    case CROP:
      return g->out[d] > 1 ? roi[0] * last + x * (roi[1] - roi[0]) * last / (length - 1)
                           : 0.5f * (roi[0] + roi[1]) * last;
    case TF_NEAREST:
      return (x + 0.5f) / s;
    default:
      return x / s;
  }
}

static double filter(const resize_params *p, double x) {
  x = fabs(x);
  if (p->mode == LINEAR) return x < 1 ? 1 - x : 0;
  double a = (double)p->cubic_a;
  return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static int64_t clamp(double v, int64_t last) { return v >= (double)last ? last : v > 0 ? (int64_t)v : 0; }

static void table_fill(const resize_params *p, const grid *g, size_t d, int64_t in, const float *roi, table *t) {
  double shrink = p->antialias && g->scale[d] < 1 ? (double)g->scale[d] : 1;
  for (int64_t o = 0; o < g->out[d] && !pool_stopped_in((size_t)o); o++) {
    int64_t *index = t->index + (size_t)o * t->taps;
    double x = (double)source_of(p, g, d, in, o, roi), low = floor(x);
    if (isnan(x)) x = low = 0;  // a NaN in roi
    if (p->coordinates == CROP && (x < 0 || x > (double)(in - 1))) {
      index[0] = -1;
      continue;
    }
    if (p->mode == NEAREST) {
      double part = x - low;
      bool ceil_up = p->rounding == CEIL || (p->rounding == OUTWARDS && g->scale[d] < 1);
      bool up = p->rounding == PREFER_FLOOR  ? part > 0.5
                : p->rounding == PREFER_CEIL ? part >= 0.5
                                             : ceil_up && part > 0;
      index[0] = clamp(low + up, in - 1);
      continue;
    }
    double *weight = t->weight + (size_t)o * t->taps, sum = 0;
    double first = low - (double)(t->taps / 2) + 1;
    for (size_t i = 0; i < t->taps; i++) {
      double at = first + (double)i;
      bool outside = at < 0 || at > (double)(in - 1);
      weight[i] = p->exclude_outside && outside ? 0 : filter(p, (at - x) * shrink);
      index[i] = clamp(at, in - 1);
      sum += weight[i];
    }
    if ((p->antialias || p->exclude_outside) && sum != 0)
      for (size_t i = 0; i < t->taps; i++) weight[i] /= sum;
  }
}

// ---- prepare and compute --------------------------------------------------------------------------

// Complex numbers are pairs of reals: one more axis that is never resized.
static size_t parts_of(sdx_dtype d) { return dtype_is_complex(d) ? 2 : 1; }
static bool works_in_double(sdx_dtype d) {
  return d == SDX_DOUBLE || d == SDX_COMPLEX128 || d == SDX_INT32 || d == SDX_INT64 || d == SDX_UINT32 ||
         d == SDX_UINT64;
}

// Tables and two buffers that hold any intermediate, in this order.
static bool scratch_of(const resize_params *p, const tensor *x, const tensor *y, size_t *tables, size_t *buffer) {
  size_t most = x->count, now = x->count;
  *tables = 0;
  for (size_t d = 0; d < x->rank; d++) {
    size_t n = 0;
    if (!size_mul((size_t)y->dims[d], taps_of(p, x->dims[d], y->dims[d]), &n) || !size_mul(n, 16, &n) ||
        !size_add(*tables, n, tables))
      return false;
    if (x->dims[d] > 0) now /= (size_t)x->dims[d];
    if (!size_mul(now, (size_t)y->dims[d], &now)) return false;
    if (now > most) most = now;
  }
  size_t element = (works_in_double(x->dtype) ? sizeof(double) : sizeof(float)) * parts_of(x->dtype);
  return p->mode == NEAREST ? (*buffer = 0, true) : size_mul(most, element, buffer) && size_align(*buffer, 64, buffer);
}

static sdx_status resize_prepare(op_step *c) {
  size_t tables = 0, buffer = 0, total = 0;
  if (!scratch_of(c->params, step_in(c, X), step_out(c, 0), &tables, &buffer) || !size_align(tables, 64, &tables) ||
      !size_mul(buffer, 2, &total) || !size_add(total, tables, &total))
    return error_no_memory(c->err, SIZE_MAX);
  c->scratch_bytes = total;
  return SDX_OK;
}

// Every source index is its own output index with weight one.
static bool unchanged(const resize_params *p, const grid *g, size_t d, int64_t in) {
  return g->out[d] == in && g->scale[d] == 1 && p->coordinates != CROP && p->coordinates != TF_NEAREST;
}

typedef struct pass {
  const table *table;
  const void *from;
  void *to;
  size_t in, out, inner, element;
  double fill;
} pass;

enum { LINES = 8 };

#define REAL float
#define NAME(x) x##_floats
#include "ops/ai_onnx/resize.inl"
#define REAL double
#define NAME(x) x##_doubles
#include "ops/ai_onnx/resize.inl"

typedef struct gather {
  const resize_params *p;
  const tensor *x;
  tensor *y;
  const table *tables;
  bool doubled;                     // rows of four-byte elements, each of which stands twice
  size_t element, row_axis, block;  // axes behind row_axis are not resized: `block` bytes in one piece
} gather;

static void fill_elements(const gather *g, char *to, size_t bytes) {
  if (g->y->dtype == SDX_STRING) memset(to, 0, bytes);
  else if (parts_of(g->y->dtype) == 2) {
    // value + 0i
    memset(to, 0, bytes);
    for (size_t i = 0; i < bytes / g->element; i++) {
      if (g->y->dtype == SDX_COMPLEX64) ((float *)to)[2 * i] = g->p->extrapolation;
      else ((double *)to)[2 * i] = (double)g->p->extrapolation;
    }
  } else {
    for (size_t i = 0; i < bytes / g->element; i++) widen_write(g->y->dtype, to, i, 1, &g->p->extrapolation);
  }
}

// Elements of one size, none of them outside.
#define PICK(type)                                                                                             \
  static void pick_##type(const char *from, char *to, const int64_t *index, size_t count) {                    \
    for (size_t i = 0; i < count; i++) ((type *)(void *)to)[i] = ((const type *)(const void *)from)[index[i]]; \
  }
PICK(uint8_t)
PICK(uint16_t)
PICK(uint32_t)
PICK(uint64_t)

// An axis that grows twofold, each element standing twice: the most usual one. Four bytes are the most usual, too.
static bool doubles(const int64_t *index, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (index[i] != (int64_t)(i / 2)) return false;
  return true;
}

static void double_words(const uint32_t *restrict from, char *restrict to, size_t count) {
  for (size_t i = 0; i < count; i++) {
    uint64_t twice = from[i] | (uint64_t)from[i] << 32;
    memcpy(to + 8 * i, &twice, sizeof twice);
  }
}

static void gather_row(const gather *g, const char *from, char *to) {
  const int64_t *index = g->tables[g->row_axis].index;
  size_t out = (size_t)g->y->dims[g->row_axis], piece = 1 << 14;
  if (g->doubled) {
    double_words((const uint32_t *)(const void *)from, to, out / 2);
    return;
  }
  for (size_t o = 0; o < out && !pool_stopped(); o += piece) {
    size_t count = out - o < piece ? out - o : piece;
    bool inside = g->p->coordinates != CROP;
    char *at = to + o * g->block;
    if (inside && g->block == 1) pick_uint8_t(from, at, index + o, count);
    else if (inside && g->block == 2) pick_uint16_t(from, at, index + o, count);
    else if (inside && g->block == 4) pick_uint32_t(from, at, index + o, count);
    else if (inside && g->block == 8) pick_uint64_t(from, at, index + o, count);
    else
      for (size_t i = o; i < o + count; i++, at += g->block) {
        if (index[i] < 0) fill_elements(g, at, g->block);
        else memcpy(at, from + (size_t)index[i] * g->block, g->block);
      }
  }
}

// Which of the input's rows of rows the output's number `index` comes from, over all axes but the last around rows.
static size_t row_around(const gather *g, size_t index, bool *outside) {
  size_t base = 0, stride = 1;
  *outside = false;
  for (size_t d = g->row_axis ? g->row_axis - 1 : 0; d-- > 0;) {
    int64_t from = g->tables[d].index[index % (size_t)g->y->dims[d]];
    index /= (size_t)g->y->dims[d];
    *outside |= from < 0;
    base += (from < 0 ? 0 : (size_t)from) * stride;
    stride *= (size_t)g->x->dims[d];
  }
  return base;
}

static void gather_rows(void *context, size_t begin, size_t end, size_t worker) {
  const gather *g = context;
  const tensor *x = g->x, *y = g->y;
  size_t a = g->row_axis, bytes = (size_t)y->dims[a] * g->block, former = SIZE_MAX;
  char *to = (char *)y->data + begin * bytes;
  // Rows that differ in the last of the axes around them alone share what the others say.
  size_t last = a ? (size_t)y->dims[a - 1] : 1, at = begin % last, around = 0;
  const int64_t none = 0, *rows_of = a ? g->tables[a - 1].index : &none;
  bool beside = false;
  for (size_t row = begin; row < end; row++, to += bytes, at = at + 1 == last ? 0 : at + 1) {
    if (row == begin || at == 0) around = row_around(g, row / last, &beside);
    int64_t from = rows_of[at];
    bool outside = beside || from < 0;
    size_t base = outside ? 0 : around * (a ? (size_t)x->dims[a - 1] : 1) + (size_t)from;
    // Where the axis grows, a row often comes from the same one as that before it.
    if (outside) fill_elements(g, to, bytes);
    else if (base == former) memcpy(to, to - bytes, bytes);
    else gather_row(g, (const char *)x->data + base * (size_t)x->dims[a] * g->block, to);
    former = outside ? SIZE_MAX : base;
  }
}

static sdx_status compute_nearest(op_step *c, const grid *grid_of, const tensor *x, tensor *y, const table *tables) {
  gather g = {
      .p = c->params, .x = x, .y = y, .tables = tables, .element = y->bytes / y->count, .row_axis = x->rank - 1u};
  g.block = g.element;
  while (g.row_axis > 0 && unchanged(c->params, grid_of, g.row_axis, x->dims[g.row_axis]))
    g.block *= (size_t)x->dims[g.row_axis--];
  size_t width = (size_t)y->dims[g.row_axis];
  g.doubled = g.block == 4 && width == 2 * (size_t)x->dims[g.row_axis] && doubles(tables[g.row_axis].index, width);
  size_t rows = 1;
  for (size_t d = 0; d < g.row_axis; d++) rows *= (size_t)y->dims[d];
  call_parallel(c, rows, 1 + 16384 / ((size_t)y->dims[g.row_axis] * g.block), gather_rows, &g);
  return SDX_OK;
}

static sdx_status resize_compute(op_step *c) {
  const resize_params *p = c->params;
  const tensor *x = step_in(c, X), *roi = step_in(c, p->roi);
  tensor *y = step_out(c, 0);
  if (y->count == 0) return SDX_OK;
  if (x->rank == 0) {
    memcpy(y->data, x->data, x->bytes);
    return SDX_OK;
  }
  if (x->dtype == SDX_STRING && p->mode != NEAREST)
    return step_fail_at(c, at_input(X), SDX_NOT_SUPPORTED,
                        "holds strings, which can only be resized with mode 'nearest'");
  grid g;
  SDX_TRY(step_located(c, grid_make(c, x->dims, x->rank, step_in(c, p->scales), step_in(c, p->sizes), &g)));
  float crop[TENSOR_MAX_RANK][2];
  for (size_t d = 0; d < x->rank; d++) crop[d][0] = 0, crop[d][1] = 1;
  if (p->coordinates == CROP) {
    if (!is_given(roi) || roi->count != 2 * g.count)
      return step_fail_at(c, part_named(PART_INPUT, STR("roi")), SDX_INVALID_SHAPE,
                          "has %zu elements, tf_crop_and_resize expects %zu", roi ? roi->count : 0, 2 * g.count);
    for (size_t i = 0; i < g.count; i++)
      for (size_t side = 0; side < 2; side++)
        widen_read(roi->dtype, roi->data, side * g.count + i, 1, &crop[g.axes[i]][side]);
  }
  size_t table_total = 0, buffer = 0;
  if (!scratch_of(p, x, y, &table_total, &buffer)) return call_no_memory(c, SIZE_MAX);
  table tables[TENSOR_MAX_RANK];
  char *scratch = c->scratch;
  for (size_t d = 0; d < x->rank; d++) {
    tables[d].taps = taps_of(p, x->dims[d], y->dims[d]);
    size_t entries = (size_t)y->dims[d] * tables[d].taps;
    tables[d].index = (int64_t *)scratch;
    tables[d].weight = (double *)(scratch + entries * sizeof(int64_t));
    scratch += table_bytes(p, x->dims[d], y->dims[d]);
    table_fill(p, &g, d, x->dims[d], crop[d], &tables[d]);
  }
  SDX_TRY(call_check(c));
  if (p->mode == NEAREST) return compute_nearest(c, &g, x, y, tables);
  size_t aligned = (table_total + 63) & ~(size_t)63;
  char *buffers = (char *)c->scratch + aligned;
  return works_in_double(x->dtype) ? sample_doubles(c, &g, x, y, tables, buffers, buffer)
                                   : sample_floats(c, &g, x, y, tables, buffers, buffer);
}

SDX_CASES = {"X=float[1,2,5,6] roi=float[0] scales=const(1,1,2,1.5) mode=linear not=string",
             "X=float[1,1,7,3] roi=float[0] scales=const(1,1,0.6,2) mode=cubic not=string",
             "X=float[2,3,4,7] scales=const(1,1,2,2) coordinate_transformation_mode=asymmetric nearest_mode=floor",
             "X=float[3,3,4,5] roi=float[0] scales=const(1,1,3,2.5) mode=linear not=string",
             "X=int8[2,3,4] roi=float[0] scales=const(1,2,2) mode=nearest",
             NULL};

SDX_OP(Resize) = {
    .since = 19,
    .versions = "19 18 13 11 10",
    .inputs = "X:T1 roi:T2? scales:float? sizes:int64?",
    .outputs = "Y:T1",
    .types =
        "T1=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,complex64,"
        "complex128,string;T2=float,double,float16",
    .attrs =
        "antialias:int=0 axes:ints coordinate_transformation_mode:string=half_pixel cubic_coeff_a:float=-0.75 "
        "exclude_outside:int=0 extrapolation_value:float=0.0 keep_aspect_ratio_policy:string=stretch "
        "mode:string=nearest nearest_mode:string=round_prefer_floor _outwards:int=0",
    .params_size = sizeof(resize_params),
    .params = resize_read,
    .upgrade = resize_upgrade,
    .infer = resize_infer,
    .layouts = layouts_follow,
    .prepare = resize_prepare,
    .compute = resize_compute,
    .cases = cases,
};

// Version 10 says "use Resize"; models that did not listen run all the same.
static const char *const upsample_cases[] = {"X=float[1,1,2,3] scales=const(1,1,2,3)",
                                             "X=float[1,2,3,3] scales=const(1,1,2,2) mode=linear",
                                             "X=float[2,2,3,7] scales=const(1,1,2,2)", NULL};

SDX_OP(Upsample) = {
    .since = 10,
    .versions = "10 9 7 1",
    .inputs = "X:T scales:float",
    .outputs = "Y:T",
    .types =
        "T=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,complex64,"
        "complex128,string",
    .attrs = "mode:string=nearest",
    .attrs_old = "scales:floats<9 height_scale:float<7 width_scale:float<7",
    .params_size = sizeof(resize_params),
    .params = upsample_read,
    .upgrade = upsample_upgrade,
    .infer = resize_infer,
    .layouts = layouts_follow,
    .prepare = resize_prepare,
    .compute = resize_compute,
    .cases = upsample_cases,
};
