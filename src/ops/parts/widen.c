// SPDX-License-Identifier: Apache-2.0
// See widen.h. The kernel is found once: it cannot change while the process lives.
#include "ops/parts/widen.h"

#include <stdatomic.h>

#include "base/pool.h"
#include "kernels/convert/convert.h"

static const convert_kernel *kernel(void) {
  static _Atomic(const convert_kernel *) found;
  const convert_kernel *k = atomic_load_explicit(&found, memory_order_relaxed);
  if (!k) atomic_store_explicit(&found, k = KERNEL_BEST(convert), memory_order_relaxed);
  return k;
}

enum { PIECE = 1 << 18 };  // elements between two looks at the clock

// The pieces of `count` elements; false: the rest need not be.
static bool next_piece(size_t count, size_t *at, size_t *n) {
  *at += *n;
  *n = count - *at < PIECE ? count - *at : PIECE;
  return *n && !(*at && pool_stopped());
}

bool widen_read(sdx_dtype from, const void *data, size_t first, size_t count, float *to) {
  if (!dtype_is_half(from)) return convert_to_floats(from, data, first, count, to);
  void (*convert)(const uint16_t *, float *, size_t) =
      from == SDX_FLOAT16 ? kernel()->fp16_to_f32 : kernel()->bf16_to_f32;
  for (size_t at = 0, n = 0; next_piece(count, &at, &n);) convert((const uint16_t *)data + first + at, to + at, n);
  return true;
}

bool widen_write(sdx_dtype to, void *data, size_t first, size_t count, const float *from) {
  if (!dtype_is_half(to)) return convert_from_floats(to, data, first, count, from);
  void (*convert)(const float *, uint16_t *, size_t) =
      to == SDX_FLOAT16 ? kernel()->f32_to_fp16 : kernel()->f32_to_bf16;
  for (size_t at = 0, n = 0; next_piece(count, &at, &n);) convert(from + at, (uint16_t *)data + first + at, n);
  return true;
}
