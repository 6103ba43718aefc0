// SPDX-License-Identifier: Apache-2.0
// Small operators of old converters:
//   CDist        squared or plain Euclidean distances between the rows of two matrices
//   MurmurHash3  the 32-bit hash (x86) of each element's bytes
//   Inverse      of each matrix, by elimination with row pivots in double; a singular one gives no finite numbers
//   IsAllFinite  whether no element of any input is infinite or NaN (or only one of both kinds is asked for)
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "tensor/convert.h"

// ---- CDist ----------------------------------------------------------------------------------------

static sdx_status cdist_params(op_params_context *c, void *params) {
  str metric = params_string(c, "metric");
  *(bool *)params = str_is(metric, "euclidean");
  if (*(bool *)params || str_is(metric, "sqeuclidean")) return SDX_OK;
  return params_fail(c, "metric", "'%.*s' is none of euclidean, sqeuclidean", STR_ARG(metric));
}

static sdx_status cdist_infer(op_step *c) {
  int64_t width = infer_dim(c, 0, 1);
  SDX_TRY(infer_rank(c, 0, 2, 2));
  SDX_TRY(infer_rank(c, 1, 2, 2));
  SDX_TRY(infer_agree(c, 1, 1, "columns", &width));
  return infer_output(c, 0, infer_dtype_of(c, 0), 2, (int64_t[]){infer_dim(c, 0, 0), infer_dim(c, 1, 0)});
}

typedef struct cdist_job {
  const tensor *a, *b;
  tensor *y;
  size_t width, columns;
  bool root;
} cdist_job;

// Differences, not |a|^2 - 2 a b + |b|^2, which loses near points.
#define DISTANCES(T, root_of)                                                                \
  static void distances_##T(void *context, size_t begin, size_t end, size_t worker) {        \
    const cdist_job *j = context;                                                            \
    for (size_t i = begin; i < end; i++) {                                                   \
      const T *a = (const T *)j->a->data + i * j->width, *b = j->b->data;                    \
      T *y = (T *)j->y->data + i * j->columns;                                               \
      for (size_t n = 0; n < j->columns; n++, b += j->width) {                               \
        T lanes[8] = {0}, sum = 0;                                                           \
        for (size_t k = 0; k < j->width; k++) lanes[k % 8] += (a[k] - b[k]) * (a[k] - b[k]); \
        for (size_t k = 0; k < 8; k++) sum += lanes[k];                                      \
        y[n] = j->root ? root_of(sum) : sum;                                                 \
      }                                                                                      \
    }                                                                                        \
  }
DISTANCES(float, sqrtf)
DISTANCES(double, sqrt)

static sdx_status cdist_compute(op_step *c) {
  const tensor *a = step_in(c, 0), *b = step_in(c, 1);
  cdist_job j = {a, b, step_out(c, 0), (size_t)a->dims[1], (size_t)b->dims[0], *(const bool *)c->params};
  size_t work = (j.width + 1) * (j.columns + 1);
  call_parallel(c, (size_t)a->dims[0], 1 + GRAIN_CHEAP / work,
                a->dtype == SDX_DOUBLE ? distances_double : distances_float, &j);
  return call_check(c);
}

// ---- MurmurHash3 ----------------------------------------------------------------------------------

typedef struct hash_params {
  uint32_t seed;
  bool positive;
} hash_params;

static sdx_status hash_read(op_params_context *c, void *params) {
  *(hash_params *)params = (hash_params){(uint32_t)params_int(c, "seed"), params_int(c, "positive") != 0};
  return SDX_OK;
}

static sdx_status hash_infer(op_step *c) {
  return infer_same_as(c, 0, 0, ((const hash_params *)c->params)->positive ? SDX_UINT32 : SDX_INT32);
}

static uint32_t rotated(uint32_t v, int by) { return v << by | v >> (32 - by); }

static uint32_t hash_of(const uint8_t *at, size_t size, uint32_t h) {
  const uint32_t c1 = 0xcc9e2d51, c2 = 0x1b873593;
  for (size_t i = 0; i < size; i += 4) {
    size_t n = size - i < 4 ? size - i : 4;
    uint32_t k = 0;
    for (size_t b = 0; b < n; b++) k |= (uint32_t)at[i + b] << 8 * b;
    h ^= rotated(k * c1, 15) * c2;
    if (n == 4) h = rotated(h, 13) * 5 + 0xe6546b64;
  }
  h ^= (uint32_t)size;
  h = (h ^ h >> 16) * 0x85ebca6b;
  h = (h ^ h >> 13) * 0xc2b2ae35;
  return h ^ h >> 16;
}

static sdx_status hash_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  uint32_t *y = step_out(c, 0)->data, seed = ((const hash_params *)c->params)->seed;
  size_t width = (size_t)dtype_bits((sdx_dtype)x->dtype) / 8;
  for (size_t i = 0; i < x->count; i++) {
    if (i % 65536 == 0) SDX_TRY(call_check(c));
    const str *s = x->data;
    if (x->dtype == SDX_STRING) y[i] = hash_of((const uint8_t *)s[i].at, s[i].size, seed);
    else y[i] = hash_of((const uint8_t *)x->data + i * width, width, seed);
  }
  return SDX_OK;
}

// ---- Inverse --------------------------------------------------------------------------------------

static sdx_status inverse_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 2, -1));
  if (rank >= 2) {
    int64_t side = c->in_types[0]->dims[rank - 2];
    SDX_TRY(infer_agree(c, 0, rank - 1, "columns", &side));
  }
  return infer_same(c, 0, 0);
}

// [n, 2 n]: the matrix and the unit matrix beside it.
static void eliminate(double *m, size_t n) {
  size_t width = 2 * n;
  for (size_t p = 0; p < n; p++) {
    size_t best = p;
    for (size_t r = p + 1; r < n; r++)
      if (fabs(m[r * width + p]) > fabs(m[best * width + p])) best = r;
    for (size_t k = 0; best != p && k < width; k++) {
      double t = m[p * width + k];
      m[p * width + k] = m[best * width + k], m[best * width + k] = t;
    }
    double pivot = m[p * width + p];
    for (size_t k = 0; k < width; k++) m[p * width + k] /= pivot;
    for (size_t r = 0; r < n; r++) {
      double factor = m[r * width + p];
      for (size_t k = 0; r != p && k < width; k++) m[r * width + k] -= factor * m[p * width + k];
    }
  }
}

static sdx_status inverse_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  size_t n = (size_t)x->dims[x->rank - 1], bytes;
  if (x->count == 0) return SDX_OK;
  if (!size_mul(n * n, 2 * sizeof(double), &bytes)) return call_no_memory(c, SIZE_MAX);
  double *m = call_alloc(c, bytes);
  if (!m) return call_no_memory(c, bytes);
  for (size_t i = 0; i < x->count; i += n * n) {
    for (size_t r = 0; r < n; r++) {
      convert_to_doubles((sdx_dtype)x->dtype, x->data, i + r * n, n, m + r * 2 * n);
      for (size_t k = 0; k < n; k++) m[r * 2 * n + n + k] = r == k;
    }
    eliminate(m, n);
    for (size_t r = 0; r < n; r++) convert_from_doubles((sdx_dtype)y->dtype, y->data, i + r * n, n, m + r * 2 * n + n);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

// ---- IsAllFinite ----------------------------------------------------------------------------------

typedef struct finite_params {
  bool infinite, nan;  // what is looked for
} finite_params;

static sdx_status finite_read(op_params_context *c, void *params) {
  bool infinite = params_int(c, "isinf_only") != 0, nan = params_int(c, "isnan_only") != 0;
  if (infinite && nan) return params_fail(c, "isnan_only", "and 'isinf_only' are both set");
  *(finite_params *)params = (finite_params){!nan, !infinite};
  return SDX_OK;
}

static sdx_status finite_infer(op_step *c) { return infer_output(c, 0, SDX_BOOL, 0, NULL); }

static sdx_status finite_compute(op_step *c) {
  const finite_params *p = c->params;
  bool all = true;
  for (size_t n = 0; all && n < c->input_count; n++) {
    const tensor *x = step_in(c, n);
    double block[256];
    for (size_t i = 0; x && all && i < x->count; i += 256) {
      size_t m = x->count - i < 256 ? x->count - i : 256;
      convert_to_doubles((sdx_dtype)x->dtype, x->data, i, m, block);
      for (size_t k = 0; k < m; k++) all &= !(p->infinite && isinf(block[k])) && !(p->nan && isnan(block[k]));
    }
    SDX_TRY(call_check(c));
  }
  *(uint8_t *)step_out(c, 0)->data = all;
  return SDX_OK;
}

SDX_CASES = {"A=float[4,5] B=float[6,5] metric=euclidean", "A=double[4,5] B=double[6,5]", NULL};
static const char *const hash_cases[] = {"X=int32[2,3] seed=7", "X=string[4] positive=0", NULL};
static const char *const inverse_cases[] = {"X=float[2,3,3]", NULL};
static const char *const finite_cases[] = {"input=float[2,3]", NULL};

// clang-format off
SDX_OP_MS(CDist) = {.since = 1, .versions = "1", .inputs = "A:T B:T", .outputs = "C:T", .types = "T=float,double",
                    .attrs = "metric:string=sqeuclidean", .params_size = sizeof(bool), .params = cdist_params,
                    .infer = cdist_infer, .compute = cdist_compute, .cases = cases};
SDX_OP_MS(MurmurHash3) = {.since = 1, .versions = "1", .inputs = "X:T1", .outputs = "Y:T2",
                          .types = "T1=uint32,int32,uint64,int64,float,double,string;T2=uint32,int32",
                          .attrs = "positive:int=1 seed:int=0", .params_size = sizeof(hash_params), .params = hash_read,
                          .infer = hash_infer, .compute = hash_compute, .cases = hash_cases};
SDX_OP_MS(Inverse) = {.since = 1, .versions = "1", .inputs = "X:T", .outputs = "Y:T", .types = "T=float16,float,double",
                      .infer = inverse_infer, .compute = inverse_compute, .cases = inverse_cases};
SDX_OP_MS(IsAllFinite) = {.since = 1, .versions = "1", .inputs = "input:V+", .outputs = "output:bool",
                          .types = "V=float16,float,double,bfloat16", .attrs = "isinf_only:int=0 isnan_only:int=0",
                          .params_size = sizeof(finite_params), .params = finite_read, .infer = finite_infer,
                          .compute = finite_compute, .cases = finite_cases};
// clang-format on
