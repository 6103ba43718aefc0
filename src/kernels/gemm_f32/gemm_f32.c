// SPDX-License-Identifier: Apache-2.0
// Driver of gemm_f32: which algorithm, blocking from the cache sizes, packing, the split over threads,
// the epilogue. Variants know none of it.
//
// C is cut into tasks (rows x columns); a task runs alone on one worker with its own scratch:
//
//   for each block of mc rows
//     for each kc of the depth           A (mc x kc) is packed here, unless it is already; then this is the inner loop
//       for each block of nc columns     B (kc x nc) is packed here and stays in half of the L2 cache
//         for each panel of A (mr rows)  stays in half of the L1 cache
//           sweep: the panel times all panels of B in the block
//
// The chains of C continue from the stored values from one kc to the next, so where blocks end
// changes no bit of an fp32 result; for split operands kc depends on K alone.
#include "kernels/gemm_f32/gemm_f32.h"

#include <string.h>

#include "base/pool.h"
#include "base/size.h"

enum {
  ENTER_BYTES = 64,         // state of kernel->enter
  DEPTH_MOST = 512,         // of a block
  A_BLOCK_BYTES = 2 << 20,  // where B is packed for every block of A: from the L3 cache, once per nc columns
  PACK_VERSION = 1,
  PACK_ALONE_BYTES = 1 << 19,  // less is packed before a second thread has woken up
  SPLIT_DEPTH = 32,            // a split product needs at least this depth
  SPLIT_OUTER = 16,            // and this many columns (rows of a packed A)
  PLAIN_B_PANELS = 2,          // B whose rows alias is read in place where a task has at most this many panels of A
  ALIAS_BYTES = 1024,          // rows whose distance is a multiple of this push one another out of the cache
  LINE_BYTES = 64,             // what one fetch brings
  // Costs in multiply-adds, for the choice of the grid.
  COST_PACK = 16,  // per packed element
  COST_TASK = 20000,
  COST_FORK = 100000,
  // The last few columns beside whole panels of B are computed for this many panels of A at once.
  FEW_PANELS = 8,
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }
static size_t divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }
static size_t round_up(size_t a, size_t unit) { return divide_up(a, unit) * unit; }
static size_t align64(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

// ---- algorithm -----------------------------------------------------------------------------------

static bool splits(const void *kernel) { return ((const gemm_f32_kernel *)kernel)->split; }
static bool multiplies(const void *kernel) { return !splits(kernel); }

// outer: N, or M where A is the packed operand. Never the other one: a batcher may change it.
static const kernel_entry *choose(size_t k, size_t outer) {
  const kernel_entry *split = k >= SPLIT_DEPTH && outer >= SPLIT_OUTER ? kernel_best_of("gemm_f32", splits) : NULL;
  return split ? split : kernel_best_of("gemm_f32", multiplies);
}

static unsigned plane_count(const gemm_f32_kernel *kernel, int precision) {
  return !kernel->split ? 0 : precision == GEMM_HIGHEST ? 3 : precision == GEMM_HIGH ? 2 : 1;
}

static size_t element_bytes(unsigned planes) { return planes ? 2 * planes : sizeof(float); }

static size_t panel_bytes(const gemm_f32_kernel *kernel, unsigned planes, size_t width, size_t kc) {
  return kernel->head + round_up(kc, kernel->k_unit) * width * element_bytes(planes);
}

// Depth of a block: a panel of A fills half of the L1 cache, and the blocks of K are even.
static size_t block_depth(const gemm_f32_kernel *kernel, unsigned planes, size_t k) {
  size_t room = cpu_cache_sizes().l1d_bytes / 2 / (kernel->mr * element_bytes(planes));
  size_t longest = most(least(room, DEPTH_MOST) / 32 * 32, 32);
  return k ? round_up(divide_up(k, divide_up(k, longest)), kernel->k_unit) : 0;
}

// ---- packed operands -----------------------------------------------------------------------------

typedef void (*pack_fn)(void *panel, const float *from, size_t stride0, size_t stride1, size_t e0, size_t e1,
                        unsigned planes);

// A whole packed operand: blocks of the depth in order; in each, its panels in order.
typedef struct packing {
  const gemm_f32_kernel *kernel;
  unsigned planes;
  size_t width, panels, kc, block_bytes, bytes;
} packing;

// false: too large.
static bool packing_init(packing *f, const gemm_f32_kernel *kernel, unsigned planes, size_t width, size_t outer,
                         size_t k) {
  size_t elements;
  *f = (packing){.kernel = kernel, .planes = planes, .width = width, .panels = divide_up(outer, width)};
  // 64 covers bytes per element and heads of panels; paddings are covered by the rounding.
  if (outer > SIZE_MAX / 4096 || k > SIZE_MAX / 4096) return false;
  if (!size_mul(round_up(outer, width), round_up(k, 32), &elements) || elements > SIZE_MAX / 4096) return false;
  if (k == 0 || outer == 0) return true;
  f->kc = block_depth(kernel, planes, k);
  f->block_bytes = f->panels * panel_bytes(kernel, planes, width, f->kc);
  size_t before = (k - 1) / f->kc;
  f->bytes = align64(before * f->block_bytes + f->panels * panel_bytes(kernel, planes, width, k - before * f->kc));
  return true;
}

// Panel `index` of the block of kc that starts at depth k0.
static size_t packing_offset(const packing *f, size_t k0, size_t kc, size_t index) {
  return (f->kc ? k0 / f->kc * f->block_bytes : 0) + index * panel_bytes(f->kernel, f->planes, f->width, kc);
}

static bool packing_for(packing *f, bool is_a, size_t outer, size_t k, int precision) {
  const gemm_f32_kernel *kernel = choose(k, outer)->kernel;
  return packing_init(f, kernel, plane_count(kernel, precision), is_a ? kernel->mr : kernel->nr, outer, k);
}

size_t gemm_f32_packed_a_bytes(size_t m, size_t k, int precision) {
  packing f;
  return packing_for(&f, true, m, k, precision) ? most(f.bytes, 64) : 0;
}

size_t gemm_f32_packed_b_bytes(size_t k, size_t n, int precision) {
  packing f;
  return packing_for(&f, false, n, k, precision) ? most(f.bytes, 64) : 0;
}

static pack_format format_of(bool is_a, size_t outer, size_t k, int precision) {
  const kernel_entry *e = choose(k, outer);
  const gemm_f32_kernel *kernel = e->kernel;
  pack_format f = pack_format_of(is_a ? "gemm_f32 a" : "gemm_f32 b", e->variant, PACK_VERSION);
  f.planes = plane_count(kernel, precision);
  f.tile = (uint32_t)(is_a ? kernel->mr : kernel->nr);
  f.depth = (uint32_t)block_depth(kernel, f.planes, k);
  return f;
}

pack_format gemm_f32_format_a(size_t m, size_t k, int precision) { return format_of(true, m, k, precision); }
pack_format gemm_f32_format_b(size_t k, size_t n, int precision) { return format_of(false, n, k, precision); }

// Packing of a whole operand. Its rows, or columns, lie `outer_stride` apart, its depth `depth_stride`.
typedef struct pack_job {
  packing f;
  bool is_a;
  char *packed;
  const float *data;
  size_t outer, outer_stride, k, depth_stride;
} pack_job;

static void pack_panel(void *context, size_t index, size_t worker) {
  const pack_job *j = context;
  size_t first = index * j->f.width, count = least(j->f.width, j->outer - first);
  for (size_t k0 = 0, kc; k0 < j->k; k0 += kc) {
    kc = least(j->f.kc, j->k - k0);
    char *to = j->packed + packing_offset(&j->f, k0, kc, index);
    const float *from = j->data + first * j->outer_stride + k0 * j->depth_stride;
    if (j->is_a) j->f.kernel->pack_a(to, from, j->outer_stride, j->depth_stride, count, kc, j->f.planes);
    else j->f.kernel->pack_b(to, from, j->depth_stride, j->outer_stride, kc, count, j->f.planes);
  }
}

static void pack_all(pack_job *j, size_t threads) {
  pool_run(j->f.bytes < PACK_ALONE_BYTES ? 1 : threads, j->f.panels, pack_panel, j);
}

void gemm_f32_pack_a(void *packed, const gemm_f32_operand *a, size_t m, size_t k, int precision, size_t threads) {
  pack_job j = {.is_a = true,
                .packed = packed,
                .data = a->data,
                .outer = m,
                .outer_stride = a->row_stride,
                .k = k,
                .depth_stride = a->column_stride};
  if (packing_for(&j.f, true, m, k, precision)) pack_all(&j, threads);
}

void gemm_f32_pack_b(void *packed, const gemm_f32_operand *b, size_t k, size_t n, int precision, size_t threads) {
  pack_job j = {.packed = packed,
                .data = b->data,
                .outer = n,
                .outer_stride = b->column_stride,
                .k = k,
                .depth_stride = b->row_stride};
  if (packing_for(&j.f, false, n, k, precision)) pack_all(&j, threads);
}

// ---- plan ----------------------------------------------------------------------------------------

// Time of the whole run if C is cut into tasks of rows x columns.
static double grid_cost(const gemm_f32_plan *p, size_t rows, size_t columns) {
  const gemm_f32_shape *s = &p->shape;
  double tasks = (double)divide_up(s->m, rows) * (double)divide_up(s->n, columns) * (double)s->batch;
  double work = (double)most(rows, 8) * (double)columns;  // few rows do not fill the registers
  if (!s->packed_a) work += COST_PACK * (double)rows;
  if (!s->packed_b) work += COST_PACK * (double)columns * (s->fill_b ? 2 : 1);
  double rounds = (double)(size_t)((tasks + (double)s->threads - 1) / (double)s->threads);
  return rounds * (work * (double)s->k + COST_TASK) + (tasks > 1 ? COST_FORK : 0);
}

static void choose_grid(gemm_f32_plan *p) {
  const gemm_f32_shape *s = &p->shape;
  size_t mr = p->kernel->mr, nr = p->kernel->nr, parts = s->threads > 1 ? 4 * s->threads : 1;
  double lowest = 0;
  for (size_t down = 1; down <= parts; down++)
    for (size_t across = 1; across <= parts / down; across++) {
      size_t rows = most(round_up(divide_up(s->m, down), mr), mr);
      size_t columns = most(round_up(divide_up(s->n, across), nr), nr);
      double cost = grid_cost(p, rows, columns);
      if (lowest != 0 && cost >= lowest) continue;
      lowest = cost;
      p->rows = rows;
      p->columns = columns;
    }
}

// Offsets into a worker's scratch.
typedef struct scratch_parts {
  size_t a, b, fill, residual, bytes;
} scratch_parts;

static bool scratch_layout(const gemm_f32_plan *p, scratch_parts *s) {
  size_t copy = 0, rows = least(p->mc, round_up(p->shape.m, p->kernel->mr));
  bool once = p->kc >= p->shape.k;  // the depth is one block: C is overwritten panel by panel
  *s = (scratch_parts){.a = ENTER_BYTES};
  s->b = s->a;
  if (!p->shape.packed_a)
    s->b += align64((p->whole_a ? divide_up(p->shape.k, p->kc) : 1) * divide_up(rows, p->kernel->mr) *
                    panel_bytes(p->kernel, p->planes, p->kernel->mr, p->kc));
  s->fill = s->b;
  if (!p->shape.packed_b)
    s->fill += align64(divide_up(p->nc, p->kernel->nr) * panel_bytes(p->kernel, p->planes, p->kernel->nr, p->kc));
  s->residual = s->fill;
  if (p->shape.fill_b && p->kernel->split) s->residual += align64(p->kc * p->kernel->nr * sizeof(float));
  if (p->shape.residual_is_c &&
      !size_mul(once ? p->kernel->mr : rows, (once ? p->nc : p->columns) * sizeof(float), &copy))
    return false;
  if (once && copy) copy = most(copy, (size_t)FEW_PANELS * p->kernel->mr * p->kernel->few * sizeof(float));
  return size_add(s->residual, copy, &s->bytes) && size_align(s->bytes, 64, &s->bytes);
}

static void choose_blocks(gemm_f32_plan *p) {
  const gemm_f32_shape *s = &p->shape;
  size_t mr = p->kernel->mr, nr = p->kernel->nr, l2 = cpu_cache_sizes().l2_bytes;
  size_t depth_bytes = most(p->kc, 1) * element_bytes(p->planes), room = l2 / (s->packed_b ? 4 : 2) / depth_bytes;
  p->nc = least(most(room / nr * nr, nr), p->columns);
  // A packed B costs nothing to read again; fewer rows then keep their part of C in the L2 cache.
  room = (s->packed_b ? l2 / 8 : A_BLOCK_BYTES) / depth_bytes;
  room = most(room / mr * mr, mr);
  p->mc = p->rows;
  if (!s->packed_a && p->rows > room) {  // even blocks: a small last one would read B for little
    size_t blocks = most((p->rows + room / 2) / room, 1);
    p->mc = round_up(divide_up(p->rows, blocks), mr);
  }
  p->whole_a = !s->packed_a && p->kc < s->k && p->mc <= l2 / 2 / element_bytes(p->planes) / s->k &&
               p->columns > l2 / 4 / sizeof(float) / p->mc;
}

bool gemm_f32_plan_with(gemm_f32_plan *p, const gemm_f32_shape *shape, const kernel_entry *variant) {
  const gemm_f32_kernel *kernel = variant->kernel;
  *p = (gemm_f32_plan){.shape = *shape, .kernel = kernel, .name = variant->variant};
  p->shape.batch = most(shape->batch, 1);
  p->shape.threads = most(shape->threads, 1);
  p->planes = plane_count(kernel, shape->precision);
  packing a, b;
  size_t c;
  if (!packing_init(&a, kernel, p->planes, kernel->mr, shape->m, shape->k) ||
      !packing_init(&b, kernel, p->planes, kernel->nr, shape->n, shape->k) || !size_mul(shape->m, shape->n, &c) ||
      !size_mul(c, p->shape.batch, &c) || c > SIZE_MAX / 4096)
    return false;
  p->kc = block_depth(kernel, p->planes, shape->k);
  choose_grid(p);
  choose_blocks(p);
  scratch_parts parts;
  if (!scratch_layout(p, &parts)) return false;
  p->worker_bytes = parts.bytes;
  return size_mul(p->worker_bytes, p->shape.threads, &p->scratch_bytes);
}

bool gemm_f32_plan_init(gemm_f32_plan *plan, const gemm_f32_shape *shape) {
  return gemm_f32_plan_with(plan, shape, choose(shape->k, shape->packed_a ? shape->m : shape->n));
}

// ---- run -----------------------------------------------------------------------------------------

typedef struct job {
  const gemm_f32_plan *plan;
  const gemm_f32_call *call;
  char *scratch;
  scratch_parts parts;
  activation_fn activation;  // applied after finish; NULL where finish does all
  bool plain_b, epilogue, residual_copied;
} job;

// One task: operands of its product, its corner and what is in the worker's scratch.
typedef struct task {
  const job *job;
  const gemm_f32_plan *plan;
  size_t batch, row, row_end, column, column_end;
  const float *a, *b;
  const char *packed_a, *packed_b;
  float *c;
  char *scratch;
} task;

static const void *at_batch(const gemm_f32_operand *o, const void *base, size_t batch, size_t unit) {
  return base ? (const char *)base + (o->index ? o->index[batch] : batch) * o->batch_stride * unit : NULL;
}

// The part of a residual that is C itself, copied before C is overwritten: its corner, and its stride in the scratch.
typedef struct copied {
  size_t row, column, stride;
} copied;

static void copy_residual(const task *t, copied to, size_t m, size_t n) {
  const gemm_f32_epilogue *e = &t->job->call->epilogue;
  float *copy = (float *)(t->scratch + t->job->parts.residual);
  const float *from = e->residual + t->batch * e->residual_batch_stride + to.row * e->residual_stride + to.column;
  for (size_t i = 0; i < m; i++, from += e->residual_stride, copy += to.stride) memcpy(copy, from, n * sizeof *copy);
}

// The epilogue of an m x n part of C at (row, column); `in` holds it where the residual was copied.
static void finish(const task *t, size_t row, size_t column, size_t m, size_t n, copied in) {
  const gemm_f32_call *call = t->job->call;
  gemm_f32_epilogue e = call->epilogue;
  if (e.bias) e.bias += t->batch * e.bias_batch_stride;
  if (e.bias && e.bias_kind == GEMM_BIAS_PER_COLUMN) e.bias += column;
  if (e.bias && e.bias_kind == GEMM_BIAS_PER_ROW) e.bias += row;
  if (t->job->residual_copied) {
    e.residual =
        (const float *)(t->scratch + t->job->parts.residual) + (row - in.row) * in.stride + (column - in.column);
    e.residual_stride = in.stride;
  } else if (e.residual) {
    e.residual += t->batch * e.residual_batch_stride + row * e.residual_stride + column;
  }
  if (t->job->activation) e.act.kind = ACTIVATION_NONE;
  float *c = t->c + row * call->c_stride + column;
  t->plan->kernel->finish(&e, c, call->c_stride, m, n);
  for (size_t i = 0; t->job->activation && i < m; i++, c += call->c_stride)
    t->job->activation(c, c, n, e.act.a, e.act.b);
}

// Where a block of C stands in what is done together: rows [row, row + rows) x columns [first, past), whole depth.
typedef struct place {
  size_t row, rows, first, past, k0, column;
} place;

static char *packed_rows(const task *t, size_t rows, size_t k0) {
  const gemm_f32_plan *p = t->plan;
  size_t panels = p->whole_a && k0 > 0 ? k0 / p->kc * divide_up(rows, p->kernel->mr) : 0;
  return t->scratch + t->job->parts.a + panels * panel_bytes(p->kernel, p->planes, p->kernel->mr, p->kc);
}

// Rows of A packed over one block of the depth, in their place of the scratch.
static char *pack_rows(const task *t, size_t row, size_t rows, size_t k0, size_t kc) {
  const gemm_f32_plan *p = t->plan;
  const gemm_f32_operand *a = &t->job->call->a;
  size_t mr = p->kernel->mr, bytes = panel_bytes(p->kernel, p->planes, mr, kc);
  char *block = packed_rows(t, rows, k0);
  for (size_t i = 0; i < rows; i += mr)
    p->kernel->pack_a(block + i / mr * bytes, t->a + (row + i) * a->row_stride + k0 * a->column_stride, a->row_stride,
                      a->column_stride, least(mr, rows - i), kc, p->planes);
  return block;
}

static const char *block_of_a(const task *t, const place *at, size_t kc) {
  const gemm_f32_plan *p = t->plan;
  if (kc == 0) return t->scratch;  // no depth, no operands
  if (p->whole_a) return packed_rows(t, at->rows, at->k0);
  if (!p->shape.packed_a) return pack_rows(t, at->row, at->rows, at->k0, kc);
  packing f;
  packing_init(&f, p->kernel, p->planes, p->kernel->mr, p->shape.m, p->shape.k);
  return t->packed_a + packing_offset(&f, at->k0, kc, at->row / p->kernel->mr);
}

static const char *block_of_b(const task *t, size_t column, size_t columns, size_t k0, size_t kc) {
  const gemm_f32_plan *p = t->plan;
  size_t nr = p->kernel->nr, bytes = panel_bytes(p->kernel, p->planes, nr, kc);
  if (kc == 0) return t->scratch;
  if (p->shape.packed_b) {
    packing f;
    packing_init(&f, p->kernel, p->planes, nr, p->shape.n, p->shape.k);
    return t->packed_b + packing_offset(&f, k0, kc, column / nr);
  }
  const gemm_f32_call *call = t->job->call;
  const gemm_f32_operand *b = &call->b;
  if (t->job->plain_b) return (const char *)(t->b + k0 * b->row_stride + column);
  char *block = t->scratch + t->job->parts.b;
  for (size_t j = 0; j < columns; j += nr) {
    char *panel = block + j / nr * bytes;
    size_t n = least(nr, columns - j);
    if (!p->shape.fill_b) {
      p->kernel->pack_b(panel, t->b + k0 * b->row_stride + (column + j) * b->column_stride, b->row_stride,
                        b->column_stride, kc, n, p->planes);
      continue;
    }
    float *filled = p->kernel->split ? (float *)(t->scratch + t->job->parts.fill) : (float *)panel;
    call->fill(call->fill_context, t->batch, filled, nr, k0, kc, column + j, n);
    if (p->kernel->split) p->kernel->pack_b(panel, filled, nr, 1, kc, n, p->planes);
  }
  return block;
}

// What the parts of a block of C have in common.
typedef struct block {
  gemm_f32_sweep sweep;  // a, b: of the block's corner; ahead: the block of B that comes next
  size_t row, column;    // the corner
  copied residual;
  bool once, last;  // the depth is one block; this is its last
} block;

// Columns [j, j + n) of rows [i, i + m) of a block.
static void run_part(const task *t, block *b, size_t i, size_t m, size_t j, size_t n) {
  const gemm_f32_kernel *kernel = t->plan->kernel;
  gemm_f32_sweep s = b->sweep;
  s.m = m, s.n = n;
  s.a = (const char *)s.a + i / kernel->mr * s.a_panel_bytes;
  if (j > 0)
    s.b = (const float *)s.b + (s.b_stride ? j : j / kernel->nr * (s.b_panel_bytes / sizeof(float)) + j % kernel->nr);
  s.c += i * s.c_stride + j;
  if (t->job->residual_copied && b->once) copy_residual(t, b->residual = (copied){b->row + i, b->column + j, n}, m, n);
  s.ahead += i / kernel->mr * (divide_up(n, kernel->nr) * s.k * s.ahead_step);
  kernel->sweep(&s);
  if (t->job->epilogue && b->last) finish(t, b->row + i, b->column + j, m, n, b->residual);
}

// A few columns beside whole vectors are computed apart, for FEW_PANELS panels of A while these are near.
static void run_block(const task *t, block *b, size_t rows, size_t columns) {
  const gemm_f32_kernel *kernel = t->plan->kernel;
  size_t mr = kernel->mr, few = kernel->few && rows > mr ? columns % kernel->lanes : 0;
  if (few > kernel->few) few = 0;
  for (size_t i = 0; i < rows; i += mr) {
    if (few && i % (FEW_PANELS * mr) == 0) run_part(t, b, i, least(FEW_PANELS * mr, rows - i), columns - few, few);
    if (columns > few) run_part(t, b, i, least(mr, rows - i), 0, columns - few);
  }
}

// The block of B that follows. false: none does.
static bool next_block(const task *t, place *at) {
  const gemm_f32_plan *p = t->plan;
  at->column += p->nc;
  if (at->column < at->past) return true;
  at->column = at->first;
  at->k0 += p->kc;
  if (at->k0 < p->shape.k) return true;
  at->k0 = 0;
  at->column = at->past < t->column_end ? at->past : t->column;
  return at->past < t->column_end || at->row + at->rows < t->row_end;
}

// A packed B comes from afar: while one block is worked on the next is fetched, a part with each panel of A.
static void fetch_next(const task *t, place at, gemm_f32_sweep *s, size_t columns) {
  const gemm_f32_plan *p = t->plan;
  size_t steps = divide_up(at.rows, p->kernel->mr) * divide_up(columns, p->kernel->nr) * s->k;
  if (!next_block(t, &at)) return;
  size_t kc = least(p->kc, p->shape.k - at.k0),
         panels = divide_up(least(p->nc, t->column_end - at.column), p->kernel->nr);
  size_t step = divide_up(panels * panel_bytes(p->kernel, p->planes, p->kernel->nr, kc), steps);
  if (step > LINE_BYTES) return;
  s->ahead = block_of_b(t, at.column, 0, at.k0, kc);
  s->ahead_step = step;
}

static void run_columns(const task *t, place at) {
  const gemm_f32_plan *p = t->plan;
  const gemm_f32_call *call = t->job->call;
  bool once = p->kc >= p->shape.k;
  copied residual = {at.row, at.first, p->columns};
  if (t->job->residual_copied && !once) copy_residual(t, residual, at.rows, at.past - at.first);
  do {
    size_t kc = least(p->kc, p->shape.k - at.k0);
    const char *a = block_of_a(t, &at, kc);
    for (at.column = at.first; at.column < at.past; at.column += p->nc) {
      size_t columns = least(p->nc, at.past - at.column);
      if (pool_stopped()) return;
      block b = {.sweep = {.k = kc,
                           .planes = p->planes,
                           .a = a,
                           .a_panel_bytes = panel_bytes(p->kernel, p->planes, p->kernel->mr, kc),
                           .b = block_of_b(t, at.column, columns, at.k0, kc),
                           .b_panel_bytes = panel_bytes(p->kernel, p->planes, p->kernel->nr, kc),
                           .b_stride = t->job->plain_b ? call->b.row_stride : 0,
                           .c = t->c + at.row * call->c_stride + at.column,
                           .c_stride = call->c_stride,
                           .accumulate = at.k0 > 0},
                 .row = at.row,
                 .column = at.column,
                 .residual = residual,
                 .once = once,
                 .last = at.k0 + kc == p->shape.k};
      b.sweep.ahead = b.sweep.b;
      if (p->shape.packed_b && kc > 0) fetch_next(t, at, &b.sweep, columns);
      run_block(t, &b, at.rows, columns);
    }
    at.k0 += kc;
  } while (at.k0 < p->shape.k);
}

// All of C's rows [row, row + rows) in this task. Where A is packed over its whole depth, that of a block of columns
// comes before the next: its part of C stays in the cache.
static void run_rows(const task *t, size_t row, size_t rows) {
  const gemm_f32_plan *p = t->plan;
  size_t step = p->shape.packed_a || p->whole_a ? p->nc : p->columns;
  if (p->whole_a)
    for (size_t k0 = 0; k0 < p->shape.k; k0 += p->kc) pack_rows(t, row, rows, k0, least(p->kc, p->shape.k - k0));
  for (size_t column = t->column; column < t->column_end; column += step)
    run_columns(t, (place){.row = row, .rows = rows, .first = column, .past = least(column + step, t->column_end)});
}

static void run_task(void *context, size_t index, size_t worker) {
  const job *j = context;
  const gemm_f32_plan *p = j->plan;
  const gemm_f32_shape *s = &p->shape;
  const gemm_f32_call *call = j->call;
  size_t across = divide_up(s->n, p->columns), down = divide_up(s->m, p->rows), batch = index / (across * down);
  task t = {.job = j, .plan = p, .batch = batch, .scratch = j->scratch + worker * p->worker_bytes};
  t.row = index % (across * down) / across * p->rows;
  t.column = index % across * p->columns;
  t.row_end = least(t.row + p->rows, s->m);
  t.column_end = least(t.column + p->columns, s->n);
  t.a = at_batch(&call->a, call->a.data, batch, sizeof(float));
  t.b = at_batch(&call->b, call->b.data, batch, sizeof(float));
  packing f;
  if (s->packed_a && packing_init(&f, p->kernel, p->planes, p->kernel->mr, s->m, s->k))
    t.packed_a = at_batch(&call->a, call->a.packed, batch, most(f.bytes, 64));
  if (s->packed_b && packing_init(&f, p->kernel, p->planes, p->kernel->nr, s->n, s->k))
    t.packed_b = at_batch(&call->b, call->b.packed, batch, most(f.bytes, 64));
  t.c = call->c + batch * call->c_batch_stride;
  if (p->kernel->enter) p->kernel->enter(t.scratch);
  for (size_t row = t.row; row < t.row_end; row += p->mc) run_rows(&t, row, least(p->mc, t.row_end - row));
  if (p->kernel->leave) p->kernel->leave(t.scratch);
}

void gemm_f32_run(const gemm_f32_plan *p, const gemm_f32_call *call, void *scratch) {
  const gemm_f32_shape *s = &p->shape;
  if (s->m == 0 || s->n == 0) return;
  job j = {.plan = p, .call = call, .scratch = scratch};
  scratch_layout(p, &j.parts);
  const gemm_f32_epilogue *e = &call->epilogue;
  activation_kind kind = e->act.kind;
  j.epilogue = e->alpha != 1 || e->bias || e->residual || kind != ACTIVATION_NONE;
  if (kind != ACTIVATION_RELU && kind != ACTIVATION_CLIP) j.activation = activation_find(kind);
  j.residual_copied = e->residual && s->residual_is_c;
  j.plain_b = !s->packed_b && !s->fill_b && call->b.column_stride == 1 && p->kernel->reads_plain_b &&
              call->b.row_stride != 0 && s->k > 0 &&
              (call->b.row_stride * sizeof(float) % ALIAS_BYTES != 0 || p->rows <= PLAIN_B_PANELS * p->kernel->mr);
  pool_run(s->threads, divide_up(s->m, p->rows) * divide_up(s->n, p->columns) * s->batch, run_task, &j);
}
