// SPDX-License-Identifier: Apache-2.0
// The loop of softmax.c for one type, one column at a time, in double: the includer defines T and SUFFIX.
static void ROW_JOIN(columns, SUFFIX)(void *context, size_t begin, size_t end, size_t worker) {
  const softmax_job *j = context;
  size_t step = j->inner, done = 0;
  for (size_t unit = begin; unit < end; unit++) {
    size_t offset = unit / step * j->axis * step + unit % step, best = 0;
    const T *x = (const T *)j->in + offset;
    T *y = (T *)j->out + offset;
    for (size_t i = 1; i < j->axis && !pool_stopped_after(&done, 1); i++) {
      T most = x[best * step], v = x[i * step];
      if (v > most || (v != v && most == most)) best = i;  // NaN beats every number, as in ArgMax
    }
    if (j->kind == HARDMAX) {
      for (size_t i = 0; i < j->axis && !pool_stopped_after(&done, 1); i++) y[i * step] = i == best;
      continue;
    }
    double max = (double)x[best * step], sum = 0;
    for (size_t i = 0; i < j->axis && !pool_stopped_after(&done, 1); i++) sum += exp((double)x[i * step] - max);
    for (size_t i = 0; i < j->axis && !pool_stopped_after(&done, 1); i++) {
      double shifted = (double)x[i * step] - max;
      y[i * step] = (T)(j->kind == LOG_SOFTMAX ? shifted - log(sum) : exp(shifted) / sum);
    }
  }
}
#undef T
#undef SUFFIX
