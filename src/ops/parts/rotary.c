// SPDX-License-Identifier: Apache-2.0
// See rotary.h.
#include "ops/parts/rotary.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/parts/elementwise.h"

typedef struct rotary_job {
  const rotary *r;
  attend_view x, y;
  size_t heads, rows, width;
} rotary_job;

static int64_t position(const rotary *r, size_t batch, size_t row, size_t rows) {
  if (!r->positions) return (int64_t)(batch * rows + row);
  int64_t p = r->positions[batch * r->position_batch + row * r->position_row];
  return r->position_row ? p : wrap_add(p, (int64_t)row);
}

static void rotate_range(void *context, size_t begin, size_t end, size_t worker) {
  const rotary_job *j = context;
  const rotary *r = j->r;
  size_t first = r->interleaved ? 2 : 1, second = r->interleaved ? 1 : r->pairs;
  for (size_t i = begin; i < end; i++) {
    size_t row = i % j->rows, head = i / j->rows % j->heads, batch = i / j->rows / j->heads;
    const float *x = (const float *)j->x.at + batch * j->x.batch + head * j->x.head + row * j->x.row;
    float *y = (float *)j->y.at + batch * j->y.batch + head * j->y.head + row * j->y.row;
    size_t at = (size_t)position(r, batch, row, j->rows) * r->columns;
    for (size_t k = 0; k < r->pairs; k++) {
      float a = x[k * first], b = x[k * first + second], cosine = r->cos[at + k], sine = r->sin[at + k];
      y[k * first] = cosine * a - sine * b;
      y[k * first + second] = sine * a + cosine * b;
    }
    if (x != y && j->width > 2 * r->pairs)
      memcpy(y + 2 * r->pairs, x + 2 * r->pairs, (j->width - 2 * r->pairs) * sizeof *y);
  }
}

sdx_status rotary_run(op_step *c, const rotary *r, const attend_view *x, const attend_view *y, size_t batch,
                      size_t heads, size_t rows, size_t width, error_part positions) {
  for (size_t b = 0; b < batch; b++)
    for (size_t i = 0; i < rows; i++) {
      int64_t p = position(r, b, i, rows);
      if (p < 0 || (uint64_t)p >= r->table_rows)
        return step_fail_at(c, positions, SDX_OUT_OF_RANGE,
                            "gives position %lld of sample %zu, but the tables have %zu rows", (long long)p, b,
                            r->table_rows);
    }
  rotary_job j = {r, *x, *y, heads, rows, width};
  call_parallel(c, batch * heads * rows, 1 + GRAIN_CHEAP / (width + 1), rotate_range, &j);
  return SDX_OK;
}
