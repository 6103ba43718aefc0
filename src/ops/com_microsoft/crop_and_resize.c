// SPDX-License-Identifier: Apache-2.0
// CropAndResize: each box [y1, x1, y2, x2], in fractions of the picture's sides (less one), becomes a picture of
// crop_size whose corners are the box's corners. What lies outside of the picture is extrapolation_value.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"

enum { X, BOXES, BATCH, SIZE };

typedef struct crop_params {
  float outside;
  bool nearest;
} crop_params;

static sdx_status crop_and_resize_read(op_params_context *c, void *params) {
  str mode = params_string(c, "mode");
  *(crop_params *)params = (crop_params){params_float(c, "extrapolation_value"), str_is(mode, "nearest")};
  if (str_is(mode, "nearest") || str_is(mode, "bilinear")) return SDX_OK;
  return params_fail(c, "mode", "is '%.*s', expected bilinear or nearest", STR_ARG(mode));
}

static sdx_status crop_and_resize_infer(op_step *c) {
  size_t count = 0;
  int64_t boxes = infer_dim(c, BOXES, 0), four = 4, two = 2, height = DIM_UNKNOWN, width = DIM_UNKNOWN;
  SDX_TRY(infer_rank(c, X, 4, 4));
  SDX_TRY(infer_rank(c, BOXES, 2, 2));
  SDX_TRY(infer_rank(c, BATCH, 1, 1));
  SDX_TRY(infer_rank(c, SIZE, 1, 1));
  SDX_TRY(infer_agree(c, BOXES, 1, "corners", &four));
  SDX_TRY(infer_agree(c, BATCH, 0, "boxes", &boxes));
  SDX_TRY(infer_agree(c, SIZE, 0, "sizes", &two));
  const int64_t *size = infer_constant_ints(c, SIZE, &count);
  if (size && count == 2) {
    height = size[0], width = size[1];
    if (height < 1 || width < 1)
      return step_fail_at(c, at_input(SIZE), SDX_OUT_OF_RANGE, "is %lld x %lld, expected positive sizes",
                          (long long)height, (long long)width);
  }
  return infer_output(c, 0, infer_dtype_of(c, X), 4, (int64_t[]){boxes, infer_dim(c, X, 1), height, width});
}

typedef struct crop_job {
  const crop_params *p;
  const float *x, *boxes;
  const int32_t *batch;
  float *y;
  size_t channels, height, width, out_height, out_width;
} crop_job;

// Where row or column i of `out` lies in `size`.
static float place(float low, float high, size_t i, size_t out, size_t size) {
  float last = (float)(size - 1);
  if (out == 1) return 0.5f * (low + high) * last;
  return low * last + (float)i * ((high - low) * last / (float)(out - 1));
}
static bool inside(float at, size_t size) { return at >= 0 && at <= (float)(size - 1); }

static float sample(const crop_job *j, const float *plane, float v, float u) {
  if (j->p->nearest) return plane[(size_t)roundf(v) * j->width + (size_t)roundf(u)];
  size_t top = (size_t)floorf(v), bottom = (size_t)ceilf(v), left = (size_t)floorf(u), right = (size_t)ceilf(u);
  float down = v - (float)top, across = u - (float)left;
  const float *above = plane + top * j->width, *below = plane + bottom * j->width;
  float first = above[left] + (above[right] - above[left]) * across,
        second = below[left] + (below[right] - below[left]) * across;
  return first + (second - first) * down;
}

// Planes of the output.
static void planes_range(void *context, size_t begin, size_t end, size_t worker) {
  const crop_job *j = context;
  for (size_t i = begin; i < end; i++) {
    size_t box = i / j->channels;
    const float *b = j->boxes + 4 * box,
                *plane = j->x + ((size_t)j->batch[box] * j->channels + i % j->channels) * j->height * j->width;
    float *y = j->y + i * j->out_height * j->out_width;
    for (size_t r = 0; r < j->out_height; r++)
      for (size_t k = 0; k < j->out_width; k++) {
        float v = place(b[0], b[2], r, j->out_height, j->height), u = place(b[1], b[3], k, j->out_width, j->width);
        *y++ = inside(v, j->height) && inside(u, j->width) ? sample(j, plane, v, u) : j->p->outside;
      }
  }
}

static sdx_status crop(op_step *c) {
  const tensor *x = step_in(c, X), *boxes = step_in(c, BOXES), *batch = step_in(c, BATCH);
  tensor *y = step_out(c, 0);
  if (y->count == 0) return SDX_OK;
  crop_job j = {.p = c->params,
                .x = x->data,
                .boxes = boxes->data,
                .batch = batch->data,
                .y = y->data,
                .channels = (size_t)x->dims[1],
                .height = (size_t)x->dims[2],
                .width = (size_t)x->dims[3],
                .out_height = (size_t)y->dims[2],
                .out_width = (size_t)y->dims[3]};
  if (x->count == 0) return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "is empty");
  for (size_t i = 0; i < batch->count; i++)
    if (j.batch[i] < 0 || j.batch[i] >= x->dims[0])
      return step_fail_at(c, at_input(BATCH), SDX_OUT_OF_RANGE, "is %d at %zu, expected 0 to %lld", j.batch[i], i,
                          (long long)x->dims[0] - 1);
  call_parallel(c, batch->count * j.channels, 1 + GRAIN_COSTLY / (j.out_height * j.out_width), planes_range, &j);
  return call_check(c);
}

static sdx_status crop_and_resize_prepare(op_step *c) { return prepare_widened(c, 0); }
static sdx_status crop_and_resize_compute(op_step *c) { return call_widened(c, crop); }

SDX_CASES = {
    "X=float[2,3,5,6] rois=float[3,4](0,0,1,1,0.2,0.1,0.7,0.9,-0.3,0.5,0.4,1.2) batch_indices=int32(0,1,1) "
    "crop_size=int32[2](3,4)",
    NULL};

// clang-format off
SDX_OP_MS(CropAndResize) = {
    .since = 1, .versions = "1", .inputs = "X:T1 rois:T1 batch_indices:T2 crop_size:T2", .outputs = "Y:T1",
    .types = "T1=float,float16,bfloat16;T2=int32", .attrs = "extrapolation_value:float=0 mode:string=bilinear",
    .params_size = sizeof(crop_params), .params = crop_and_resize_read, .infer = crop_and_resize_infer,
    .prepare = crop_and_resize_prepare, .compute = crop_and_resize_compute,
    .cases = cases,
};
// clang-format on
