// SPDX-License-Identifier: Apache-2.0
// Unique: the distinct elements (or slices along `axis`), sorted or in the order they first appear,
// with the index of the first of each, the number of each for every element, and the counts. Equal
// elements sort next to each other; two NaN are equal, so are -0 and 0. Complex numbers are ordered by their
// real part, then by the imaginary one.

#include "base/size.h"
#include "base/sort.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef struct params {
  int64_t axis;
  bool flat, sorted;
} params;

static sdx_status unique_read(op_params_context *c, void *p) {
  *(params *)p = (params){params_int(c, "axis"), !params_has(c, "axis"), params_int(c, "sorted") != 0};
  return SDX_OK;
}

static sdx_status unique_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  const params *p = c->params;
  int64_t dims[TENSOR_MAX_RANK] = {DIM_UNKNOWN}, axis = p->axis, unknown = DIM_UNKNOWN;
  int rank = p->flat ? 1 : infer_rank_of(c, 0);
  if (!p->flat && rank >= 0) {
    SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
    for (int d = 0; d < rank; d++) dims[d] = d == axis ? DIM_UNKNOWN : c->in_types[0]->dims[d];
  }
  SDX_TRY(infer_output(c, 0, infer_dtype_of(c, 0), rank, dims));
  for (size_t i = 1; i < 4; i++) SDX_TRY(infer_output(c, i, SDX_INT64, 1, &unknown));
  return SDX_OK;
}

// One row per slice: its elements' keys, or its strings.
typedef struct rows {
  const uint64_t *keys;
  const str *strings;
  size_t width;  // elements of a row
} rows;

static int compare_rows(const rows *r, size_t a, size_t b) {
  for (size_t i = 0; i < r->width; i++) {
    int c;
    if (r->strings) {
      c = order_strings(r->strings[a * r->width + i], r->strings[b * r->width + i]);
    } else {
      uint64_t x = r->keys[a * r->width + i], y = r->keys[b * r->width + i];
      c = (x > y) - (x < y);
    }
    if (c) return c;
  }
  return 0;
}

static int by_row(const void *a, const void *b, void *context) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  int c = compare_rows(context, (size_t)x, (size_t)y);
  return c ? c : (x > y) - (x < y);
}

static int by_first(const void *a, const void *b, void *unused) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static sdx_status gather_rows(op_step *c, const tensor *x, size_t outer, size_t n, size_t inner, rows *r) {
  sdx_dtype dtype = (sdx_dtype)x->dtype;
  size_t bytes, each = dtype == SDX_STRING ? sizeof(str) : sizeof(uint64_t);
  if (dtype_is_complex(dtype)) {  // two numbers each
    dtype = dtype == SDX_COMPLEX64 ? SDX_FLOAT : SDX_DOUBLE;
    each *= 2;
    inner *= 2;
  }
  r->width = outer * inner;
  if (!size_mul(x->count + 1, each, &bytes)) return call_no_memory(c, SIZE_MAX);
  void *at = call_alloc(c, bytes);
  if (!at) return call_no_memory(c, bytes);
  for (size_t k = 0; k < n; k++)
    for (size_t o = 0; o < outer; o++) {
      SDX_TRY(call_check_in(c, k * outer + o));
      size_t from = (o * n + k) * inner, to = (k * outer + o) * inner;
      if (x->dtype == SDX_STRING) memcpy((str *)at + to, (const str *)x->data + from, inner * sizeof(str));
      else order_keys(dtype, x->data, from, 1, inner, (uint64_t *)at + to);
    }
  if (x->dtype == SDX_STRING) r->strings = at;
  else r->keys = at;
  return SDX_OK;
}

static sdx_status unique_compute(op_step *c) {
  const params *p = c->params;
  const tensor *x = step_in(c, 0);
  int64_t axis = p->axis, dims[TENSOR_MAX_RANK];
  size_t outer = 1, inner = 1, n = x->count;
  if (!p->flat) {
    SDX_TRY(step_located(c, axis_normalize(&axis, x->rank, at_attribute("axis"), c->err)));
    n = (size_t)x->dims[axis];
    for (int64_t d = 0; d < x->rank; d++)
      if (d != axis) *(d < axis ? &outer : &inner) *= (size_t)x->dims[d];
  }
  if (x->dtype != SDX_STRING && !dtype_is_complex((sdx_dtype)x->dtype) && !order_has_keys((sdx_dtype)x->dtype))
    return step_fail_at(c, at_input(0), SDX_NOT_SUPPORTED, "has elements of type %s, which have no order",
                        dtype_name((sdx_dtype)x->dtype));
  rows r = {0};
  if (x->count) SDX_TRY(gather_rows(c, x, outer, n, inner, &r));
  // order: rows sorted; first: first row of each group; number: group of each row; counts.
  size_t bytes;
  if (!size_mul(n + 1, 5 * sizeof(int64_t), &bytes)) return call_no_memory(c, SIZE_MAX);
  int64_t *order = call_alloc(c, bytes);
  if (!order) return call_no_memory(c, bytes);
  int64_t *first = order + n, *number = first + n, *counts = number + n, *rank = counts + n, groups = 0;
  for (size_t i = 0; i < n; i++) order[i] = (int64_t)i;
  merge_sort(order, first, n, sizeof *order, by_row, &r);
  SDX_TRY(call_check(c));
  for (size_t i = 0; i < n; i++) {
    SDX_TRY(call_check_in(c, i));
    if (i == 0 || compare_rows(&r, (size_t)order[i - 1], (size_t)order[i]) != 0) {
      first[groups] = order[i];
      counts[groups++] = 0;
    }
    counts[groups - 1]++;
    number[order[i]] = groups - 1;
  }
  // Without sorting, groups are numbered by their first row: `order` now lists those in order.
  for (int64_t g = 0; g < groups; g++) order[g] = first[g];
  if (!p->sorted) merge_sort(order, rank, (size_t)groups, sizeof *order, by_first, NULL);
  SDX_TRY(call_check(c));
  for (int64_t g = 0; g < groups; g++) {
    SDX_TRY(call_check_in(c, (size_t)g));
    rank[number[order[g]]] = g;
  }
  for (int64_t d = 0; !p->flat && d < x->rank; d++) dims[d] = d == axis ? groups : x->dims[d];
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)x->dtype, p->flat ? 1 : x->rank, p->flat ? &groups : dims));
  for (size_t i = 1; i < 4; i++) SDX_TRY(call_set_shape(c, i, SDX_INT64, 1, i == 2 ? &(int64_t){(int64_t)n} : &groups));
  size_t width = move_width(x);
  if (step_out(c, 0))
    for (size_t o = 0; o < outer; o++)
      for (int64_t g = 0; g < groups; g++) {
        SDX_TRY(call_check_in(c, o * (size_t)groups + (size_t)g));
        memcpy((char *)step_out(c, 0)->data + (o * (size_t)groups + (size_t)g) * inner * width,
               (const char *)x->data + (o * n + (size_t)order[g]) * inner * width, inner * width);
      }
  for (int64_t g = 0; g < groups; g++) {
    SDX_TRY(call_check_in(c, (size_t)g));
    if (step_out(c, 1)) ((int64_t *)step_out(c, 1)->data)[g] = order[g];
    if (step_out(c, 3)) ((int64_t *)step_out(c, 3)->data)[g] = counts[number[order[g]]];
  }
  for (size_t i = 0; step_out(c, 2) && i < n; i++) {
    SDX_TRY(call_check_in(c, i));
    ((int64_t *)step_out(c, 2)->data)[i] = rank[number[i]];
  }
  return SDX_OK;
}

static const char *const unique_cases[] = {
    "X=float[9]@-2..2 outputs=4",         "X=int64[2,3]@-1..1 outputs=4", "X=int8[4,2]@0..1 axis=0 outputs=4",
    "X=int32[8]@0..3 sorted=0 outputs=4", "X=string[6] outputs=2",        NULL};

SDX_OP(Unique) = {
    .since = 28,
    .versions = "28 11",
    .inputs = "X:T",
    .outputs = "Y:T indices:int64? inverse_indices:int64? counts:int64?",
    .types =
        "T=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,string,complex64,"
        "complex128",
    .attrs = "axis:int sorted:int=1",
    .params_size = sizeof(params),
    .params = unique_read,
    .infer = unique_infer,
    .compute = unique_compute,
    .cases = unique_cases,
};
