// SPDX-License-Identifier: Apache-2.0
// The loop of cumulative.c for one type: the includer defines T, SUFFIX and WIDE, the type that collects.
static void ROW_JOIN(cumulate, SUFFIX)(void *context, size_t begin, size_t end, size_t worker) {
  const cumulative_job *j = context;
  for (size_t unit = begin; unit < end; unit++) {
    size_t offset = unit / j->inner * j->axis * j->inner + unit % j->inner;
    const T *x = (const T *)j->in + offset;
    T *y = (T *)j->out + offset;
    WIDE total = j->product;
    for (size_t i = 0; i < j->axis && !pool_stopped_in(i); i++) {
      size_t at = (j->reverse ? j->axis - 1 - i : i) * j->inner;
      WIDE next = j->product ? total * (WIDE)x[at] : total + (WIDE)x[at];
      y[at] = (T)(j->exclusive ? total : next);
      total = next;
    }
  }
}
#undef T
#undef SUFFIX
#undef WIDE
