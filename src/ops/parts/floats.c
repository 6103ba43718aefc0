// SPDX-License-Identifier: Apache-2.0
// See floats.h.
#include "ops/parts/floats.h"
#include "ops/call.h"
#include "ops/prepare.h"

typedef struct range_job {
  const tensor *t;
  float *at;
  bool store;
} range_job;

static void convert_range(void *context, size_t begin, size_t end, size_t worker) {
  const range_job *j = context;
  if (j->store) widen_write((sdx_dtype)j->t->dtype, j->t->data, begin, end - begin, j->at + begin);
  else widen_read((sdx_dtype)j->t->dtype, j->t->data, begin, end - begin, j->at + begin);
}

const float *floats_load(op_step *c, const tensor *t, char **scratch) {
  if (!t || t->dtype == SDX_FLOAT) return t ? t->data : NULL;
  range_job job = {t, scratch_take(scratch, t->count * sizeof(float)), false};
  call_parallel(c, t->count, 65536, convert_range, &job);
  return job.at;
}

float *floats_target(const tensor *t, char **scratch) {
  return t->dtype == SDX_FLOAT ? t->data : scratch_take(scratch, t->count * sizeof(float));
}

void floats_store(op_step *c, tensor *t, float *from) {
  if (t->dtype == SDX_FLOAT) return;
  range_job job = {t, from, true};
  call_parallel(c, t->count, 65536, convert_range, &job);
}

typedef struct pack_job {
  void (*pack)(void *target, const float *weights, const void *context);
  const void *context;
  float *floats;  // room for a source that is not float
} pack_job;

static void pack_any(void *target, const tensor *source, void *context) {
  const pack_job *j = context;
  if (j->floats) widen_read((sdx_dtype)source->dtype, source->data, 0, source->count, j->floats);
  j->pack(target, j->floats ? j->floats : source->data, j->context);
}

sdx_status floats_pack(op_step *c, size_t input, const pack_format *format, size_t bytes,
                       void (*pack)(void *target, const float *weights, const void *context), const void *context,
                       const void **packed) {
  const tensor *w = step_in(c, input);
  pack_job job = {.pack = pack, .context = context};
  if (w->dtype != SDX_FLOAT) {
    job.floats = mem_alloc(c->memory->account, w->count * sizeof(float));
    if (!job.floats) return error_no_memory(c->err, w->count * sizeof(float));
  }
  *packed = prepare_pack(c, input, format, bytes, pack_any, &job);
  mem_free(job.floats);
  return *packed ? SDX_OK : SDX_NO_MEMORY;
}
