// SPDX-License-Identifier: Apache-2.0
// The fusions: patterns that are taken, and look-alikes that must stay.
#include "tests/passes/rewrite.h"

// ---- fuse_conv_channels -------------------------------------------------------------------------

#define NORM                                                                                      \
  "  const %w: float[2,1,1,1]{1, -2}\n  const %s: float[2]{1, 3}\n  const %t: float[2]{0.5, 0}\n" \
  "  const %m: float[2]{0.25, -1}\n  const %v: float[2]{4, 0.5}\n"

static void conv_and_norm(void **state) {
  static const char source[] = "graph(%x: float[N,1,3,3]) -> (%y) {\n" NORM
                               "  %a = Conv(%x, %w)\n  %y = BatchNormalization<epsilon=0.0>(%a, %s, %t, %m, %v)\n}\n";
  sdx_session *plain = rewrite_session(NULL, source), *fused = rewrite_session("fuse_conv_channels", source);
  assert_int_equal(fused->main->node_count, 1);
  rewrite_same_numbers(plain, fused, 1e-6, source);
  sdx_session_destroy(plain);
  sdx_session_destroy(fused);
  leaves_alone("fuse_conv_channels",
               "graph(%x: float[N,1,3,3]) -> (%y, %z) {\n" NORM
               "  %a = Conv(%x, %w)\n  %y = BatchNormalization(%a, %s, %t, %m, %v)\n  %z = Neg(%a)\n}\n");
  leaves_alone("fuse_conv_channels", "graph(%x: float[N,1,3,3]) -> (%a, %y) {\n" NORM
                                     "  %a = Conv(%x, %w)\n  %y = BatchNormalization(%a, %s, %t, %m, %v)\n}\n");
  leaves_alone("fuse_conv_channels", "graph(%x: float[N,1,3,3], %mean: float[2]) -> (%y) {\n" NORM
                                     "  %a = Conv(%x, %w)\n  %y = BatchNormalization(%a, %s, %t, %mean, %v)\n}\n");
  leaves_alone("fuse_conv_channels",
               "graph(%x: float[N,1,3,3]) -> (%y, %p, %q) {\n" NORM
               "  %a = Conv(%x, %w)\n  %y, %p, %q = BatchNormalization<training_mode=1>(%a, %s, %t, %m, %v)\n}\n");
}

static void a_chain_behind_conv(void **state) {
  static const char source[] = "graph(%x: float[N,1,3,3]) -> (%y) {\n" NORM
                               "  const %b: float[2,1,1]{1, -1}\n  %a = Conv(%x, %w)\n  %p = Add(%a, %b)\n"
                               "  %n = BatchNormalization(%p, %s, %t, %m, %v)\n  %y = Mul(%n, %b)\n}\n";
  sdx_session *plain = rewrite_session(NULL, source), *fused = rewrite_session("fuse_conv_channels", source);
  assert_int_equal(fused->main->node_count, 1);
  rewrite_same_numbers(plain, fused, 1e-6, source);
  sdx_session_destroy(plain);
  sdx_session_destroy(fused);
}

static void weights_of_two_convolutions(void **state) {
  static const char source[] = "graph(%x: float[N,1,3,3]) -> (%y, %z) {\n" NORM
                               "  %a = Conv(%x, %w)\n  %b = Conv(%x, %w)\n  %c = Neg(%b)\n"
                               "  %y = BatchNormalization(%a, %s, %t, %m, %v)\n  %z = Neg(%c)\n}\n";
  sdx_session *plain = rewrite_session(NULL, source), *fused = rewrite_session("fuse_conv_channels", source);
  assert_int_equal(fused->main->node_count, 4);
  rewrite_same_numbers(plain, fused, 1e-6, source);
  sdx_session_destroy(plain);
  sdx_session_destroy(fused);
}

// ---- fuse_matmul_add --------------------------------------------------------------------------------

static void product_and_row(void **state) {
  rewrites("fuse_matmul_add",
           "graph(%x: float[N,2]) -> (%y) {\n  const %w: float[2,3]{1, 2, 3, 4, 5, 6}\n  const %b: float[3]{1, 2, 3}\n"
           "  %a = MatMul(%x, %w)\n  %y = Add(%b, %a)\n}\n",
           "graph test(%x: float[N,2]) -> (%y) {\n  const %w: float[2,3]{1, 2, 3, 4, 5, 6}\n"
           "  const %b: float[3]{1, 2, 3}\n  %y = Gemm(%x, %w, %b)\n}\n");
  static const char *const stay[] = {
      "const %b: float[1]{1}\n  %a = MatMul(%x, %w)\n  %y = Add(%b, %a)\n",            // broadcasts
      "const %b: float[2,1]{1, 2}\n  %a = MatMul(%x, %w)\n  %y = Add(%a, %b)\n",       // a column
      "const %b: float[1,1,3]{1, 2, 3}\n  %a = MatMul(%x, %w)\n  %y = Add(%a, %b)\n",  // adds a dimension
      "%a = MatMul(%x, %w)\n  %y = Add(%a, %a)\n",                                     // no row
      "const %b: float[3]{1, 2, 3}\n  %a = MatMul(%x, %w)\n  %c = Neg(%a)\n  %d = Add(%a, %b)\n  %y = Mul(%c, %d)\n",
  };
  for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) {
    char source[500];
    snprintf(source, sizeof source,
             "graph(%%x: float[2,2]) -> (%%y) {\n  const %%w: float[2,3]{1, 2, 3, 4, 5, 6}\n  %s}\n", stay[i]);
    leaves_alone("fuse_matmul_add", source);
  }
  leaves_alone(
      "fuse_matmul_add",
      "graph(%x: float[2]) -> (%y) {\n  const %w: float[2,3]{1, 2, 3, 4, 5, 6}\n  const %b: float[3]{1, 2, 3}\n"
      "  %a = MatMul(%x, %w)\n  %y = Add(%b, %a)\n}\n");
}

// ---- fuse_activation --------------------------------------------------------------------------------

static void activations(void **state) {
  static const char *const rows[][2] = {
      {"Relu(%a)", "activation=\"Relu\""},
      {"Sigmoid(%a)", "activation=\"Sigmoid\""},
      {"Tanh(%a)", "activation=\"Tanh\""},
      {"HardSwish(%a)", "activation=\"HardSwish\""},
      {"LeakyRelu<alpha=0.25>(%a)", "activation=\"LeakyRelu\", activation_params=[0.25]"},
      {"HardSigmoid<alpha=0.5>(%a)", "activation=\"HardSigmoid\", activation_params=[0.5, 0.5]"},
      {"Clip(%a, %lo, %hi)", "activation=\"Clip\", activation_params=[0.0, 6.0]"},
      {"Gelu(%a)", "activation=\"Gelu\""},
      {"Gelu<approximate=\"tanh\">(%a)", "activation=\"GeluTanh\""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char source[500], after[500];
    bool clips = strstr(rows[i][0], "lo") != NULL;
    const char *constants = clips ? "  const %lo: float[]{0}\n  const %hi: float[]{6}\n" : "";
    snprintf(source, sizeof source,
             "graph(%%x: float[N,1,3,3]) -> (%%y) {\n%s  const %%w: float[2,1,1,1]{1, -2}\n"
             "  %%a = Conv(%%x, %%w)\n  %%y = %s\n}\n",
             constants, rows[i][0]);
    snprintf(after, sizeof after,
             "graph test(%%x: float[N,1,3,3]) -> (%%y) {\n  const %%w: float[2,1,1,1]{1, -2}\n"
             "  %%y = com.microsoft::FusedConv<%s>(%%x, %%w)\n}\n",
             rows[i][1]);
    rewrites("fuse_activation", source, after);
  }
}

// What is infinite or no number comes out as it does from the separate nodes.
static void activations_of_extremes(void **state) {
  static const char *const rows[] = {"Relu(%b)",      "Sigmoid(%b)",     "Tanh(%b)",     "HardSwish(%b)",
                                     "LeakyRelu(%b)", "HardSigmoid(%b)", "Clip(%b)",     "Gelu(%b)",
                                     "Swish(%b)",     "Clip(%b, _, %h)", "Clip(%b, %h)", "Clip(%b, %h, %l)"};
  static const char *const products[] = {"Conv(%x, %w, %k)", "Gemm(%f, %m, %k)"};
  for (size_t i = 0; i < sizeof rows / sizeof *rows * 2; i++) {
    char source[700];
    snprintf(source, sizeof source,
             "graph(%%x: float[1,1,3,3], %%f: float[3,1]) -> (%%y) {\n  const %%w: float[4,1,1,1]{3e38, 0, -3e38, 0}\n"
             "  const %%m: float[1,4]{3e38, 0, -3e38, 0}\n  const %%k: float[4]{0, -inf, inf, nan}\n"
             "  const %%h: float[]{1}\n  const %%l: float[]{-1}\n  %%b = %s\n  %%y = %s\n}\n",
             products[i % 2], rows[i / 2]);
    sdx_session *plain = rewrite_session(NULL, source), *fused = rewrite_session("fuse_activation", source);
    assert_int_equal(fused->main->node_count, 1);
    rewrite_same_numbers(plain, fused, 0, source);
    sdx_session_destroy(plain);
    sdx_session_destroy(fused);
  }
}

static void residuals(void **state) {
  rewrites(
      "fuse_activation",
      "graph(%x: float[N,2,3,3]) -> (%y) {\n  const %w: float[2,2,1,1]{1, -2, 3, 4}\n"
      "  const %b: float[2]{1, 2}\n  %a = Conv(%x, %w, %b)\n  %r = Neg(%x)\n  %s = Add(%r, %a)\n  %y = Relu(%s)\n}\n",
      "graph test(%x: float[N,2,3,3]) -> (%y) {\n  const %w: float[2,2,1,1]{1, -2, 3, 4}\n"
      "  const %b: float[2]{1, 2}\n  %r = Neg(%x)\n"
      "  %y = com.microsoft::FusedConv<activation=\"Relu\">(%x, %w, %b, %r)\n}\n");
  // Two convolutions that meet: one takes the other's result.
  rewrites("fuse_activation",
           "graph(%x: float[N,1,3,3]) -> (%y) {\n  const %w: float[2,1,1,1]{1, -2}\n  const %v: float[2,1,1,1]{3, 4}\n"
           "  %a = Conv(%x, %w)\n  %b = Conv(%x, %v)\n  %y = Sum(%a, %b)\n}\n",
           "graph test(%x: float[N,1,3,3]) -> (%y) {\n  const %w: float[2,1,1,1]{1, -2}\n"
           "  const %v: float[2,1,1,1]{3, 4}\n  %b = Conv(%x, %v)\n"
           "  %y = com.microsoft::FusedConv(%x, %w, _, %b)\n}\n");
  static const char *const stay[] = {
      "(%x: float[2,1,3,3], %z: float[1,2,3,3]) -> (%y)",  // broadcasts over the batch
      "(%x: float[N,1,3,3], %z: float[M,2,3,3]) -> (%y)",  // other symbol
      "(%x: float[?,1,3,3], %z: float[?,2,3,3]) -> (%y)",  // who knows
      "(%x: float[2,1,3,3], %z: float[2,2,1,1]) -> (%y)",  // broadcasts over space
      "(%x: float[2,1,3,3], %z: float[2,2,3,3]) -> (%y, %a)",
  };
  for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) {
    char source[500];
    snprintf(source, sizeof source,
             "graph%s {\n  const %%w: float[2,1,1,1]{1, -2}\n  %%a = Conv(%%x, %%w)\n  %%y = Add(%%a, %%z)\n}\n",
             stay[i]);
    leaves_alone("fuse_activation", source);
  }
}

static void activations_that_stay(void **state) {
  static const char *const stay[] = {
      "%a = Conv(%x, %w)\n  %b = Relu(%a)\n  %c = Neg(%a)\n  %y = Add(%b, %c)\n",  // a second reader
      "%a = Conv(%x, %w)\n  %lo = ReduceMin<keepdims=0>(%x)\n  %y = Clip(%a, %lo)\n",
      "%a = Conv(%x, %w)\n  %y = Elu(%a)\n",
      "%a = ConvTranspose(%x, %u)\n  %y = Relu(%a)\n  const %u: float[1,1,1,1]{2}\n",
  };
  for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) {
    char source[500];
    snprintf(source, sizeof source,
             "graph(%%x: float[N,1,3,3]) -> (%%y) {\n  const %%w: float[2,1,1,1]{1, -2}\n  %s}\n", stay[i]);
    leaves_alone("fuse_activation", source);
  }
  leaves_alone("fuse_activation",
               "graph(%x: double[N,1,3,3]) -> (%y) {\n  const %w: double[2,1,1,1]{1, -2}\n  %a = Conv(%x, %w)\n"
               "  %y = Relu(%a)\n}\n");
}

static void products_activate(void **state) {
  rewrites("fuse_activation",
           "graph(%x: float[N,2]) -> (%y) {\n  const %w: float[2,2]{1, 2, 3, 4}\n  %a = Gemm<transB=1>(%x, %w)\n"
           "  %y = LeakyRelu<alpha=0.5>(%a)\n}\n",
           "graph test(%x: float[N,2]) -> (%y) {\n  const %w: float[2,2]{1, 2, 3, 4}\n"
           "  %y = com.microsoft::FusedGemm<transB=1, activation=\"LeakyRelu\", activation_alpha=0.5>(%x, %w)\n}\n");
}

// ---- fuse_products, fuse_layer_norm -------------------------------------------------------------------

static void squashed_products(void **state) {
  static const char *const rows[][2] = {
      {"%a = Sigmoid(%x)\n  %y = Mul(%x, %a)", "Swish<alpha=1.0>"},
      {"%a = Mul(%x, %half)\n  %b = Sigmoid(%a)\n  %y = Mul(%b, %x)", "Swish<alpha=0.5>"},
      {"%a = HardSigmoid<alpha=0.16666667>(%x)\n  %y = Mul(%a, %x)", "HardSwish"},
      {"%a = Add(%x, %three)\n  %b = Clip(%a, %zero, %six)\n  %c = Mul(%x, %b)\n  %y = Div(%c, %six)", "HardSwish"},
      {"%a = Add(%x, %three)\n  %b = Clip(%a, %zero, %six)\n  %c = Div(%b, %six)\n  %y = Mul(%x, %c)", "HardSwish"},
      {"%a = Div(%x, %root)\n  %b = Erf(%a)\n  %c = Add(%b, %one)\n  %d = Mul(%x, %c)\n  %y = Mul(%d, %half)", "Gelu"},
      {"%a = Mul(%x, %rsqrt)\n  %b = Erf(%a)\n  %c = Add(%one, %b)\n  %d = Mul(%half, %x)\n  %y = Mul(%d, %c)", "Gelu"},
      {"%a = Div(%x, %root)\n  %b = Erf(%a)\n  %c = Add(%b, %one)\n  %d = Mul(%c, %half)\n  %y = Mul(%x, %d)", "Gelu"},
      {"%a = Sigmoid(%x)\n  %b = Neg(%x)\n  %y = Mul(%b, %a)", NULL},
      {"%a = Div(%half, %x)\n  %b = Sigmoid(%a)\n  %y = Mul(%b, %x)", NULL},
      {"%a = Add(%x, %one)\n  %b = Clip(%a, %zero, %six)\n  %c = Mul(%x, %b)\n  %y = Div(%c, %six)", NULL},
      {"%a = Add(%x, %three)\n  %b = Clip(%a, %zero, %six)\n  %c = Mul(%x, %b)\n  %y = Div(%c, %three)", NULL},
      {"%a = Add(%x, %three)\n  %b = Clip(%a, %zero)\n  %c = Mul(%x, %b)\n  %y = Div(%c, %six)", NULL},
      {"%a = Div(%x, %three)\n  %b = Erf(%a)\n  %c = Add(%b, %one)\n  %d = Mul(%x, %c)\n  %y = Mul(%d, %half)", NULL},
      {"%a = Sigmoid(%x)\n  %b = Mul(%x, %a)\n  %y = Mul(%b, %wide)", "Swish<alpha=1.0>"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char source[900];
    snprintf(source, sizeof source,
             "graph(%%x: float[N,3]) -> (%%y) {\n  const %%one: float[]{1}\n  const %%half: float[1]{0.5}\n"
             "  const %%three: float[]{3}\n  const %%six: float[]{6}\n  const %%zero: float[]{0}\n"
             "  const %%root: float[]{1.4142135}\n  const %%rsqrt: float[]{0.70710677}\n"
             "  const %%wide: float[1,1,1]{2}\n  %s\n}\n",
             rows[i][0]);
    sdx_session *plain = rewrite_session(NULL, source), *fused = rewrite_session("fuse_products", source);
    text got = {0};
    rewrite_same_numbers(plain, fused, 1e-5, source);
    rewrite_text(fused, &got);
    char want[60];
    snprintf(want, sizeof want, "= %s(%%x)", rows[i][1] ? rows[i][1] : "Mul");
    if (rows[i][1] && !strstr(got.at, want)) fail_msg("%s\nwanted %s\ngot:\n%s", source, want, got.at);
    if (!rows[i][1]) assert_int_equal(fused->main->node_count, plain->main->node_count);
    text_deinit(&got);
    sdx_session_destroy(plain);
    sdx_session_destroy(fused);
  }
}

static void layer_norm(void **state) {
  static const char head[] =
      "graph(%x: float[N,4]) -> (%y) {\n  const %e: float[]{0.001}\n  const %two: float[]{2}\n"
      "  const %s: float[4]{1, 2, 3, 4}\n  const %b: float[4]{5, 6, 7, 8}\n  const %last: int64[1]{-1}\n"
      "  const %axis: int64[1]{0}\n  const %long: float[3,4]{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}\n";
  static const struct {
    const char *body;
    uint32_t nodes;
  } rows[] = {
      {"%m = ReduceMean(%x, %last)\n  %d = Sub(%x, %m)\n  %q = Pow(%d, %two)\n  %v = ReduceMean(%q, %last)\n"
       "  %w = Add(%v, %e)\n  %r = Sqrt(%w)\n  %n = Div(%d, %r)\n  %k = Mul(%n, %s)\n  %y = Add(%k, %b)\n",
       1},
      {"%m = ReduceMean(%x, %last)\n  %d = Sub(%x, %m)\n  %q = Mul(%d, %d)\n  %v = ReduceMean(%q, %last)\n"
       "  %w = Add(%e, %v)\n  %r = Sqrt(%w)\n  %n = Div(%d, %r)\n  %y = Mul(%s, %n)\n",
       1},
      {"%m = ReduceMean(%x, %axis)\n  %d = Sub(%x, %m)\n  %q = Mul(%d, %d)\n  %v = ReduceMean(%q, %axis)\n"
       "  %w = Add(%e, %v)\n  %r = Sqrt(%w)\n  %n = Div(%d, %r)\n  %y = Mul(%s, %n)\n",
       8},
      {"%m = ReduceMean(%x, %last)\n  %d = Sub(%x, %m)\n  %q = Mul(%d, %x)\n  %v = ReduceMean(%q, %last)\n"
       "  %z = Abs(%v)\n  %w = Add(%e, %z)\n  %r = Sqrt(%w)\n  %n = Div(%d, %r)\n  %y = Mul(%s, %n)\n",
       9},
      {"%m = ReduceMean(%x, %last)\n  %d = Sub(%x, %m)\n  %q = Mul(%d, %d)\n  %v = ReduceMean(%q, %last)\n"
       "  %w = Add(%e, %v)\n  %r = Sqrt(%w)\n  %n = Div(%d, %r)\n  %k = Mul(%s, %n)\n  %y = Sub(%k, %n)\n",
       9},
      {"const %wide: float[1,1,1]{0.001}\n  %m = ReduceMean(%x, %last)\n  %d = Sub(%x, %m)\n  %q = Mul(%d, %d)\n"
       "  %v = ReduceMean(%q, %last)\n  %w = Add(%v, %wide)\n  %r = Sqrt(%w)\n  %n = Div(%d, %r)\n"
       "  %y = Mul(%n, %s)\n",
       8},  // the result has one dimension more
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char source[1200];
    snprintf(source, sizeof source, "%s  %s}\n", head, rows[i].body);
    sdx_session *plain = model_load(source, "optimize=none"), *fused = model_load(source, "optimize=all");
    rewrite_same_numbers(plain, fused, 1e-5, source);
    if (fused->main->node_count != rows[i].nodes) fail_msg("%s\n%u nodes", source, fused->main->node_count);
    sdx_session_destroy(plain);
    sdx_session_destroy(fused);
  }
}

// ---- widen_squares -------------------------------------------------------------------------------------

// Rows of four whose squares no float16 holds: what float makes of the same chain must come out.
// ---- fuse_attention -----------------------------------------------------------------------------------

static void attention(void **state) {
  // The rest of a graph that reads %q, the keys %k, turned, %v and the mask %m.
  static const struct {
    const char *nodes, *after;
  } taken[] = {
      {"%s = MatMul(%q, %t)\n  %p = Softmax(%s)\n  %y = MatMul(%p, %v)", "scale=1.0"},
      {"const %n: float[]{0.5}\n  %a = MatMul(%q, %t)\n  %s = Mul(%a, %n)\n  %p = Softmax<axis=3>(%s)\n"
       "  %y = MatMul(%p, %v)",
       "scale=0.5"},
      {"const %n: float[1]{4}\n  %a = MatMul(%q, %t)\n  %b = Div(%a, %n)\n  %s = Add(%m, %b)\n  %p = Softmax(%s)\n"
       "  %y = MatMul(%p, %v)",
       "scale=0.25"},
      {"const %z: float[5,5]{0,-inf,-inf,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,-inf,-inf,-inf,-inf,-inf}\n  %a = "
       "MatMul(%q, %t)\n"
       "  %s = Add(%a, %z)\n  %p = Softmax(%s)\n  %y = MatMul(%p, %v)",
       "scale=1.0"},
  };
  static const char *const stay[] = {
      "%s = MatMul(%q, %t)\n  %p = Softmax<axis=2>(%s)\n  %y = MatMul(%p, %v)",                 // down the columns
      "%s = MatMul(%q, %t)\n  %p = Softmax(%s)\n  %w = MatMul(%t, %p)\n  %y = MatMul(%w, %v)",  // on the other side
      "%s = MatMul(%q, %t)\n  %p = Softmax(%s)\n  %z = Neg(%p)\n  %y = MatMul(%p, %v)",         // read twice
      "const %n: float[5]{1,2,3,4,5}\n  %a = MatMul(%q, %t)\n  %s = Mul(%a, %n)\n  %p = Softmax(%s)\n"
      "  %y = MatMul(%p, %v)",  // no number
      "const %n: float[1]{1}\n  %a = MatMul(%q, %t)\n  %s = Add(%a, %n)\n  %p = Softmax(%s)\n  %y = MatMul(%p, %v)",
      "const %n: float[2,1,1,1,5]{1,2,3,4,5,6,7,8,9,0}\n  %a = MatMul(%q, %t)\n  %s = Add(%a, %n)\n"
      "  %p = Softmax(%s)\n  %y = MatMul(%p, %v)",  // more scores
  };
  char source[900];
#define ATTENTION_SOURCE(nodes)                                                                                      \
  snprintf(source, sizeof source,                                                                                    \
           "graph(%%q: float[B,2,5,4], %%m: float[1,1,1,5]) -> (%%y%s) {\n  %%k = Neg(%%q)\n  %%v = Softplus(%%q)\n" \
           "  %%t = Transpose<perm=[0, 1, 3, 2]>(%%k)\n  %s\n}\n",                                                   \
           strstr(nodes, "%z = Neg") ? ", %z" : "", nodes)
  for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
    ATTENTION_SOURCE(taken[i].nodes);
    sdx_session *plain = rewrite_session(NULL, source), *fused = rewrite_session("fuse_attention", source);
    text got = {0};
    rewrite_same_numbers(plain, fused, 1e-5, source);
    rewrite_text(fused, &got);
    if (!strstr(got.at, "= Attention<") || !strstr(got.at, taken[i].after) || strstr(got.at, "Softmax("))
      fail_msg("%s\n%s", source, got.at);
    text_deinit(&got);
    sdx_session_destroy(plain);
    sdx_session_destroy(fused);
  }
  for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) {
    ATTENTION_SOURCE(stay[i]);
    leaves_alone("fuse_attention", source);
  }
  // More rows than one block: keys and values are packed once a head.
  static const char long_rows[] =
      "graph(%q: float[2,2,300,20], %m: float[2,1,300,300]) -> (%y) {\n  %k = Neg(%q)\n  %v = Softplus(%q)\n"
      "  %t = Transpose<perm=[0, 1, 3, 2]>(%k)\n  %a = MatMul(%q, %t)\n  %s = Add(%a, %m)\n  %p = Softmax(%s)\n"
      "  %y = MatMul(%p, %v)\n}\n";
  sdx_session *plain = rewrite_session(NULL, long_rows), *fused = rewrite_session("fuse_attention", long_rows);
  rewrite_same_numbers(plain, fused, 1e-5, long_rows);
  sdx_session_destroy(plain);
  sdx_session_destroy(fused);
  // One head of the keys for all, and keys that nothing turned.
  leaves_alone("fuse_attention",
               "graph(%q: float[1,2,3,4], %k: float[1,1,5,4], %v: float[1,2,5,6]) -> (%y) {\n"
               "  %t = Transpose<perm=[0, 1, 3, 2]>(%k)\n  %s = MatMul(%q, %t)\n  %p = Softmax(%s)\n"
               "  %y = MatMul(%p, %v)\n}\n");
  leaves_alone("fuse_attention",
               "graph(%q: float[1,2,3,4], %t: float[1,2,4,5], %v: float[1,2,5,6]) -> (%y) {\n"
               "  %s = MatMul(%q, %t)\n  %p = Softmax(%s)\n  %y = MatMul(%p, %v)\n}\n");
}

static void squares_beyond_16_bits(void **state) {
  static const char *const chains[] = {
      "%m = ReduceMean(%x, %last)\n %d = Sub(%x, %m)\n %q = Pow(%d, %two)\n %v = ReduceMean(%q, %last)\n"
      " %w = Add(%v, %e)\n %r = Sqrt(%w)\n %n = Div(%d, %r)\n %k = Mul(%n, %s)\n %y = Add(%k, %e)\n",
      "%m = ReduceMean(%x, %last)\n %d = Sub(%x, %m)\n %q = Mul(%d, %d)\n %v = ReduceMean(%q, %last)\n"
      " %w = Add(%e, %v)\n %r = Sqrt(%w)\n %y = Div(%d, %r)\n",
      "%q = Pow(%x, %whole)\n %v = ReduceMean(%q, %last)\n %w = Add(%v, %e)\n %r = Sqrt(%w)\n"
      " %i = Reciprocal(%r)\n %y = Mul(%x, %i)\n",
      "%q = Pow(%x, %two)\n %v = ReduceMean(%q, %last)\n %w = Add(%v, %e)\n %r = Pow(%w, %inverse)\n"
      " %y = Mul(%x, %r)\n",
      "%c = Cast<to=1>(%x)\n %q = Pow(%c, %whole)\n %h = Cast<to=TYPE>(%q)\n %v = ReduceMean(%h, %last)\n"
      " %f = Cast<to=1>(%v)\n %r = Sqrt(%f)\n %t = Cast<to=TYPE>(%r)\n %y = Div(%x, %t)\n",
      "%m = ReduceMean(%x, %first)\n %d = Sub(%x, %m)\n %q = Mul(%d, %d)\n %v = ReduceMean<keepdims=0>(%q, %first)\n"
      " %w = Add(%v, %e)\n %r = Sqrt(%w)\n %y = Div(%d, %r)\n",
      "%q = Mul(%x, %x)\n %v = ReduceMean(%q)\n %r = Sqrt(%v)\n %y = Div(%x, %r)\n",
  };
  static const struct {
    const char *name, *number;
    double tolerance;
  } types[] = {{"float16", "10", 0.004}, {"bfloat16", "16", 0.03}, {"float", "1", 0}};
  for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
    sdx_value *results[3];
    for (size_t k = 0; k < 3; k++) {
      char source[1600], body[700], *to = body;
      for (const char *from = chains[i]; *from; from++)
        if (strncmp(from, "TYPE", 4) == 0) to += sprintf(to, "%s", types[k].number), from += 3;
        else *to++ = *from;
      *to = 0;
      const char *t = types[k].name;
      snprintf(source, sizeof source,
               "graph(%%small: float[2,4]) -> (%%result) {\n const %%scale: float[]{9000}\n const %%e: %s[]{0.001}\n"
               " const %%two: %s[]{2}\n const %%whole: int64[]{2}\n const %%inverse: %s[]{-0.5}\n"
               " const %%s: %s[4]{1, 2, 3, 4}\n const %%last: int64[1]{-1}\n const %%first: int64[1]{0}\n"
               " %%large = Mul(%%small, %%scale)\n %%x = Cast<to=%s>(%%large)\n %s %%result = Cast<to=1>(%%y)\n}\n",
               t, t, t, t, types[k].number, body);
      sdx_session *s = model_load(source, "optimize=all");
      sdx_run *r = model_run(s, 2);
      if (sdx_run_execute(r) != SDX_OK) fail_msg("%s\n%s", source, sdx_run_error(r));
      results[k] = sdx_value_retain(sdx_run_output(r, 0));
      sdx_run_destroy(r);
      sdx_session_destroy(s);
    }
    for (size_t k = 0; k < 2; k++) {
      double difference = model_difference(results[2], results[k]);
      if (!(difference <= types[k].tolerance)) fail_msg("%s\n%s differs by %g", chains[i], types[k].name, difference);
    }
    for (size_t k = 0; k < 3; k++) sdx_value_release(results[k]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(conv_and_norm),
      cmocka_unit_test(a_chain_behind_conv),
      cmocka_unit_test(weights_of_two_convolutions),
      cmocka_unit_test(product_and_row),
      cmocka_unit_test(activations),
      cmocka_unit_test(residuals),
      cmocka_unit_test(activations_that_stay),
      cmocka_unit_test(products_activate),
      cmocka_unit_test(squashed_products),
      cmocka_unit_test(layer_norm),
      cmocka_unit_test(attention),
      cmocka_unit_test(squares_beyond_16_bits),
      cmocka_unit_test(activations_of_extremes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
