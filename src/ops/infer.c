// SPDX-License-Identifier: Apache-2.0
// Helpers of `infer` functions: filling output types, facts of inputs, constant inputs. See infer.h.
#include "ops/infer.h"

#include "base/size.h"
#include "ops/schema.h"

sdx_status infer_output(op_step *c, size_t index, sdx_dtype dtype, int rank, const int64_t *dims) {
  if (index >= c->output_count) return SDX_OK;  // not wanted
  if (rank > TENSOR_MAX_RANK)
    return step_fail_at(c, at_output(index), SDX_INVALID_SHAPE, "would have rank %d, over the limit of %d", rank,
                        TENSOR_MAX_RANK);
  type_info *out = &c->out_types[index];
  *out = (type_info){.kind = TYPE_TENSOR, .dtype = (uint8_t)dtype, .rank = (int8_t)(rank < 0 ? -1 : rank)};
  if (rank <= 0) return SDX_OK;
  out->dims = arena_copy(c->memory, dims, (size_t)rank * sizeof *dims);
  return out->dims ? SDX_OK : error_no_memory(c->err, (size_t)rank * sizeof *dims);
}

sdx_status infer_same_as(op_step *c, size_t output, size_t input, sdx_dtype dtype) {
  const type_info *in = input < c->input_count ? c->in_types[input] : NULL;
  if (!in || in->kind != TYPE_TENSOR) return infer_output(c, output, dtype, -1, NULL);
  return infer_output(c, output, dtype, in->rank, in->dims);
}

sdx_status infer_same(op_step *c, size_t output, size_t input) {
  const type_info *in = input < c->input_count ? c->in_types[input] : NULL;
  if (output >= c->output_count || !in) return SDX_OK;
  if (in->kind == TYPE_TENSOR) return infer_same_as(c, output, input, (sdx_dtype)in->dtype);
  c->out_types[output] = *in;
  return SDX_OK;
}

sdx_status infer_broadcast(op_step *c, size_t output, size_t first, size_t count, sdx_dtype dtype) {
  int64_t dims[TENSOR_MAX_RANK];
  int rank = 0;
  for (size_t i = first; i < first + count && i < c->input_count; i++) {
    int r = infer_rank_of(c, i);
    if (r < 0) return infer_output(c, output, dtype, -1, NULL);
    if (r > rank) rank = r;
  }
  for (int d = 0; d < rank; d++) {  // d counts from the innermost dimension
    int64_t joined = 1;
    bool open = false;  // a free dimension met another one: either may turn out to be 1
    for (size_t i = first; i < first + count && i < c->input_count; i++) {
      const type_info *t = c->in_types[i];
      if (d >= t->rank) continue;
      int64_t dim = t->dims[t->rank - 1 - d];
      if (dim == 1 || (dim == joined && dim != DIM_UNKNOWN)) continue;
      if (joined == 1) {
        joined = dim;
      } else if (joined >= 0 && dim >= 0) {
        return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE,
                            "has %lld in dimension %d from the right, expected 1 or %lld: it does not broadcast with "
                            "the inputs before it",
                            (long long)dim, d + 1, (long long)joined);
      } else if (dim >= 0) {
        joined = dim;  // the free one must be this or 1
        open = false;
      } else if (joined < 0) {
        open = true;
      }
    }
    dims[rank - 1 - d] = open ? DIM_UNKNOWN : joined;
  }
  return infer_output(c, output, dtype, rank, dims);
}

sdx_status infer_need(op_step *c, size_t input) {
  if (infer_has(c, input)) return SDX_OK;
  return step_fail_at(c, at_input(input), SDX_INVALID_GRAPH, "is missing");
}

sdx_status infer_rank(op_step *c, size_t input, int low, int high) {
  int rank = input < c->input_count ? infer_rank_of(c, input) : -1;
  if (rank < 0 || (rank >= low && (high < 0 || rank <= high))) return SDX_OK;
  if (low == high) return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has rank %d, expected %d", rank, low);
  if (high < 0)
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has rank %d, expected at least %d", rank, low);
  return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has rank %d, expected %d to %d", rank, low, high);
}

int64_t infer_dim(const op_step *c, size_t input, int axis) {
  int rank = input < c->input_count ? infer_rank_of(c, input) : -1;
  return axis < rank ? c->in_types[input]->dims[axis] : DIM_UNKNOWN;
}

int64_t infer_count(const op_step *c, size_t input) {
  int rank = input < c->input_count ? infer_rank_of(c, input) : -1;
  size_t count;
  if (rank < 0 || !size_product(c->in_types[input]->dims, (size_t)rank, &count) || count > INT64_MAX)
    return DIM_UNKNOWN;
  return (int64_t)count;
}

sdx_status infer_agree(op_step *c, size_t input, int axis, const char *what, int64_t *size) {
  int64_t dim = infer_dim(c, input, axis);
  if (dim >= 0 && *size >= 0 && dim != *size)
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has %lld as its dimension %d (%s), expected %lld",
                        (long long)dim, axis, what, (long long)*size);
  if (dim >= 0 || *size == DIM_UNKNOWN) *size = dim;
  return SDX_OK;
}

const int64_t *infer_constant_ints(op_step *c, size_t input, size_t *count) {
  const tensor *t = input < c->input_count && c->constants ? c->constants[input] : NULL;
  if (!t || (t->dtype != SDX_INT32 && t->dtype != SDX_INT64) || (!t->data && t->count)) return NULL;
  if (t->dtype == SDX_INT64 && t->count) {
    *count = t->count;
    return t->data;
  }
  int64_t *at = arena_array(c->memory, t->count, sizeof *at);
  if (!at) return NULL;
  for (size_t i = 0; i < t->count; i++) at[i] = tensor_index_at(t, i);
  *count = t->count;
  return at;
}
