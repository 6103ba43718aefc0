// SPDX-License-Identifier: Apache-2.0
// The walk over channels and pixels, for a variant that has
//   LANES, PIXELS: channels of a vector, pixels done at once
//   pixels(p, is_signed, first, count, c, n): pixels first .. first + count - 1 of channels c .. c + n - 1, n <= LANES

INLINE void all(const conv_dw_nhwc_u8s8_pixels *p, bool is_signed) {
  size_t c = 0;
  for (; c + LANES <= p->channels; c += LANES) {
    size_t i = 0;
    for (; i + PIXELS <= p->count; i += PIXELS) pixels(p, is_signed, i, PIXELS, c, LANES);
    for (; i < p->count; i++) pixels(p, is_signed, i, 1, c, LANES);
  }
  for (size_t i = 0; c < p->channels && i < p->count; i++) pixels(p, is_signed, i, 1, c, p->channels - c);
}

static void run(const conv_dw_nhwc_u8s8_pixels *p) {
  if (p->x_signed) all(p, true);
  else all(p, false);
}

KERNEL(conv_dw_nhwc_u8s8) = {.run = run};
