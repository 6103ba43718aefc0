// SPDX-License-Identifier: Apache-2.0
// float16 and bfloat16 through the float kernels: prepare reserves scratch for the operands that are
// not float yet, compute takes it in the same order. A float tensor is used where it lies.
#pragma once

#include "base/size.h"
#include "ops/op.h"
#include "tensor/convert.h"

// Adds `bytes`, rounded up to 64, to *total; false on overflow.
static inline bool scratch_reserve(size_t *total, size_t bytes) {
  return size_align(bytes, 64, &bytes) && size_add(*total, bytes, total);
}
static inline void *scratch_take(char **scratch, size_t bytes) {
  void *here = *scratch;
  *scratch += (bytes + 63) & ~(size_t)63;
  return here;
}

static inline bool floats_reserve(size_t *total, const tensor *t) {
  size_t bytes = 0;
  if (!t || t->dtype == SDX_FLOAT) return true;
  return size_mul(t->count, sizeof(float), &bytes) && scratch_reserve(total, bytes);
}

typedef struct floats_job {
  const tensor *t;
  float *at;
  bool store;
} floats_job;

static void floats_range(void *context, size_t begin, size_t end, size_t worker) {
  const floats_job *j = context;
  if (j->store) convert_from_floats((sdx_dtype)j->t->dtype, j->t->data, begin, end - begin, j->at + begin);
  else convert_to_floats((sdx_dtype)j->t->dtype, j->t->data, begin, end - begin, j->at + begin);
}

// The tensor's elements as float; NULL for NULL.
static inline const float *floats_load(op_call *c, const tensor *t, char **scratch) {
  if (!t || t->dtype == SDX_FLOAT) return t ? t->data : NULL;
  floats_job job = {t, scratch_take(scratch, t->count * sizeof(float)), false};
  call_parallel(c, t->count, 65536, floats_range, &job);
  return job.at;
}
// Where to compute an output, and bringing it to the tensor's type afterwards.
static inline float *floats_target(const tensor *t, char **scratch) {
  return t->dtype == SDX_FLOAT ? t->data : scratch_take(scratch, t->count * sizeof(float));
}
static inline void floats_store(op_call *c, tensor *t, float *from) {
  if (t->dtype == SDX_FLOAT) return;
  floats_job job = {t, from, true};
  call_parallel(c, t->count, 65536, floats_range, &job);
}
