// SPDX-License-Identifier: Apache-2.0
// Col2Im: adds the columns of sliding blocks back into an image: input [N, C * block, blocks] becomes
// [N, C, image_shape...]. Each pixel gathers its summands, taps in row-major order, so threads split pixels.
// Floats are summed in double, integers wrap, of bools one is enough, strings are put one behind the other.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/window_attrs.h"
#include "tensor/convert.h"

enum { DATA, IMAGE, BLOCK };

static sdx_status col2im_read(op_params_context *c, void *params) { return window_attrs_read(c, params); }

// The window of a block over the image; `out` is how many blocks fit. False with a reason.
static sdx_status make_window(const window_attrs *w, const int64_t *image, const int64_t *block, size_t rank, window *g,
                              error *err) {
  if (rank == 0 || rank > WINDOW_MAX_RANK || (w->rank && w->rank != rank))
    return error_set(err, SDX_INVALID_SHAPE, "'image_shape' has %zu elements, the attributes describe %zu dimensions",
                     rank, w->rank);
  *g = (window){.rank = rank};
  for (size_t d = 0; d < rank; d++) {
    if (image[d] < 1 || image[d] > 1 << 30 || block[d] < 1 || block[d] > 1 << 30)
      return error_set(err, SDX_OUT_OF_RANGE,
                       "'image_shape'[%zu] is %lld and 'block_shape'[%zu] is %lld, expected 1 to 2^30", d,
                       (long long)image[d], d, (long long)block[d]);
    g->in[d] = image[d], g->kernel[d] = block[d], g->stride[d] = window_attrs_stride(w, d),
    g->dilation[d] = window_attrs_dilation(w, d);
    if (w->pads) g->pad[d] = w->pads[d], g->pad_end[d] = w->pads[d + rank];
    int64_t room = image[d] + g->pad[d] + g->pad_end[d] - ((block[d] - 1) * g->dilation[d] + 1);
    if (room < 0)
      return error_set(err, SDX_INVALID_SHAPE, "a block spans more than the padded image in dimension %zu", d);
    g->out[d] = room / g->stride[d] + 1;
  }
  return SDX_OK;
}

static sdx_status col2im_infer(op_step *c) {
  size_t rank = 0, block_rank = 0, taps = 0, blocks = 0;
  const int64_t *image = infer_constant_ints(c, IMAGE, &rank), *block = infer_constant_ints(c, BLOCK, &block_rank);
  int64_t out[WINDOW_MAX_RANK + 2] = {DIM_UNKNOWN, DIM_UNKNOWN};
  sdx_dtype dtype = infer_dtype_of(c, DATA);
  window g;
  SDX_TRY(infer_rank(c, DATA, 3, 3));
  SDX_TRY(infer_rank(c, IMAGE, 1, 1));
  SDX_TRY(infer_rank(c, BLOCK, 1, 1));
  if (!image || !block) return infer_output(c, 0, dtype, -1, NULL);
  if (rank != block_rank)
    return step_fail_at(c, at_input(BLOCK), SDX_INVALID_SHAPE, "has %zu elements, expected %zu as 'image_shape'",
                        block_rank, rank);
  SDX_TRY(step_located(c, make_window(c->params, image, block, rank, &g, c->err)));
  if (!size_product(g.kernel, rank, &taps) || !size_product(g.out, rank, &blocks))
    return step_fail_at(c, at_input(BLOCK), SDX_INVALID_SHAPE, "is out of range");
  for (size_t d = 0; d < rank; d++) out[d + 2] = image[d];
  if (infer_rank_of(c, DATA) == 3) {
    const int64_t *x = c->in_types[DATA]->dims;
    if (x[1] >= 0 && (size_t)x[1] % taps)
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE,
                          "has %lld rows, expected a multiple of the block's %zu elements", (long long)x[1], taps);
    if (x[2] >= 0 && (size_t)x[2] != blocks)
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld columns, but %zu blocks fit the image",
                          (long long)x[2], blocks);
    out[0] = x[0];
    if (x[1] >= 0) out[1] = x[1] / (int64_t)taps;
  }
  return infer_output(c, 0, dtype, (int)rank + 2, out);
}

typedef struct work {
  const tensor *x;
  tensor *y;
  window g;
  size_t in, out, taps;
  bool ints;
  str *parts;  // strings: the summands of each pixel, `taps` of them
} work;

static void pixels(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  const window *g = &w->g;
  sdx_dtype dtype = (sdx_dtype)w->x->dtype;
  size_t width = w->y->bytes / w->y->count;
  for (size_t i = begin; i < end; i++) {
    int64_t at[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK] = {0};
    size_t row = i / w->in * w->taps;
    double sum = 0, imaginary = 0;
    size_t strings = 0;
    uint64_t whole = 0;
    window_unravel(i % w->in, g->in, g->rank, at);
    do {
      size_t column = 0;
      bool hit = true;
      for (size_t d = 0; d < g->rank; d++) {
        int64_t from = at[d] + g->pad[d] - tap[d] * g->dilation[d];
        hit &= from >= 0 && from % g->stride[d] == 0 && from / g->stride[d] < g->out[d];
        column = column * (size_t)g->out[d] + (size_t)(hit ? from / g->stride[d] : 0);
      }
      if (hit && w->parts) {
        w->parts[i * w->taps + strings++] = ((const str *)w->x->data)[row * w->out + column];
      } else if (hit && dtype_is_complex(dtype)) {
        double v[2];
        sdx_dtype part = dtype == SDX_COMPLEX64 ? SDX_FLOAT : SDX_DOUBLE;
        convert_to_doubles(part, w->x->data, 2 * (row * w->out + column), 2, v);
        sum += v[0], imaginary += v[1];
      } else if (hit && w->ints) whole += (uint64_t)convert_get_int(dtype, w->x->data, row * w->out + column);
      else if (hit) {
        double v = 0;
        convert_to_doubles(dtype, w->x->data, row * w->out + column, 1, &v);
        sum += v;
      }
      row++;
    } while (window_next(tap, g->kernel, g->rank));
    if (w->parts) continue;
    if (dtype_is_complex(dtype))
      convert_from_doubles(dtype == SDX_COMPLEX64 ? SDX_FLOAT : SDX_DOUBLE, w->y->data, 2 * i, 2,
                           (double[]){sum, imaginary});
    else if (!w->ints) convert_from_doubles(dtype, w->y->data, i, 1, &sum);
    else if (width == 1) ((uint8_t *)w->y->data)[i] = (uint8_t)whole;
    else if (width == 2) ((uint16_t *)w->y->data)[i] = (uint16_t)whole;
    else if (width == 4) ((uint32_t *)w->y->data)[i] = (uint32_t)whole;
    else ((uint64_t *)w->y->data)[i] = whole;
  }
}

// The summands of each pixel as one string.
static sdx_status join(op_step *c, const work *w) {
  for (size_t i = 0; i < w->y->count; i++) {
    const str *parts = &w->parts[i * w->taps];
    size_t size = 0;
    for (size_t k = 0; k < w->taps; k++)
      if (!size_add(size, parts[k].size, &size)) return call_no_memory(c, SIZE_MAX);
    ((str *)w->y->data)[i] = (str){"", 0};
    if (size == 0) continue;
    char *at = call_alloc(c, size);
    if (!at) return call_no_memory(c, size);
    ((str *)w->y->data)[i] = (str){at, size};
    for (size_t k = 0; k < w->taps; at += parts[k++].size)
      if (parts[k].size) memcpy(at, parts[k].at, parts[k].size);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

static sdx_status col2im_compute(op_step *c) {
  const tensor *image = step_in(c, IMAGE), *block = step_in(c, BLOCK);
  work w = {.x = step_in(c, DATA), .y = step_out(c, 0)};
  if (w.y->count == 0) return SDX_OK;
  SDX_TRY(step_located(c, make_window(c->params, image->data, block->data, image->count, &w.g, c->err)));
  w.in = window_in(&w.g), w.out = window_out(&w.g), w.taps = window_taps(&w.g);
  w.ints = dtype_is_int((sdx_dtype)w.x->dtype);
  if (w.x->dtype == SDX_STRING) {
    size_t bytes;
    if (!size_mul(w.y->count, w.taps, &bytes) || !size_mul(bytes, sizeof(str), &bytes))
      return call_no_memory(c, SIZE_MAX);
    w.parts = call_alloc(c, bytes);
    if (!w.parts) return call_no_memory(c, bytes);
    memset(w.parts, 0, bytes);
  }
  call_parallel(c, w.y->count, 1 + 4096 / w.taps, pixels, &w);
  return w.parts ? join(c, &w) : call_check(c);
}

static const char *const col2_im_cases[] = {
    "input=float[1,5,5] image_shape=const(5,5) block_shape=const(1,5)",
    "input=float[2,12,9] image_shape=const(4,4) block_shape=const(2,2)",
    "input=float[1,8,4] image_shape=const(5,6) block_shape=const(2,2) strides=2,2 dilations=2,3",
    "input=float[1,4,16] image_shape=const(3,3) block_shape=const(2,2) pads=1,1,1,1", NULL};

SDX_OP(Col2Im) = {
    .since = 18,
    .versions = "18",
    .inputs = "input:T image_shape:int64 block_shape:int64",
    .outputs = "output:T",
    .types =
        "T=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,string,complex64,"
        "complex128",
    .attrs = "dilations:ints pads:ints strides:ints",
    .params_size = sizeof(window_attrs),
    .params = col2im_read,
    .infer = col2im_infer,
    .compute = col2im_compute,
    .cases = col2_im_cases,
};
