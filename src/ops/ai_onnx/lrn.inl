// SPDX-License-Identifier: Apache-2.0
// The loop of lrn.c for one type: the includer defines T and SUFFIX.
static void ROW_JOIN(lrn, SUFFIX)(void *context, size_t begin, size_t end, size_t worker) {
  const lrn_job *j = context;
  for (size_t unit = begin; unit < end; unit++) {  // a strip of one image, all channels
    size_t at = unit % j->strips * STRIP, width = j->spatial - at < STRIP ? j->spatial - at : STRIP;
    const T *x = (const T *)j->x + unit / j->strips * j->channels * j->spatial + at;
    T *y = (T *)j->y + (x - (const T *)j->x);
    for (size_t c = 0; c < j->channels; c++) {
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
}
#undef T
#undef SUFFIX
