// SPDX-License-Identifier: Apache-2.0
// TopK: the k largest (smallest) elements along an axis and their indices, in order. Among equal
// elements the lower index comes first; NaN counts as larger than every number. With sorted = 0 the
// result is sorted all the same. Version 10 moved k to an input, 11 added largest and sorted.

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef struct params {
  int64_t axis;
  bool largest;
} params;

static sdx_status topk_read(op_params_context *c, void *p) {
  *(params *)p = (params){params_int(c, "axis"), params_int(c, "largest") != 0};
  return SDX_OK;
}

static sdx_status topk_upgrade(op_upgrade *u) { return u->version < 10 ? upgrade_ints_to_input(u, "k", 1) : SDX_OK; }

static sdx_status check_k(const tensor *k, int64_t n, int64_t *out, error *err) {
  if (k->count != 1) return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has %zu elements, expected 1", k->count);
  *out = tensor_index_at(k, 0);
  if (*out < 0 || (n >= 0 && *out > n))
    return error_at(err, at_input(1), SDX_OUT_OF_RANGE, "is %lld, expected 0 to %lld", (long long)*out, (long long)n);
  return SDX_OK;
}

static sdx_status topk_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 0, 1, -1));
  SDX_TRY(infer_rank(c, 1, 0, 1));
  int rank = infer_rank_of(c, 0);
  int64_t dims[TENSOR_MAX_RANK], axis = ((const params *)c->params)->axis;
  if (rank >= 0) {
    SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
    memcpy(dims, c->in_types[0]->dims, (size_t)rank * sizeof *dims);
    int64_t n = dims[axis];
    dims[axis] = DIM_UNKNOWN;
    if (c->constants[1]) SDX_TRY(step_located(c, check_k(c->constants[1], n, &dims[axis], c->err)));
  }
  SDX_TRY(infer_output(c, 0, infer_dtype_of(c, 0), rank, dims));
  return infer_output(c, 1, SDX_INT64, rank, dims);
}

typedef struct entry {
  uint64_t key;
  int64_t index;
} entry;  // the smaller (key, index) comes first

static bool before(entry a, entry b) { return a.key < b.key || (a.key == b.key && a.index < b.index); }

static void swap(entry *a, entry *b) {
  entry t = *a;
  *a = *b;
  *b = t;
}

// Heap whose root is the last of the k best so far.
static void sink(entry *heap, size_t count, size_t at) {
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= count) return;
    if (child + 1 < count && before(heap[child], heap[child + 1])) child++;
    if (!before(heap[at], heap[child])) return;
    swap(&heap[at], &heap[child]);
    at = child;
  }
}

typedef struct job {
  const tensor *x;
  char *values;
  int64_t *indices;
  size_t n, k, inner, width, room;  // room: bytes of scratch per worker
  char *scratch;
  bool largest;
} job;

enum { BLOCK = 256 };

// The first k elements make the heap, each later one that is better replaces its root. Keys are made
// block by block, so that they never leave the cache.
static void select_best(const job *j, size_t first, entry *heap) {
  uint64_t keys[BLOCK];
  for (size_t begin = 0; begin < j->n; begin += BLOCK) {
    size_t n = j->n - begin < BLOCK ? j->n - begin : BLOCK, i = 0;
    if (begin % (64 * BLOCK) == 0 && pool_stopped()) return;
    order_keys((sdx_dtype)j->x->dtype, j->x->data, first + begin * j->inner, j->inner, n, keys);
    if (j->largest)
      for (size_t k = 0; k < n; k++) keys[k] = ~keys[k];
    for (; i < n && begin + i < j->k; i++) {
      heap[begin + i] = (entry){keys[i], (int64_t)(begin + i)};
      if (begin + i + 1 == j->k)
        for (size_t k = j->k / 2; k-- > 0;) sink(heap, j->k, k);
    }
    for (; i < n; i++)
      if (keys[i] < heap[0].key) {
        heap[0] = (entry){keys[i], (int64_t)(begin + i)};
        sink(heap, j->k, 0);
      }
  }
  for (size_t left = j->k; left-- > 1;) {  // the root goes behind those that are better
    if (left % (16 * BLOCK) == 0 && pool_stopped()) return;
    swap(&heap[0], &heap[left]);
    sink(heap, left, 0);
  }
}

// Lines along the axis.
static void lines(void *context, size_t begin, size_t end, size_t worker) {
  const job *j = context;
  entry *heap = (entry *)(j->scratch + worker * j->room);
  for (size_t line = begin; line < end; line++) {
    size_t first = line / j->inner * j->n * j->inner + line % j->inner;
    size_t to = line / j->inner * j->k * j->inner + line % j->inner;
    select_best(j, first, heap);
    if (pool_stopped()) return;  // indices may be of no element
    for (size_t i = 0; i < j->k; i++, to += j->inner) {
      size_t from = first + (size_t)heap[i].index * j->inner;
      if (j->values) memcpy(j->values + to * j->width, (const char *)j->x->data + from * j->width, j->width);
      if (j->indices) j->indices[to] = heap[i].index;
    }
  }
}

static sdx_status topk_compute(op_step *c) {
  const params *p = c->params;
  const tensor *x = step_in(c, 0);
  int64_t axis = p->axis, k, dims[TENSOR_MAX_RANK];
  SDX_TRY(step_located(c, axis_normalize(&axis, x->rank, at_attribute("axis"), c->err)));
  SDX_TRY(step_located(c, check_k(step_in(c, 1), x->dims[axis], &k, c->err)));
  memcpy(dims, x->dims, x->rank * sizeof *dims);
  dims[axis] = k;
  if (step_out(c, 0)) SDX_TRY(call_set_shape(c, 0, (sdx_dtype)x->dtype, x->rank, dims));
  if (step_out(c, 1)) SDX_TRY(call_set_shape(c, 1, SDX_INT64, x->rank, dims));
  if (k == 0 || x->count == 0) return SDX_OK;
  if (!order_has_keys((sdx_dtype)x->dtype))
    return step_fail_at(c, at_input(0), SDX_NOT_SUPPORTED, "has elements of type %s, which have no order",
                        dtype_name((sdx_dtype)x->dtype));
  job j = {
      .x = x, .n = (size_t)x->dims[axis], .k = (size_t)k, .inner = 1, .width = move_width(x), .largest = p->largest};
  for (size_t d = (size_t)axis + 1; d < x->rank; d++) j.inner *= (size_t)x->dims[d];
  j.values = step_out(c, 0) ? step_out(c, 0)->data : NULL;
  j.indices = step_out(c, 1) ? step_out(c, 1)->data : NULL;
  size_t total, threads = c->threads ? c->threads : 1, line_count = x->count / j.n;
  if (!size_mul(j.k, sizeof(entry), &j.room) || !size_mul(j.room, threads, &total)) return call_no_memory(c, SIZE_MAX);
  if (!(j.scratch = call_alloc(c, total))) return call_no_memory(c, total);
  call_parallel(c, line_count, j.n >= 4096 ? 1 : 4096 / j.n + 1, lines, &j);
  return SDX_OK;
}

static const char *const top_k_cases[] = {"X=float[3,9] K=int64[1](4)", "X=float[7,2] K=const(3) axis=0 largest=0",
                                          "X=float[2,40] K=int64[1](40)", "X=float[2,5] K=int64[1](0)", NULL};

SDX_OP(TopK) = {
    .since = 24,
    .versions = "24 11 10 1",
    .inputs = "X:T K:int64",
    .outputs = "Values:T Indices:int64",
    .types = "T=bfloat16,double,float,float16,int16,int32,int64,int8,uint16,uint32,uint64,uint8",
    .attrs = "axis:int=-1 largest:int=1 sorted:int=1",
    .attrs_old = "k:int<10",
    .params_size = sizeof(params),
    .params = topk_read,
    .upgrade = topk_upgrade,
    .infer = topk_infer,
    .compute = topk_compute,
    .cases = top_k_cases,
};
