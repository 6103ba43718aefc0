// SPDX-License-Identifier: Apache-2.0
// The driver of gemm_u8s8. K is cut into blocks of KC, so that a panel of B stays in the first cache; a task is a
// strip of columns (and, where there are few, a range of row panels). Zero points are never subtracted from
// elements: with the sums that packing yields they become a correction of C.
#include "kernels/gemm_u8s8/gemm_u8s8.h"

#include <string.h>

#include "base/pool.h"

enum {
  KC = 1024,
  STRIP = 256,
  PACK_VERSION = 1,
  PACK_ALONE = 1 << 19,  // fewer elements are packed before a second thread has woken up
};

// Sizes in a packed operand: sums first ([block of k][padded]), then panels, each over the whole padded k.
typedef struct layout {
  size_t padded, k, blocks, element, panel_bytes, head;
} layout;

static size_t up(size_t n, size_t to) { return (n + to - 1) / to * to; }
static layout layout_of(const gemm_u8s8_kernel *kernel, size_t size, size_t tile, size_t k) {
  layout l = {.padded = up(size, tile), .k = up(k, GEMM_U8S8_K_UNIT), .blocks = (k + KC - 1) / KC};
  l.element = kernel->wide ? 2 : 1;
  l.panel_bytes = tile * l.k * l.element;
  l.head = up(l.blocks * l.padded * sizeof(int32_t), 64);
  return l;
}
static size_t layout_bytes(const layout *l, size_t tile) { return up(l->head + l->padded / tile * l->panel_bytes, 64); }

size_t gemm_u8s8_packed_a_bytes(size_t m, size_t k) {
  const gemm_u8s8_kernel *kernel = KERNEL_BEST(gemm_u8s8);
  layout l = layout_of(kernel, m, kernel->mr, k);
  return layout_bytes(&l, kernel->mr);
}
size_t gemm_u8s8_packed_b_bytes(size_t k, size_t n) {
  const gemm_u8s8_kernel *kernel = KERNEL_BEST(gemm_u8s8);
  layout l = layout_of(kernel, n, kernel->nr, k);
  return layout_bytes(&l, kernel->nr);
}

static void pack_rows(const gemm_u8s8_kernel *kernel, const layout *l, char *target, const uint8_t *a, size_t lda,
                      bool is_signed, size_t panel, size_t m, size_t k) {
  size_t first = panel * kernel->mr, rows = m - first < kernel->mr ? m - first : kernel->mr;
  for (size_t b = 0; b < l->blocks; b++) {
    size_t k0 = b * KC, ks = k - k0 < KC ? k - k0 : KC;
    kernel->pack_a(target + l->head + panel * l->panel_bytes + k0 * kernel->mr * l->element,
                   (int32_t *)target + b * l->padded + first, a + first * lda + k0, lda, is_signed, rows, ks);
  }
}
static void pack_columns(const gemm_u8s8_kernel *kernel, const layout *l, char *target, const uint8_t *b, size_t ldb,
                         bool is_signed, size_t panel, size_t k, size_t n) {
  size_t first = panel * kernel->nr, cols = n - first < kernel->nr ? n - first : kernel->nr;
  for (size_t block = 0; block < l->blocks; block++) {
    size_t k0 = block * KC, ks = k - k0 < KC ? k - k0 : KC;
    kernel->pack_b(target + l->head + panel * l->panel_bytes + k0 * kernel->nr * l->element,
                   (int32_t *)target + block * l->padded + first, b + k0 * ldb + first, ldb, is_signed, ks, cols);
  }
}

// Packing of a whole operand: `outer` rows of A or columns of B.
typedef struct pack_job {
  const gemm_u8s8_kernel *kernel;
  layout l;
  char *target;
  const void *data;
  size_t stride, outer, k;
  bool is_a, is_signed;
} pack_job;

static void pack_panel(void *context, size_t panel, size_t worker) {
  const pack_job *j = context;
  if (j->is_a) pack_rows(j->kernel, &j->l, j->target, j->data, j->stride, j->is_signed, panel, j->outer, j->k);
  else pack_columns(j->kernel, &j->l, j->target, j->data, j->stride, j->is_signed, panel, j->k, j->outer);
}
static void pack_all(pack_job *j, size_t threads) {
  j->kernel = KERNEL_BEST(gemm_u8s8);
  size_t tile = j->is_a ? j->kernel->mr : j->kernel->nr;
  j->l = layout_of(j->kernel, j->outer, tile, j->k);
  pool_run(j->outer * j->k < PACK_ALONE ? 1 : threads, j->l.padded / tile, pack_panel, j);
}
void gemm_u8s8_pack_a(void *target, const void *a, size_t lda, bool is_signed, size_t m, size_t k, size_t threads) {
  pack_job j = {.target = target, .data = a, .stride = lda, .outer = m, .k = k, .is_a = true, .is_signed = is_signed};
  pack_all(&j, threads);
}
void gemm_u8s8_pack_b(void *target, const void *b, size_t ldb, bool is_signed, size_t k, size_t n, size_t threads) {
  pack_job j = {.target = target, .data = b, .stride = ldb, .outer = n, .k = k, .is_signed = is_signed};
  pack_all(&j, threads);
}

static pack_format format_of(bool is_a, bool is_signed) {
  const kernel_entry *e = kernel_best("gemm_u8s8");
  const gemm_u8s8_kernel *kernel = e->kernel;
  pack_format f = pack_format_of(is_a ? "gemm_u8s8 a" : "gemm_u8s8 b", e->variant, PACK_VERSION);
  f.tile = (uint32_t)(is_a ? kernel->mr : kernel->nr), f.depth = KC, f.detail = is_signed;
  return f;
}
pack_format gemm_u8s8_format_a(bool is_signed) { return format_of(true, is_signed); }
pack_format gemm_u8s8_format_b(bool is_signed) { return format_of(false, is_signed); }

// ---- run -----------------------------------------------------------------------------------------

typedef struct job {
  const gemm_u8s8 *g;
  const gemm_u8s8_kernel *kernel;
  layout a, b;
  char *packed_a, *worker_memory;
  size_t worker_bytes, strips, row_parts;
} job;

static job job_of(const gemm_u8s8 *g, size_t threads) {
  job j = {.g = g, .kernel = g->kernel ? g->kernel : KERNEL_BEST(gemm_u8s8)};
  j.a = layout_of(j.kernel, g->m, j.kernel->mr, g->k), j.b = layout_of(j.kernel, g->n, j.kernel->nr, g->k);
  size_t depth = j.b.k < KC ? j.b.k : KC;  // a strip of packed B, and of B as it is where it is filled in
  j.worker_bytes = g->packed_b ? 0 : up(STRIP * depth * j.b.element + (g->fill ? STRIP * depth : 0), 64);
  j.strips = (g->n + STRIP - 1) / STRIP;
  size_t panels = j.a.padded / j.kernel->mr,
         wanted = threads > 1 ? (2 * threads + j.strips - 1) / (j.strips ? j.strips : 1) : 1;
  j.row_parts = wanted < panels ? wanted : panels;
  return j;
}

size_t gemm_u8s8_scratch_bytes(const gemm_u8s8 *g, size_t threads) {
  job j = job_of(g, threads);
  return (g->packed_a ? 0 : layout_bytes(&j.a, j.kernel->mr)) + (threads ? threads : 1) * j.worker_bytes;
}

static int32_t zero_at(const void *zero, bool is_signed, size_t i) {
  return !zero ? 0 : is_signed ? ((const int8_t *)zero)[i] : ((const uint8_t *)zero)[i];
}

static void pack_task(void *context, size_t panel, size_t worker) {
  const job *j = context;
  pack_rows(j->kernel, &j->a, j->packed_a, j->g->a, j->g->lda, j->g->a_signed, panel, j->g->m, j->g->k);
}

// Of the columns of a strip: zero points, of which some are not 0, and the sums of a block.
typedef struct columns {
  int32_t zero[STRIP], sum[STRIP];
  bool some;
} columns;

// The zero points' part of this block: C = (first block ? 0 : C) - zb sum(a) - za sum(b) + ks za zb.
static void correct(const job *j, size_t row, size_t rows, size_t col, size_t cols, size_t ks, const int32_t *a_sum,
                    const columns *b, bool first) {
  const gemm_u8s8 *g = j->g;
  int32_t shift = !j->kernel->wide && g->a_signed ? 128 : 0;
  uint32_t of_b[STRIP];  // -za sum(b), for as long as za is the same
  for (size_t i = 0; i < rows; i++) {
    uint32_t *c = (uint32_t *)g->c + (row + i) * g->ldc + col;
    uint32_t a_zero = (uint32_t)(zero_at(g->a_zero, g->a_signed, g->a_zero_per_row ? row + i : 0) + shift);
    uint32_t left = (uint32_t)ks * a_zero - (uint32_t)a_sum[i];
    if (i == 0 || g->a_zero_per_row)
      for (size_t n = 0; n < cols; n++) of_b[n] = 0 - a_zero * (uint32_t)b->sum[n];
    if (first) memcpy(c, of_b, cols * sizeof *c);
    else
      for (size_t n = 0; n < cols; n++) c[n] += of_b[n];
    for (size_t n = 0; b->some && n < cols; n++) c[n] += (uint32_t)b->zero[n] * left;
  }
}

// Packs (or finds) block `block` of the strip: panel p at *panels + p * *panel_bytes, sums in `sum`.
static const char *strip_of_b(const job *j, size_t block, size_t col, size_t cols, size_t ks, char *memory,
                              int32_t *sum, size_t *panel_bytes) {
  const gemm_u8s8 *g = j->g;
  size_t nr = j->kernel->nr, k0 = block * KC;
  if (g->packed_b) {
    const int32_t *sums = (const int32_t *)g->packed_b + block * j->b.padded + col;
    for (size_t n = 0; n < cols; n++) sum[n] = sums[n];
    *panel_bytes = j->b.panel_bytes;
    return (const char *)g->packed_b + j->b.head + col / nr * j->b.panel_bytes + k0 * nr * j->b.element;
  }
  size_t depth = up(ks, GEMM_U8S8_K_UNIT);
  *panel_bytes = nr * depth * j->b.element;
  const uint8_t *from;
  size_t stride = g->ldb;
  if (g->fill) {
    uint8_t *plain = (uint8_t *)memory + STRIP * depth * j->b.element;
    g->fill(g->fill_context, k0, ks, col, cols, plain, STRIP);
    from = plain, stride = STRIP;
  } else {
    from = (const uint8_t *)g->b + k0 * g->ldb + col;
  }
  for (size_t n = 0; n < cols; n += nr) {
    int32_t panel_sum[GEMM_U8S8_MAX_TILE];
    size_t width = cols - n < nr ? cols - n : nr;
    j->kernel->pack_b(memory + n / nr * *panel_bytes, panel_sum, from + n, stride, g->b_signed, ks, width);
    for (size_t i = 0; i < width; i++) sum[n + i] = panel_sum[i];
  }
  return memory;
}

static void strip_task(void *context, size_t index, size_t worker) {
  const job *j = context;
  const gemm_u8s8 *g = j->g;
  size_t mr = j->kernel->mr, nr = j->kernel->nr, panels = j->a.padded / mr, part = index / j->strips;
  size_t col = index % j->strips * STRIP, cols = g->n - col < STRIP ? g->n - col : STRIP;
  size_t first = panels * part / j->row_parts, last = panels * (part + 1) / j->row_parts;
  int32_t shift = !j->kernel->wide && !g->b_signed ? 128 : 0;
  columns of_b = {.some = false};
  for (size_t n = 0; n < cols; n++) {
    of_b.zero[n] = zero_at(g->b_zero, g->b_signed, g->b_zero_per_col ? col + n : 0) - shift;
    of_b.some |= of_b.zero[n] != 0;
  }
  for (size_t block = 0; block < j->a.blocks; block++) {
    size_t ks = g->k - block * KC < KC ? g->k - block * KC : KC,
           groups = up(ks, GEMM_U8S8_K_UNIT) / (j->kernel->wide ? 2 : 4);
    size_t panel_bytes;
    const char *b =
        strip_of_b(j, block, col, cols, ks, j->worker_memory + worker * j->worker_bytes, of_b.sum, &panel_bytes);
    for (size_t panel = first; panel < last; panel++) {
      size_t row = panel * mr, rows = g->m - row < mr ? g->m - row : mr;
      const char *a = j->packed_a + j->a.head + panel * j->a.panel_bytes + block * KC * mr * j->a.element;
      correct(j, row, rows, col, cols, ks, (const int32_t *)j->packed_a + block * j->a.padded + row, &of_b, block == 0);
      for (size_t n = 0; n < cols; n += nr)
        j->kernel->tile(groups, a, b + n / nr * panel_bytes, g->c + row * g->ldc + col + n, g->ldc, rows,
                        cols - n < nr ? cols - n : nr);
    }
  }
}

void gemm_u8s8_run(const gemm_u8s8 *g, void *scratch, size_t threads) {
  if (g->m == 0 || g->n == 0) return;
  if (g->k == 0) {
    for (size_t i = 0; i < g->m; i++)
      for (size_t n = 0; n < g->n; n++) g->c[i * g->ldc + n] = 0;
    return;
  }
  job j = job_of(g, threads);
  j.packed_a = g->packed_a ? (char *)g->packed_a : scratch;
  j.worker_memory = (char *)scratch + (g->packed_a ? 0 : layout_bytes(&j.a, j.kernel->mr));
  if (!g->packed_a) pool_run(threads, j.a.padded / j.kernel->mr, pack_task, &j);
  pool_run(threads, j.strips * j.row_parts, strip_task, &j);
}
