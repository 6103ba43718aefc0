// SPDX-License-Identifier: Apache-2.0
// The loops of loss.c for one type, sums in double: the includer defines T and SUFFIX.
static void ROW_JOIN(losses, SUFFIX)(void *context, size_t begin, size_t end, size_t worker) {
  const loss_job *j = context;
  size_t step = j->inner, done = 0;
  for (size_t i = begin; i < end; i++) {
    size_t offset = i / step * j->classes * step + i % step;
    const T *x = (const T *)j->in + offset;
    int64_t target = tensor_index_at(j->target, i);
    double shift = 0;  // x - shift is a logarithm of probabilities
    if (j->params->softmax && j->classes) {
      double max = (double)x[0], sum = 0;
      for (size_t k = 1; k < j->classes; k++) max = (double)x[k * step] > max ? (double)x[k * step] : max;
      for (size_t k = 0; k < j->classes && !pool_stopped_after(&done, 1); k++) sum += exp((double)x[k * step] - max);
      shift = max + log(sum);
    }
    if (j->log_probs)
      for (size_t k = 0; k < j->classes && !pool_stopped_after(&done, 1); k++)
        ((T *)j->log_probs)[offset + k * step] = (T)((double)x[k * step] - shift);
    T loss = 0;
    if (!is_ignored(j->params, target)) {
      double weight = j->weights ? (double)((const T *)j->weights)[target] : 1;
      loss = (T)((shift - (double)x[(size_t)target * step]) * weight);
    }
    ((T *)j->losses)[i] = loss;
  }
}

static void ROW_JOIN(reduce, SUFFIX)(const loss_job *j, void *out) {
  double sum = 0, weight = 0;
  for (size_t i = 0; i < j->target->count; i++) {
    int64_t target = tensor_index_at(j->target, i);
    sum += (double)((const T *)j->losses)[i];
    if (!is_ignored(j->params, target)) weight += j->weights ? (double)((const T *)j->weights)[target] : 1;
  }
  *(T *)out = (T)(j->params->reduction == REDUCE_MEAN ? sum / weight : sum);
}
#undef T
#undef SUFFIX
