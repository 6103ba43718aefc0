// SPDX-License-Identifier: Apache-2.0
// RelativePositionBias: T5's learned bias of the distance between query and key, in logarithmic buckets; the table lies
// as [heads, buckets] whatever its shape says.
#include <math.h>

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef struct position_params {
  int64_t most;
  bool both_ways;
} position_params;

static sdx_status relative_position_bias_read(op_params_context *c, void *params) {
  position_params *p = params;
  *p = (position_params){params_int(c, "max_distance"), params_int(c, "is_bidirectional") != 0};
  return p->most > 0 ? SDX_OK : params_fail(c, "max_distance", "is %lld, expected at least 1", (long long)p->most);
}

static sdx_status relative_position_bias_infer(op_step *c) {
  int64_t out[4] = {1, infer_dim(c, 0, 1), DIM_UNKNOWN, DIM_UNKNOWN}, buckets = infer_dim(c, 0, 0);
  SDX_TRY(infer_rank(c, 0, 2, 2));
  if (buckets >= 0 && buckets < (((const position_params *)c->params)->both_ways ? 4 : 2))
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld buckets, which are too few", (long long)buckets);
  for (size_t i = 1; i <= 2; i++) {
    const tensor *t = c->constants[i];
    if (!t) continue;
    if (t->count != 1) return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %zu elements, expected 1", t->count);
    out[1 + i] = tensor_index_at(t, 0);
    if (out[1 + i] < 0) return step_fail_at(c, at_input(i), SDX_OUT_OF_RANGE, "is %lld", (long long)out[1 + i]);
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), 4, out);
}

static size_t bucket_of(const position_params *p, int64_t distance, int64_t buckets) {
  int64_t first = 0, n = -distance;
  if (p->both_ways) {
    buckets /= 2;
    if (n < 0) first = buckets, n = -n;
  } else n = n < 0 ? 0 : n;
  int64_t exact = buckets / 2;
  if (n < exact) return (size_t)(first + n);
  double span = log((double)p->most / (double)exact);
  double far = span > 0 ? log((double)n / (double)exact) / span * (double)(buckets - exact) : (double)buckets;
  int64_t bucket = exact + (far < (double)buckets ? (int64_t)far : buckets);
  return (size_t)(first + (bucket < buckets ? bucket : buckets - 1));
}

static sdx_status relative_position_bias_compute(op_step *c) {
  const tensor *table = step_in(c, 0);
  const tensor *y = step_out(c, 0);
  size_t width = move_width(table), buckets = (size_t)table->dims[0];
  size_t heads = (size_t)y->dims[1], rows = (size_t)y->dims[2], columns = (size_t)y->dims[3];
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < columns; j++) {
      size_t bucket = bucket_of(c->params, (int64_t)j - (int64_t)i, (int64_t)buckets);
      for (size_t h = 0; h < heads; h++)
        memcpy((char *)y->data + ((h * rows + i) * columns + j) * width,
               (const char *)table->data + (h * buckets + bucket) * width, width);
    }
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

SDX_CASES = {"bias_table=float[32,2] query_length=int64(5) key_length=int64(5) max_distance=128 is_bidirectional=1",
             NULL};

SDX_OP_MS(RelativePositionBias) = {.since = 1,
                                   .versions = "1",
                                   .inputs = "bias_table:T query_length:U key_length:U",
                                   .outputs = "output:T",
                                   .types = "T=float,float16;U=int64",
                                   .attrs = "is_bidirectional:int=0 max_distance:int!",
                                   .params_size = sizeof(position_params),
                                   .params = relative_position_bias_read,
                                   .infer = relative_position_bias_infer,
                                   .compute = relative_position_bias_compute,
                                   .cases = cases};
