// SPDX-License-Identifier: Apache-2.0
// ArrayFeatureExtractor: Z[..., i] = X[..., Y[i]]: elements of the last axis by index, counted from 0.
// A vector X gives [1, n], as the ONNX reference and onnxruntime do.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"

enum { X, Y };

static sdx_status array_feature_extractor_infer(op_step *c) {
  SDX_TRY(infer_rank(c, X, 1, -1));
  int rank = infer_rank_of(c, X), indices = infer_rank_of(c, Y);
  sdx_dtype dtype = infer_dtype_of(c, X);
  if (rank < 0) return infer_output(c, 0, dtype, -1, NULL);
  int64_t out[TENSOR_MAX_RANK] = {1}, count = 1;
  for (int i = 0; i < indices; i++) {
    int64_t d = c->in_types[Y]->dims[i];
    if (d < 0 || count < 0 || !i64_mul(count, d, &count)) count = DIM_UNKNOWN;
  }
  if (indices < 0) count = DIM_UNKNOWN;
  for (int i = 0; i + 1 < rank; i++) out[i] = c->in_types[X]->dims[i];
  if (rank == 1) rank = 2;
  out[rank - 1] = count;
  return infer_output(c, 0, dtype, rank, out);
}

static sdx_status array_feature_extractor_compute(op_step *c) {
  const tensor *x = step_in(c, X), *index = step_in(c, Y);
  tensor *z = step_out(c, 0);
  size_t columns = (size_t)x->dims[x->rank - 1], n = index->count, rows = columns ? x->count / columns : 0;
  for (size_t i = 0; i < n; i++) {
    int64_t at = ((const int64_t *)index->data)[i];
    if (at < 0 || (size_t)at >= columns)
      return step_fail_at(c, part_named(PART_INPUT, STR("Y")), SDX_OUT_OF_RANGE, "[%zu] is %lld, expected 0 to %lld", i,
                          (long long)at, (long long)columns - 1);
  }
  if (z->count == 0) return SDX_OK;
  size_t element = z->bytes / z->count;
  for (size_t r = 0; r < rows; r++) {
    for (size_t i = 0; i < n; i++) {
      size_t at = r * columns + (size_t)((const int64_t *)index->data)[i];
      memcpy((char *)z->data + (r * n + i) * element, (const char *)x->data + at * element, element);
    }
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

SDX_CASES = {"X=float[3,4] Y=int64(0,2)", "X=int64[5] Y=int64(4,4,1)", NULL};

SDX_OP_ML(ArrayFeatureExtractor) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T Y:int64",
    .outputs = "Z:T",
    .types = "T=float,double,int32,int64,string",
    .infer = array_feature_extractor_infer,
    .compute = array_feature_extractor_compute,
    .cases = cases,
};
