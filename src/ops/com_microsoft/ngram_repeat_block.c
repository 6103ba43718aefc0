// SPDX-License-Identifier: Apache-2.0
// NGramRepeatBlock: the score of a token that would repeat an n-gram of the sequence becomes -inf.
#include <math.h>

#include "ops/call.h"
#include "ops/infer.h"

static sdx_status ngram_repeat_block_read(op_params_context *c, void *params) {
  int64_t n = params_int(c, "ngram_size");
  *(int64_t *)params = n;
  return n > 0 ? SDX_OK : params_fail(c, "ngram_size", "is %lld, expected at least 1", (long long)n);
}

static sdx_status ngram_repeat_block_infer(op_step *c) {
  int64_t batch = infer_dim(c, 0, 0);
  SDX_TRY(infer_rank(c, 0, 2, 2));
  SDX_TRY(infer_rank(c, 1, 2, 2));
  SDX_TRY(infer_agree(c, 1, 0, "batch", &batch));
  return infer_same(c, 0, 1);
}

static sdx_status ngram_repeat_block_compute(op_step *c) {
  const tensor *ids = step_in(c, 0), *scores = step_in(c, 1);
  tensor *y = step_out(c, 0);
  int64_t length = ids->dims[1], words = scores->dims[1], n = *(const int64_t *)c->params;
  if (y->data != scores->data && y->bytes) memcpy(y->data, scores->data, y->bytes);
  for (int64_t b = 0; n <= length && b < ids->dims[0]; b++) {
    const int64_t *row = (const int64_t *)ids->data + b * length, *last = row + length - (n - 1);
    for (int64_t i = 0; i + n <= length; i++) {
      if (n > 1 && memcmp(row + i, last, (size_t)(n - 1) * sizeof *row) != 0) continue;
      int64_t word = row[i + n - 1];
      if (word < 0 || word >= words)
        return step_fail_at(c, at_input(0), SDX_OUT_OF_RANGE, "is %lld at [%lld, %lld], expected 0 to %lld",
                            (long long)word, (long long)b, (long long)(i + n - 1), (long long)(words - 1));
      ((float *)y->data)[b * words + word] = -INFINITY;
    }
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

SDX_CASES = {"input_ids=int64[2,6]@0..3 scores=float[2,5] ngram_size=2", NULL};

SDX_OP_MS(NGramRepeatBlock) = {.since = 1,
                               .versions = "1",
                               .inputs = "input_ids:Tid scores:T",
                               .outputs = "scores_out:T",
                               .types = "Tid=int64;T=float",
                               .attrs = "ngram_size:int!",
                               .params_size = sizeof(int64_t),
                               .params = ngram_repeat_block_read,
                               .infer = ngram_repeat_block_infer,
                               .compute = ngram_repeat_block_compute,
                               .cases = cases};
