// SPDX-License-Identifier: Apache-2.0
// lookup_u8 by vectors of 64 bytes.
#include "kernels/lookup_u8/look_up.h"
#include "kernels/lookup_u8/lookup_u8.h"

static void run(const uint8_t *x, const uint8_t *table, uint8_t *y, size_t n) {
  for (; n >= 64; n -= 64, x += 64, y += 64) _mm512_storeu_si512(y, look_up(_mm512_loadu_si512(x), table));
  const __mmask64 rest = n ? ~0ull >> (64 - n) : 0;
  _mm512_mask_storeu_epi8(y, rest, look_up(_mm512_maskz_loadu_epi8(rest, x), table));
}

KERNEL(lookup_u8) = {.run = run};
