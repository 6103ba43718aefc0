// SPDX-License-Identifier: Apache-2.0
// MatMulNBits with constant weights: near the sums in double, and a row has the same bits whatever rows stand beside
// it.
#include "tests/model.h"

enum { N = 40, K = 50, BLOCK = 16, BLOCKS = 4, BLOB = BLOCK / 2, ROWS = 9, ZERO_BYTES = BLOCKS / 2 };

static uint8_t weights[N][BLOCKS][BLOB], zeros[N][ZERO_BYTES];
static float scales[N][BLOCKS], rows[ROWS][K];

static unsigned next(void) {
  static uint32_t state = 7;
  return (state = state * 1664525 + 1013904223) >> 16;
}

// A constant of N rows: folded from them, as the text form lists few numbers at once.
static void list(text *t, const char *name, const char *type, size_t row, const uint8_t *bytes, const float *floats) {
  for (size_t n = 0; n < N; n++) {
    text_format(t, "  const %%%s%zu: %s", name, n, type);
    for (size_t i = n * row; i < (n + 1) * row; i++)
      text_format(t, "%s%.9g", i > n * row ? ", " : "{", bytes ? bytes[i] : (double)floats[i]);
    text_format(t, "}\n");
  }
  text_format(t, "  %%%s = Concat<axis=0>(", name);
  for (size_t n = 0; n < N; n++) text_format(t, "%s%%%s%zu", n ? ", " : "", name, n);
  text_format(t, ")\n");
}

static sdx_session *load(bool with_zeros) {
  text t = {0};
  text_format(&t, "graph(%%a: float[M,50]) -> (%%y) {\n");
  list(&t, "w", "uint8[1,4,8]", BLOCKS * BLOB, &weights[0][0][0], NULL);
  list(&t, "s", "float[4]", BLOCKS, NULL, &scales[0][0]);
  if (with_zeros) list(&t, "z", "uint8[2]", ZERO_BYTES, &zeros[0][0], NULL);
  text_format(&t, "  %%y = com.microsoft::MatMulNBits<K=50, N=40, bits=4, block_size=16>(%%a, %%w, %%s%s)\n}\n",
              with_zeros ? ", %z" : "");
  sdx_session *s = model_load(t.at, "threads=2");
  text_deinit(&t);
  return s;
}

static double weight(bool with_zeros, size_t n, size_t k) {
  size_t block = k / BLOCK, at = k % BLOCK;
  int q = weights[n][block][at / 2] >> at % 2 * 4 & 15, zero = zeros[n][block / 2] >> block % 2 * 4 & 15;
  return (q - (with_zeros ? zero : 8)) * (double)scales[n][block];
}

static void check(bool with_zeros) {
  sdx_session *s = load(with_zeros);
  float all[ROWS][N];
  for (int64_t m = ROWS; m > 0; m--) {
    sdx_run *r;
    assert_int_equal(sdx_run_create(s, &r), SDX_OK);
    sdx_value *a = sdx_tensor_borrow(SDX_FLOAT, 2, (int64_t[]){m, K}, rows, NULL, NULL);
    sdx_run_set_input(r, 0, a);
    if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
    const float *y = sdx_tensor_data(sdx_run_output(r, 0));
    if (m == ROWS) memcpy(all, y, sizeof all);
    if (memcmp(all, y, (size_t)m * sizeof *all)) fail_msg("%lld rows give other bits than %d", (long long)m, ROWS);
    sdx_value_release(a);
    sdx_run_destroy(r);
  }
  for (size_t m = 0; m < ROWS; m++)
    for (size_t n = 0; n < N; n++) {
      double sum = 0;
      for (size_t k = 0; k < K; k++) sum += (double)rows[m][k] * weight(with_zeros, n, k);
      if (fabs(sum - (double)all[m][n]) > 1e-4) fail_msg("[%zu,%zu] is %g, expected %g", m, n, (double)all[m][n], sum);
    }
  sdx_session_destroy(s);
}

static void rows_do_not_depend_on_their_neighbours(void **state) {
  for (size_t i = 0; i < sizeof weights; i++) (&weights[0][0][0])[i] = (uint8_t)next();
  for (size_t i = 0; i < sizeof zeros; i++) (&zeros[0][0])[i] = (uint8_t)next();
  for (size_t i = 0; i < sizeof scales / sizeof(float); i++) (&scales[0][0])[i] = (float)(next() % 1000) / 10000;
  for (size_t i = 0; i < sizeof rows / sizeof(float); i++) (&rows[0][0])[i] = (float)(next() % 2000) / 1000 - 1;
  check(false);
  check(true);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(rows_do_not_depend_on_their_neighbours)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
