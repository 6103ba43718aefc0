// SPDX-License-Identifier: Apache-2.0
// ConvInteger: the convolution of x - x_zero_point and w - w_zero_point in int32, exact but for wrap. Padding
// counts as x_zero_point. w_zero_point is one number or one for each output channel.
#include "ops/parts/int_product.h"

#include "ops/infer.h"
#include "ops/parts/quantization.h"

enum { X, W, X_ZERO, W_ZERO };

static sdx_status conv_integer_infer(op_step *c) {
  SDX_TRY(infer_per_channel(c, X_ZERO, 1));
  SDX_TRY(infer_per_channel(c, W_ZERO, infer_rank_of(c, W) > 0 ? c->in_types[W]->dims[0] : -1));
  return conv_infer_shape(c, c->params, X, W, SIZE_MAX, SDX_INT32);
}

static sdx_status conv_integer_prepare(op_step *c) {
  int_conv *v = arena_zalloc(c->memory, sizeof *v);
  if (!v) return error_no_memory(c->err, sizeof *v);
  c->state = v;
  SDX_TRY(int_conv_prepare(c, c->params, v, X, W, step_out(c, 0)));
  c->scratch_bytes = v->scratch_bytes;
  return SDX_OK;
}

static sdx_status conv_integer_compute(op_step *c) {
  tensor *y = step_out(c, 0);
  return y->count ? int_conv_run(c, c->state, X_ZERO, W_ZERO, y->data, c->scratch) : SDX_OK;
}

SDX_CASES = {"x=uint8[1,2,5,5] w=uint8[3,2,3,3] x_zero_point=uint8(7) w_zero_point=uint8(2) pads=1,1,1,1",
             "x=uint8[1,4,6] w=int8[4,2,3] group=2 strides=2", NULL};

SDX_OP(ConvInteger) = {
    .since = 10,
    .versions = "10",
    .inputs = "x:T1 w:T2 x_zero_point:T1? w_zero_point:T2?",
    .outputs = "y:T3",
    .types = "T1=int8,uint8;T2=int8,uint8;T3=int32",
    .attrs = "auto_pad:string=NOTSET dilations:ints group:int=1 kernel_shape:ints pads:ints strides:ints",
    .params_size = sizeof(conv_params),
    .params = conv_read,
    .infer = conv_integer_infer,
    .prepare = conv_integer_prepare,
    .compute = conv_integer_compute,
    .cases = cases,
};
