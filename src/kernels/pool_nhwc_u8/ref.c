// SPDX-License-Identifier: Apache-2.0
// pool_nhwc_u8 in plain C: blocks of channels, one tap after the other, so that loops run along neighbouring bytes.
#include <string.h>

#include "base/pool.h"
#include "kernels/pool_nhwc_u8/pool_nhwc_u8.h"

enum { BLOCK = 128 };  // channels whose sums lie side by side

// The taps of an output that lie in the image.
typedef struct taps {
  int64_t low[WINDOW_MAX_RANK], high[WINDOW_MAX_RANK], at[WINDOW_MAX_RANK];
  bool any;
  size_t folded;  // elements, of all outputs
} taps;

static void find_taps(const window *w, taps *t) {
  t->any = true;
  for (size_t d = 0; d < w->rank; d++) {
    window_taps_in(w, d, t->at[d], 0, w->in[d], &t->low[d], &t->high[d]);
    t->any &= t->low[d] < t->high[d];
  }
}

static size_t places_of(const window *w, const taps *t, bool include_pad) {
  size_t n = t->any || include_pad;
  for (size_t d = 0; d < w->rank; d++) {
    int64_t low = t->low[d], high = t->high[d];
    if (include_pad) window_taps_in(w, d, t->at[d], -w->pad[d], w->in[d] + w->pad_end[d], &low, &high);
    n *= (size_t)(high - low);
  }
  return n;
}

// A row of taps of n channels is folded; true: the rest need not be.
static bool folded(const window *w, taps *t, size_t n) {
  return pool_stopped_after(&t->folded, (size_t)(t->high[w->rank - 1] - t->low[w->rank - 1]) * n);
}

#define POOL(suffix, T, LOW, HIGH)                                                                                    \
  static void max_##suffix(const pool_nhwc_u8_image *i, taps *t, size_t channel, size_t n, size_t pixel) {            \
    T *restrict y = (T *)i->y + pixel * i->y_stride + channel, lowest = LOW;                                          \
    const size_t last = i->window->rank - 1, step = (size_t)i->window->dilation[last] * i->x_stride;                  \
    int64_t tap[WINDOW_MAX_RANK], place;                                                                              \
    memcpy(tap, t->low, sizeof tap);                                                                                  \
    memset(y, (uint8_t)lowest, n);                                                                                    \
    if (!t->any) return;                                                                                              \
    do {                                                                                                              \
      window_place(i->window, i->window->rank, t->at, tap, &place);                                                   \
      const T *x = (const T *)i->x + (size_t)place * i->x_stride + channel;                                           \
      for (int64_t k = t->low[last]; k < t->high[last]; k++, x += step)                                               \
        for (size_t c = 0; c < n; c++) y[c] = y[c] > x[c] ? y[c] : x[c];                                              \
      if (folded(i->window, t, n)) return;                                                                            \
    } while (window_next_in(tap, t->low, t->high, last));                                                             \
  }                                                                                                                   \
  static void average_##suffix(const pool_nhwc_u8_image *i, taps *t, size_t channel, size_t n, size_t pixel,          \
                               const pool_nhwc_u8_mean *mean) {                                                       \
    T *restrict y = (T *)i->y + pixel * i->y_stride + channel;                                                        \
    const size_t last = i->window->rank - 1, step = (size_t)i->window->dilation[last] * i->x_stride;                  \
    int32_t sum[BLOCK] = {0};                                                                                         \
    int64_t tap[WINDOW_MAX_RANK], place, elements = 0;                                                                \
    size_t places = places_of(i->window, t, mean->include_pad);                                                       \
    memcpy(tap, t->low, sizeof tap);                                                                                  \
    if (t->any) do {                                                                                                  \
        window_place(i->window, i->window->rank, t->at, tap, &place);                                                 \
        const T *x = (const T *)i->x + (size_t)place * i->x_stride + channel;                                         \
        for (int64_t k = t->low[last]; k < t->high[last]; k++, x += step, elements++)                                 \
          for (size_t c = 0; c < n; c++) sum[c] += x[c];                                                              \
        if (folded(i->window, t, n)) return;                                                                          \
      } while (window_next_in(tap, t->low, t->high, last));                                                           \
    int32_t shift = (int32_t)elements * mean->x_zero;                                                                 \
    float low = (float)(LOW - mean->y_zero), high = (float)(HIGH - mean->y_zero), count = places ? (float)places : 1; \
    for (size_t c = 0; c < n; c++) {                                                                                  \
      float v = __builtin_nearbyintf((float)(sum[c] - shift) / count * mean->scale);                                  \
      v = v >= low ? v : low;                                                                                         \
      y[c] = (T)((int32_t)(v <= high ? v : high) + mean->y_zero);                                                     \
    }                                                                                                                 \
  }
POOL(u8, uint8_t, 0, UINT8_MAX)
POOL(s8, int8_t, INT8_MIN, INT8_MAX)

static void max(const pool_nhwc_u8_image *i, size_t begin, size_t end) {
  taps t;
  if (begin < end) window_unravel(begin, i->window->out, i->window->rank, t.at);
  for (size_t pixel = begin; pixel < end; pixel++, window_next(t.at, i->window->out, i->window->rank)) {
    find_taps(i->window, &t);
    (i->is_signed ? max_s8 : max_u8)(i, &t, 0, i->channels, pixel);
  }
}

static void average(const pool_nhwc_u8_image *i, size_t begin, size_t end, const pool_nhwc_u8_mean *mean) {
  taps t;
  if (begin < end) window_unravel(begin, i->window->out, i->window->rank, t.at);
  for (size_t pixel = begin; pixel < end; pixel++, window_next(t.at, i->window->out, i->window->rank)) {
    find_taps(i->window, &t);
    for (size_t c = 0; c < i->channels; c += BLOCK)
      (i->is_signed ? average_s8 : average_u8)(i, &t, c, i->channels - c < BLOCK ? i->channels - c : BLOCK, pixel,
                                               mean);
  }
}

KERNEL(pool_nhwc_u8) = {.max = max, .average = average};
