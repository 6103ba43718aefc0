// SPDX-License-Identifier: Apache-2.0
// Operators on [batch, spatial..., channels] around the one on [batch, channels, spatial...]: NhwcConv, NhwcFusedConv,
// NhwcMaxPool, and QLinearConv with channels_last. Each function of the record gives its counterpart of the wrapped
// record the shapes it knows; tensors are transposed in scratch on the way in and out. Weights stay as they are.
#include "base/size.h"
#include "kernels/transpose/transpose.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"
#include "ops/parts/move.h"

enum { MOST_INPUTS = 9 };

typedef struct last_params {
  const op_def *inner;
  void *params;    // of the wrapped operator
  unsigned moved;  // inputs with channels, as bits
} last_params;

static sdx_status wrap(op_params_context *c, void *params, const char *domain, const char *name, unsigned moved) {
  last_params *p = params;
  *p = (last_params){.inner = op_find(str_from(domain), str_from(name)), .moved = moved};
  p->params = arena_zalloc(c->memory, p->inner->params_size);
  return p->params ? p->inner->params(c, p->params) : error_no_memory(c->err, p->inner->params_size);
}
static sdx_status conv_params(op_params_context *c, void *p) { return wrap(c, p, "", "Conv", 1); }
static sdx_status fused_params(op_params_context *c, void *p) {
  return wrap(c, p, "com.microsoft", "FusedConv", 1 | 8);
}
static sdx_status pool_params(op_params_context *c, void *p) { return wrap(c, p, "", "MaxPool", 1); }
static sdx_status qconv_params(op_params_context *c, void *p) {
  return wrap(c, p, "", "QLinearConv", params_int(c, "channels_last") != 0);
}

// Last dimension to second place, and back.
static void channels_first(const int64_t *dims, size_t rank, int64_t *out) {
  for (size_t i = 0; i < rank; i++) out[i] = dims[i == 0 ? 0 : i == 1 ? rank - 1 : i - 1];
}
static void channels_to_end(const int64_t *dims, size_t rank, int64_t *out) {
  for (size_t i = 0; i < rank; i++) out[i] = dims[i == 0 ? 0 : i + 1 == rank ? 1 : i + 1];
}

static sdx_status infer(op_step *c) {
  const last_params *p = c->params;
  const type_info *in[MOST_INPUTS];
  type_info types[MOST_INPUTS];
  int64_t dims[MOST_INPUTS][TENSOR_MAX_RANK], out[TENSOR_MAX_RANK];
  op_step inner = *c;
  inner.in_types = in, inner.params = p->params;
  for (size_t i = 0; i < c->input_count; i++) {
    in[i] = c->in_types[i];
    if (!(p->moved >> i & 1)) continue;
    SDX_TRY(infer_rank(c, i, 3, TENSOR_MAX_RANK));
    if (infer_rank_of(c, i) < 0) continue;
    types[i] = *c->in_types[i];
    channels_first(c->in_types[i]->dims, (size_t)c->in_types[i]->rank, dims[i]);
    types[i].dims = dims[i], in[i] = &types[i];
  }
  SDX_TRY(p->inner->infer(&inner));
  if (!(p->moved & 1) || c->out_types[0].rank < 2) return SDX_OK;
  channels_to_end(c->out_types[0].dims, (size_t)c->out_types[0].rank, out);
  return infer_output(c, 0, (sdx_dtype)c->out_types[0].dtype, c->out_types[0].rank, out);
}

typedef struct last_state {
  void *inner;
  size_t inner_bytes;
  tensor in[MOST_INPUTS], out;  // with channels first
  transpose_plan plans[MOST_INPUTS], back;
} last_state;

// A tensor with channels first; dims live as long as the plan.
static sdx_status turn(op_step *c, const tensor *t, tensor *out) {
  int64_t *dims = arena_array(c->memory, t->rank, sizeof *dims);
  if (!dims) return error_no_memory(c->err, t->rank * sizeof *dims);
  channels_first(t->dims, t->rank, dims);
  *out = *t;
  out->dims = dims, out->data = NULL;
  return SDX_OK;
}

static sdx_status prepare(op_step *c) {
  const last_params *p = c->params;
  last_state *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  value in[MOST_INPUTS], out = *c->out[0], *in_at[MOST_INPUTS], *out_at[1] = {&out};
  bool packable[MOST_INPUTS];
  int64_t perm[TENSOR_MAX_RANK], order[TENSOR_MAX_RANK];
  size_t own = 0;
  op_step inner = *c;
  inner.in = in_at, inner.out = out_at, inner.packable = packable, inner.params = p->params, inner.scratch_bytes = 0;
  for (size_t i = 0; i < TENSOR_MAX_RANK; i++) order[i] = (int64_t)i;
  for (size_t i = 0; i < c->input_count; i++) {
    in_at[i] = c->in[i], packable[i] = c->packable[i];
    if (!(p->moved >> i & 1) || !c->in[i]) continue;
    const tensor *t = step_in(c, i);
    SDX_TRY(turn(c, t, &s->in[i]));
    channels_first(order, t->rank, perm);
    transpose_init(&s->plans[i], t->rank, t->dims, perm, move_width(t));
    in[i] = (value){.tensor = s->in[i]}, in_at[i] = &in[i], packable[i] = false;
    if (!scratch_reserve(&own, t->bytes)) return error_no_memory(c->err, SIZE_MAX);
  }
  if (p->moved & 1) {
    SDX_TRY(turn(c, step_out(c, 0), &s->out));
    channels_to_end(order, s->out.rank, perm);
    transpose_init(&s->back, s->out.rank, s->out.dims, perm, move_width(&s->out));
    out.tensor = s->out;
    if (!scratch_reserve(&own, s->out.bytes)) return error_no_memory(c->err, SIZE_MAX);
  }
  inner.output_count = 1;
  SDX_TRY(p->inner->prepare(&inner));
  s->inner = inner.state, s->inner_bytes = inner.scratch_bytes;
  c->state = s, c->kernel = inner.kernel;
  bool fits = scratch_reserve(&own, inner.scratch_bytes);
  c->scratch_bytes = own;
  return fits ? SDX_OK : error_no_memory(c->err, SIZE_MAX);
}

static sdx_status compute(op_step *c) {
  const last_params *p = c->params;
  const last_state *s = c->state;
  value in[MOST_INPUTS], out = *c->out[0], *in_at[MOST_INPUTS], *out_at[1] = {&out};
  char *scratch = c->scratch;
  op_step inner = *c;
  for (size_t i = 0; i < c->input_count; i++) {
    in_at[i] = c->in[i];
    if (!(p->moved >> i & 1) || !c->in[i]) continue;
    in[i] = *c->in[i];
    in[i].tensor = s->in[i];
    in[i].tensor.data = scratch_take(&scratch, s->in[i].bytes);
    if (in[i].tensor.count) transpose_run(&s->plans[i], c->in[i]->tensor.data, in[i].tensor.data, c->threads);
    in_at[i] = &in[i];
  }
  if (p->moved & 1) {
    out.tensor = s->out;
    out.tensor.data = scratch_take(&scratch, s->out.bytes);
  }
  inner.params = p->params, inner.state = s->inner, inner.in = in_at, inner.out = out_at, inner.output_count = 1;
  inner.scratch = scratch, inner.scratch_bytes = s->inner_bytes;
  SDX_TRY(p->inner->compute(&inner));
  if (p->moved & 1 && out.tensor.count) transpose_run(&s->back, out.tensor.data, c->out[0]->tensor.data, c->threads);
  return SDX_OK;
}

SDX_CASES = {"X=float[2,7,6,4] W=float[6,2,3,3] B=float[6] group=2 pads=1,1,1,1", NULL};
static const char *const fused_cases[] = {
    "X=float[2,5,5,3] W=float[4,3,3,3] B=float[4] Z=float[2,3,3,4] activation=Relu", NULL};
static const char *const pool_cases[] = {"x=uint8[2,7,6,3] kernel_shape=3,2 strides=2,1", NULL};
static const char *const qconv_cases[] = {
    "x=uint8[1,5,5,2] x_scale=float(0.02) x_zero_point=uint8(128) w=int8[3,2,3,3] w_scale=float(0.01) "
    "w_zero_point=int8(0) y_scale=float(0.1) y_zero_point=uint8(120) B=int32[3] channels_last=1",
    NULL};

// clang-format off
#define COMMON .since = 1, .versions = "1", .params_size = sizeof(last_params), .infer = infer, .prepare = prepare, \
               .compute = compute
#define CONV "auto_pad:string=NOTSET dilations:ints group:int=1 kernel_shape:ints pads:ints strides:ints"
SDX_OP_MS(NhwcConv) = {COMMON, .inputs = "X:T W:T B:T?", .outputs = "Y:T", .types = "T=float,double,float16,bfloat16",
                       .attrs = CONV, .params = conv_params, .cases = cases};
SDX_OP_MS(NhwcFusedConv) = {COMMON, .inputs = "X:T W:T B:T? Z:T?", .outputs = "Y:T",
                            .types = "T=float,float16,bfloat16",
                            .attrs = "activation:string activation_params:floats " CONV, .params = fused_params,
                            .cases = fused_cases};
SDX_OP_MS(NhwcMaxPool) = {COMMON, .inputs = "x:T", .outputs = "y:T", .types = "T=int8,uint8,float,float16",
                          .attrs = "auto_pad:string=NOTSET ceil_mode:int=0 dilations:ints kernel_shape:ints! pads:ints "
                                   "strides:ints", .params = pool_params, .cases = pool_cases};
SDX_OP_MS(QLinearConv) = {
    COMMON, .inputs = "x:T1 x_scale:float x_zero_point:T1 w:T2 w_scale:float w_zero_point:T2 y_scale:float "
                      "y_zero_point:T3 B:T4?",
    .outputs = "y:T3", .types = "T1=int8,uint8;T2=int8,uint8;T3=int8,uint8;T4=int32",
    .attrs = CONV " channels_last:int=0", .params = qconv_params, .cases = qconv_cases};
// clang-format on
