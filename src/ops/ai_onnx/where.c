// SPDX-License-Identifier: Apache-2.0
// Where: x where the condition is true, else y; all three broadcast.
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

static sdx_status where_infer(op_step *c) {
  for (size_t i = 0; i < 3; i++) SDX_TRY(infer_need(c, i));
  sdx_dtype x = infer_dtype_of(c, 1), y = infer_dtype_of(c, 2);
  if (x && y && x != y)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "is %s but input 2 is %s", dtype_name(x), dtype_name(y));
  return infer_broadcast(c, 0, 0, 3, x ? x : y);
}

typedef struct job {
  const char *condition, *x, *y;
  char *to;
  size_t rank, width;
  int64_t dims[TENSOR_MAX_RANK], steps[3][TENSOR_MAX_RANK];  // in elements, 0 where broadcast
} job;

#define PICK(T)                   \
  for (int64_t i = 0; i < n; i++) \
  ((T *)to)[i] = p[0][i * s[0]] ? ((const T *)p[1])[i * s[1]] : ((const T *)p[2])[i * s[2]]

static void pick_row(char *to, const char *const *p, const int64_t *s, int64_t n, size_t width) {
  switch (width) {
    case 1:
      PICK(uint8_t);
      break;
    case 2:
      PICK(uint16_t);
      break;
    case 4:
      PICK(uint32_t);
      break;
    case 8:
      PICK(uint64_t);
      break;
    default:
      for (int64_t i = 0; i < n; i++)
        memcpy(to + (size_t)i * width,
               p[0][i * s[0]] ? p[1] + i * s[1] * (int64_t)width : p[2] + i * s[2] * (int64_t)width, width);
  }
}

// Rows of the innermost dimension.
static void pick_range(void *context, size_t begin, size_t end, size_t worker) {
  const job *j = context;
  int64_t at[TENSOR_MAX_RANK] = {0};
  size_t last = j->rank - 1, rest = begin;
  const int64_t s[3] = {j->steps[0][last], j->steps[1][last], j->steps[2][last]};
  int64_t offset[3] = {0};
  for (size_t d = last; d-- > 0;) {
    at[d] = (int64_t)(rest % (size_t)j->dims[d]);
    rest /= (size_t)j->dims[d];
    for (int k = 0; k < 3; k++) offset[k] += at[d] * j->steps[k][d];
  }
  int64_t w = (int64_t)j->width;
  for (size_t row = begin; row < end; row++) {
    const char *p[3] = {j->condition + offset[0], j->x + offset[1] * w, j->y + offset[2] * w};
    pick_row(j->to + row * (size_t)j->dims[last] * j->width, p, s, j->dims[last], j->width);
    for (size_t d = last; d-- > 0;) {
      for (int k = 0; k < 3; k++) offset[k] += j->steps[k][d];
      if (++at[d] < j->dims[d]) break;
      for (int k = 0; k < 3; k++) offset[k] -= j->steps[k][d] * at[d];
      at[d] = 0;
    }
  }
}

static sdx_status where_compute(op_step *c) {
  const tensor *in[3] = {step_in(c, 0), step_in(c, 1), step_in(c, 2)};
  tensor *y = step_out(c, 0);
  if (y->count == 0) return SDX_OK;
  job j = {in[0]->data, in[1]->data, in[2]->data, y->data, 0, move_width(y), {0}, {{0}}};
  // Dimensions of 1 vanish; neighbours join where all three run through them alike.
  int64_t strides[3][TENSOR_MAX_RANK];
  for (int k = 0; k < 3; k++) move_strides(in[k]->dims, in[k]->rank, strides[k]);
  for (size_t d = 0; d < y->rank; d++) {
    int64_t steps[3];
    if (y->dims[d] == 1) continue;
    for (int k = 0; k < 3; k++) {
      size_t lead = y->rank - in[k]->rank;
      steps[k] = d < lead || in[k]->dims[d - lead] == 1 ? 0 : strides[k][d - lead];
    }
    bool joins = j.rank > 0;
    for (int k = 0; joins && k < 3; k++) joins = j.steps[k][j.rank - 1] == steps[k] * y->dims[d];
    if (!joins) j.dims[j.rank++] = 1;
    j.dims[j.rank - 1] *= y->dims[d];
    for (int k = 0; k < 3; k++) j.steps[k][j.rank - 1] = steps[k];
  }
  if (j.rank == 0) j.dims[j.rank++] = 1;
  if (j.rank == 1 && j.dims[0] > 16384) {  // one long row: cut into rows for the threads
    int64_t rows = j.dims[0] / 8192, left = j.dims[0] - rows * 8192;
    const char *p[3] = {j.condition, j.x, j.y};
    int64_t w = (int64_t)j.width, done = rows * 8192, s[3];
    for (int k = 0; k < 3; k++) {
      s[k] = j.steps[k][0];
      p[k] += done * s[k] * (k ? w : 1);
      j.steps[k][1] = s[k];
      j.steps[k][0] = s[k] * 8192;
    }
    pick_row(j.to + done * w, p, s, left, j.width);
    j.rank = 2;
    j.dims[0] = rows;
    j.dims[1] = 8192;
  }
  size_t rows = 1, each = (size_t)j.dims[j.rank - 1];
  for (size_t d = 0; d + 1 < j.rank; d++) rows *= (size_t)j.dims[d];
  call_parallel(c, rows, each >= 8192 ? 1 : 8192 / each + 1, pick_range, &j);
  return SDX_OK;
}

static const char *const where_cases[] = {
    "condition=bool[2,3] X=float[2,3] Y=float[2,3]", "condition=bool[3] X=float[2,1] Y=float[]",
    "condition=bool[] X=float[4] Y=float[4]", "condition=bool[0] X=float[1] Y=float[0]", NULL};

SDX_OP(Where) = {
    .since = 16,
    .versions = "16 9",
    .inputs = "condition:bool X:T Y:T",
    .outputs = "output:T",
    .types = "T=" TYPES_TENSOR,
    .flags = OP_POINTWISE,
    .infer = where_infer,
    .compute = where_compute,
    .cases = where_cases,
};
