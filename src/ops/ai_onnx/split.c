// SPDX-License-Identifier: Apache-2.0
// Split: pieces of the input along `axis`, of the sizes in `split` or as equal as can be (the last
// one smaller). Version 13 moved `split` from attribute to input, 18 added num_outputs.
#include "ops/parts/move.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"

typedef struct params {
  int64_t axis, num_outputs;
} params;  // num_outputs 0: not given

static sdx_status split_read(op_params_context *c, void *p) {
  *(params *)p = (params){params_int(c, "axis"), params_int(c, "num_outputs")};
  if (params_has(c, "num_outputs") && ((params *)p)->num_outputs != (int64_t)c->node->output_count)
    if (((params *)p)->num_outputs <= 0 || ((params *)p)->num_outputs < (int64_t)c->node->output_count)
      return params_fail(c, "num_outputs", "is %lld, but %u outputs are listed", (long long)((params *)p)->num_outputs,
                         c->node->output_count);
  return SDX_OK;
}

// Version 1 also knew `split` as a second input of the data's type: exporters never used it.
static sdx_status split_upgrade(op_upgrade *u) {
  // Version 1 could have the sizes as an input, of the type of the data.
  if (u->version == 1 && u->node->input_count > 1 && u->node->inputs[1]) {
    attr to = attr_of_int("to", SDX_INT64);
    value_id sizes = upgrade_insert(u, "Cast", 1, &u->node->inputs[1], &to, 1);
    return sizes ? upgrade_set_input(u, 1, sizes) : error_no_memory(u->err, sizeof(node));
  }
  return u->version < 13 ? upgrade_ints_to_input(u, "split", 1) : SDX_OK;
}

// Sizes of `count` pieces of `n` elements.
static sdx_status pieces(const params *p, int64_t n, const tensor *split, size_t count, int64_t *sizes, error *err) {
  if (split) {
    int64_t sum = 0;
    if (split->count != count)
      return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has %zu entries for %zu outputs", split->count, count);
    for (size_t i = 0; i < count; i++) {
      sizes[i] = tensor_index_at(split, i);
      if (sizes[i] < 0 || !i64_add(sum, sizes[i], &sum))
        return error_at(err, at_input(1), SDX_OUT_OF_RANGE, "has %lld at %zu", (long long)sizes[i], i);
    }
    if (n >= 0 && sum != n)
      return error_at(err, at_input(1), SDX_INVALID_SHAPE, "adds up to %lld, but the axis has size %lld",
                      (long long)sum, (long long)n);
    return SDX_OK;
  }
  int64_t parts = p->num_outputs > 0 ? p->num_outputs : (int64_t)count;
  int64_t each = n < 0 ? DIM_UNKNOWN : n / parts + (n % parts != 0);
  for (size_t i = 0; i < count; i++) {
    int64_t begin = n < 0 ? 0 : i64_min(n, (int64_t)i * each);
    sizes[i] = n < 0 ? DIM_UNKNOWN : i64_min(each, n - begin);
  }
  return SDX_OK;
}

static sdx_status split_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  const params *p = c->params;
  int rank = infer_rank_of(c, 0);
  int64_t axis = p->axis, dims[TENSOR_MAX_RANK];
  const tensor *split = c->input_count > 1 ? c->constants[1] : NULL;
  int64_t *sizes = arena_array(c->memory, c->output_count + 1, sizeof *sizes);
  if (!sizes) return error_no_memory(c->err, c->output_count * sizeof *sizes);
  if (rank >= 0) SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
  bool known = rank >= 0 && (split || c->input_count < 2 || !c->in_types[1]);
  if (known) SDX_TRY(step_located(c, pieces(p, c->in_types[0]->dims[axis], split, c->output_count, sizes, c->err)));
  for (size_t i = 0; i < c->output_count; i++) {
    for (int d = 0; d < rank; d++) dims[d] = d != axis ? c->in_types[0]->dims[d] : known ? sizes[i] : DIM_UNKNOWN;
    SDX_TRY(infer_output(c, i, infer_dtype_of(c, 0), rank, dims));
  }
  return SDX_OK;
}

static sdx_status split_compute(op_step *c) {
  const params *p = c->params;
  tensor x;
  SDX_TRY(move_input(c, 0, &x));
  int64_t axis = p->axis, outer = 1, inner = 1, offset = 0;
  SDX_TRY(step_located(c, step_axis(c, &axis, x.rank, at_attribute("axis"))));
  for (int64_t d = 0; d < x.rank; d++) *(d < axis ? &outer : &inner) *= d == axis ? 1 : x.dims[d];
  int64_t *sizes = call_alloc(c, c->output_count * sizeof *sizes);
  if (!sizes) return call_no_memory(c, c->output_count * sizeof *sizes);
  SDX_TRY(step_located(c, pieces(p, x.dims[axis], step_in(c, 1), c->output_count, sizes, c->err)));
  size_t width = move_width(&x);
  for (size_t i = 0; i < c->output_count; offset += sizes[i++]) {
    if (!step_out(c, i)) continue;
    int64_t dims[TENSOR_MAX_RANK];
    for (size_t d = 0; d < x.rank; d++) dims[d] = (int64_t)d == axis ? sizes[i] : x.dims[d];
    SDX_TRY(call_set_shape(c, i, (sdx_dtype)x.dtype, x.rank, dims));
    tensor y;
    SDX_TRY(move_output(c, i, &y));
    strided box = {
        .rank = 2, .dims = {outer, sizes[i] * inner}, .from = {x.dims[axis] * inner, 1}, .to = {sizes[i] * inner, 1}};
    if (y.count) move_strided(c, &box, width, (const char *)x.data + (size_t)(offset * inner) * width, y.data);
    move_finish(c, i, &y);
  }
  return SDX_OK;
}

static const char *const split_cases[] = {
    "input=float[6,2] num_outputs=2 outputs=2", "input=float[7,3] num_outputs=3 outputs=3",
    "input=float[3,6] split=const(2,1,3) axis=1 outputs=3", "input=float[4] split=const(0,4) axis=-1 outputs=2", NULL};

SDX_OP(Split) = {
    .since = 18,
    .versions = "18 13 11 2 1",
    .inputs = "input:T split:int64?",
    .outputs = "outputs:T+",
    .types = "T=any",
    .attrs = "axis:int=0 num_outputs:int",
    .attrs_old = "split:ints<13",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(params),
    .params = split_read,
    .upgrade = split_upgrade,
    .infer = split_infer,
    .layouts = layouts_follow,
    .compute = split_compute,
    .cases = split_cases,
};
