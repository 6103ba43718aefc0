// SPDX-License-Identifier: Apache-2.0
// The loop of clip.c for one type: the includer defines T and SUFFIX.
static void ROW_JOIN(Clip, SUFFIX)(const void *context, void *out_, const void *in_, size_t n) {
  const clip_bounds *bounds = context;
  T *out = out_, low, high;
  const T *in = in_;
  memcpy(&low, bounds->low, sizeof low);
  memcpy(&high, bounds->high, sizeof high);
  for (size_t i = 0; i < n; i++) {
    T x = in[i];
    if (bounds->has_low && x < low) x = low;
    if (bounds->has_high && x > high) x = high;
    out[i] = x;
  }
}
#undef T
#undef SUFFIX
