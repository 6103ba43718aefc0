// SPDX-License-Identifier: Apache-2.0
// Sequences: Construct, Empty, Length, At, Insert, Erase, SplitToSequence, ConcatFromSequence. A
// sequence is immutable and shares its counted items with the sequences made from it, so inserting
// copies pointers, not tensors. SplitToSequence-24 added types.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

static sdx_status infer_sequence(op_step *c, sdx_dtype dtype) {
  type_info *element = type_tensor(c->memory, dtype, -1, NULL);
  if (!element) return error_no_memory(c->err, sizeof *element);
  c->out_types[0] = (type_info){.kind = TYPE_SEQUENCE, .rank = -1, .element = element};
  return SDX_OK;
}

static sdx_dtype element_dtype(const type_info *t) {
  return t && t->kind == TYPE_SEQUENCE && t->element && t->element->kind == TYPE_TENSOR ? (sdx_dtype)t->element->dtype
                                                                                        : SDX_UNDEFINED;
}

static sdx_status need_sequence(op_step *c, size_t input) {
  if (c->in[input]->kind == VALUE_SEQUENCE) return SDX_OK;
  return step_fail_at(c, at_input(input), SDX_INVALID_ARGUMENT, "is not a sequence");
}

// Position from input `input`: negative counts from the back; below `limit`.
static sdx_status position_of(op_step *c, size_t input, int64_t n, int64_t limit, int64_t otherwise, int64_t *at) {
  const tensor *t = step_in(c, input);
  *at = otherwise;
  if (t && t->count != 1)
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has %zu elements, expected 1", t->count);
  if (t) *at = tensor_index_at(t, 0);
  if (*at < -n || *at >= limit)
    return step_fail_at(c, at_input(input), SDX_OUT_OF_RANGE,
                        "is %lld, expected within [-%lld, %lld) of a sequence of %lld", (long long)*at, (long long)n,
                        (long long)limit, (long long)n);
  if (*at < 0) *at += n;
  return SDX_OK;
}

// Hands over a sequence of items; drops `fresh` references afterwards.
static sdx_status finish(op_step *c, size_t count, sdx_value *const *items) {
  sdx_value *made;
  SDX_TRY(step_located(c, value_create_sequence(call_account(c), count, items, &made, c->err)));
  return call_set_value(c, 0, made);
}

static sdx_value **item_array(op_step *c, size_t count) {
  size_t bytes;
  return size_mul(count + 1, sizeof(sdx_value *), &bytes) ? mem_zalloc(call_account(c), bytes) : NULL;
}

// ---- SequenceConstruct, SequenceEmpty, SequenceLength -----------------------------------------------

static sdx_status sequence_construct_infer(op_step *c) { return infer_sequence(c, infer_dtype_of(c, 0)); }

static sdx_status sequence_construct_compute(op_step *c) {
  sdx_value **items = item_array(c, c->input_count);
  if (!items) return call_no_memory(c, c->input_count * sizeof *items);
  sdx_status status = SDX_OK;
  size_t n = 0;
  for (; n < c->input_count && status == SDX_OK; n++)
    status = step_located(c, value_copy(call_account(c), c->in[n], &items[n], c->err));
  if (status == SDX_OK) status = finish(c, n, items);
  while (n-- > 0) value_release(items[n]);
  mem_free(items);
  return status;
}

static const char *const sequence_construct_cases[] = {"inputs=float[2] inputs=float[3,1]", "inputs=float[]", NULL};

SDX_OP(SequenceConstruct) = {
    .since = 11,
    .versions = "11",
    .inputs = "inputs:T+",
    .outputs = "output_sequence:S",
    .types = "T=any;S=seq",
    .infer = sequence_construct_infer,
    .compute = sequence_construct_compute,
    .cases = sequence_construct_cases,
};

typedef struct empty_params {
  sdx_dtype dtype;
} empty_params;

static sdx_status sequence_empty_read(op_params_context *c, void *params) {
  int64_t dtype = params_int(c, "dtype");
  if (dtype <= 0 || dtype >= SDX_DTYPE_COUNT)
    return params_fail(c, "dtype", "is %lld, expected an element type", (long long)dtype);
  ((empty_params *)params)->dtype = (sdx_dtype)dtype;
  return SDX_OK;
}
static sdx_status sequence_empty_infer(op_step *c) {
  return infer_sequence(c, ((const empty_params *)c->params)->dtype);
}
static sdx_status sequence_empty_compute(op_step *c) { return finish(c, 0, NULL); }

static const char *const sequence_empty_cases[] = {"dtype=1", "dtype=7", "dtype=8", NULL};

SDX_OP(SequenceEmpty) = {
    .since = 11,
    .versions = "11",
    .inputs = "",
    .outputs = "output:S",
    .types = "S=seq",
    .attrs = "dtype:int=1",
    .params_size = sizeof(empty_params),
    .params = sequence_empty_read,
    .infer = sequence_empty_infer,
    .compute = sequence_empty_compute,
    .cases = sequence_empty_cases,
};

static sdx_status sequence_length_infer(op_step *c) { return infer_output(c, 0, SDX_INT64, 0, NULL); }

static sdx_status sequence_length_compute(op_step *c) {
  SDX_TRY(need_sequence(c, 0));
  *(int64_t *)step_out(c, 0)->data = (int64_t)c->in[0]->item_count;
  return SDX_OK;
}

static const char *const sequence_length_cases[] = {"input_sequence=seq(float[2];float[3])",
                                                    "input_sequence=seq(float[2])", NULL};

SDX_OP(SequenceLength) = {
    .since = 11,
    .versions = "11",
    .inputs = "input_sequence:S",
    .outputs = "length:int64",
    .types = "S=seq",
    .infer = sequence_length_infer,
    .compute = sequence_length_compute,
    .cases = sequence_length_cases,
};

// ---- SequenceAt, SequenceInsert, SequenceErase ------------------------------------------------------

static sdx_status sequence_at_infer(op_step *c) { return infer_output(c, 0, element_dtype(c->in_types[0]), -1, NULL); }

static sdx_status sequence_at_compute(op_step *c) {
  SDX_TRY(need_sequence(c, 0));
  int64_t n = (int64_t)c->in[0]->item_count, at;
  SDX_TRY(position_of(c, 1, n, n, 0, &at));
  return call_set_value(c, 0, value_retain((sdx_value *)c->in[0]->items[at]));
}

static const char *const sequence_at_cases[] = {"input_sequence=seq(float[2];float[3];float[]) position=int64(1)",
                                                "input_sequence=seq(float[2];float[3]) position=int32(-2)", NULL};

SDX_OP(SequenceAt) = {
    .since = 11,
    .versions = "11",
    .inputs = "input_sequence:S position:I",
    .outputs = "tensor:T",
    .types = "S=seq;T=any;I=int32,int64",
    .infer = sequence_at_infer,
    .compute = sequence_at_compute,
    .cases = sequence_at_cases,
};

static sdx_status sequence_insert_infer(op_step *c) {
  sdx_dtype dtype = element_dtype(c->in_types[0]), other = infer_dtype_of(c, 1);
  if (dtype && other && dtype != other)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "is %s, expected %s: like the items of the sequence",
                        dtype_name(other), dtype_name(dtype));
  return infer_sequence(c, dtype ? dtype : other);
}

static sdx_status sequence_insert_compute(op_step *c) {
  SDX_TRY(need_sequence(c, 0));
  const value *from = c->in[0];
  int64_t n = (int64_t)from->item_count, at;
  SDX_TRY(position_of(c, 2, n, n + 1, n, &at));
  if (n && from->items[0]->kind == VALUE_TENSOR && from->items[0]->tensor.dtype != step_in(c, 1)->dtype)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "is %s, expected %s: like the items of the sequence",
                        dtype_name((sdx_dtype)step_in(c, 1)->dtype),
                        dtype_name((sdx_dtype)from->items[0]->tensor.dtype));
  sdx_value *item, **items = item_array(c, from->item_count + 1);
  if (!items) return call_no_memory(c, from->item_count * sizeof *items);
  sdx_status status = step_located(c, value_copy(call_account(c), c->in[1], &item, c->err));
  if (status == SDX_OK) {
    if (at) memcpy(items, from->items, (size_t)at * sizeof *items);
    items[at] = item;
    if (n > at) memcpy(items + at + 1, from->items + at, (size_t)(n - at) * sizeof *items);
    status = finish(c, from->item_count + 1, items);
    value_release(item);
  }
  mem_free(items);
  return status;
}

static const char *const sequence_insert_cases[] = {
    "input_sequence=seq(float[2];float[3]) tensor=float[4] position=int64(1)",
    "input_sequence=seq(float[2];float[3]) tensor=float[]",
    "input_sequence=seq(float[2];float[3]) tensor=float[1] position=int32(-2)", NULL};

SDX_OP(SequenceInsert) = {
    .since = 11,
    .versions = "11",
    .inputs = "input_sequence:S tensor:T position:I?",
    .outputs = "output_sequence:S",
    .types = "S=seq;T=any;I=int32,int64",
    .infer = sequence_insert_infer,
    .compute = sequence_insert_compute,
    .cases = sequence_insert_cases,
};

static sdx_status sequence_erase_infer(op_step *c) { return infer_sequence(c, element_dtype(c->in_types[0])); }

static sdx_status sequence_erase_compute(op_step *c) {
  SDX_TRY(need_sequence(c, 0));
  const value *from = c->in[0];
  int64_t n = (int64_t)from->item_count, at;
  SDX_TRY(position_of(c, 1, n, n, n - 1, &at));
  sdx_value **items = item_array(c, from->item_count);
  if (!items) return call_no_memory(c, from->item_count * sizeof *items);
  for (int64_t i = 0, k = 0; i < n; i++)
    if (i != at) items[k++] = (sdx_value *)from->items[i];
  sdx_status status = finish(c, from->item_count - 1, items);
  mem_free(items);
  return status;
}

static const char *const sequence_erase_cases[] = {"input_sequence=seq(float[2];float[3];float[1]) position=int64(1)",
                                                   "input_sequence=seq(float[2];float[3])",
                                                   "input_sequence=seq(float[2];float[3]) position=int32(-2)", NULL};

SDX_OP(SequenceErase) = {
    .since = 11,
    .versions = "11",
    .inputs = "input_sequence:S position:I?",
    .outputs = "output_sequence:S",
    .types = "S=seq;I=int32,int64",
    .infer = sequence_erase_infer,
    .compute = sequence_erase_compute,
    .cases = sequence_erase_cases,
};

// ---- SplitToSequence --------------------------------------------------------------------------------

typedef struct split_params {
  int64_t axis;
  bool keep;
} split_params;

static sdx_status split_to_sequence_read(op_params_context *c, void *params) {
  *(split_params *)params = (split_params){params_int(c, "axis"), params_int(c, "keepdims") != 0};
  return SDX_OK;
}

static sdx_status split_to_sequence_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 0, 1, -1));
  return infer_sequence(c, infer_dtype_of(c, 0));
}

// How many pieces; sizes of each through piece_size.
static sdx_status piece_count(op_step *c, const tensor *split, int64_t n, int64_t *count) {
  *count = n;
  if (!split) return SDX_OK;
  int64_t sum = 0;
  for (size_t i = 0; i < split->count; i++) {
    int64_t size = tensor_index_at(split, i);
    if (size < (split->rank == 0) || !i64_add(sum, size, &sum))
      return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %lld at %zu", (long long)size, i);
  }
  if (split->rank == 0) {
    *count = n / sum + (n % sum != 0);
  } else {
    *count = (int64_t)split->count;
    if (sum != n)
      return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "adds up to %lld, but the axis has size %lld",
                          (long long)sum, (long long)n);
  }
  return SDX_OK;
}

static sdx_status make_piece(op_step *c, const tensor *x, size_t axis, int64_t offset, int64_t size, bool keep,
                             sdx_value **out) {
  int64_t dims[TENSOR_MAX_RANK], outer = 1, inner = 1;
  size_t rank = 0, width = move_width(x);
  for (size_t d = 0; d < x->rank; d++) {
    if (d != axis || keep) dims[rank++] = d == axis ? size : x->dims[d];
    if (d != axis) *(d < axis ? &outer : &inner) *= x->dims[d];
  }
  SDX_TRY(
      step_located(c, value_create(call_account(c), (sdx_dtype)x->dtype, rank, dims, NULL, NULL, NULL, out, c->err)));
  tensor *t = &(*out)->value.tensor;
  strided box = {.rank = 2, .dims = {outer, size * inner}, .from = {x->dims[axis] * inner, 1}, .to = {size * inner, 1}};
  move_strided(c, &box, width, (const char *)x->data + (size_t)(offset * inner) * width, t->data);
  for (size_t i = 0; t->dtype == SDX_STRING && i < t->count; i++) {
    sdx_status status = step_located(c, value_set_string(*out, i, ((const str *)t->data)[i], c->err));
    if (status != SDX_OK) return status;
  }
  return SDX_OK;
}

static sdx_status split_to_sequence_compute(op_step *c) {
  const split_params *p = c->params;
  const tensor *x = step_in(c, 0), *split = step_in(c, 1);
  int64_t axis = p->axis, count, offset = 0, made = 0;
  SDX_TRY(step_located(c, axis_normalize(&axis, x->rank, at_attribute("axis"), c->err)));
  if (dtype_is_packed((sdx_dtype)x->dtype)) return step_fail_at(c, at_input(0), SDX_NOT_SUPPORTED, "has a packed type");
  SDX_TRY(piece_count(c, split, x->dims[axis], &count));
  sdx_value **items = item_array(c, (size_t)count);
  if (!items) return call_no_memory(c, (size_t)count * sizeof *items);
  sdx_status status = SDX_OK;
  for (; made < count && status == SDX_OK; made++) {
    int64_t size = !split             ? 1
                   : split->rank == 0 ? i64_min(tensor_index_at(split, 0), x->dims[axis] - offset)
                                      : tensor_index_at(split, (size_t)made);
    status = make_piece(c, x, (size_t)axis, offset, size, split || p->keep, &items[made]);
    offset += size;
    if (status == SDX_OK && (made & 255) == 255) status = call_check(c);
  }
  if (status == SDX_OK) status = finish(c, (size_t)count, items);
  while (made-- > 0) value_release(items[made]);
  mem_free(items);
  return status;
}

static const char *const split_to_sequence_cases[] = {"input=float[5,2] split=int64(2)", "input=float[3,4] axis=1",
                                                      "input=float[3,4] keepdims=0",
                                                      "input=float[6,2] split=int32(1,2,3)", NULL};

SDX_OP(SplitToSequence) = {
    .since = 24,
    .versions = "24 11",
    .inputs = "input:T split:I?",
    .outputs = "output_sequence:S",
    .types =
        "T=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,string,"
        "complex64,complex128;I=int32,int64;S=seq",
    .attrs = "axis:int=0 keepdims:int=1",
    .params_size = sizeof(split_params),
    .params = split_to_sequence_read,
    .infer = split_to_sequence_infer,
    .compute = split_to_sequence_compute,
    .cases = split_to_sequence_cases,
};

// ---- ConcatFromSequence -----------------------------------------------------------------------------

typedef struct join_params {
  int64_t axis;
  bool new_axis;
} join_params;

static sdx_status concat_from_sequence_read(op_params_context *c, void *params) {
  *(join_params *)params = (join_params){params_int(c, "axis"), params_int(c, "new_axis") != 0};
  return SDX_OK;
}

static sdx_status concat_from_sequence_infer(op_step *c) {
  return infer_output(c, 0, element_dtype(c->in_types[0]), -1, NULL);
}

static sdx_status concat_from_sequence_compute(op_step *c) {
  const join_params *p = c->params;
  SDX_TRY(need_sequence(c, 0));
  const value *from = c->in[0];
  if (from->item_count == 0) return step_fail_at(c, at_input(0), SDX_INVALID_ARGUMENT, "is empty");
  const tensor *first = &from->items[0]->tensor;
  size_t rank = first->rank + (size_t)p->new_axis;
  int64_t axis = p->axis, dims[TENSOR_MAX_RANK], total = 0;
  char a[200], b[200];
  if (rank > TENSOR_MAX_RANK) return step_fail_at(c, at_output(0), SDX_INVALID_SHAPE, "would have rank %zu", rank);
  if (dtype_is_packed((sdx_dtype)first->dtype))
    return step_fail_at(c, at_input(0), SDX_NOT_SUPPORTED, "has items of a packed type");
  SDX_TRY(step_located(c, axis_normalize(&axis, rank, at_attribute("axis"), c->err)));
  for (size_t i = 0; i < from->item_count; i++) {
    const tensor *t = &from->items[i]->tensor;
    bool fits = from->items[i]->kind == VALUE_TENSOR && t->dtype == first->dtype && t->rank == first->rank;
    for (int64_t d = 0; fits && d < t->rank; d++) fits = t->dims[d] == first->dims[d] || (d == axis && !p->new_axis);
    if (!fits || !i64_add(total, p->new_axis ? 1 : t->dims[axis], &total))
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has item %zu %s, which does not fit item 0, %s", i,
                          tensor_describe(t, a, sizeof a), tensor_describe(first, b, sizeof b));
  }
  int64_t outer = 1, inner = 1, offset = 0;
  for (size_t d = 0; d < rank; d++) {
    size_t k = d - (p->new_axis && (int64_t)d > axis);
    dims[d] = (int64_t)d == axis ? total : first->dims[k];
    if ((int64_t)d != axis) *((int64_t)d < axis ? &outer : &inner) *= dims[d];
  }
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)first->dtype, rank, dims));
  tensor *y = step_out(c, 0);
  size_t width = move_width(y);
  for (size_t i = 0; i < from->item_count; i++) {
    const tensor *t = &from->items[i]->tensor;
    int64_t n = (p->new_axis ? 1 : t->dims[axis]) * inner;
    strided box = {.rank = 2, .dims = {outer, n}, .from = {n, 1}, .to = {total * inner, 1}};
    move_strided(c, &box, width, t->data, (char *)y->data + (size_t)offset * width);
    offset += n;
  }
  return move_keep_strings(c, y);
}

static const char *const concat_from_sequence_cases[] = {"input_sequence=seq(float[2,3];float[2,3]) axis=0",
                                                         "input_sequence=seq(float[2,3];float[2,3]) axis=-1 new_axis=1",
                                                         "input_sequence=seq(float[2,3];float[2,5]) axis=1", NULL};

SDX_OP(ConcatFromSequence) = {
    .since = 11,
    .versions = "11",
    .inputs = "input_sequence:S",
    .outputs = "concat_result:T",
    .types = "S=seq;T=any",
    .attrs = "axis:int! new_axis:int=0",
    .params_size = sizeof(join_params),
    .params = concat_from_sequence_read,
    .infer = concat_from_sequence_infer,
    .compute = concat_from_sequence_compute,
    .cases = concat_from_sequence_cases,
};
