// SPDX-License-Identifier: Apache-2.0
// See widen.h. The kernel is found once: it cannot change while the process lives.
#include "ops/parts/widen.h"

#include <stdatomic.h>

#include "kernels/convert/convert.h"

static const convert_kernel *kernel(void) {
  static _Atomic(const convert_kernel *) found;
  const convert_kernel *k = atomic_load_explicit(&found, memory_order_relaxed);
  if (!k) atomic_store_explicit(&found, k = KERNEL_BEST(convert), memory_order_relaxed);
  return k;
}

bool widen_read(sdx_dtype from, const void *data, size_t first, size_t count, float *to) {
  if (!dtype_is_half(from)) return convert_to_floats(from, data, first, count, to);
  const uint16_t *halves = (const uint16_t *)data + first;
  from == SDX_FLOAT16 ? kernel()->fp16_to_f32(halves, to, count) : kernel()->bf16_to_f32(halves, to, count);
  return true;
}

bool widen_write(sdx_dtype to, void *data, size_t first, size_t count, const float *from) {
  if (!dtype_is_half(to)) return convert_from_floats(to, data, first, count, from);
  uint16_t *halves = (uint16_t *)data + first;
  to == SDX_FLOAT16 ? kernel()->f32_to_fp16(from, halves, count) : kernel()->f32_to_bf16(from, halves, count);
  return true;
}
