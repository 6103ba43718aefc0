// SPDX-License-Identifier: Apache-2.0
// Losses, attention, caches, strings, signals: some results by hand, and what must be refused with a message that says
// why. Everything else about these operators is ONNX's own tests (test_conformance.py).
#include "tests/ops/evaluate.h"

static void losses(void **state) {
#define LOSS "const %x: float[2,3]{1,2,3,4,5,6}\nconst %w: float[3]{1,2,4}\n"
  GIVES(LOSS "const %t: int64[2]{2,0}\n%y = NegativeLogLikelihoodLoss<reduction=\"none\">(%x, %t)", "float[2]", -3, -4);
  GIVES(LOSS "const %t: int64[2]{2,0}\n%y = NegativeLogLikelihoodLoss(%x, %t, %w)", "float[]", -16.0 / 5);
  GIVES(LOSS "const %t: int64[2]{-7,0}\n%y = NegativeLogLikelihoodLoss<ignore_index=-7>(%x, %t)", "float[]", -4);
  fails(LOSS "const %t: int64[2]{3,0}\n%y = NegativeLogLikelihoodLoss(%x, %t)", SDX_OUT_OF_RANGE, "3 at 0");
  fails(LOSS "const %t: int64[2]{-1,0}\n%y = SoftmaxCrossEntropyLoss(%x, %t)", SDX_OUT_OF_RANGE, "-1 at 0");
  // More targets than samples: with every reduction, not only where the output has their shape.
  fails(LOSS "const %t: int64[4]{0,0,0,0}\n%y = SoftmaxCrossEntropyLoss(%x, %t)", SDX_INVALID_SHAPE, "samples");
  fails(LOSS "const %t: int64[1,2]{0,0}\n%y = SoftmaxCrossEntropyLoss<reduction=\"sum\">(%x, %t)", SDX_INVALID_SHAPE,
        "rank 2");
  fails(LOSS "const %t: int64[2]{0,0}\n%y = NegativeLogLikelihoodLoss<reduction=\"max\">(%x, %t)", SDX_INVALID_GRAPH,
        "'max'");
}

static void attention(void **state) {
#define QKV "const %q: float[1,1,2,1]{1,2}\nconst %k: float[1,1,2,1]{0,0}\nconst %v: float[1,1,2,1]{1,3}\n"
  GIVES(QKV "%y = Attention(%q, %k, %v)", "float[1,1,2,1]", 2, 2);
  GIVES(QKV "%y = Attention<is_causal=1>(%q, %k, %v)", "float[1,1,2,1]", 1, 2);
  GIVES(QKV "const %m: bool[2,2]{0,0,0,1}\n%y = Attention(%q, %k, %v, %m)", "float[1,1,2,1]", 0, 3);
  GIVES(QKV "const %n: int64[1]{1}\n%y = Attention(%q, %k, %v, _, _, _, %n)", "float[1,1,2,1]", 1, 1);
  fails(QKV "const %n: int64[1]{3}\n%y = Attention(%q, %k, %v, _, _, _, %n)", SDX_OUT_OF_RANGE, "[0, 2]");
  fails(QKV "const %n: int64[1]{-1}\n%y = Attention(%q, %k, %v, _, _, _, %n)", SDX_OUT_OF_RANGE, "-1 at 0");
  fails(QKV "const %m: float[2,3]{0,0,0,0,0,0}\n%y = Attention(%q, %k, %v, %m)", SDX_INVALID_SHAPE, "'attn_mask'");
  fails(QKV "const %m: float[3,2]{0,0,0,0,0,0}\n%y = Attention(%q, %k, %v, %m)", SDX_INVALID_SHAPE, "'attn_mask'");
  fails(QKV "%y = Attention(%q, %k, %v, _, %k)", SDX_INVALID_GRAPH, "go together");
  fails(QKV "%y = Attention<q_num_heads=0>(%q, %k, %v)", SDX_INVALID_GRAPH, "attribute 'q_num_heads' is 0");
  fails(QKV "%y = Attention<qk_matmul_output_mode=4>(%q, %k, %v)", SDX_INVALID_GRAPH, "0 to 3");
  fails("const %q: float[1,3,1,1]{1,2,3}\nconst %k: float[1,2,1,1]{0,0}\n%y = Attention(%q, %k, %k)", SDX_INVALID_SHAPE,
        "divided");
  fails("const %q: float[1,1,3]{1,2,3}\n%y = Attention<q_num_heads=2, kv_num_heads=1>(%q, %q, %q)", SDX_INVALID_SHAPE,
        "multiple");
  fails("const %q: float[1,1,3]{1,2,3}\n%y = Attention(%q, %q, %q)", SDX_INVALID_GRAPH, "q_num_heads");
}

static void caches(void **state) {
#define ROTATE "const %x: float[1,1,1,2]{1,0}\nconst %c: float[2,1]{1,0}\nconst %s: float[2,1]{0,1}\n"
  GIVES(ROTATE "const %p: int64[1,1]{1}\n%y = RotaryEmbedding(%x, %c, %s, %p)", "float[1,1,1,2]", 0, 1);
  fails(ROTATE "const %p: int64[1,1]{2}\n%y = RotaryEmbedding(%x, %c, %s, %p)", SDX_OUT_OF_RANGE, "position 2");
  fails(ROTATE "const %p: int64[1,1]{-1}\n%y = RotaryEmbedding(%x, %c, %s, %p)", SDX_OUT_OF_RANGE, "position -1");
#define SCATTER "const %c: float[1,3,1]{1,2,3}\nconst %u: float[1,2,1]{7,8}\n"
  GIVES(SCATTER "const %i: int64[1]{1}\n%y = TensorScatter(%c, %u, %i)", "float[1,3,1]", 1, 7, 8);
  GIVES(SCATTER "const %i: int64[1]{2}\n%y = TensorScatter<mode=\"circular\">(%c, %u, %i)", "float[1,3,1]", 8, 2, 7);
  fails(SCATTER "const %i: int64[1]{2}\n%y = TensorScatter(%c, %u, %i)", SDX_OUT_OF_RANGE, "do not fit");
  fails(SCATTER "const %i: int64[1]{9223372036854775807}\n%y = TensorScatter(%c, %u, %i)", SDX_OUT_OF_RANGE,
        "do not fit");
  fails(SCATTER "%y = TensorScatter<axis=0>(%c, %u)", SDX_OUT_OF_RANGE, "batch");
}

static void signals(void **state) {
#define SIGNAL "const %x: float[1,4,1]{1,2,3,4}\n"
  GIVES(SIGNAL "%y = DFT(%x)", "float[1,4,2]", 10, 0, -2, 2, -2, 0, -2, -2);
  GIVES(SIGNAL "const %n: int64[]{3}\n%y = DFT<onesided=1>(%x, %n)", "float[1,2,2]", 6, 0, -1.5, 0.8660254);
  fails(SIGNAL "const %n: int64[]{0}\n%y = DFT(%x, %n)", SDX_OUT_OF_RANGE, "at least 1");
  fails(SIGNAL "const %n: int64[]{-1}\n%y = DFT(%x, %n)", SDX_OUT_OF_RANGE, "at least 1");
  fails(SIGNAL "const %n: int64[]{1099511627776}\n%y = DFT(%x, %n)", SDX_NO_MEMORY, "");
  fails(SIGNAL "const %a: int64[]{2}\n%y = DFT(%x, _, %a)", SDX_OUT_OF_RANGE, "input 2 ('axis') is 2");
  fails(SIGNAL "const %a: int64[]{-1}\n%y = DFT(%x, _, %a)", SDX_OUT_OF_RANGE, "input 2 ('axis') is -1");
  fails(SIGNAL "const %s: int64[]{0}\n%y = STFT(%x, %s)", SDX_OUT_OF_RANGE, "'frame_step'");
  fails(SIGNAL "const %s: int64[]{1}\nconst %l: int64[]{5}\n%y = STFT(%x, %s, _, %l)", SDX_INVALID_SHAPE, "do not fit");
  GIVES("const %n: int64[]{4}\n%y = HannWindow(%n)", "float[4]", 0, 0.5, 1, 0.5);
  fails("const %n: int64[]{-4}\n%y = HannWindow(%n)", SDX_OUT_OF_RANGE, "at least 0");
  fails("const %n: int64[]{1099511627776}\n%y = HammingWindow(%n)", SDX_NO_MEMORY, "");
}

static void strings(void **state) {
#define GRAMS "const %x: int64[4]{1,2,1,2}\n%y = TfIdfVectorizer<mode=\"TF\", max_skip_count=9223372036854775807, "
  GIVES(GRAMS
        "min_gram_length=1, max_gram_length=9223372036854775807, ngram_counts=[0, 1], ngram_indexes=[0, 1], "
        "pool_int64s=[2, 1, 2]>(%x)",
        "float[2]", 2, 3);
  fails(GRAMS "min_gram_length=0, max_gram_length=1, ngram_counts=[0], ngram_indexes=[0], pool_int64s=[2]>(%x)",
        SDX_INVALID_GRAPH, "min_gram_length");
  fails(GRAMS "min_gram_length=1, max_gram_length=1, ngram_counts=[0], ngram_indexes=[-1], pool_int64s=[2]>(%x)",
        SDX_INVALID_GRAPH, "attribute 'ngram_indexes' is -1 at 0");
  fails(GRAMS "min_gram_length=1, max_gram_length=2, ngram_counts=[0, 9], ngram_indexes=[0], pool_int64s=[2]>(%x)",
        SDX_INVALID_GRAPH, "ngram_counts");
  fails(GRAMS
        "min_gram_length=1, max_gram_length=1, ngram_counts=[0], ngram_indexes=[1099511627776], "
        "pool_int64s=[2]>(%x)",
        SDX_NO_MEMORY, "");
}

static void spaces(void **state) {
  GIVES("const %x: float[3]{1,2,3}\nconst %s: int64[1]{5}\n%y = CenterCropPad(%x, %s)", "float[5]", 0, 1, 2, 3, 0);
  GIVES("const %x: float[4]{1,2,3,4}\nconst %s: int64[1]{1}\n%y = CenterCropPad(%x, %s)", "float[1]", 2);
  fails("const %x: float[4]{1,2,3,4}\nconst %s: int64[1]{-1}\n%y = CenterCropPad(%x, %s)", SDX_OUT_OF_RANGE, "-1 at 0");
  fails("const %x: float[4]{1,2,3,4}\nconst %s: int64[2]{1,1}\n%y = CenterCropPad(%x, %s)", SDX_INVALID_SHAPE,
        "2 entries");
  GIVES("const %x: double[3,3]{0,2,0,3,0,0,0,0,4}\n%y = Det(%x)", "double[]", -24);
  GIVES("const %x: float[2,2]{1,2,2,4}\n%y = Det(%x)", "float[]", 0);
  for (int n = 255; n < 302; n += 23) {  // a circle of rows, one of them doubled, under sums of those before
    char body[600];
    snprintf(body, sizeof body,
             "const %%s: int64[2]{%d,%d}\nconst %%a: int64[]{0}\n%%z = ConstantOfShape(%%s)\n%%u = EyeLike<k=1>(%%z)\n"
             "%%l = EyeLike<k=%d>(%%z)\n%%m = Sum(%%u, %%l, %%l)\n%%t = CumSum(%%m, %%a)\n%%y = Det(%%t)",
             n, n, 1 - n);
    GIVES(body, "float[]", n % 2 ? 2 : -2);
  }
  fails("const %x: float[1,2]{1,2}\n%y = Det(%x)", SDX_INVALID_SHAPE, "columns");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(losses),  cmocka_unit_test(attention), cmocka_unit_test(caches),
      cmocka_unit_test(signals), cmocka_unit_test(strings),   cmocka_unit_test(spaces),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
