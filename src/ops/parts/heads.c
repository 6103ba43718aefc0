// SPDX-License-Identifier: Apache-2.0
// See heads.h.
#include "ops/parts/heads.h"

#include <math.h>

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"

heads_input heads_from_type(const op_step *c, size_t input) {
  bool given = infer_has(c, input);
  int rank = given ? infer_rank_of(c, input) : -1;
  return (heads_input){given, rank, rank >= 0 ? c->in_types[input]->dims : NULL};
}

heads_input heads_from_tensor(const op_step *c, size_t input) {
  const tensor *t = input < c->input_count ? step_in(c, input) : NULL;
  return t ? (heads_input){true, t->rank, t->dims} : (heads_input){false, -1, NULL};
}

sdx_status heads_agree(error *err, size_t input, const char *what, int64_t have, int64_t *size) {
  if (have < 0) return SDX_OK;
  if (*size >= 0 && *size != have)
    return error_at(err, at_input(input), SDX_INVALID_SHAPE, "has %lld as its %s, expected %lld", (long long)have, what,
                    (long long)*size);
  *size = have;
  return SDX_OK;
}

static void rows_range(void *context, size_t begin, size_t end, size_t worker) {
  const heads_move *m = context;
  for (size_t i = begin; i < end; i++) {
    size_t batch = i / m->heads, head = i % m->heads, rows = m->counts ? (size_t)m->counts[batch] : m->rows;
    const float *from = (const float *)m->from.at + batch * m->from.batch + head * m->from.head;
    float *to = (float *)m->to.at + batch * m->to.batch + head * m->to.head +
                (m->offsets ? (size_t)m->offsets[batch] : 0) * m->to.row;
    const float *bias = m->bias ? m->bias + head * m->width : NULL;
    for (size_t r = 0; r < rows && !pool_stopped_in(r); r++, from += m->from.row, to += m->to.row) {
      if (!bias && m->width) memcpy(to, from, m->width * sizeof *to);
      for (size_t k = 0; bias && k < m->width; k++) to[k] = from[k] + bias[k];
    }
  }
}

void heads_run(op_step *c, const heads_move *m) {
  call_parallel(c, m->batch * m->heads, 1 + GRAIN_CHEAP / (m->rows * m->width + 1), rows_range, (void *)m);
}

typedef struct norm_job {
  attend_view from, to;
  const float *weight;
  size_t heads, rows, width;
  float epsilon;
} norm_job;

static void norm_range(void *context, size_t begin, size_t end, size_t worker) {
  const norm_job *j = context;
  for (size_t i = begin; i < end; i++) {
    size_t row = i % j->rows, head = i / j->rows % j->heads, batch = i / j->rows / j->heads;
    const float *x = (const float *)j->from.at + batch * j->from.batch + head * j->from.head + row * j->from.row;
    float *y = (float *)j->to.at + batch * j->to.batch + head * j->to.head + row * j->to.row;
    double squares = 0;
    for (size_t k = 0; k < j->width; k++) squares += (double)x[k] * (double)x[k];
    float inverse = (float)(1 / sqrt(squares / (double)j->width + (double)j->epsilon));
    for (size_t k = 0; k < j->width; k++) y[k] = x[k] * inverse * j->weight[k];
  }
}

void heads_norm(op_step *c, const attend_view *from, const attend_view *to, const float *weight, float epsilon,
                const size_t size[4]) {
  norm_job j = {*from, *to, weight, size[1], size[2], size[3], epsilon};
  call_parallel(c, size[0] * size[1] * size[2], 1 + GRAIN_CHEAP / (size[3] + 1), norm_range, &j);
}
