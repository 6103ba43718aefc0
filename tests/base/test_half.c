// SPDX-License-Identifier: Apache-2.0
// Narrow floats: all 65,536 values there and back, and rounding against arithmetic in double.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// after the standard headers
#include <cmocka.h>

#include "base/half.h"

static void every_value_survives(void **state) {
  for (uint32_t h = 0; h < 65536; h++) {
    float f = fp16_to_float((uint16_t)h), b = bf16_to_float((uint16_t)h);
    if (isnan(f)) assert_true(isnan(fp16_to_float(fp16_from_float(f))));
    else assert_int_equal(fp16_from_float(f), h);
    if (isnan(b)) assert_true(isnan(bf16_to_float(bf16_from_float(b))));
    else assert_int_equal(bf16_from_float(b), h);
  }
}

static void known_values(void **state) {
  assert_true(fp16_to_float(0x3c00) == 1);
  assert_true(fp16_to_float(0x7bff) == 65504);
  assert_true(fp16_to_float(0x0001) == 0x1p-24f);
  assert_true(fp16_to_float(0x8400) == -0x1p-14f);
  assert_true(isinf(fp16_to_float(0xfc00)));
  assert_true(bf16_to_float(0x3f80) == 1);
  assert_int_equal(fp16_from_float(65519.996f), 0x7bff);
  assert_int_equal(fp16_from_float(65520), 0x7c00);
  assert_int_equal(fp16_from_float(-1e30f), 0xfc00);
  assert_int_equal(fp16_from_float(0x1p-25f), 0);
  assert_int_equal(fp16_from_float(0x1.000002p-25f), 1);
  assert_int_equal(fp16_from_float(-0.0f), 0x8000);
  assert_int_equal(bf16_from_float(3.4028234663852886e38f), 0x7f80);
  assert_int_equal(bf16_from_float(float_from_bits(0x7f800001)) & 0x7f80, 0x7f80);  // NaN does not become Inf
  assert_true(isnan(bf16_to_float(bf16_from_float(float_from_bits(0x7f800001)))));
}

// The distance to the result is never more than to either neighbour; ties go to the even one.
static void rounds_to_nearest_even(void **state) {
  uint32_t bits = 12345;
  for (int i = 0; i < 200000; i++) {
    bits = bits * 1664525u + 1013904223u;
    float f = float_from_bits(bits);
    if (isnan(f)) continue;
    uint16_t h = fp16_from_float(f), b = bf16_from_float(f);
    if ((h & 0x7fff) > 0 && (h & 0x7fff) < 0x7bff) {
      double own = fabs((double)fp16_to_float(h) - f);
      double up = fabs((double)fp16_to_float((uint16_t)(h + 1)) - f),
             down = fabs((double)fp16_to_float((uint16_t)(h - 1)) - f);
      assert_true(own <= up && own <= down && ((own != up && own != down) || h % 2 == 0));
    }
    if ((b & 0x7fff) > 0 && (b & 0x7fff) < 0x7f7f) {
      double own = fabs((double)bf16_to_float(b) - f);
      double up = fabs((double)bf16_to_float((uint16_t)(b + 1)) - f),
             down = fabs((double)bf16_to_float((uint16_t)(b - 1)) - f);
      assert_true(own <= up && own <= down && ((own != up && own != down) || b % 2 == 0));
    }
  }
}

// Halfway cases that a float on the way would round first, and both ends of the range.
static void double_is_rounded_once(void **state) {
  for (uint32_t h = 0; h < 65536; h++) {
    double f = fp16_to_float((uint16_t)h), b = bf16_to_float((uint16_t)h);
    if (!isnan(f)) assert_int_equal(fp16_from_double(f), h);
    if (!isnan(b)) assert_int_equal(bf16_from_double(b), h);
  }
  assert_int_equal(fp16_from_double(2049), 0x6800);
  assert_int_equal(fp16_from_double(2049 + 0x1p-40), 0x6801);
  assert_int_equal(fp16_from_double(2051 - 0x1p-40), 0x6801);
  assert_int_equal(fp16_from_double(-2051), 0xe802);
  assert_int_equal(bf16_from_double(1 + 0x1p-8), 0x3f80);
  assert_int_equal(bf16_from_double(1 + 0x1p-8 + 0x1p-50), 0x3f81);
  assert_int_equal(fp16_from_double(65520 - 0x1p-30), 0x7bff);
  assert_int_equal(fp16_from_double(1e300), 0x7c00);
  assert_int_equal(bf16_from_double(-1e300), 0xff80);
  assert_int_equal(bf16_from_double(1e-300), 0);
  assert_int_equal(fp16_from_double(0x1p-25 + 0x1p-70), 1);
  assert_int_equal(fp16_from_double(0x1p-25), 0);
  assert_true(isnan(fp16_to_float(fp16_from_double(NAN))));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(double_is_rounded_once), cmocka_unit_test(every_value_survives),
                                     cmocka_unit_test(known_values), cmocka_unit_test(rounds_to_nearest_even)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
