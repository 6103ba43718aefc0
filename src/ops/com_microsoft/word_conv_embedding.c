// SPDX-License-Identifier: Apache-2.0
// WordConvEmbedding: a word is the most of what tanh(filter * window + bias) gives over all windows of its characters,
// each an index into a table of embeddings. As many windows count as fit into the characters that are not 0, but at
// least one; a word that starts with 0 is no word and becomes zeros.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"

enum { WORDS, W, BIAS, TABLE };

static sdx_status word_conv_embedding_read(op_params_context *c, void *params) {
  static const char *const names[3] = {"embedding_size", "conv_window_size", "char_embedding_size"};
  for (size_t i = 0; i < 3; i++)
    ((int64_t *)params)[i] = params_has(c, names[i]) ? params_int(c, names[i]) : DIM_UNKNOWN;
  return SDX_OK;
}

static sdx_status word_conv_embedding_infer(op_step *c) {
  const int64_t *sizes = c->params;
  int64_t filters = sizes[0] > 0 ? sizes[0] : DIM_UNKNOWN, taps = sizes[1] > 0 ? sizes[1] : DIM_UNKNOWN,
          width = sizes[2] > 0 ? sizes[2] : DIM_UNKNOWN, one = 1, length = infer_dim(c, WORDS, 1);
  SDX_TRY(infer_rank(c, WORDS, 2, 2));
  SDX_TRY(infer_rank(c, W, 4, 4));
  SDX_TRY(infer_rank(c, BIAS, 1, 1));
  SDX_TRY(infer_rank(c, TABLE, 2, 2));
  SDX_TRY(infer_agree(c, W, 0, "filters", &filters));
  SDX_TRY(infer_agree(c, W, 1, "channels", &one));
  SDX_TRY(infer_agree(c, W, 2, "characters of a window", &taps));
  SDX_TRY(infer_agree(c, W, 3, "numbers of a character", &width));
  SDX_TRY(infer_agree(c, BIAS, 0, "filters", &filters));
  SDX_TRY(infer_agree(c, TABLE, 1, "numbers of a character", &width));
  if (taps == 0 || (taps > 0 && length >= 0 && taps > length))
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has words of %lld characters, but windows have %lld",
                        (long long)length, (long long)taps);
  return infer_output(c, 0, infer_dtype_of(c, W), 2, (int64_t[]){infer_dim(c, WORDS, 0), filters});
}

typedef struct word_job {
  const int32_t *words;
  const float *w, *bias, *table;
  float *y;
  size_t length, filters, taps, width;
} word_job;

static void words_range(void *context, size_t begin, size_t end, size_t worker) {
  const word_job *j = context;
  for (size_t i = begin; i < end; i++) {
    const int32_t *word = j->words + i * j->length;
    float *y = j->y + i * j->filters;
    size_t letters = 0, windows;
    for (size_t k = 0; k < j->length; k++) letters += word[k] != 0;
    windows = word[0] == 0 ? 0 : letters > j->taps ? letters - j->taps + 1 : 1;
    for (size_t f = 0; f < j->filters; f++) y[f] = windows ? -1 : 0;
    for (size_t n = 0; n < windows && !pool_stopped_in(n); n++)
      for (size_t f = 0; f < j->filters; f++) {
        const float *w = j->w + f * j->taps * j->width;
        float sum = j->bias[f];
        for (size_t k = 0; k < j->taps; k++, w += j->width) {
          const float *letter = j->table + (size_t)word[n + k] * j->width;
          for (size_t d = 0; d < j->width; d++) sum += w[d] * letter[d];
        }
        float v = tanhf(sum);
        if (v > y[f] || v != v) y[f] = v;
      }
  }
}

static sdx_status word_conv_embedding_compute(op_step *c) {
  const tensor *words = step_in(c, WORDS), *w = step_in(c, W), *table = step_in(c, TABLE);
  word_job j = {.words = words->data,
                .w = w->data,
                .bias = step_in(c, BIAS)->data,
                .table = table->data,
                .y = step_out(c, 0)->data,
                .length = (size_t)words->dims[1],
                .filters = (size_t)w->dims[0],
                .taps = (size_t)w->dims[2],
                .width = (size_t)w->dims[3]};
  for (size_t i = 0; i < words->count; i++)
    if (j.words[i] < 0 || j.words[i] >= table->dims[0])
      return step_fail_at(c, at_input(WORDS), SDX_OUT_OF_RANGE, "is %d at %zu, but the table has %lld characters",
                          j.words[i], i, (long long)table->dims[0]);
  call_parallel(c, (size_t)words->dims[0], 1 + GRAIN_CHEAP / (j.length * j.filters * j.taps * (j.width + 1)),
                words_range, &j);
  return call_check(c);
}

SDX_CASES = {"Sequence=int32[4,5](1,2,3,0,0,4,1,0,0,0,0,1,2,3,4,2,1,4,3,2) W=float[6,1,3,4] B=float[6] C=float[5,4]",
             NULL};

// clang-format off
SDX_OP_MS(WordConvEmbedding) = {
    .since = 1, .versions = "1", .inputs = "Sequence:T W:T1 B:T1 C:T1", .outputs = "Y:T1",
    .types = "T=int32;T1=float", .attrs = "char_embedding_size:int conv_window_size:int embedding_size:int",
    .params_size = 3 * sizeof(int64_t), .params = word_conv_embedding_read, .infer = word_conv_embedding_infer,
    .compute = word_conv_embedding_compute, .cases = cases,
};
// clang-format on
