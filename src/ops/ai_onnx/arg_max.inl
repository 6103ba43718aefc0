// SPDX-License-Identifier: Apache-2.0
// The loop of arg_max.c for one type: the includer defines T and SUFFIX. NaN beats every number.
static void ROW_JOIN(arg, SUFFIX)(void *context, size_t begin, size_t end, size_t worker) {
  const arg_job *j = context;
  for (size_t unit = begin; unit < end; unit++) {
    const T *x = (const T *)j->in + unit / j->inner * j->axis * j->inner + unit % j->inner;
    T best = x[0];
    size_t at = 0;
    for (size_t i = 1; i < j->axis;) {
      size_t stop = j->axis - i < BLOCK ? j->axis : i + BLOCK;
      for (; i < stop; i++) {
        T v = x[i * j->inner];
        bool better = !IS_NAN(best) && (IS_NAN(v) || (j->max ? v > best : v < best));
        if (better || (j->last && (v == best || (IS_NAN(v) && IS_NAN(best))))) best = v, at = i;
      }
      if (i < j->axis && pool_stopped()) return;
    }
    j->out[unit] = (int64_t)at;
  }
}
#undef T
#undef SUFFIX
