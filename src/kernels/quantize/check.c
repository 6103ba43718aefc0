// SPDX-License-Identifier: Apache-2.0
// Every conversion at random lengths, scales and zero points, special values included: the same bits.
#include "kernels/quantize/quantize.h"

#define TO(name, From, low, high)                                                                  \
  do {                                                                                             \
    int32_t zero = (low) + (int32_t)(check_random(k) % (unsigned)((high) - (low) + 1));            \
    v->name((const From *)x, got, n, scale, zero), r->name((const From *)x, want, n, scale, zero); \
    good = check_same(k, got, want, n * ((high) - (low) > 255 ? 2 : 1));                           \
  } while (0)
#define FROM(name, low, high)                                                           \
  do {                                                                                  \
    int32_t zero = (low) + (int32_t)(check_random(k) % (unsigned)((high) - (low) + 1)); \
    v->name(x, got, n, scale, zero), r->name(x, want, n, scale, zero);                  \
    good = check_close(k, got, want, n, 0, 0);                                          \
  } while (0)

static quantize_scale random_scale(kernel_check *k, int32_t low) {
  return (quantize_scale){(float)(1 + check_random(k) % 100) * 0.01f, low + (int32_t)(check_random(k) % 256)};
}

static bool compare_pairs(kernel_check *k, const quantize_kernel *v, const quantize_kernel *r) {
  size_t n = check_size(k, 0, 300), kind = check_random(k) % 4;
  int32_t low = kind % 2 ? INT8_MIN : 0;
  quantize_pair p = {random_scale(k, low), random_scale(k, low), random_scale(k, low)};
  void *a = check_buffer(k, n, 1), *b = check_buffer(k, n, 1), *got = check_buffer(k, n, 1),
       *want = check_buffer(k, n, 1);
  for (int turn = 0; turn < 2; turn++) {
    const quantize_kernel *kernel = turn ? v : r;
    void *y = turn ? got : want;
    if (kind == 0) kernel->add_u8(&p, a, b, y, n);
    else if (kind == 1) kernel->add_s8(&p, a, b, y, n);
    else if (kind == 2) kernel->mul_u8(&p, a, b, y, n);
    else kernel->mul_s8(&p, a, b, y, n);
  }
  if (check_same(k, got, want, n)) return true;
  check_message(k, "pairs of kind %zu, %zu elements", kind, n);
  return false;
}

static bool compare_scaled(kernel_check *k, const quantize_kernel *v, const quantize_kernel *r) {
  size_t n = check_size(k, 0, 300);
  const int32_t *x = check_buffer(k, n * 4, 4);
  const float *scale = check_coin(k, 2) ? check_floats(k, n, true) : NULL;
  const float *bias = check_coin(k, 2) ? check_floats(k, n, true) : NULL;
  float *got = check_buffer(k, n * 4, 4), *want = check_buffer(k, n * 4, 4);
  v->scale_s32(x, got, n, 0.37f, scale, bias), r->scale_s32(x, want, n, 0.37f, scale, bias);
  return check_close(k, got, want, n, 0, 0);
}

static bool compare_range(kernel_check *k, const quantize_kernel *v, const quantize_kernel *r) {
  size_t n = check_size(k, 0, 300);
  const float *x = check_floats(k, n, true);
  float got[2] = {0}, want[2] = {0};
  v->range(x, n, &got[0], &got[1]), r->range(x, n, &want[0], &want[1]);
  for (size_t i = 0; i < n; i++) want[0] = x[i] < want[0] ? x[i] : want[0], want[1] = x[i] > want[1] ? x[i] : want[1];
  return check_close(k, got, want, 2, 0, 0);
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const quantize_kernel *v = variant, *r = reference;
  if (check_coin(k, 4)) return compare_pairs(k, v, r);
  if (check_coin(k, 6)) return compare_scaled(k, v, r);
  if (check_coin(k, 6)) return compare_range(k, v, r);
  size_t n = check_size(k, 0, 300), kind = check_random(k) % 11;
  bool good = false;
  float scale = (float)(1 + check_random(k) % 100) * 0.01f;
  void *got = check_buffer(k, n * 4, 4), *want = check_buffer(k, n * 4, 4);
  void *x = kind < 4 ? (void *)check_floats(k, n, check_coin(k, 2)) : check_buffer(k, n * 4, 4);
  for (size_t i = 0; kind < 4 && i < n; i++) ((float *)x)[i] *= check_coin(k, 2) ? 100 : 1;
  switch (kind) {
    case 0:
      TO(to_u8, float, 0, 255);
      break;
    case 1:
      TO(to_s8, float, -128, 127);
      break;
    case 2:
      TO(to_u16, float, 0, 65535);
      break;
    case 3:
      TO(to_s16, float, -32768, 32767);
      break;
    case 4:
      TO(again_u8, int32_t, 0, 255);
      break;
    case 5:
      TO(again_s8, int32_t, -128, 127);
      break;
    case 6:
      FROM(from_u8, 0, 255);
      break;
    case 7:
      FROM(from_s8, -128, 127);
      break;
    case 8:
      FROM(from_u16, 0, 65535);
      break;
    case 9:
      FROM(from_s16, -32768, 32767);
      break;
    default:
      FROM(from_s32, -1000, 1000);
      break;
  }
  if (!good) check_message(k, "kind %zu, %zu elements, scale %g", kind, n, (double)scale);
  return good;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const quantize_kernel *v = variant;
  enum { N = 4096 };
  static float x[N];
  static uint8_t y[N], sum[N];
  v->to_u8(x, y, N, 0.1f, 128);
  v->from_u8(y, x, N, 0.1f, 128);
  v->add_u8(&(quantize_pair){{0.1f, 128}, {0.2f, 0}, {0.3f, 100}}, y, y, sum, N);
  *unit = "elements to uint8, back, and sums";
  return 3.0 * N;
}

KERNEL_CHECK(quantize) = {.family = "quantize", .compare = compare, .bench = bench};
