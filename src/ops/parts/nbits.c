// SPDX-License-Identifier: Apache-2.0
// See nbits.h.
#include "ops/parts/nbits.h"

#include <string.h>

#include "kernels/nbits_f32/nbits_f32.h"
#include "ops/call.h"
#include "ops/parts/floats.h"

enum { PANEL = NBITS_COLUMNS, HALF = PANEL / 2, PACK_VERSION = 1, FEW_ROWS = 3, PANELS_OF_TASK = 4 };

typedef struct product {
  gemm_f32_plan plan;  // first: what packed_product_run runs
  nbits_weights w;
  const nbits_f32_kernel *kernel;
  const uint8_t *weights;
  const float *scales, *zeros;
} product;

// ---- packs ------------------------------------------------------------------------------------------

static size_t panels_of(const nbits_weights *w) { return (w->n + PANEL - 1) / PANEL; }

static void pack_weights(void *target, const tensor *source, void *context) {
  const nbits_weights *w = context;
  const size_t depth = w->blocks * w->block;
  for (size_t n = 0; n < w->n; n++) {
    const uint8_t *row = (const uint8_t *)source->data + n * w->row_bytes;
    uint8_t *to = (uint8_t *)target + n / PANEL * depth * HALF + n % HALF;
    unsigned shift = n % PANEL < HALF ? 0 : 4;
    for (size_t k = 0; k < depth; k++) to[k * HALF] |= (uint8_t)((row[k / 2] >> k % 2 * 4 & 15) << shift);
  }
}

// A number for each block of each column, packed in 4 bits where its type is that of the weights.
static void pack_numbers(void *target, const tensor *source, void *context) {
  const nbits_weights *w = context;
  float *to = target;
  for (size_t n = 0; n < w->n; n++)
    for (size_t b = 0; b < w->blocks; b++)
      to[(n / PANEL * w->blocks + b) * PANEL + n % PANEL] =
          source->dtype == SDX_UINT8 ? (float)packed_at((const uint8_t *)source->data + n * w->zero_bytes, b, 4)
                                     : (float)tensor_number_at(source, n * w->blocks + b);
}

static const void *pack(op_step *c, const nbits_weights *w, size_t input, const char *name, size_t bytes,
                        void (*fill)(void *, const tensor *, void *)) {
  pack_format format = pack_format_of(name, "", PACK_VERSION);
  format.tile = PANEL;
  format.depth = (uint32_t)w->block;
  return prepare_pack(c, input, &format, bytes, fill, (void *)w);
}

sdx_status nbits_prepare(op_step *c, const nbits_weights *w, size_t b, size_t scales, size_t zeros, size_t bias) {
  bool has_zeros = zeros < c->input_count && c->in[zeros];
  size_t panels = panels_of(w), weight_bytes, number_bytes;
  product *p = arena_zalloc(c->memory, sizeof *p);
  if (!p) return error_no_memory(c->err, sizeof *p);
  SDX_TRY(packed_product_prepare(c, w->n, w->k, bias));
  p->plan = *(const gemm_f32_plan *)c->state;
  c->state = p;
  if (!size_mul(panels * PANEL, w->blocks * w->block / 2, &weight_bytes) ||
      !size_mul(panels * PANEL * sizeof(float), w->blocks, &number_bytes))
    return error_no_memory(c->err, SIZE_MAX);
  p->w = *w;
  p->weights = pack(c, w, b, "nbits weights", weight_bytes, pack_weights);
  if (p->weights) p->scales = pack(c, w, scales, "nbits scales", number_bytes, pack_numbers);
  if (p->scales && has_zeros) p->zeros = pack(c, w, zeros, "nbits zeros", number_bytes, pack_numbers);
  if (!p->scales || (has_zeros && !p->zeros)) return SDX_NO_MEMORY;
  p->kernel = KERNEL_BEST(nbits_f32);
  return SDX_OK;
}

// ---- products ---------------------------------------------------------------------------------------

static nbits_panel panel_at(const product *p, size_t index) {
  size_t numbers = index * p->w.blocks * PANEL;
  return (nbits_panel){.weights = p->weights + index * p->w.blocks * p->w.block * HALF,
                       .scales = p->scales + numbers,
                       .zeros = p->zeros ? p->zeros + numbers : NULL,
                       .block = p->w.block};
}

static void fill(void *context, size_t batch, float *panel, size_t stride, size_t k0, size_t kc, size_t n0, size_t nc) {
  const product *p = context;
  for (size_t n = n0; n < n0 + nc;) {
    nbits_panel from = panel_at(p, n / PANEL);
    size_t first = n % PANEL, count = PANEL - first < n0 + nc - n ? PANEL - first : n0 + nc - n;
    p->kernel->widen(&from, k0, kc, first, count, panel + n - n0, stride);
    n += count;
  }
}

typedef struct few_rows {
  const product *p;
  const float *a, *bias;
  float *y;
} few_rows;

static void multiply_panels(void *context, size_t begin, size_t end, size_t worker) {
  const few_rows *f = context;
  const product *p = f->p;
  for (size_t i = begin; i < end && !pool_stopped(); i++) {
    nbits_panel panel = panel_at(p, i);
    size_t first = i * PANEL, count = p->w.n - first < PANEL ? p->w.n - first : PANEL;
    for (size_t m = 0; m < p->plan.shape.m; m++) {
      float sums[PANEL], *y = f->y + m * p->w.n + first;
      p->kernel->multiply(&panel, p->w.k, f->a + m * p->w.k, sums);
      for (size_t j = 0; j < count; j++) y[j] = f->bias ? sums[j] + f->bias[first + j] : sums[j];
    }
  }
}

sdx_status nbits_run(op_step *c, size_t bias) {
  const product *p = c->state;
  tensor *y = step_out(c, 0);
  char *scratch = c->scratch;
  // A matrix unit sums in another order than a chain does.
  if (y->count == 0 || p->plan.shape.m > FEW_ROWS || p->plan.planes)
    return packed_product_run(c, fill, (void *)p, p->w.n, p->w.k, bias);
  scratch_take(&scratch, p->plan.scratch_bytes);
  few_rows f = {.p = p};
  f.a = floats_load(c, step_in(c, 0), &scratch);
  f.bias = floats_load(c, step_in(c, bias), &scratch);
  f.y = floats_target(y, &scratch);
  call_parallel(c, panels_of(&p->w), PANELS_OF_TASK, multiply_panels, &f);
  floats_store(c, y, f.y);
  return call_check(c);
}
