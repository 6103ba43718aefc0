// SPDX-License-Identifier: Apache-2.0
// BifurcationDetector: predicted tokens up to the first that the source does not have, and where to go on
// there.
#include "ops/call.h"
#include "ops/infer.h"

typedef struct bifurcation_params {
  int64_t low, high;
} bifurcation_params;

static sdx_status bifurcation_detector_read(op_params_context *c, void *params) {
  bifurcation_params p = {params_int(c, "min_ngram_size"), params_int(c, "max_ngram_size")};
  *(bifurcation_params *)params = p;
  if (p.low < 1) return params_fail(c, "min_ngram_size", "is %lld, expected at least 1", (long long)p.low);
  if (p.high < p.low) return params_fail(c, "max_ngram_size", "is %lld, below min_ngram_size", (long long)p.high);
  return SDX_OK;
}

static sdx_status bifurcation_detector_infer(op_step *c) {
  for (size_t i = 0; i < 4; i++)
    if (i != 2) SDX_TRY(infer_rank(c, i, 1, 1));
  int64_t kept = infer_dim(c, 1, 0);
  bool predicted = infer_has(c, 3);
  SDX_TRY(infer_output(c, 0, SDX_INT64, 1, (int64_t[]){predicted ? DIM_UNKNOWN : kept}));
  return infer_output(c, 1, SDX_INT64, 0, NULL);
}

// Where n numbers begin in `in` from `first` on; `count` if nowhere.
static int64_t find_run(const int64_t *in, int64_t count, int64_t first, const int64_t *what, int64_t n) {
  for (int64_t i = first; i + n <= count; i++)
    if (memcmp(in + i, what, (size_t)n * sizeof *in) == 0) return i;
  return count;
}

static sdx_status bifurcation_detector_compute(op_step *c) {
  const bifurcation_params *p = c->params;
  const tensor *source = step_in(c, 0), *current = step_in(c, 1), *before = step_in(c, 2), *predicted = step_in(c, 3);
  const int64_t *from = source->data;
  int64_t count = source->dims[0], kept = current->dims[0], added = 0;
  if (before->count != 1)
    return step_fail_at(c, at_input(2), SDX_INVALID_SHAPE, "has %zu elements, expected 1", before->count);
  int64_t at = ((const int64_t *)before->data)[0];
  if (predicted) {
    if (at < 0 || at > count || predicted->dims[0] != count + 1 - at)
      return step_fail_at(c, at_input(2), SDX_OUT_OF_RANGE,
                          "is %lld: with %lld source tokens there cannot be %lld predicted ones", (long long)at,
                          (long long)count, (long long)predicted->dims[0]);
    const int64_t *guess = predicted->data;
    while (at + added < count && from[at + added] == guess[added]) added++;
    added++;
    SDX_TRY(call_set_shape(c, 0, SDX_INT64, 1, (int64_t[]){kept + added}));
  }
  int64_t *tokens = step_out(c, 0)->data, length = kept + added, match = -1;
  if (kept) memcpy(tokens, current->data, (size_t)kept * sizeof *tokens);
  if (added) memcpy(tokens + kept, predicted->data, (size_t)added * sizeof *tokens);
  for (int64_t n = p->low; n <= p->high && n <= length && n <= count; n++) {
    int64_t first = find_run(from, count, 0, tokens + length - n, n);
    if (first == count) break;
    match = first + n;
    if (match >= count || find_run(from, count, first + 1, tokens + length - n, n) == count) break;
    match = -1;
    SDX_TRY(call_check(c));
  }
  tensor *suffix = step_out(c, 1);
  if (suffix) ((int64_t *)suffix->data)[0] = match;
  return SDX_OK;
}

SDX_CASES = {
    "src_tokens=int64(1,5,3,4,2) cur_tokens=int64(1,5) prev_suffix_match_idx=int64[](2) pred_tokens=int64(3,2,4,1) "
    "outputs=2",
    "src_tokens=int64(1,5,3,4,2) cur_tokens=int64(1,5,3) prev_suffix_match_idx=int64[](0) outputs=2", NULL};

SDX_OP_MS(BifurcationDetector) = {.since = 1,
                                  .versions = "1",
                                  .inputs = "src_tokens:T cur_tokens:T prev_suffix_match_idx:T pred_tokens:T?",
                                  .outputs = "tokens:T suffix_match_idx:T",
                                  .types = "T=int64",
                                  .attrs = "max_ngram_size:int=3 min_ngram_size:int=1",
                                  .params_size = sizeof(bifurcation_params),
                                  .params = bifurcation_detector_read,
                                  .infer = bifurcation_detector_infer,
                                  .compute = bifurcation_detector_compute,
                                  .cases = cases};
