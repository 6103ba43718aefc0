// SPDX-License-Identifier: Apache-2.0
// The loop of lrn.c for one type: the includer defines T and SUFFIX.
static void ROW_JOIN(lrn, SUFFIX)(void *context, size_t begin, size_t end, size_t worker) {
  const lrn_job *j = context;
  for (size_t unit = begin; unit < end; unit++) {  // a strip of one channel
    size_t at = unit % j->strips * STRIP, width = j->spatial - at < STRIP ? j->spatial - at : STRIP;
    size_t plane = unit / j->strips, c = plane % j->channels, offset = (plane - c) * j->spatial + at;
    const T *x = (const T *)j->x + offset;
    T *y = (T *)j->y + offset;
    double sum[STRIP] = {0};
    size_t last = j->channels - 1 - c < j->after ? j->channels - 1 : c + j->after;
    for (size_t k = c < j->before ? 0 : c - j->before; k <= last; k++)
      for (size_t i = 0; i < width; i++) {
        double v = (double)x[k * j->spatial + i];
        sum[i] += v * v;
      }
    for (size_t i = 0; i < width; i++)
      y[c * j->spatial + i] = (T)((double)x[c * j->spatial + i] / power(j->bias + j->scale * sum[i], j->beta));
  }
}
#undef T
#undef SUFFIX
