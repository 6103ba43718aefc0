// SPDX-License-Identifier: Apache-2.0
// The loop of mean_variance_normalization.c for one type: the includer defines T and SUFFIX.
static void ROW_JOIN(mvn, SUFFIX)(void *context, size_t begin, size_t end, size_t worker) {
  const mvn_job *j = context;
  const reduce_walk *w = j->walk;
  size_t n = w->reduced[w->reduced_rank - 1], step = w->reduced_step[w->reduced_rank - 1];
  for (size_t index = begin; index < end; index++) {
    size_t offset = reduce_walk_offset(w, index);
    double mean = 0, variance = 0, inverse = 1;
    for (int pass = 0; pass < 3; pass++) {  // mean, variance, result
      reduce_run run;
      reduce_run_start(&run, w, offset);
      do {
        const T *x = (const T *)j->x + run.offset;
        T *y = (T *)j->y + run.offset;
        for (size_t i = 0; i < n; i++) {
          double v = (double)x[i * step];
          if (pass == 0) mean += v;
          else if (pass == 1) variance += (v - mean) * (v - mean);
          else y[i * step] = (T)((v - mean) * inverse);
        }
      } while (reduce_run_next(&run, w));
      if (pass == 0) mean /= (double)w->terms;
      if (pass == 1 && j->scale) inverse = 1 / (sqrt(variance / (double)w->terms) + 1e-9);
    }
  }
}
#undef T
#undef SUFFIX
