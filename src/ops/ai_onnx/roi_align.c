// SPDX-License-Identifier: Apache-2.0
// RoiAlign: each region of interest becomes output_height x output_width bins; a bin is the mean (or
// maximum) of bilinear samples on a regular grid. MaxRoiPool: the older form, the maximum of the pixels of
// a bin with rounded borders.
//
//   `max` takes the largest weighted corner of all samples, as the ONNX reference and onnxruntime do. A
//   region whose grid would exceed 2^20 samples a bin, or that is not finite, is an error; the batch index is
//   checked.
//
// History: RoiAlign 10 had no half pixel offset (output_half_pixel); 16 adds the choice; 22 bfloat16.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "tensor/convert.h"

typedef struct roi_params {
  int64_t height, width, sampling;
  float scale;
  bool half_pixel, max;
} roi_params;

enum { X, ROIS, BATCH };

static sdx_status roi_align_read(op_params_context *c, void *params) {
  roi_params *p = params;
  str mode = params_string(c, "mode"), how = params_string(c, "coordinate_transformation_mode");
  p->height = params_int(c, "output_height"), p->width = params_int(c, "output_width");
  p->sampling = params_int(c, "sampling_ratio");
  p->scale = params_float(c, "spatial_scale");
  p->max = str_is(mode, "max"), p->half_pixel = str_is(how, "half_pixel");
  if (!p->max && !str_is(mode, "avg")) return params_fail(c, "mode", "is '%.*s', expected avg or max", STR_ARG(mode));
  if (!p->half_pixel && !str_is(how, "output_half_pixel"))
    return params_fail(c, "coordinate_transformation_mode", "is '%.*s', expected half_pixel or output_half_pixel",
                       STR_ARG(how));
  if (p->height < 1 || p->height > 1 << 20)
    return params_fail(c, "output_height", "is %lld, expected 1 to 2^20", (long long)p->height);
  if (p->width < 1 || p->width > 1 << 20)
    return params_fail(c, "output_width", "is %lld, expected 1 to 2^20", (long long)p->width);
  if (p->sampling < 0 || p->sampling > 1024)
    return params_fail(c, "sampling_ratio", "is %lld, expected 0 to 1024", (long long)p->sampling);
  return SDX_OK;
}

static sdx_status roi_align_upgrade(op_upgrade *u) {
  return u->version < 16
             ? node_set_attr(u->graph, u->node, attr_of_string("coordinate_transformation_mode", "output_half_pixel"))
             : SDX_OK;
}

static sdx_status max_roi_pool_read(op_params_context *c, void *params) {
  roi_params *p = params;
  size_t n = 0;
  const int64_t *shape = params_ints(c, "pooled_shape", &n);
  p->scale = params_float(c, "spatial_scale");
  if (n != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > 1 << 20 || shape[1] > 1 << 20)
    return params_fail(c, "pooled_shape", "must hold two sizes from 1 to 2^20");
  p->height = shape[0], p->width = shape[1];
  return SDX_OK;
}

static sdx_status infer_columns(op_step *c, int64_t columns) {
  const roi_params *p = c->params;
  SDX_TRY(infer_rank(c, X, 4, 4));
  SDX_TRY(infer_rank(c, ROIS, 2, 2));
  int64_t count = infer_rank_of(c, ROIS) == 2 ? c->in_types[ROIS]->dims[0] : DIM_UNKNOWN,
          have = infer_rank_of(c, ROIS) == 2 ? c->in_types[ROIS]->dims[1] : DIM_UNKNOWN;
  if (have >= 0 && have != columns)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has %lld columns, expected %lld", (long long)have,
                        (long long)columns);
  int64_t channels = infer_rank_of(c, X) == 4 ? c->in_types[X]->dims[1] : DIM_UNKNOWN;
  return infer_output(c, 0, infer_dtype_of(c, X), 4, (int64_t[]){count, channels, p->height, p->width});
}
static sdx_status roi_align_infer(op_step *c) {
  SDX_TRY(infer_rank(c, BATCH, 1, 1));
  if (infer_rank_of(c, BATCH) == 1 && infer_rank_of(c, ROIS) == 2 && c->in_types[BATCH]->dims[0] >= 0 &&
      c->in_types[ROIS]->dims[0] >= 0 && c->in_types[BATCH]->dims[0] != c->in_types[ROIS]->dims[0])
    return step_fail_at(c, at_input(BATCH), SDX_INVALID_SHAPE, "has %lld elements, expected %lld, one for each region",
                        (long long)c->in_types[BATCH]->dims[0], (long long)c->in_types[ROIS]->dims[0]);
  return infer_columns(c, 4);
}
static sdx_status max_roi_pool_infer(op_step *c) { return infer_columns(c, 5); }

// ---- compute --------------------------------------------------------------------------------------

typedef struct region {
  size_t image;
  double top, left, bin_height, bin_width;
  int64_t grid_height, grid_width;
} region;

typedef struct work {
  const roi_params *p;
  const tensor *x;
  tensor *y;
  size_t channels, roi;
  int64_t height, width;
  region region;
} work;

// The four corners around a point with their weights; false: outside, adds nothing.
static bool corners(double y, double x, int64_t height, int64_t width, size_t *at, double *weight) {
  if (!(y >= -1 && y <= (double)height && x >= -1 && x <= (double)width)) return false;
  y = y > 0 ? y : 0, x = x > 0 ? x : 0;
  int64_t top = (int64_t)y, left = (int64_t)x, bottom = top + 1, right = left + 1;
  if (top >= height - 1) top = bottom = height - 1, y = (double)top;
  if (left >= width - 1) left = right = width - 1, x = (double)left;
  double v = y - (double)top, u = x - (double)left;
  at[0] = (size_t)(top * width + left), at[1] = (size_t)(top * width + right);
  at[2] = (size_t)(bottom * width + left), at[3] = (size_t)(bottom * width + right);
  weight[0] = (1 - v) * (1 - u), weight[1] = (1 - v) * u, weight[2] = v * (1 - u), weight[3] = v * u;
  return true;
}

static double pixel(const tensor *x, size_t i) {
  return x->dtype == SDX_FLOAT ? (double)((const float *)x->data)[i] : tensor_number_at(x, i);
}

// One bin of `count` channels, whose planes begin at `plane`: a point is placed once for all of them.
enum { CHANNELS = 64 };
static void bin_values(const work *w, size_t plane, size_t count, int64_t ph, int64_t pw, double *out) {
  const region *r = &w->region;
  double sum[CHANNELS] = {0}, most[CHANNELS];
  size_t size = (size_t)(w->height * w->width);
  for (size_t ch = 0; ch < count; ch++) most[ch] = -INFINITY;
  for (int64_t iy = 0; iy < r->grid_height; iy++) {
    double y = r->top + (double)ph * r->bin_height + ((double)iy + 0.5) * r->bin_height / (double)r->grid_height;
    for (int64_t ix = 0; ix < r->grid_width; ix++) {
      double x = r->left + (double)pw * r->bin_width + ((double)ix + 0.5) * r->bin_width / (double)r->grid_width,
             weight[4] = {0};
      size_t at[4] = {0};
      bool inside = corners(y, x, w->height, w->width, at, weight);
      if (!inside && !w->p->max) continue;
      for (size_t ch = 0; ch < count; ch++)
        for (int k = 0; k < 4; k++) {
          double v = inside ? weight[k] * pixel(w->x, plane + ch * size + at[k]) : 0;
          sum[ch] += v;
          most[ch] = v > most[ch] ? v : most[ch];
        }
    }
  }
  int64_t samples = i64_max(r->grid_height, 0) * i64_max(r->grid_width, 0);
  for (size_t ch = 0; ch < count; ch++) out[ch] = samples == 0 ? 0 : w->p->max ? most[ch] : sum[ch] / (double)samples;
}

// Units are bins of up to CHANNELS channels.
static void align_bins(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  size_t width = (size_t)w->p->width, bins = (size_t)w->p->height * width;
  for (size_t unit = begin; unit < end; unit++) {
    size_t ch = unit / bins * CHANNELS, bin = unit % bins;
    size_t plane = (w->region.image * w->channels + ch) * (size_t)(w->height * w->width);
    size_t to = (w->roi * w->channels + ch) * bins + bin;
    size_t count = w->channels - ch < CHANNELS ? w->channels - ch : CHANNELS;
    double v[CHANNELS];
    bin_values(w, plane, count, (int64_t)(bin / width), (int64_t)(bin % width), v);
    for (size_t k = 0; k < count; k++)
      convert_from_doubles((sdx_dtype)w->y->dtype, w->y->data, to + k * bins, 1, &v[k]);
  }
}

// Borders in the precision of the input (float at least), which decides how many samples a bin has: a double that
// was computed from floats and is rounded at once is what float arithmetic gives.
static double held(const tensor *rois, double v) { return rois->dtype == SDX_DOUBLE ? v : (double)(float)v; }

static sdx_status read_region(op_step *c, const work *w, size_t i, int64_t image, region *r) {
  const roi_params *p = w->p;
  const tensor *rois = step_in(c, ROIS);
  double offset = p->half_pixel ? 0.5 : 0, at[4];
  for (size_t k = 0; k < 4; k++) {
    at[k] = held(rois, held(rois, tensor_number_at(rois, 4 * i + k) * (double)p->scale) - offset);
    if (!isfinite(at[k]))
      return step_fail_at(c, part_named(PART_INPUT, STR("rois")), SDX_INVALID_ARGUMENT, "[%zu] is not finite", i);
  }
  if (image < 0 || image >= w->x->dims[0])
    return step_fail_at(c, part_named(PART_INPUT, STR("batch_indices")), SDX_OUT_OF_RANGE,
                        "[%zu] is %lld, expected 0 to %lld", i, (long long)image, (long long)w->x->dims[0] - 1);
  double width = held(rois, at[2] - at[0]), height = held(rois, at[3] - at[1]);
  if (!p->half_pixel) width = width > 1 ? width : 1, height = height > 1 ? height : 1;
  *r = (region){
      (size_t)image, at[1],      at[0], held(rois, height / (double)p->height), held(rois, width / (double)p->width),
      p->sampling,   p->sampling};
  if (p->sampling == 0) {
    double rows = ceil(r->bin_height), columns = ceil(r->bin_width);
    if (rows > 0 && columns > 0 && !(rows * columns <= 0x1p20))
      return step_fail_at(c, part_named(PART_INPUT, STR("rois")), SDX_LIMIT_EXCEEDED,
                          "[%zu] needs %g x %g samples a bin, the limit is 2^20", i, rows, columns);
    r->grid_height = rows > 0 ? (int64_t)fmin(rows, 0x1p20) : 0,
    r->grid_width = columns > 0 ? (int64_t)fmin(columns, 0x1p20) : 0;
  }
  return SDX_OK;
}

static sdx_status roi_align_compute(op_step *c) {
  const tensor *x = step_in(c, X), *batch = step_in(c, BATCH);
  work w = {.p = c->params,
            .x = x,
            .y = step_out(c, 0),
            .channels = (size_t)x->dims[1],
            .height = x->dims[2],
            .width = x->dims[3]};
  if (w.y->count == 0) return SDX_OK;
  if (w.height == 0 || w.width == 0)
    return step_fail_at(c, at_input(X), SDX_INVALID_SHAPE, "has no elements to choose from");
  for (w.roi = 0; w.roi < (size_t)w.y->dims[0]; w.roi++) {
    SDX_TRY(read_region(c, &w, w.roi, ((const int64_t *)batch->data)[w.roi], &w.region));
    size_t samples = (size_t)(w.region.grid_height * w.region.grid_width),
           groups = (w.channels + CHANNELS - 1) / CHANNELS;
    call_parallel(c, groups * (size_t)(w.p->height * w.p->width), 1 + 256 / (samples + 1), align_bins, &w);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

// Where bin `i` of `bins` begins and ends, inside [0, size).
static void borders(int64_t i, double bin, int64_t start, int64_t size, int64_t *begin, int64_t *end) {
  *begin = i64_min(i64_max((int64_t)floor((double)i * bin) + start, 0), size);
  *end = i64_min(i64_max((int64_t)ceil((double)(i + 1) * bin) + start, 0), size);
}

static sdx_status max_roi_pool_compute(op_step *c) {
  const roi_params *p = c->params;
  const tensor *x = step_in(c, X), *rois = step_in(c, ROIS);
  tensor *y = step_out(c, 0);
  int64_t height = x->dims[2], width = x->dims[3];
  size_t to = 0;
  for (size_t i = 0; y->count && i < (size_t)y->dims[0]; i++) {
    double image = tensor_number_at(rois, 5 * i), at[4];
    if (!(image >= 0 && image < (double)x->dims[0]))
      return step_fail_at(c, part_named(PART_INPUT, STR("rois")), SDX_OUT_OF_RANGE,
                          "[%zu] names image %g, expected 0 to %lld", i, image, (long long)x->dims[0] - 1);
    for (size_t k = 0; k < 4; k++) {
      at[k] = round(tensor_number_at(rois, 5 * i + 1 + k) * (double)p->scale);
      if (!(fabs(at[k]) < 0x1p30))
        return step_fail_at(c, part_named(PART_INPUT, STR("rois")), SDX_OUT_OF_RANGE,
                            "[%zu] has a coordinate of %g, expected below 2^30", i, at[k]);
    }
    double bin_height = fmax(at[3] - at[1] + 1, 1) / (double)p->height,
           bin_width = fmax(at[2] - at[0] + 1, 1) / (double)p->width;
    for (size_t ch = 0; ch < (size_t)x->dims[1]; ch++) {
      size_t plane = ((size_t)image * (size_t)x->dims[1] + ch) * (size_t)(height * width);
      for (int64_t bin = 0; bin < p->height * p->width; bin++, to++) {
        int64_t top, bottom, left, right;
        borders(bin / p->width, bin_height, (int64_t)at[1], height, &top, &bottom);
        borders(bin % p->width, bin_width, (int64_t)at[0], width, &left, &right);
        double most = bottom <= top || right <= left ? 0 : -INFINITY;
        for (int64_t h = top; h < bottom; h++)
          for (int64_t v = left; v < right; v++)
            most = fmax(most, tensor_number_at(x, plane + (size_t)(h * width + v)));
        convert_from_doubles((sdx_dtype)y->dtype, y->data, to, 1, &most);
      }
      SDX_TRY(call_check(c));
    }
  }
  return SDX_OK;
}

static const char *const roi_align_cases[] = {
    "X=float[2,3,7,8] rois=float[3,4](0.5,1,4,5,2,0,6,7,1,1,1.5,3) batch_indices=int64(0,1,1) output_height=3 "
    "output_width=2",
    "X=float[1,2,9,9] rois=float[2,4](0,0,8.5,7,3,2,5,9) batch_indices=int64(0,0) mode=max output_height=2 "
    "output_width=2 "
    "sampling_ratio=2",
    "X=float[2,70,4,3] rois=float[2,4](0,0,3,2.5,-9,-9,2,2) batch_indices=int64(1,0) output_height=2 output_width=2",
    "X=float[1,1,6,6] rois=float[1,4](1,2,11,9) batch_indices=int64[1](0) spatial_scale=0.5 "
    "coordinate_transformation_mode=output_half_pixel",
    NULL};

SDX_OP(RoiAlign) = {
    .since = 22,
    .versions = "22 16 10",
    .inputs = "X:T1 rois:T1 batch_indices:T2",
    .outputs = "Y:T1",
    .types = "T1=float,double,float16,bfloat16;T2=int64",
    .attrs =
        "coordinate_transformation_mode:string=half_pixel mode:string=avg output_height:int=1 output_width:int=1 "
        "sampling_ratio:int=0 spatial_scale:float=1.0",
    .params_size = sizeof(roi_params),
    .params = roi_align_read,
    .upgrade = roi_align_upgrade,
    .infer = roi_align_infer,
    .compute = roi_align_compute,
    .cases = roi_align_cases,
};

static const char *const max_roi_pool_cases[] = {
    "X=float[2,3,6,6] rois=float[2,5](0,0,0,3,3,1,1,2,5,4) pooled_shape=2,2",
    "X=float[1,2,9,7] rois=float[1,5](0,2,2,12,10) pooled_shape=3,2 spatial_scale=0.5", NULL};

SDX_OP(MaxRoiPool) = {
    .since = 22,
    .versions = "22 1",
    .inputs = "X:T rois:T",
    .outputs = "Y:T",
    .types = "T=float,double,float16,bfloat16",
    .attrs = "pooled_shape:ints! spatial_scale:float=1.0",
    .params_size = sizeof(roi_params),
    .params = max_roi_pool_read,
    .infer = max_roi_pool_infer,
    .compute = max_roi_pool_compute,
    .cases = max_roi_pool_cases,
};
