// SPDX-License-Identifier: Apache-2.0
// Every conversion on random bits and on ordinary values; NaN need only stay NaN.
#include <math.h>
#include <string.h>

#include "base/half.h"
#include "kernels/convert/convert.h"

static bool same_halves(kernel_check *k, const uint16_t *got, const uint16_t *want, size_t n, uint16_t infinity) {
  for (size_t i = 0; i < n; i++) {
    bool got_nan = (got[i] & 0x7fff) > infinity, want_nan = (want[i] & 0x7fff) > infinity;
    if (got_nan != want_nan || (!got_nan && got[i] != want[i])) {
      check_message(k, "element %zu is 0x%04x, expected 0x%04x", i, got[i], want[i]);
      return false;
    }
  }
  return true;
}
static bool same_doubles(const double *got, const double *want, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (got[i] != want[i] && !(isnan(got[i]) && isnan(want[i]))) return false;
  return true;
}

#define BOTH(name) (v->name(x, got, n), r->name(x, want, n))

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const convert_kernel *v = variant, *r = reference;
  size_t n = check_size(k, 0, 200), kind = check_random(k) % 14;
  void *got = check_buffer(k, n * 8, 8), *want = check_buffer(k, n * 8, 8);
  void *x = check_buffer(k, n * 8, 8);
  if (check_coin(k, 2)) memcpy(x, check_floats(k, 2 * n, true), n * 8);
  bool good = false;
  switch (kind) {
    case 0:
      BOTH(fp16_to_f32), good = check_close(k, got, want, n, 0, 0);
      break;
    case 1:
      BOTH(f32_to_fp16), good = same_halves(k, got, want, n, 0x7c00);
      break;
    case 2:
      BOTH(bf16_to_f32), good = check_close(k, got, want, n, 0, 0);
      break;
    case 3:
      BOTH(f32_to_bf16), good = same_halves(k, got, want, n, 0x7f80);
      break;
    case 4:
      BOTH(f64_to_f32), good = check_close(k, got, want, n, 0, 0);
      break;
    case 5:
      BOTH(f32_to_f64), good = same_doubles(got, want, n);
      break;
    case 6:
      BOTH(u8_to_f32), good = check_close(k, got, want, n, 0, 0);
      break;
    case 7:
      BOTH(s8_to_f32), good = check_close(k, got, want, n, 0, 0);
      break;
    case 8:
      BOTH(s32_to_f32), good = check_close(k, got, want, n, 0, 0);
      break;
    case 9:
      BOTH(s64_to_f32), good = check_close(k, got, want, n, 0, 0);
      break;
    case 10:
      BOTH(f32_to_s32), good = check_same(k, got, want, n * 4);
      break;
    case 11:
      BOTH(f32_to_s64), good = check_same(k, got, want, n * 8);
      break;
    case 12:
      BOTH(s32_to_s64), good = check_same(k, got, want, n * 8);
      break;
    default:
      BOTH(s64_to_s32), good = check_same(k, got, want, n * 4);
      break;
  }
  if (!good) check_message(k, "conversion %zu of %zu elements", kind, n);
  return good;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const convert_kernel *v = variant;
  enum { N = 4096 };
  static float x[N];
  static uint16_t y[N];
  v->f32_to_fp16(x, y, N), v->fp16_to_f32(y, x, N), v->f32_to_bf16(x, y, N), v->bf16_to_f32(y, x, N);
  *unit = "elements to fp16, bf16 and back";
  return 4.0 * N;
}

KERNEL_CHECK(convert) = {.family = "convert", .compare = compare, .bench = bench};
