// SPDX-License-Identifier: Apache-2.0
// The loop of lp_normalization.c for one type: the includer defines T and SUFFIX.
static void ROW_JOIN(lp, SUFFIX)(void *context, size_t begin, size_t end, size_t worker) {
  const lp_job *j = context;
  size_t done = 0;
  for (size_t unit = begin; unit < end; unit++) {
    size_t offset = unit / j->inner * j->axis * j->inner + unit % j->inner;
    const T *x = (const T *)j->x + offset;
    T *y = (T *)j->y + offset;
    double norm = 0;
    for (size_t i = 0; i < j->axis && !pool_stopped_after(&done, 1); i++) {
      double v = (double)x[i * j->inner];
      norm += j->square ? v * v : fabs(v);
    }
    if (j->square) norm = sqrt(norm);
    for (size_t i = 0; i < j->axis && !pool_stopped_in(i); i++)
      y[i * j->inner] = norm == 0 ? 0 : (T)((double)x[i * j->inner] / norm);
  }
}
#undef T
#undef SUFFIX
