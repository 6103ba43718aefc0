// SPDX-License-Identifier: Apache-2.0
// merge_chains: two moves become one; casts only where nothing is lost in between.
#include "tests/passes/rewrite.h"

#define PASS "merge_chains"

static void casts(void **state) {
  // from, between, to; whether one cast does the same
  static const struct {
    sdx_dtype from, between, to;
    bool one;
  } rows[] = {
      {SDX_FLOAT16, SDX_FLOAT, SDX_FLOAT16, true},   {SDX_FLOAT16, SDX_FLOAT, SDX_DOUBLE, true},
      {SDX_INT32, SDX_DOUBLE, SDX_FLOAT, true},      {SDX_INT8, SDX_INT32, SDX_UINT8, true},
      {SDX_BOOL, SDX_INT64, SDX_FLOAT, true},        {SDX_INT32, SDX_INT64, SDX_INT32, true},
      {SDX_FLOAT, SDX_FLOAT16, SDX_FLOAT, false},    {SDX_FLOAT, SDX_INT32, SDX_FLOAT, false},
      {SDX_INT32, SDX_FLOAT, SDX_INT32, false},      {SDX_INT64, SDX_INT32, SDX_INT64, false},
      {SDX_INT8, SDX_UINT32, SDX_INT64, false},      {SDX_INT32, SDX_BOOL, SDX_INT32, false},
      {SDX_FLOAT16, SDX_BFLOAT16, SDX_FLOAT, false}, {SDX_FLOAT16, SDX_FLOAT, SDX_INT8, false},
      {SDX_FLOAT, SDX_DOUBLE, SDX_INT32, false},     {SDX_UINT8, SDX_INT8, SDX_UINT8, false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char source[300], after[300];
    const char *from = sdx_dtype_name(rows[i].from);
    snprintf(source, sizeof source,
             "graph(%%x: %s[5]) -> (%%y) {\n  %%a = Cast<to=%d>(%%x)\n  %%y = Cast<to=%d>(%%a)\n}\n", from,
             rows[i].between, rows[i].to);
    snprintf(after, sizeof after,
             "graph test(%%x: %s[5]) -> (%%y) {\n  %%a = Cast<to=%d>(%%x)\n  %%y = Cast<to=%d>(%%x)\n}\n", from,
             rows[i].between, rows[i].to);
    rewrites(PASS, source, rows[i].one ? after : NULL);
  }
}

static void transposes(void **state) {
  rewrites(PASS,
           "graph(%x: float[2,3,4]) -> (%y) {\n  %a = Transpose<perm=[1, 2, 0]>(%x)\n"
           "  %y = Transpose<perm=[0, 2, 1]>(%a)\n}\n",
           "graph test(%x: float[2,3,4]) -> (%y) {\n  %a = Transpose<perm=[1, 2, 0]>(%x)\n"
           "  %y = Transpose<perm=[1, 0, 2]>(%x)\n}\n");
  rewrites(PASS,
           "graph(%x: float[2,3,4]) -> (%a, %y) {\n  %a = Transpose<perm=[1, 2, 0]>(%x)\n"
           "  %y = Transpose<perm=[2, 0, 1]>(%a)\n}\n",
           "graph test(%x: float[2,3,4]) -> (%a, %y) {\n  %a = Transpose<perm=[1, 2, 0]>(%x)\n"
           "  %y = Transpose<perm=[0, 1, 2]>(%x)\n}\n");
  leaves_alone(PASS, "graph(%x: float[2,3]) -> (%y) {\n  %a = Transpose(%x)\n  %y = Transpose<perm=[1, 0]>(%a)\n}\n");
}

static void reshapes(void **state) {
  rewrites(PASS,
           "graph(%x: float[2,3,4]) -> (%y) {\n  const %s: int64[2]{6, 4}\n  const %t: int64[2]{-1, 8}\n"
           "  %a = Reshape(%x, %s)\n  %y = Reshape(%a, %t)\n}\n",
           "graph test(%x: float[2,3,4]) -> (%y) {\n  const %s: int64[2]{6, 4}\n  const %t: int64[2]{-1, 8}\n"
           "  %a = Reshape(%x, %s)\n  %y = Reshape(%x, %t)\n}\n");
  leaves_alone(PASS,
               "graph(%x: float[2,3,4]) -> (%y) {\n  const %t: int64[2]{0, -1}\n  %a = Flatten<axis=2>(%x)\n"
               "  %y = Reshape(%a, %t)\n}\n");
  leaves_alone(PASS,
               "graph(%x: float[2,3,4]) -> (%y) {\n  const %t: int64[2]{4, 6}\n  %a = Transpose<perm=[2, 1, 0]>(%x)\n"
               "  %y = Reshape(%a, %t)\n}\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(casts), cmocka_unit_test(transposes), cmocka_unit_test(reshapes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
