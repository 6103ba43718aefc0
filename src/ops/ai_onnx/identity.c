// SPDX-License-Identifier: Apache-2.0
// Identity: the input as it is: tensor, sequence or optional. Dropout: at inference the identity with
// a mask of ones; with training_mode set, elements are dropped at random and the rest scaled.
// Identity-14 allowed sequences, -16 optionals. Dropout-12 moved ratio to an input; 7 to 10 have no
// training mode; the mask is of the data's type before 10.
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"
#include "ops/parts/random.h"
#include "tensor/convert.h"

static sdx_status identity_infer(op_step *c) { return infer_same(c, 0, 0); }

static sdx_status identity_compute(op_step *c) {
  return c->in[0]->kind == VALUE_TENSOR ? move_view(c) : move_value(c, 0, c->in[0]);
}

static const char *const identity_cases[] = {"input=float[2,3]", "input=float[0]", "input=float[]",
                                             "input=seq(float[2];float[3])", NULL};

SDX_OP(Identity) = {
    .since = 25,
    .versions = "25 24 23 21 19 16 14 13 1",
    .inputs = "input:V",
    .outputs = "output:V",
    .types = "V=any,seq,map,optional",
    .flags = OP_VIEW | OP_MOVES_DATA,
    .infer = identity_infer,
    .compute = identity_compute,
    .cases = identity_cases,
};

// ---- Dropout ----------------------------------------------------------------------------------------

typedef struct dropout_params {
  bool mask_as_data, seeded;
  int64_t seed;
} dropout_params;

static sdx_status dropout_read(op_params_context *c, void *params) {
  dropout_params *p = params;
  p->mask_as_data = params_int(c, "_mask_as_data") != 0;
  p->seeded = params_has(c, "seed");
  if (p->seeded) p->seed = params_int(c, "seed");
  return SDX_OK;
}

// is_test = 0 before version 7 asked for training; as everywhere else, inference is what runs here.
static sdx_status dropout_upgrade(op_upgrade *u) {
  if (u->version >= 12) return SDX_OK;
  u->node->input_count = u->node->input_count > 1 ? 1 : u->node->input_count;
  return u->version < 10 ? node_set_attr(u->graph, u->node, attr_of_int("_mask_as_data", 1)) : SDX_OK;
}

static sdx_status dropout_infer(op_step *c) {
  SDX_TRY(infer_same(c, 0, 0));
  bool as_data = ((const dropout_params *)c->params)->mask_as_data;
  return infer_same_as(c, 1, 0, as_data ? infer_dtype_of(c, 0) : SDX_BOOL);
}

static sdx_status dropout_train(op_step *c, double ratio) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0), *mask = step_out(c, 1);
  if (!(ratio >= 0 && ratio < 1))
    return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %g, expected a number in [0, 1)", ratio);
  const dropout_params *p = c->params;
  uint64_t seed = p->seeded ? random_mix((uint64_t)p->seed) : random_new_seed();
  double scale = 1 / (1 - ratio);
  for (size_t i = 0; i < x->count; i++) {
    SDX_TRY(call_check_in(c, i));
    bool keep = random_uniform(seed, i) >= ratio;
    double v = keep ? tensor_number_at(x, i) * scale : 0;
    if (y) convert_from_doubles((sdx_dtype)y->dtype, y->data, i, 1, &v);
    if (mask) ((uint8_t *)mask->data)[i] = keep;
  }
  return SDX_OK;
}

static sdx_status dropout_compute(op_step *c) {
  const tensor *ratio = step_in(c, 1), *training = step_in(c, 2);
  tensor *mask = step_out(c, 1);
  if (training && training->count && *(const uint8_t *)training->data) {
    return dropout_train(c, ratio && ratio->count ? tensor_number_at(ratio, 0) : 0.5);
  }
  if (mask && mask->dtype == SDX_BOOL) memset(mask->data, 1, mask->bytes);
  for (size_t i = 0; mask && mask->dtype != SDX_BOOL && i < mask->count; i++)
    convert_from_doubles((sdx_dtype)mask->dtype, mask->data, i, 1, &(double){1});
  return step_out(c, 0) ? move_view(c) : SDX_OK;
}

static const char *const dropout_cases[] = {"data=float[2,3]", "data=float[2,3] ratio=const(0.5) outputs=2",
                                            "data=float[4] ratio=float(0.3) training_mode=bool(0)", NULL};

SDX_OP(Dropout) = {
    .since = 22,
    .versions = "22 13 12 10 7 6 1",
    .inputs = "data:T ratio:T1? training_mode:bool?",
    .outputs = "output:T mask:T2?",
    .types =
        "T=bfloat16,double,float,float16,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz;"
        "T1=bfloat16,double,float,float16,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz;T2=any",
    .attrs = "seed:int _mask_as_data:int=0",
    .flags = OP_NONDETERMINISTIC,
    .attrs_old = "consumed_inputs:ints<6 ratio:float<12 is_test:int<7",
    .params_size = sizeof(dropout_params),
    .params = dropout_read,
    .upgrade = dropout_upgrade,
    .infer = dropout_infer,
    .compute = dropout_compute,
    .cases = dropout_cases,
};
