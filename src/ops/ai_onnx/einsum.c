// SPDX-License-Identifier: Apache-2.0
// Einsum: sums of products over named dimensions ("bhqd,bhkd->bhqk").
//
//   Terms are contracted pairwise from the left, so the work is bounded by the intermediates and no path is
//   searched. For a pair every label is one of: batch (in both, still needed), K (in both, summed), M or N
//   (in one, still needed), or summed at once (in one, never needed again). Each side is brought to
//   [batch, M, K] and [batch, K, N] (a strided gather that also takes diagonals, sums and broadcasts; skipped
//   where the data already lies so) and multiplied: float kinds by gemm_f32, double and integers (as
//   uint64, which wraps like any width) by a plain loop.
//
// An ellipsis stands for leading dimensions aligned from the right. Without "->" the output has the ellipsis
// and the labels that occur once, in alphabetical order. History: 12; 28 adds bfloat16.
#include "kernels/gemm_f32/gemm_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"

enum { MAX_LABELS = 64, ELLIPSIS = 52 };  // letters, then the dimensions of the ellipsis

typedef struct einsum_params {
  size_t terms;
  const uint8_t *labels[64];  // of each term; ELLIPSIS stands for all of its dimensions
  uint8_t counts[64];
  const uint8_t *out;
  uint8_t out_count;
} einsum_params;

// ---- params ---------------------------------------------------------------------------------------

static int label_of(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1; }

// One term, up to ',' or "->" or the end.
static sdx_status read_term(op_params_context *c, str text, size_t *at, const uint8_t **labels, uint8_t *count) {
  uint8_t found[MAX_LABELS];
  size_t n = 0;
  bool dots = false;
  for (; *at < text.size && text.at[*at] != ',' && text.at[*at] != '-'; ++*at) {
    char ch = text.at[*at];
    if (ch == ' ') continue;
    int label = label_of(ch);
    if (ch == '.') {
      if (*at + 2 >= text.size || text.at[*at + 1] != '.' || text.at[*at + 2] != '.')
        return params_fail(c, "equation", "has a '.' at %zu that is no part of an ellipsis", *at);
      if (dots) return params_fail(c, "equation", "has two ellipses in one term, the second at %zu", *at);
      dots = true;
      *at += 2;
      label = ELLIPSIS;
    }
    if (label < 0) return params_fail(c, "equation", "has '%c' at %zu, expected letters, '...', ',' and '->'", ch, *at);
    if (n == MAX_LABELS)
      return params_fail(c, "equation", "has more than %d labels in the term that ends after %zu", MAX_LABELS, *at);
    found[n++] = (uint8_t)label;
  }
  *labels = arena_copy(c->memory, found, n ? n : 1);
  *count = (uint8_t)n;
  return *labels ? SDX_OK : error_no_memory(c->err, n);
}

static sdx_status implicit_output(op_params_context *c, einsum_params *p) {
  uint8_t uses[ELLIPSIS + 1] = {0}, out[ELLIPSIS + 1];
  size_t n = 0;
  for (size_t t = 0; t < p->terms; t++)
    for (size_t i = 0; i < p->counts[t]; i++)
      if (uses[p->labels[t][i]] < 2) uses[p->labels[t][i]]++;
  if (uses[ELLIPSIS]) out[n++] = ELLIPSIS;
  for (uint8_t l = 0; l < ELLIPSIS; l++)
    if (uses[l] == 1) out[n++] = l;
  p->out = arena_copy(c->memory, out, n ? n : 1);
  p->out_count = (uint8_t)n;
  return p->out ? SDX_OK : error_no_memory(c->err, n);
}

static sdx_status einsum_read(op_params_context *c, void *params) {
  einsum_params *p = params;
  str text = params_string(c, "equation");
  size_t at = 0;
  for (;; at++) {
    if (p->terms == 64) return params_fail(c, "equation", "has more than 64 terms");
    SDX_TRY(read_term(c, text, &at, &p->labels[p->terms], &p->counts[p->terms]));
    p->terms++;
    if (at >= text.size || text.at[at] == '-') break;
  }
  if (at >= text.size) return implicit_output(c, p);
  if (at + 1 >= text.size || text.at[at + 1] != '>')
    return params_fail(c, "equation", "has a '-' at %zu that is no part of '->'", at);
  at += 2;
  SDX_TRY(read_term(c, text, &at, &p->out, &p->out_count));
  if (at < text.size) return params_fail(c, "equation", "goes on after the output term at %zu", at);
  uint64_t in = 0, seen = 0;
  for (size_t t = 0; t < p->terms; t++)
    for (size_t i = 0; i < p->counts[t]; i++) in |= 1ull << p->labels[t][i];
  for (size_t i = 0; i < p->out_count; i++) {
    uint64_t bit = 1ull << p->out[i];
    if (seen & bit) return params_fail(c, "equation", "repeats label %zu of the output term", i);
    if (p->out[i] != ELLIPSIS && !(in & bit))
      return params_fail(c, "equation", "has an output label that is in no input term");
    seen |= bit;
  }
  return SDX_OK;
}

// ---- labels and sizes -----------------------------------------------------------------------------

// Labels with the ellipsis spelled out: dimension j from the right of any ellipsis is label ELLIPSIS + j.
typedef struct subscripts {
  uint8_t labels[TENSOR_MAX_RANK];
  size_t count;
} subscripts;

static bool spell_out(const uint8_t *labels, size_t count, size_t dots, subscripts *out) {
  out->count = 0;
  for (size_t i = 0; i < count; i++) {
    size_t n = labels[i] == ELLIPSIS ? dots : 1;
    if (out->count + n > TENSOR_MAX_RANK) return false;
    for (size_t k = 0; k < n; k++)
      out->labels[out->count++] = labels[i] == ELLIPSIS ? (uint8_t)(ELLIPSIS + n - 1 - k) : labels[i];
  }
  return true;
}

// Layouts of all terms and the size of every label; ranks of all inputs are known. NULL, or what is wrong.
static const char *make_layouts(const einsum_params *p, size_t inputs, const int64_t *const *dims, const int *ranks,
                                subscripts *terms, subscripts *out, int64_t *sizes, size_t *bad) {
  size_t most = 0;
  for (int l = 0; l < MAX_LABELS; l++) sizes[l] = 1;
  for (size_t t = 0; t < inputs; t++) {
    bool dots = false;
    *bad = t;
    for (size_t i = 0; i < p->counts[t]; i++) dots |= p->labels[t][i] == ELLIPSIS;
    size_t named = p->counts[t] - (size_t)dots, rank = (size_t)ranks[t];
    if (rank < named || (!dots && rank != named)) return "has another rank than its term of the equation";
    if (rank - named > MAX_LABELS - ELLIPSIS) return "has more dimensions under its ellipsis than are supported (12)";
    if (rank - named > most) most = rank - named;
    if (!spell_out(p->labels[t], p->counts[t], rank - named, &terms[t])) return "has too many dimensions";
    for (size_t i = 0; i < rank; i++) {
      int64_t *size = &sizes[terms[t].labels[i]], d = dims[t][i];
      if (*size == 1) *size = d;
      else if (d >= 0 && *size >= 0 && d != 1 && d != *size)
        return "has a dimension that differs from the same label elsewhere";
      else if (*size < 0 && d > 1) *size = d;
    }
  }
  *bad = 0;
  return spell_out(p->out, p->out_count, most, out) ? NULL : "leads to too many output dimensions";
}

// ---- infer ----------------------------------------------------------------------------------------

static sdx_status einsum_infer(op_step *c) {
  const einsum_params *p = c->params;
  const int64_t *dims[64];
  int ranks[64];
  subscripts *layouts = arena_array(c->memory, p->terms + 1, sizeof *layouts);
  int64_t sizes[MAX_LABELS], out[TENSOR_MAX_RANK];
  size_t bad = 0;
  if (!layouts) return error_no_memory(c->err, p->terms * sizeof *layouts);
  if (c->input_count != p->terms)
    return step_fail(c, SDX_INVALID_GRAPH, "the equation has %zu terms, but %u inputs are given", p->terms,
                     c->input_count);
  for (size_t t = 0; t < p->terms; t++) {
    SDX_TRY(infer_need(c, t));
    ranks[t] = infer_rank_of(c, t);
    if (ranks[t] < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
    dims[t] = c->in_types[t]->dims;
  }
  const char *problem = make_layouts(p, p->terms, dims, ranks, layouts, &layouts[p->terms], sizes, &bad);
  if (problem) return step_fail_at(c, at_input(bad), SDX_INVALID_SHAPE, "%s", problem);
  const subscripts *y = &layouts[p->terms];
  for (size_t i = 0; i < y->count; i++) out[i] = sizes[y->labels[i]];
  return infer_output(c, 0, infer_dtype_of(c, 0), (int)y->count, out);
}

// ---- prepare --------------------------------------------------------------------------------------

// to[out labels] = sum over `sums` of from[..]: strides of the source per label.
typedef struct move {
  size_t rank, sums;
  int64_t dims[TENSOR_MAX_RANK];  // output dimensions, then summed ones
  size_t strides[TENSOR_MAX_RANK];
  size_t count, each;  // outputs, summands of one
  bool whole;          // the source already lies so
} move;

// A dense tensor in the working type (or an input).
typedef struct part {
  subscripts subscripts;
  int64_t dims[TENSOR_MAX_RANK];
} part;

typedef struct pair {
  move left, right;
  size_t batch, m, n, k;
  gemm_f32_plan plan;
} pair;

typedef struct einsum_state {
  size_t pairs;
  pair *at;
  move only;  // one term: nothing to multiply
  size_t scratch_bytes;
} einsum_state;

typedef enum work_kind { WORK_FLOAT, WORK_DOUBLE, WORK_INT } work_kind;
static work_kind kind_of(sdx_dtype d) {
  return d == SDX_DOUBLE ? WORK_DOUBLE : dtype_is_float(d) ? WORK_FLOAT : WORK_INT;
}
static size_t width_of(work_kind k) { return k == WORK_FLOAT ? sizeof(float) : 8; }

static bool has(const subscripts *l, uint8_t label) { return memchr(l->labels, label, l->count) != NULL; }

// The gather that brings `from` to the labels of `to`, summing over those in `sums`.
static bool plan_move(const part *from, const subscripts *to, const subscripts *sums, const int64_t *sizes, move *m) {
  size_t stride = 1, steps[MAX_LABELS] = {0};
  *m = (move){.rank = to->count, .sums = sums->count, .count = 1, .each = 1};
  if (to->count + sums->count > TENSOR_MAX_RANK) return false;
  for (size_t i = from->subscripts.count; i-- > 0;) {
    if (from->dims[i] != 1) steps[from->subscripts.labels[i]] += stride;  // a repeated label walks the diagonal
    stride *= (size_t)from->dims[i];
  }
  size_t dense = 1;
  m->whole = sums->count == 0;
  for (size_t i = to->count + sums->count; i-- > 0;) {
    uint8_t label = i < to->count ? to->labels[i] : sums->labels[i - to->count];
    m->dims[i] = sizes[label];
    m->strides[i] = steps[label];
    if (!size_mul(i < to->count ? m->count : m->each, (size_t)sizes[label], i < to->count ? &m->count : &m->each))
      return false;
    m->whole &= sizes[label] == 1 || steps[label] == dense;
    dense *= (size_t)sizes[label];
  }
  return true;
}

static bool reserve_move(size_t *total, const move *m, bool direct, size_t width) {
  size_t bytes;
  return (m->whole && direct) || (size_mul(m->count, width, &bytes) && scratch_reserve(total, bytes));
}

static void append(subscripts *l, const subscripts *more) {
  memcpy(l->labels + l->count, more->labels, more->count);
  l->count += more->count;
}

// Contracts `left` (replaced by the result) with `right`; `needed` marks labels wanted later.
static sdx_status plan_pair(op_step *c, einsum_state *s, pair *q, part *left, const part *right, const bool *needed,
                            const int64_t *sizes, bool left_direct, bool right_direct, work_kind kind) {
  subscripts batch = {{0}, 0}, m = batch, n = batch, k = batch, left_sums = batch, right_sums = batch;
  q->batch = q->m = q->n = q->k = 1;
  for (uint8_t l = 0; l < MAX_LABELS; l++) {
    bool a = has(&left->subscripts, l), b = has(&right->subscripts, l);
    subscripts *to = a && b ? (needed[l] ? &batch : &k)
                     : a    ? (needed[l] ? &m : &left_sums)
                     : b    ? (needed[l] ? &n : &right_sums)
                            : NULL;
    if (!to) continue;
    to->labels[to->count++] = l;
    size_t *size = to == &batch ? &q->batch : to == &k ? &q->k : to == &m ? &q->m : to == &n ? &q->n : NULL;
    if (size && !size_mul(*size, (size_t)sizes[l], size)) return error_no_memory(c->err, SIZE_MAX);
  }
  subscripts a = batch, b = batch, y = batch;
  append(&a, &m), append(&a, &k);
  append(&b, &k), append(&b, &n);
  append(&y, &m), append(&y, &n);
  size_t width = width_of(kind), result = 0, total = s->scratch_bytes;
  bool fits = plan_move(left, &a, &left_sums, sizes, &q->left) && plan_move(right, &b, &right_sums, sizes, &q->right) &&
              reserve_move(&total, &q->left, left_direct, width) &&
              reserve_move(&total, &q->right, right_direct, width) && size_mul(q->batch, q->m, &result) &&
              size_mul(result, q->n, &result) && size_mul(result, width, &result) && scratch_reserve(&total, result);
  if (fits && kind == WORK_FLOAT) {
    gemm_f32_shape shape = {
        .m = q->m, .n = q->n, .k = q->k, .batch = q->batch, .threads = c->threads, .precision = c->precision};
    fits = gemm_f32_plan_init(&q->plan, &shape) && scratch_reserve(&total, q->plan.scratch_bytes);
    c->kernel = q->plan.name;
  }
  if (!fits || y.count > TENSOR_MAX_RANK) return error_no_memory(c->err, SIZE_MAX);
  s->scratch_bytes = total;
  left->subscripts = y;
  for (size_t i = 0; i < y.count; i++) left->dims[i] = sizes[y.labels[i]];
  return SDX_OK;
}

static sdx_status einsum_prepare(op_step *c) {
  const einsum_params *p = c->params;
  einsum_state *s = arena_zalloc(c->memory, sizeof *s);
  part *parts = arena_array(c->memory, p->terms, sizeof *parts);
  subscripts *layouts = arena_array(c->memory, p->terms + 1, sizeof *layouts);
  const int64_t *dims[64];
  int ranks[64];
  int64_t sizes[MAX_LABELS];
  size_t bad;
  if (!s || !parts || !layouts) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  c->kernel = "portable";
  s->pairs = p->terms - 1;
  s->at = arena_array(c->memory, p->terms, sizeof *s->at);
  if (!s->at) return error_no_memory(c->err, p->terms * sizeof *s->at);
  if (step_out(c, 0)->count == 0) return SDX_OK;
  for (size_t t = 0; t < p->terms; t++) dims[t] = step_in(c, t)->dims, ranks[t] = step_in(c, t)->rank;
  make_layouts(p, p->terms, dims, ranks, layouts, &layouts[p->terms], sizes, &bad);
  for (size_t t = 0; t < p->terms; t++) {
    parts[t].subscripts = layouts[t];
    memcpy(parts[t].dims, dims[t], (size_t)ranks[t] * sizeof **dims);
  }
  const subscripts *out = &layouts[p->terms];
  sdx_dtype dtype = (sdx_dtype)step_in(c, 0)->dtype;
  work_kind kind = kind_of(dtype);
  bool direct = dtype == SDX_FLOAT || dtype == SDX_DOUBLE || dtype == SDX_INT64 || dtype == SDX_UINT64;
  for (size_t t = 1; t < p->terms; t++) {
    bool needed[MAX_LABELS] = {0};
    for (size_t i = 0; i < out->count; i++) needed[out->labels[i]] = true;
    for (size_t u = t + 1; u < p->terms; u++)
      for (size_t i = 0; i < layouts[u].count; i++) needed[layouts[u].labels[i]] = true;
    SDX_TRY(plan_pair(c, s, &s->at[t - 1], &parts[0], &parts[t], needed, sizes, direct || t > 1, direct, kind));
  }
  subscripts rest = {{0}, 0};
  for (uint8_t l = 0; l < MAX_LABELS; l++)
    if (has(&parts[0].subscripts, l) && !has(out, l)) rest.labels[rest.count++] = l;
  if (!plan_move(&parts[0], out, &rest, sizes, &s->only)) return error_no_memory(c->err, SIZE_MAX);
  size_t last = 0;  // the output in the working type where that is not its own
  if (!direct && (!size_mul(step_out(c, 0)->count, width_of(kind), &last) || !scratch_reserve(&s->scratch_bytes, last)))
    return error_no_memory(c->err, SIZE_MAX);
  c->scratch_bytes = s->scratch_bytes;
  return SDX_OK;
}

// ---- compute --------------------------------------------------------------------------------------

typedef struct move_work {
  const move *move;
  const void *from;
  sdx_dtype from_type;
  void *to;
  work_kind kind;
} move_work;

static uint64_t int_at(sdx_dtype d, const void *data, size_t i) { return (uint64_t)convert_get_int(d, data, i); }

static void move_range(void *context, size_t begin, size_t end, size_t worker) {
  const move_work *w = context;
  const move *m = w->move;
  size_t done = 0;
  for (size_t o = begin; o < end; o++) {
    size_t base = 0, rest = o;
    for (size_t d = m->rank; d-- > 0;) {
      base += rest % (size_t)m->dims[d] * m->strides[d];
      rest /= (size_t)m->dims[d];
    }
    double sum = 0;
    uint64_t whole = 0;
    for (size_t e = 0; e < m->each && !pool_stopped_after(&done, 1); e++) {
      size_t at = base;
      rest = e;
      for (size_t d = m->rank + m->sums; d-- > m->rank;) {
        at += rest % (size_t)m->dims[d] * m->strides[d];
        rest /= (size_t)m->dims[d];
      }
      double v = 0;
      if (w->kind == WORK_INT) whole += int_at(w->from_type, w->from, at);
      else if (w->from_type == SDX_FLOAT) sum += (double)((const float *)w->from)[at];
      else convert_to_doubles(w->from_type, w->from, at, 1, &v), sum += v;
    }
    if (w->kind == WORK_INT) ((uint64_t *)w->to)[o] = whole;
    else if (w->kind == WORK_FLOAT) ((float *)w->to)[o] = (float)sum;
    else ((double *)w->to)[o] = sum;
  }
}

// Runs a move into `to`, or gives the source where it lies right already.
static const void *run_move(op_step *c, const move *m, const void *from, sdx_dtype type, work_kind kind,
                            char **scratch) {
  sdx_dtype own = kind == WORK_FLOAT ? SDX_FLOAT : kind == WORK_DOUBLE ? SDX_DOUBLE : SDX_INT64;
  if (m->whole && (type == own || (own == SDX_INT64 && type == SDX_UINT64))) return from;
  move_work w = {m, from, type, scratch_take(scratch, m->count * width_of(kind)), kind};
  call_parallel(c, m->count, 1 + 4096 / (m->each + 1), move_range, &w);
  return w.to;
}

typedef struct multiply {
  const pair *pair;
  const void *a, *b;
  void *y;
} multiply;

#define T double
#define NAME multiply_doubles
#include "ops/ai_onnx/einsum.inl"
#define T uint64_t
#define NAME multiply_ints
#include "ops/ai_onnx/einsum.inl"

static void *run_pair(op_step *c, const pair *q, const void *a, const void *b, work_kind kind, char **scratch) {
  void *y = scratch_take(scratch, q->batch * q->m * q->n * width_of(kind));
  if (kind == WORK_FLOAT) {
    gemm_f32_call call = {.a = {.data = a, .row_stride = q->k, .column_stride = 1, .batch_stride = q->m * q->k},
                          .b = {.data = b, .row_stride = q->n, .column_stride = 1, .batch_stride = q->k * q->n},
                          .c = y,
                          .c_stride = q->n,
                          .c_batch_stride = q->m * q->n,
                          .epilogue = GEMM_F32_PLAIN};
    gemm_f32_run(&q->plan, &call, scratch_take(scratch, q->plan.scratch_bytes));
    return y;
  }
  multiply w = {q, a, b, y};
  call_parallel(c, q->batch * q->m, 1 + 32768 / (q->n * q->k + 1),
                kind == WORK_DOUBLE ? multiply_doubles : multiply_ints, &w);
  return y;
}

static sdx_status einsum_compute(op_step *c) {
  const einsum_state *s = c->state;
  tensor *y = step_out(c, 0);
  sdx_dtype dtype = (sdx_dtype)y->dtype, now_type = dtype;
  work_kind kind = kind_of(dtype);
  if (y->count == 0) return SDX_OK;
  char *scratch = c->scratch;
  const void *now = step_in(c, 0)->data;
  for (size_t i = 0; i < s->pairs; i++) {
    const pair *q = &s->at[i];
    const void *a = run_move(c, &q->left, now, now_type, kind, &scratch);
    const void *b = run_move(c, &q->right, step_in(c, i + 1)->data, dtype, kind, &scratch);
    now = run_pair(c, q, a, b, kind, &scratch);
    now_type = kind == WORK_FLOAT ? SDX_FLOAT : kind == WORK_DOUBLE ? SDX_DOUBLE : SDX_INT64;
    SDX_TRY(call_check(c));
  }
  bool direct = dtype == SDX_FLOAT || dtype == SDX_DOUBLE || dtype == SDX_INT64 || dtype == SDX_UINT64;
  move_work w = {&s->only, now, now_type, direct ? y->data : scratch, kind};
  call_parallel(c, y->count, 1 + 4096 / (s->only.each + 1), move_range, &w);
  if (kind == WORK_FLOAT && !direct) widen_write(dtype, y->data, 0, y->count, w.to);
  // Integers wrap to their width: the low bytes are the result.
  size_t width = y->bytes / y->count;
  for (size_t i = 0; kind == WORK_INT && !direct && i < y->count; i++) {
    uint64_t v = ((const uint64_t *)w.to)[i];
    if (width == 1) ((uint8_t *)y->data)[i] = (uint8_t)v;
    else if (width == 2) ((uint16_t *)y->data)[i] = (uint16_t)v;
    else ((uint32_t *)y->data)[i] = (uint32_t)v;
  }
  return call_check(c);
}

SDX_CASES = {"Inputs=float[3,4] Inputs=float[4,5] equation=ij,jk->ik",
             "Inputs=float[2,3,4,5] Inputs=float[2,3,6,5] equation=bhqd,bhkd->bhqk",
             "Inputs=double[3,3] equation=ii->i", "Inputs=int32[2,3] equation=...j", NULL};

SDX_OP(Einsum) = {
    .since = 28,
    .versions = "28 12",
    .inputs = "Inputs:T+",
    .outputs = "Output:T",
    .types = "T=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64",
    .attrs = "equation:string!",
    .params_size = sizeof(einsum_params),
    .params = einsum_read,
    .infer = einsum_infer,
    .prepare = einsum_prepare,
    .compute = einsum_compute,
    .cases = cases,
};
