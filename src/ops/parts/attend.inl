// SPDX-License-Identifier: Apache-2.0
// The loops of attend.c for one type: the includer defines T and SUFFIX.

// Partial sums in eight lanes: an order that vectors can follow.
static T ROW_JOIN(dot, SUFFIX)(const T *a, const T *b, size_t n) {
  T lanes[8] = {0};
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (size_t l = 0; l < 8; l++) lanes[l] += a[i + l] * b[i + l];
  for (size_t l = 0; i < n; i++, l++) lanes[l] += a[i] * b[i];
  for (size_t step = 4; step; step /= 2)
    for (size_t l = 0; l < step; l++) lanes[l] += lanes[l + step];
  return lanes[0];
}

static void ROW_JOIN(scores, SUFFIX)(const attend_job *j, const attend_block *b) {
  const attend_shape *s = &j->plan->shape;
  const attend_call *a = j->call;
  const T *k = (const T *)a->k.at + at_view(&a->k, b->batch, kv_head(s, b->head), 0);
  for (size_t r = 0; r < b->rows; r++) {
    const T *q = (const T *)a->q.at + at_view(&a->q, b->batch, b->head, b->first + r);
    T *scores = (T *)b->scores + r * s->columns;
    for (size_t i = 0; i < s->columns; i++)
      scores[i] = ROW_JOIN(dot, SUFFIX)(q, k + i * a->k.row, s->width) * (T)a->scale;
  }
}

static void ROW_JOIN(mix, SUFFIX)(const attend_job *j, const attend_block *b) {
  const attend_shape *s = &j->plan->shape;
  const attend_call *a = j->call;
  const T *v = (const T *)a->v.at + at_view(&a->v, b->batch, kv_head(s, b->head), 0);
  for (size_t r = 0; r < b->rows; r++) {
    T *y = (T *)a->y.at + at_view(&a->y, b->batch, b->head, b->first + r);
    const T *p = (const T *)b->scores + r * s->columns;
    for (size_t d = 0; d < s->v_width; d++) y[d] = 0;
    for (size_t i = 0; i < s->columns; i++)
      for (size_t d = 0; d < s->v_width; d++) y[d] += p[i] * v[i * a->v.row + d];
  }
}

// Adds the biases to the scores of a row; false if they close every key.
static bool ROW_JOIN(add_biases, SUFFIX)(const attend_job *j, const attend_block *b, size_t row, T *scores) {
  const attend_call *a = j->call;
  size_t low, high, columns = j->plan->shape.columns;
  window(&j->plan->shape, a, b->batch, row, &low, &high);
  bool open = low < high;
  for (size_t n = 0; n < 2; n++) {
    const attend_bias *bias = &a->bias[n];
    if (!bias->at) continue;
    size_t head = bias->heads ? b->head % bias->heads : b->head;
    const T *at = (const T *)bias->at + b->batch * bias->batch + head * bias->head + row * bias->row;
    if (high > bias->columns) high = bias->columns;
    open = false;
    for (size_t i = low; i < high; i++) {
      bool closed = at[i] == -(T)INFINITY;
      scores[i] = closed ? -(T)INFINITY : scores[i] + at[i];
      open |= !closed && scores[i] != -(T)INFINITY;
    }
  }
  for (size_t i = 0; i < low && i < columns; i++) scores[i] = -(T)INFINITY;
  for (size_t i = high > low ? high : low; i < columns; i++) scores[i] = -(T)INFINITY;
  return open;
}

// Scores to probabilities. `sink` is a further score, -inf: none.
static void ROW_JOIN(probabilities, SUFFIX)(const attend_job *j, T *scores, size_t n, double sink) {
  T max = -(T)INFINITY;
  for (size_t i = 0; i < n; i++) max = scores[i] > max || scores[i] != scores[i] ? scores[i] : max;
  if (max == -(T)INFINITY) {
    for (size_t i = 0; i < n; i++) scores[i] = 0;
  } else if (sizeof(T) == sizeof(float) && !j->call->precise && sink == -(double)INFINITY) {
    j->plan->softmax->rows((const float *)(void *)scores, (float *)(void *)scores, 1, n, false);
  } else {
    double top = sink > (double)max ? sink : (double)max, sum = exp(sink - top);
    for (size_t i = 0; i < n; i++) sum += exp((double)scores[i] - top);
    for (size_t i = 0; i < n; i++) scores[i] = (T)(exp((double)scores[i] - top) / sum);
  }
}

static void ROW_JOIN(keep, SUFFIX)(const attend_job *j, const attend_block *b, size_t r, attend_stage stage) {
  const attend_shape *s = &j->plan->shape;
  if (!j->call->stages || j->call->stage != stage) return;
  size_t row = (b->batch * s->heads + b->head) * s->rows + b->first + r;
  if (s->columns)
    memcpy((T *)j->call->stages + row * s->columns, (const T *)b->scores + r * s->columns, s->columns * sizeof(T));
}

static void ROW_JOIN(soften, SUFFIX)(const attend_job *j, const attend_block *b) {
  const attend_shape *s = &j->plan->shape;
  const attend_call *a = j->call;
  for (size_t r = 0; r < b->rows; r++) {
    T *scores = (T *)b->scores + r * s->columns;
    ROW_JOIN(keep, SUFFIX)(j, b, r, ATTEND_RAW);
    if (a->softcap > 0)
      for (size_t i = 0; i < s->columns; i++) scores[i] = (T)(a->softcap * tanh((double)scores[i] / a->softcap));
    ROW_JOIN(keep, SUFFIX)(j, b, r, ATTEND_CAPPED);
    bool open = ROW_JOIN(add_biases, SUFFIX)(j, b, b->first + r, scores);
    ROW_JOIN(keep, SUFFIX)(j, b, r, ATTEND_BIASED);
    double sink = a->sinks ? (double)((const T *)a->sinks)[b->head] : -(double)INFINITY;
    if (open) ROW_JOIN(probabilities, SUFFIX)(j, scores, s->columns, sink);
    else
      for (size_t i = 0; i < s->columns; i++) scores[i] = 0;
    ROW_JOIN(keep, SUFFIX)(j, b, r, ATTEND_PROBABILITIES);
  }
}

static void ROW_JOIN(blocks, SUFFIX)(void *context, size_t begin, size_t end, size_t worker) {
  const attend_job *j = context;
  const attend_shape *s = &j->plan->shape;
  unsigned parts = j->call->parts ? j->call->parts : ATTEND_SCORES | ATTEND_SOFTEN | ATTEND_MIX;
  bool gemm = sizeof(T) == sizeof(float) && j->plan->gemm;
  for (size_t unit = begin; unit < end; unit++) {
    attend_block b = block_at(j, unit, worker, sizeof(T));
    T *between = (T *)j->call->between;
    if (between) between += ((b.batch * s->heads + b.head) * s->rows + b.first) * s->columns;
    size_t bytes = b.rows * s->columns * sizeof(T);
    if (parts & ATTEND_SCORES) (gemm ? gemm_scores : ROW_JOIN(scores, SUFFIX))(j, &b);
    else if (bytes) memcpy(b.scores, between, bytes);
    if (parts & ATTEND_SOFTEN)
      (sizeof(T) == sizeof(float) && is_plain(j->call) ? soften_plainly : ROW_JOIN(soften, SUFFIX))(j, &b);
    if (parts & ATTEND_MIX) (gemm ? gemm_mix : ROW_JOIN(mix, SUFFIX))(j, &b);
    else if (bytes) memcpy(between, b.scores, bytes);
  }
}
#undef T
#undef SUFFIX
