// SPDX-License-Identifier: Apache-2.0
// Constant: the tensor in the attribute. ConstantOfShape: one element repeated over a shape given as
// input. GivenTensorFill (retired): a list of floats in a shape. Constant-11 added sparse_value, -12 the value_* forms;
// later versions added types.
#include "ops/parts/move.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"

// ---- Constant ---------------------------------------------------------------------------------------

typedef struct constant_params {
  tensor value;
} constant_params;

static sdx_status make(op_params_context *c, tensor *t, sdx_dtype dtype, size_t rank, int64_t count, const void *data) {
  int64_t *dims = arena_copy(c->memory, &count, sizeof count);
  if (!dims) return error_no_memory(c->err, sizeof count);
  SDX_TRY(tensor_init(t, dtype, rank, dims, c->err));
  t->data = arena_copy(c->memory, data, t->bytes);
  return t->data ? SDX_OK : error_no_memory(c->err, t->bytes);
}

static sdx_status densify(op_params_context *c, const sparse_tensor *s, tensor *t) {
  int64_t strides[TENSOR_MAX_RANK];
  size_t width = move_width(&s->values);
  SDX_TRY(tensor_init(t, (sdx_dtype)s->values.dtype, s->rank, s->dims, c->err));
  if (dtype_is_packed((sdx_dtype)t->dtype)) return params_fail(c, "sparse_value", "has a packed element type");
  if (!(t->data = arena_zalloc(c->memory, t->bytes))) return error_no_memory(c->err, t->bytes);
  move_strides(t->dims, t->rank, strides);
  bool linear = s->indices.rank == 1;
  if (s->indices.count != s->values.count * (linear ? 1 : s->rank))
    return params_fail(c, "sparse_value", "has %zu indices for %zu values", s->indices.count, s->values.count);
  const int64_t *at = s->indices.data;
  for (size_t i = 0; i < s->values.count; i++) {
    int64_t offset = linear ? at[i] : 0;
    for (size_t d = 0; !linear && d < s->rank; d++) {
      int64_t x = at[i * s->rank + d];
      if (x < 0 || x >= s->dims[d])
        return params_fail(c, "sparse_value", "has index %lld in dimension %zu of size %lld", (long long)x, d,
                           (long long)s->dims[d]);
      offset += x * strides[d];
    }
    if (offset < 0 || (size_t)offset >= t->count)
      return params_fail(c, "sparse_value", "has index %lld, but only %zu elements", (long long)offset, t->count);
    memcpy((char *)t->data + (size_t)offset * width, (const char *)s->values.data + i * width, width);
  }
  return SDX_OK;
}

static sdx_status constant_read(op_params_context *c, void *params) {
  tensor *t = &((constant_params *)params)->value;
  size_t given = 0;
  const attr *a = NULL;
  for (uint32_t i = 0; i < c->node->attr_count; i++, given++) a = &c->node->attrs[i];
  if (given != 1)
    return params_fail(c, "value", "or one of its other forms must be given exactly once, found %zu", given);
  switch (a->kind) {
    case ATTR_TENSOR:
      *t = *a->tensor;
      return SDX_OK;
    case ATTR_SPARSE_TENSOR:
      return densify(c, a->sparse, t);
    case ATTR_INT:
      return make(c, t, SDX_INT64, 0, 1, &a->i);
    case ATTR_FLOAT:
      return make(c, t, SDX_FLOAT, 0, 1, &a->f);
    case ATTR_STRING:
      return make(c, t, SDX_STRING, 0, 1, &a->s);
    case ATTR_INTS:
      return make(c, t, SDX_INT64, 1, (int64_t)a->ints.count, a->ints.at);
    case ATTR_FLOATS:
      return make(c, t, SDX_FLOAT, 1, (int64_t)a->floats.count, a->floats.at);
    case ATTR_STRINGS:
      return make(c, t, SDX_STRING, 1, (int64_t)a->strings.count, a->strings.at);
    default:
      return params_fail(c, "value", "has a kind that cannot be a constant");
  }
}

static sdx_status constant_infer(op_step *c) {
  const tensor *t = &((const constant_params *)c->params)->value;
  return infer_output(c, 0, (sdx_dtype)t->dtype, t->rank, t->dims);
}

static sdx_status constant_compute(op_step *c) {
  const tensor *t = &((const constant_params *)c->params)->value;
  move_bytes(c, step_out(c, 0)->data, t->data, t->bytes);
  return SDX_OK;
}

static const char *const constant_cases[] = {"value=float[2,2](1,2,3,4)",
                                             "value_float=1.5",
                                             "value_int=-3",
                                             "value_ints=1,2,3",
                                             "value_floats=0.5,1",
                                             "value_string=abc",
                                             "value_strings=a,bc",
                                             "value=int4[3](1,-2,7)",
                                             "value=string[2](x,y)",
                                             "value=complex64[2](1,2)",
                                             NULL};

SDX_OP(Constant) = {
    .since = 25,
    .versions = "25 24 23 21 19 13 12 11 9 1",
    .inputs = "",
    .outputs = "output:T",
    .types = "T=any",
    .attrs =
        "value:tensor sparse_value:sparse value_int:int value_ints:ints value_float:float value_floats:floats "
        "value_string:string value_strings:strings",
    .params_size = sizeof(constant_params),
    .params = constant_read,
    .infer = constant_infer,
    .compute = constant_compute,
    .cases = constant_cases,
};

// ---- ConstantOfShape --------------------------------------------------------------------------------

typedef struct fill_params {
  const tensor *value;
} fill_params;

static sdx_status constant_of_shape_read(op_params_context *c, void *params) {
  const tensor *t = params_tensor(c, "value");
  ((fill_params *)params)->value = t;
  if (t && t->count != 1) return params_fail(c, "value", "must hold one element, found %zu", t->count);
  return SDX_OK;
}

static sdx_dtype fill_dtype(const void *params) {
  const tensor *t = ((const fill_params *)params)->value;
  return t ? (sdx_dtype)t->dtype : SDX_FLOAT;
}

static sdx_status check_dims(const int64_t *dims, size_t rank, error *err) {
  for (size_t i = 0; i < rank; i++)
    if (dims[i] < 0)
      return error_at(err, at_input(0), SDX_OUT_OF_RANGE, "asks for a dimension %zu of %lld", i, (long long)dims[i]);
  return SDX_OK;
}

static sdx_status constant_of_shape_infer(op_step *c) {
  size_t rank;
  const int64_t *dims = infer_constant_ints(c, 0, &rank);
  if (dims) {
    SDX_TRY(step_located(c, check_dims(dims, rank, c->err)));
    return infer_output(c, 0, fill_dtype(c->params), rank > TENSOR_MAX_RANK ? TENSOR_MAX_RANK + 1 : (int)rank, dims);
  }
  int64_t unknown[TENSOR_MAX_RANK];
  for (size_t i = 0; i < TENSOR_MAX_RANK; i++) unknown[i] = DIM_UNKNOWN;
  int64_t known = infer_count(c, 0);
  return infer_output(c, 0, fill_dtype(c->params), known <= TENSOR_MAX_RANK ? (int)known : -1, unknown);
}

static sdx_status constant_of_shape_compute(op_step *c) {
  const tensor *shape = step_in(c, 0), *value = ((const fill_params *)c->params)->value;
  SDX_TRY(step_located(c, check_dims(shape->data, shape->count, c->err)));
  SDX_TRY(call_set_shape(c, 0, fill_dtype(c->params), shape->count, shape->data));
  tensor *y = step_out(c, 0);
  if (!value) {
    return call_zero(c, y->data, y->bytes);
  } else if (dtype_is_packed((sdx_dtype)y->dtype)) {
    int bits = dtype_bits((sdx_dtype)y->dtype);
    uint8_t byte = *(const uint8_t *)value->data & (uint8_t)((1 << bits) - 1);
    for (; bits < 8; bits *= 2) byte |= (uint8_t)(byte << bits);
    move_fill(c, y->data, &byte, 1, y->bytes);
  } else {
    move_fill(c, y->data, value->data, move_width(y), y->count);
  }
  return SDX_OK;
}

static const char *const constant_of_shape_cases[] = {"input=int64(2,3)",
                                                      "input=int64(4) value=int32[1](7)",
                                                      "input=int64[0]",
                                                      "input=int64(0,3) value=float16[1](1.5)",
                                                      "input=const(2,5) value=bool[1](1)",
                                                      "input=int64(3,1) value=double[1](0.1)",
                                                      "input=int64(3,3) value=int4[1](-3)",
                                                      "input=int64(2,2) value=bfloat16[1](0.5)",
                                                      NULL};

SDX_OP(ConstantOfShape) = {
    .since = 25,
    .versions = "25 24 23 21 20 9",
    .inputs = "input:int64",
    .outputs = "output:T2",
    .types = "T2=any",
    .attrs = "value:tensor",
    .params_size = sizeof(fill_params),
    .params = constant_of_shape_read,
    .infer = constant_of_shape_infer,
    .compute = constant_of_shape_compute,
    .cases = constant_of_shape_cases,
};

// ---- GivenTensorFill --------------------------------------------------------------------------------

typedef struct given_params {
  const float *values;
  const int64_t *shape, *extra;
  size_t count, rank, extra_rank;
  bool input_is_shape;
} given_params;

static sdx_status given_tensor_fill_read(op_params_context *c, void *params) {
  given_params *p = params;
  p->values = params_floats(c, "values", &p->count);
  p->shape = params_ints(c, "shape", &p->rank);
  p->extra = params_ints(c, "extra_shape", &p->extra_rank);
  p->input_is_shape = params_int(c, "input_as_shape") != 0;
  if (c->node->input_count == 0 && p->rank + p->extra_rank > TENSOR_MAX_RANK)
    return params_fail(c, "shape", "has %zu entries", p->rank);
  return SDX_OK;
}

static sdx_status given_dims(const given_params *p, const int64_t *in, size_t in_rank, int64_t *dims, size_t *rank,
                             error *err) {
  *rank = in_rank + p->extra_rank;
  if (*rank > TENSOR_MAX_RANK) return error_set(err, SDX_INVALID_SHAPE, "the output would have rank %zu", *rank);
  if (in_rank) memcpy(dims, in, in_rank * sizeof *dims);
  if (p->extra_rank) memcpy(dims + in_rank, p->extra, p->extra_rank * sizeof *dims);
  size_t count;
  for (size_t i = 0; i < *rank; i++)
    if (dims[i] == DIM_UNKNOWN) return SDX_OK;
  if (!size_product(dims, *rank, &count) || count != p->count)
    return error_at(err, at_attribute("values"), SDX_INVALID_SHAPE, "has %zu entries, which do not fill the shape",
                    p->count);
  return SDX_OK;
}

static sdx_status given_tensor_fill_infer(op_step *c) {
  const given_params *p = c->params;
  int64_t dims[TENSOR_MAX_RANK];
  size_t rank = p->rank;
  const int64_t *in = p->shape;
  if (c->input_count && c->in_types[0]) {
    if (p->input_is_shape) in = infer_constant_ints(c, 0, &rank);
    else in = infer_rank_of(c, 0) >= 0 ? c->in_types[0]->dims : NULL, rank = (size_t)i64_max(0, infer_rank_of(c, 0));
    if (!in && (p->input_is_shape || infer_rank_of(c, 0) != 0)) return infer_output(c, 0, SDX_FLOAT, -1, NULL);
  }
  SDX_TRY(step_located(c, given_dims(p, in, rank, dims, &rank, c->err)));
  return infer_output(c, 0, SDX_FLOAT, (int)rank, dims);
}

static sdx_status given_tensor_fill_compute(op_step *c) {
  const given_params *p = c->params;
  const tensor *x = step_in(c, 0);
  int64_t dims[TENSOR_MAX_RANK];
  size_t rank = !x ? p->rank : p->input_is_shape ? x->count : x->rank;
  const int64_t *in = !x ? p->shape : p->input_is_shape ? x->data : x->dims;
  if (x && p->input_is_shape && x->dtype != SDX_INT64)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "is %s, expected int64", dtype_name((sdx_dtype)x->dtype));
  SDX_TRY(step_located(c, given_dims(p, in, rank, dims, &rank, c->err)));
  SDX_TRY(call_set_shape(c, 0, SDX_FLOAT, rank, dims));
  tensor *y = step_out(c, 0);
  if (y->count != p->count)
    return step_fail_at(c, at_attribute("values"), SDX_INVALID_SHAPE, "does not fill the output");
  move_bytes(c, y->data, p->values, y->bytes);
  return SDX_OK;
}

static const char *const given_tensor_fill_cases[] = {"values=1,2,3,4,5,6 shape=2,3", NULL};

SDX_OP_OLD(GivenTensorFill) = {
    .since = 1,
    .versions = "1",
    .inputs = "shape:any?",
    .outputs = "X:T",
    .types = "T=float16,float,double",
    .attrs = "values:floats shape:ints input_as_shape:int=0 extra_shape:ints",
    .params_size = sizeof(given_params),
    .params = given_tensor_fill_read,
    .infer = given_tensor_fill_infer,
    .compute = given_tensor_fill_compute,
    .cases = given_tensor_fill_cases,
};
