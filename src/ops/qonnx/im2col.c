// SPDX-License-Identifier: Apache-2.0
// Im2Col: the windows of images [N, H, W, C] as rows: [N, out_h, out_w, kernel_h * kernel_w * C], so that a convolution
// is a product of matrices. What lies outside of the image is pad_value. input_shape and depthwise tell hardware
// generators something and change nothing.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

typedef struct im2col_params {
  int64_t kernel[2], stride[2], dilation[2], pad[2], pad_end[2], value;
} im2col_params;

static sdx_status read_list(op_params_context *c, const char *name, size_t want, int64_t least, int64_t *out) {
  size_t count;
  const int64_t *at = params_ints(c, name, &count);
  if (count == 0) return SDX_OK;  // the default stays
  if (count != want) return params_fail(c, name, "has %zu entries, expected %zu", count, want);
  for (size_t i = 0; i < want; i++) {
    if (at[i] < least || at[i] > 1 << 30)
      return params_fail(c, name, "has %lld at %zu, expected %lld to 2^30", (long long)at[i], i, (long long)least);
    out[i] = at[i];
  }
  return SDX_OK;
}

static sdx_status im2col_read(op_params_context *c, void *params) {
  im2col_params *p = params;
  int64_t pads[4] = {0};
  *p = (im2col_params){.kernel = {1, 1}, .stride = {1, 1}, .dilation = {1, 1}, .value = params_int(c, "pad_value")};
  SDX_TRY(read_list(c, "kernel_size", 2, 1, p->kernel));
  SDX_TRY(read_list(c, "stride", 2, 1, p->stride));
  SDX_TRY(read_list(c, "dilations", 2, 1, p->dilation));
  SDX_TRY(read_list(c, "pad_amount", 4, 0, pads));
  for (size_t d = 0; d < 2; d++) p->pad[d] = pads[d], p->pad_end[d] = pads[d + 2];
  return SDX_OK;
}

static sdx_status im2col_infer(op_step *c) {
  const im2col_params *p = c->params;
  int64_t out[4] = {infer_dim(c, 0, 0), DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN}, channels = infer_dim(c, 0, 3);
  SDX_TRY(infer_rank(c, 0, 4, 4));
  for (size_t d = 0; d < 2; d++) {
    int64_t in = infer_dim(c, 0, (int)d + 1), span = p->dilation[d] * (p->kernel[d] - 1) + 1;
    if (in < 0) continue;
    int64_t room = in + p->pad[d] + p->pad_end[d] - span;
    if (room < 0)
      return step_fail(c, SDX_INVALID_SHAPE, "a window spans %lld in dimension %zu, but the padded input has %lld",
                       (long long)span, d + 1, (long long)(room + span));
    out[d + 1] = room / p->stride[d] + 1;
  }
  if (channels >= 0) {
    size_t taps;
    if (!size_product((const int64_t[]){p->kernel[0], p->kernel[1], channels}, 3, &taps) || taps > INT64_MAX)
      return step_fail(c, SDX_INVALID_SHAPE, "the size of a window is out of range");
    out[3] = (int64_t)taps;
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), 4, out);
}

typedef struct im2col_job {
  const im2col_params *params;
  const tensor *in;
  tensor *out;
  size_t width;  // bytes of the channels of one pixel
  char *outside;
} im2col_job;

static void copy_window(const im2col_job *j, size_t index) {
  const im2col_params *p = j->params;
  const int64_t *in = j->in->dims, *out = j->out->dims;
  int64_t column = (int64_t)index % out[2], row = (int64_t)index / out[2] % out[1];
  size_t image = index / (size_t)(out[1] * out[2]);
  char *to = (char *)j->out->data + index * j->width * (size_t)(p->kernel[0] * p->kernel[1]);
  for (int64_t ky = 0; ky < p->kernel[0]; ky++)
    for (int64_t kx = 0; kx < p->kernel[1]; kx++, to += j->width) {
      int64_t y = row * p->stride[0] + ky * p->dilation[0] - p->pad[0],
              x = column * p->stride[1] + kx * p->dilation[1] - p->pad[1];
      bool inside = y >= 0 && y < in[1] && x >= 0 && x < in[2];
      size_t pixel = inside ? (image * (size_t)in[1] + (size_t)y) * (size_t)in[2] + (size_t)x : 0;
      memcpy(to, inside ? (const char *)j->in->data + pixel * j->width : j->outside, j->width);
    }
}

static void window_range(void *context, size_t begin, size_t end, size_t worker) {
  for (size_t i = begin; i < end && !pool_stopped(); i++) copy_window(context, i);
}

static sdx_status im2col_compute(op_step *c) {
  im2col_job j = {.params = c->params, .in = step_in(c, 0), .out = step_out(c, 0)};
  if (!j.out || j.out->count == 0) return SDX_OK;
  size_t channels = (size_t)j.in->dims[3], windows = j.out->count / (size_t)j.out->dims[3];
  double value = (double)j.params->value;
  j.width = channels * (size_t)dtype_bits(j.in->dtype) / 8;
  j.outside = call_alloc(c, j.width);
  if (!j.outside) return call_no_memory(c, j.width);
  for (size_t i = 0; i < channels; i++) convert_from_doubles((sdx_dtype)j.in->dtype, j.outside, i, 1, &value);
  call_parallel(c, windows, 1 + GRAIN_CHEAP / (size_t)j.out->dims[3], window_range, &j);
  return call_check(c);
}

SDX_CASES = {"X=float[1,5,6,3] kernel_size=3,2 stride=2,1 pad_amount=1,0,1,2 pad_value=-1 input_shape=(1,5,6,3)",
             "X=int8[2,7,1,2] kernel_size=3,1 stride=1,1 dilations=2,1 input_shape=(2,7,1,2)", NULL};

SDX_OP_QONNX(Im2Col) = {.since = 1,
                        .versions = "1",
                        .inputs = "X:T",
                        .outputs = "Y:T",
                        .types = "T=" TYPES_NUMBER,
                        .attrs =
                            "depthwise:int=0 dilations:ints input_shape:string kernel_size:ints! pad_amount:ints "
                            "pad_value:int=0 stride:ints!",
                        .params_size = sizeof(im2col_params),
                        .params = im2col_read,
                        .infer = im2col_infer,
                        .compute = im2col_compute,
                        .cases = cases};
