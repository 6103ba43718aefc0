// SPDX-License-Identifier: Apache-2.0
// Element types, shapes, and conversion between all types: every number type goes to double and back.
#include "tensor/tensor.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tensor/convert.h"

static void names_go_both_ways(void **state) {
  for (int d = 1; d < SDX_DTYPE_COUNT; d++) {
    const char *name = dtype_name((sdx_dtype)d);
    assert_int_equal(dtype_from_name(str_from(name)), d);
    size_t bytes;
    assert_true(dtype_bytes((sdx_dtype)d, 5, &bytes));
    assert_int_equal(bytes, (size_t)(5 * dtype_bits((sdx_dtype)d) + 7) / 8);
    assert_int_equal(dtype_is_packed((sdx_dtype)d), dtype_bits((sdx_dtype)d) < 8);
  }
  assert_int_equal(dtype_from_name(STR("float31")), SDX_UNDEFINED);
  size_t bytes;
  assert_false(dtype_bytes(SDX_UNDEFINED, 1, &bytes));
  assert_false(dtype_bytes(SDX_DOUBLE, SIZE_MAX / 4, &bytes));
}

static void shapes_are_checked(void **state) {
  tensor t;
  error err = {0};
  assert_int_equal(tensor_init(&t, SDX_FLOAT, 3, (int64_t[]){2, 3, 4}, &err), SDX_OK);
  assert_int_equal(t.count, 24);
  assert_int_equal(t.bytes, 96);
  assert_int_equal(tensor_init(&t, SDX_FLOAT, 3, (int64_t[]){INT64_MAX, 0, INT64_MAX}, &err), SDX_OK);
  assert_int_equal(t.count, 0);
  char text[64];
  tensor_init(&t, SDX_FLOAT16, 2, (int64_t[]){1, 5}, &err);
  assert_string_equal(tensor_describe(&t, text, sizeof text), "float16[1,5]");
  static const int64_t bad[][2] = {{-1, 2}, {INT64_MAX, 2}, {INT64_MAX / 4, 4}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    error_clear(&err);
    assert_int_not_equal(tensor_init(&t, SDX_DOUBLE, 2, bad[i], &err), SDX_OK);
    assert_true(err.message[0] != 0);
  }
  int64_t many[TENSOR_MAX_RANK + 1] = {0};
  error_clear(&err);
  assert_int_not_equal(tensor_init(&t, SDX_FLOAT, TENSOR_MAX_RANK + 1, many, &err), SDX_OK);
}

static void axes_count_from_both_ends(void **state) {
  error err = {0};
  int64_t axis = -3;
  assert_int_equal(axis_normalize(&axis, 3, at_attribute("axis"), &err), SDX_OK);
  assert_int_equal(axis, 0);
  for (int64_t wrong = -4; wrong <= 3; wrong += 7) {
    axis = wrong;
    error_clear(&err);
    assert_int_equal(axis_normalize(&axis, 3, at_attribute("axis"), &err), SDX_OUT_OF_RANGE);
  }
}

// 0 and 1 exist in all types that can be written.
static void every_number_type_converts(void **state) {
  for (int d = 1; d < SDX_DTYPE_COUNT; d++) {
    sdx_dtype type = (sdx_dtype)d;
    bool number = type != SDX_STRING && type != SDX_COMPLEX64 && type != SDX_COMPLEX128;
    bool writable = number && type != SDX_FLOAT8E8M0;
    double from[5] = {0, 1, 1, 0, 1}, back[5];
    float from_f[5] = {0, 1, 1, 0, 1}, back_f[5];
    uint8_t data[5 * 16] = {0};
    // Written in two pieces, so that packed types meet an odd beginning.
    assert_int_equal(convert_from_doubles(type, data, 0, 3, from), writable);
    assert_int_equal(convert_from_doubles(type, data, 3, 2, from + 3), writable);
    assert_int_equal(convert_to_doubles(type, data, 0, 5, back), number);
    for (int i = 0; i < 5 && writable; i++)
      if (back[i] != from[i]) fail_msg("%s: %g came back as %g", dtype_name(type), from[i], back[i]);
    assert_int_equal(convert_from_floats(type, data, 0, 5, from_f), writable);
    assert_int_equal(convert_to_floats(type, data, 0, 5, back_f), number);
    for (int i = 0; i < 5 && writable; i++)
      if (back_f[i] != from_f[i]) fail_msg("%s: %g came back as %g", dtype_name(type), from_f[i], back_f[i]);
  }
}

// All 64 codes by the definition: sign, exponent, mantissa; no infinity, no NaN.
static void float6_codes(void **state) {
  static const struct {
    sdx_dtype type;
    int mantissa, bias;
    double most;
  } rows[] = {{SDX_FLOAT6E2M3, 3, 1, 7.5}, {SDX_FLOAT6E3M2, 2, 3, 28}};
  for (size_t r = 0; r < 2; r++) {
    int width = rows[r].mantissa, ones = 1 << width;
    for (int code = 0; code < 64; code++) {
      int exponent = code >> width & ((1 << (5 - width)) - 1), low = code & (ones - 1);
      double want =
          exponent ? ldexp(ones + low, exponent - rows[r].bias - width) : ldexp(low, 1 - rows[r].bias - width);
      if (code & 32) want = -want;
      uint8_t at = (uint8_t)code, back = 0;
      double got;
      assert_true(convert_to_doubles(rows[r].type, &at, 0, 1, &got));
      assert_true(got == want && signbit(got) == signbit(want));
      assert_true(convert_from_doubles(rows[r].type, &back, 0, 1, &got));
      assert_int_equal(back, code);
    }
    uint8_t data[4];
    double edges[4] = {INFINITY, -1e300, NAN, rows[r].most * 1.01}, back[4];
    convert_from_doubles(rows[r].type, data, 0, 4, edges);
    convert_to_doubles(rows[r].type, data, 0, 4, back);
    for (int i = 0; i < 4; i++) assert_true(back[i] == (i == 1 ? -rows[r].most : rows[r].most));
  }
}

// A double just above the middle of two codes is nearer to the upper one, which a float on the way would not see.
static void doubles_are_rounded_once(void **state) {
  static const struct {
    sdx_dtype type;
    double middle, above;
  } rows[] = {{SDX_FLOAT8E4M3FN, 1.0625, 1.125},       {SDX_FLOAT8E5M2, 1.125, 1.25},
              {SDX_FLOAT8E4M3FNUZ, 1.0625, 1.125},     {SDX_FLOAT6E2M3, 1.0625, 1.125},
              {SDX_FLOAT6E3M2, 1.125, 1.25},           {SDX_FLOAT4E2M1, 1.25, 1.5},
              {SDX_FLOAT16, 1 + 0x1p-11, 1 + 0x1p-10}, {SDX_BFLOAT16, 1 + 0x1p-8, 1 + 0x1p-7}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (int sign = -1; sign <= 1; sign += 2) {
      uint8_t data[8] = {0};
      double from = sign * (rows[i].middle + 0x1p-40), back;
      assert_true(convert_from_doubles(rows[i].type, data, 0, 1, &from));
      assert_true(convert_to_doubles(rows[i].type, data, 0, 1, &back));
      assert_true(back == sign * rows[i].above);
    }
}

static void integers_saturate_and_nan_is_zero(void **state) {
  static const struct {
    sdx_dtype type;
    int64_t low, high;
  } rows[] = {{SDX_INT8, -128, 127},
              {SDX_UINT8, 0, 255},
              {SDX_INT16, -32768, 32767},
              {SDX_UINT16, 0, 65535},
              {SDX_INT32, INT32_MIN, INT32_MAX},
              {SDX_UINT32, 0, UINT32_MAX},
              {SDX_INT64, INT64_MIN, INT64_MAX},
              {SDX_INT4, -8, 7},
              {SDX_UINT4, 0, 15},
              {SDX_INT2, -2, 1},
              {SDX_UINT2, 0, 3}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    uint8_t data[32] = {0};
    double from[4] = {-INFINITY, INFINITY, NAN, -1e300};
    assert_true(convert_from_doubles(rows[i].type, data, 0, 4, from));
    assert_int_equal(convert_get_int(rows[i].type, data, 0), rows[i].low);
    assert_int_equal(convert_get_int(rows[i].type, data, 1), rows[i].high);
    assert_int_equal(convert_get_int(rows[i].type, data, 2), 0);
    assert_int_equal(convert_get_int(rows[i].type, data, 3), rows[i].low);
  }
}

static void values_of_values_are_counted(void **state) {
  mem_account account;
  mem_account_init(&account, SIZE_MAX, NULL);
  sdx_value *a, *list, *outer;
  error err = {0};
  assert_int_equal(value_create(&account, SDX_FLOAT, 1, (int64_t[]){100}, NULL, NULL, NULL, &a, &err), SDX_OK);
  assert_int_equal(value_create_sequence(&account, 1, &a, &list, &err), SDX_OK);
  assert_int_equal(value_create_sequence(&account, 1, &list, &outer, &err), SDX_OK);
  value_release(a);
  value_release(list);
  assert_true(account.used > 400);
  value_release(outer);
  assert_int_equal(account.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(names_go_both_ways),
                                     cmocka_unit_test(shapes_are_checked),
                                     cmocka_unit_test(axes_count_from_both_ends),
                                     cmocka_unit_test(every_number_type_converts),
                                     cmocka_unit_test(float6_codes),
                                     cmocka_unit_test(doubles_are_rounded_once),
                                     cmocka_unit_test(integers_saturate_and_nan_is_zero),
                                     cmocka_unit_test(values_of_values_are_counted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
