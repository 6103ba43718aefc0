// SPDX-License-Identifier: Apache-2.0
// Products, sums and means of dequantised numbers become operators on bytes, which sum integers exactly and round once:
//
//   QuantizeLinear(Conv(DequantizeLinear(x), DequantizeLinear(w), b))    QLinearConv
//   Gemm, MatMul, MatMul + Add                                           QGemm, QLinearMatMul, MatMulIntegerToFloat
//   Add, Mul, AveragePool, GlobalAveragePool, ReduceMean                 QLinearAdd, QLinearMul, QLinear...Pool
//
// A Relu or Clip before QuantizeLinear is what saturation does, or a table behind the operator. A bias becomes int32 in
// units of both scales: at most half of such a unit away, which is refused where it is more than half a step of the
// result. So results are within one step of what the float operators give. Products without QuantizeLinear end in
// float. Read next: quantized.h, move_quantized.c, look_up.c.
#include <math.h>

#include "ops/own.h"
#include "passes/quantized.h"

typedef struct fusion {
  pass_context *c;
  graph *graph;
  node **reader;   // see match_sole_readers
  node *quantize;  // NULL: the result stays float
  node *core;      // what is fused
  quantized y;
  float low, high;  // the range that Relu and Clip between the two leave
} fusion;

// ---- Relu, Clip ---------------------------------------------------------------------------------------

static float clamped(const fusion *f, float v) {
  v = v > f->low ? v : f->low;
  return v < f->high ? v : f->high;
}

static bool read_clamp(const graph *g, const node *n, float *low, float *high) {
  *low = 0, *high = INFINITY;
  if (match_is(n, "Relu")) return true;
  return match_is(n, "Clip") && match_scalar(g, n, 1, -INFINITY, low) && match_scalar(g, n, 2, INFINITY, high) &&
         !isnan(*low) && !isnan(*high);
}

// From QuantizeLinear back to what is neither Relu nor Clip; nobody else may read what lies between.
static bool read_ending(fusion *f, node *quantize) {
  float low, high;
  node *next = quantize;
  f->low = -INFINITY, f->high = INFINITY, f->quantize = quantize;
  if (!quantized_from(f->graph, quantize, &f->y) || f->y.axis != ONE_FOR_ALL) return false;
  for (;; next = f->core) {
    if (f->reader[next->inputs[0]] != next) return false;
    f->core = match_producer(f->graph, next->inputs[0]);
    if (!f->core || f->core->dead) return false;
    if (!read_clamp(f->graph, f->core, &low, &high)) return true;
    low = clamped(f, low), high = clamped(f, high);
    f->low = low, f->high = high;
  }
}

// `to`, or a new value: what a table has for the bytes `x`. `entry` is asked for every byte.
static sdx_status add_lookup(fusion *f, value_id x, sdx_dtype dtype, uint8_t (*entry)(const fusion *f, int byte),
                             value_id *to) {
  graph *g = f->graph;
  const int64_t size = 256;
  value_id in[2] = {x};
  void *table = NULL;
  SDX_TRY(match_new_constant(f->c, dtype, 1, &size, &in[1], &table));
  for (int i = 0; i < size; i++) ((uint8_t *)table)[i] = entry(f, i);
  if (!*to && !(*to = graph_add_value(g, (str){0}))) return error_no_memory(f->c->err, sizeof(graph_value));
  node *n = graph_add_node(g, str_from(op_lookup.domain), str_from(op_lookup.name), 2, in, 1, to, f->c->err);
  if (!n) return f->c->err->status;
  return op_bind(g, n, 0, f->c->err);
}

static uint8_t clamp_entry(const fusion *f, int byte) {
  int32_t low = quantized_round(f->graph, &f->y, f->low), high = quantized_round(f->graph, &f->y, f->high);
  int32_t v = f->y.dtype == SDX_INT8 ? (int8_t)byte : byte;
  return (uint8_t)(v < low ? low : v > high ? high : v);
}

static bool range_clamps(const fusion *f) {
  int32_t low = quantized_round(f->graph, &f->y, f->low), high = quantized_round(f->graph, &f->y, f->high);
  return f->y.dtype == SDX_INT8 ? low == INT8_MIN && high == INT8_MAX : low == 0 && high == UINT8_MAX;
}

// ---- making nodes -------------------------------------------------------------------------------------

// Zero point of `q` as an input that must be given. VALUE_ABSENT: memory.
static value_id zero_of(fusion *f, const quantized *q) {
  return q->zero ? q->zero : graph_constant_scalar(f->graph, q->dtype, 0);
}

// A new node takes the place of everything from `core` to QuantizeLinear (from `core` to `result` without one).
static sdx_status replace(fusion *f, const char *op_type, bool contrib, size_t inputs, const value_id *in,
                          node **made) {
  graph *g = f->graph;
  value_id y = f->quantize ? f->quantize->outputs[0] : f->core->outputs[0];
  bool clamps = f->quantize && !range_clamps(f);
  if (clamps) {
    value_id fused = graph_add_value(g, (str){0});
    if (!fused) return error_no_memory(f->c->err, sizeof(graph_value));
    SDX_TRY(add_lookup(f, fused, f->y.dtype, clamp_entry, &y));
    y = fused;
  }
  node *n =
      graph_add_node(g, contrib ? STR("com.microsoft") : STR(""), str_from(op_type), inputs, in, 1, &y, f->c->err);
  if (!n) return f->c->err->status;
  n->name = f->core->name;
  for (node *p = f->quantize; p; p = p == f->core ? NULL : match_producer(g, p->inputs[0])) p->dead = true;
  f->core->dead = f->c->changed = true;
  *made = n;
  return SDX_OK;
}

static sdx_status take_attrs(fusion *f, node *n, const char *const *names) {
  for (size_t i = 0; names[i]; i++) {
    const attr *a = node_attr(f->core, names[i]);
    if (a) SDX_TRY(node_set_attr(f->graph, n, *a));
  }
  return op_bind(f->graph, n, 0, f->c->err);
}

static const char *const no_attrs[] = {NULL};

// ---- what products have in common ---------------------------------------------------------------------

// A product x w with sums of `depth` terms, for `columns` results that have scales and biases of their own.
typedef struct product {
  quantized x, w;
  int64_t depth, columns;
  double unit_factor;  // of the unit of the sums, beside both scales
  value_id bias;       // in float, or VALUE_ABSENT
  double bias_factor;
} product;

static float w_scale(const fusion *f, const product *p, int64_t column) {
  return quantized_scale(f->graph, &p->w, p->w.axis == ONE_FOR_ALL ? 0 : (size_t)column);
}

// Scales can be multiplied, and int32 holds every sum: also of lengths that are free, such as those of sequences, which
// would have to pass 33,000 numbers of the largest size.
static bool product_fits(const fusion *f, const product *p) {
  const graph *g = f->graph;
  bool centred = p->w.dtype == SDX_INT8;
  float x_scale = quantized_scale(g, &p->x, 0), y_scale = f->quantize ? quantized_scale(g, &f->y, 0) : 1;
  for (size_t i = 0; i < quantized_count(g, &p->w); i++) {
    float unit = x_scale * quantized_scale(g, &p->w, i);
    if (!isnormal(unit) || !isnormal(unit / y_scale)) return false;
    centred &= quantized_zero(g, &p->w, i) == 0;
  }
  return p->depth <= (1 << 30) / (255 * (centred ? 128 : 255)) && p->columns > 0;
}

// Number i of a bias: a constant, or int32 that is dequantised.
static bool bias_at(const graph *g, const product *p, size_t i, double *out) {
  const tensor *t = g->values[p->bias].constant;
  const node *n = match_producer(g, p->bias);
  if (!t && match_is(n, "DequantizeLinear")) {
    const tensor *b = g->values[n->inputs[0]].constant, *scale = g->values[n->inputs[1]].constant;
    const tensor *zero = n->input_count > 2 && n->inputs[2] ? g->values[n->inputs[2]].constant : NULL;
    if (!b || b->dtype != SDX_INT32 || !scale || scale->dtype != SDX_FLOAT || scale->rank > 1 || i >= b->count ||
        (scale->count != 1 && scale->count != b->count) || node_attr_int(n, "block_size", 0) != 0)
      return false;
    if (n->input_count > 2 && n->inputs[2])
      for (size_t k = 0; !zero || k < zero->count; k++)
        if (!zero || zero->dtype != SDX_INT32 || ((const int32_t *)zero->data)[k] != 0) return false;
    *out = (double)((const int32_t *)b->data)[i] * (double)((const float *)scale->data)[scale->count > 1 ? i : 0];
    return true;
  }
  if (!t || t->dtype != SDX_FLOAT || i >= t->count) return false;
  *out = (double)((const float *)t->data)[i];
  return true;
}

// One number a column, along the last dimension.
static bool bias_is_row(const graph *g, const product *p, int most_rank) {
  const type_info *t = &g->values[p->bias].type;
  if (t->kind != TYPE_TENSOR || t->rank < 1 || t->rank > most_rank || t->dims[t->rank - 1] != p->columns) return false;
  for (int i = 0; i + 1 < t->rank; i++)
    if (t->dims[i] != 1) return false;
  return true;
}

// The bias as int32 in units of the sums, VALUE_ABSENT where it does not fit or there is none.
static sdx_status make_bias(fusion *f, const product *p, value_id *out) {
  enum { MOST = 1 << 30 };
  const graph *g = f->graph;
  double *units = arena_array(f->c->scratch, (size_t)p->columns, sizeof *units);
  void *data = NULL;
  *out = VALUE_ABSENT;
  if (!units) return error_no_memory(f->c->err, (size_t)p->columns * sizeof *units);
  for (int64_t i = 0; i < p->columns; i++) {
    double number, unit = (double)quantized_scale(g, &p->x, 0) * (double)w_scale(f, p, i) * p->unit_factor;
    if (!bias_at(g, p, (size_t)i, &number)) return SDX_OK;
    double exact = number * p->bias_factor / unit;
    units[i] = rint(exact);
    double off = fabs(exact - units[i]), most = 1e-6 * fabs(exact) + 1e-6;
    if (!(fabs(exact) <= MOST)) return SDX_OK;
    // What ends in float has no step to be within: an integer but for the rounding of its factors.
    if (f->quantize ? off > most && unit > (double)quantized_scale(g, &f->y, 0) : off > most) return SDX_OK;
  }
  SDX_TRY(match_new_constant(f->c, SDX_INT32, 1, &p->columns, out, &data));
  for (int64_t i = 0; i < p->columns; i++) ((int32_t *)data)[i] = (int32_t)units[i];
  return SDX_OK;
}

// x, scale, zero, w, scale, zero; with y and a bias where they are given. false: memory.
static bool list_inputs(fusion *f, const product *p, value_id bias, bool bias_last, value_id in[9], size_t *count) {
  const value_id factors[] = {p->x.bytes, p->x.scale, zero_of(f, &p->x), p->w.bytes, p->w.scale, zero_of(f, &p->w)};
  memcpy(in, factors, sizeof factors);
  size_t n = 6;
  if (!bias_last) in[n++] = bias;
  if (f->quantize) in[n++] = f->y.scale, in[n++] = zero_of(f, &f->y);
  if (bias_last && bias) in[n++] = bias;
  *count = n;
  return in[2] && in[5] && (!f->quantize || in[bias_last ? 7 : 8]);
}

// ---- Conv ---------------------------------------------------------------------------------------------

static sdx_status fuse_conv(fusion *f) {
  static const char *const names[] = {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides", NULL};
  graph *g = f->graph;
  const node *n = f->core;
  product p = {.unit_factor = 1, .bias_factor = 1, .bias = n->input_count > 2 ? n->inputs[2] : VALUE_ABSENT};
  if (!quantized_source(g, n->inputs[0], &p.x) || p.x.axis != ONE_FOR_ALL || !quantized_source(g, n->inputs[1], &p.w) ||
      p.w.axis > 0)
    return SDX_OK;
  const type_info *w = &g->values[n->inputs[1]].type;
  if (!type_is_fixed(w) || w->rank < 3) return SDX_OK;
  p.columns = w->dims[0], p.depth = 1;
  for (int i = 1; i < w->rank; i++)
    if (__builtin_mul_overflow(p.depth, w->dims[i], &p.depth)) return SDX_OK;
  value_id bias = VALUE_ABSENT, in[9];
  size_t count;
  if (!product_fits(f, &p) || (p.bias && !bias_is_row(g, &p, 1))) return SDX_OK;
  if (p.bias) SDX_TRY(make_bias(f, &p, &bias));
  if (p.bias && !bias) return SDX_OK;
  if (!list_inputs(f, &p, bias, true, in, &count)) return error_no_memory(f->c->err, sizeof(tensor));
  node *made;
  SDX_TRY(replace(f, "QLinearConv", false, count, in, &made));
  return take_attrs(f, made, names);
}

// ---- Gemm, MatMul -------------------------------------------------------------------------------------

// The factors of `n`, whose second has a column for each result. false: not a product of bytes.
static bool read_factors(const fusion *f, const node *n, bool transposed, product *p) {
  const graph *g = f->graph;
  if (!quantized_source(g, n->inputs[0], &p->x) || p->x.axis != ONE_FOR_ALL ||
      !quantized_source(g, n->inputs[1], &p->w))
    return false;
  const type_info *x = &g->values[n->inputs[0]].type, *w = &g->values[n->inputs[1]].type;
  if (x->rank < 2 || w->rank < 2) return false;
  int column = transposed ? 0 : w->rank - 1, row = transposed ? 1 : w->rank - 2;
  p->columns = w->dims[column], p->depth = w->dims[row];
  if (p->depth < 0 && !node_attr_int(n, "transA", 0)) p->depth = x->dims[x->rank - 1];
  if (p->columns < 0 && p->w.axis == ONE_FOR_ALL && !p->bias) p->columns = 1;  // not asked for then
  return (p->w.axis == ONE_FOR_ALL || (w->rank == 2 && p->w.axis == column)) && product_fits(f, p);
}

// Rows of `w` become columns, so that QGemm reads them as kernels do; constants are turned by folding.
static sdx_status turn(fusion *f, value_id *w) {
  value_id turned = graph_add_value(f->graph, (str){0});
  if (!turned) return error_no_memory(f->c->err, sizeof(graph_value));
  node *n = graph_add_node(f->graph, STR(""), STR("Transpose"), 1, w, 1, &turned, f->c->err);
  if (!n) return f->c->err->status;
  *w = turned;
  return op_bind(f->graph, n, 0, f->c->err);
}

// `multiply` is the Gemm or MatMul; core is that, or the Add of its bias.
static sdx_status fuse_gemm(fusion *f, node *multiply, const product *p) {
  static const char *const names[] = {"alpha", "transA", NULL};
  value_id bias = VALUE_ABSENT, in[9];
  size_t count;
  if (p->bias && !bias_is_row(f->graph, p, 2)) return SDX_OK;
  if (p->bias) SDX_TRY(make_bias(f, p, &bias));
  if (p->bias && !bias) return SDX_OK;
  if (!list_inputs(f, p, bias, false, in, &count)) return error_no_memory(f->c->err, sizeof(tensor));
  if (f->quantize || bias) count = f->quantize ? 9 : 7;
  else count = 6;
  if (node_attr_int(multiply, "transB", 0)) SDX_TRY(turn(f, &in[3]));
  node *made;
  SDX_TRY(replace(f, "QGemm", true, count, in, &made));
  multiply->dead = true;
  f->core = multiply;
  return take_attrs(f, made, names);
}

// Of any rank, with a bias in float.
static sdx_status fuse_to_float(fusion *f, node *multiply, const product *p) {
  if (f->quantize || (p->bias && !bias_is_row(f->graph, p, 1))) return SDX_OK;
  value_id in[] = {p->x.bytes, p->w.bytes, p->x.scale, p->w.scale, zero_of(f, &p->x), zero_of(f, &p->w), p->bias};
  if (!in[4] || !in[5]) return error_no_memory(f->c->err, sizeof(tensor));
  node *made;
  SDX_TRY(replace(f, "MatMulIntegerToFloat", true, p->bias ? 7 : 6, in, &made));
  multiply->dead = true;
  return take_attrs(f, made, no_attrs);
}

static sdx_status fuse_matmul(fusion *f, node *multiply, value_id bias) {
  product p = {.unit_factor = 1, .bias_factor = 1, .bias = bias};
  value_id in[9];
  size_t count;
  if (!read_factors(f, multiply, false, &p)) return SDX_OK;
  int x_rank = f->graph->values[p.x.bytes].type.rank, w_rank = f->graph->values[p.w.bytes].type.rank;
  if (bias && x_rank == 2 && w_rank == 2 && f->quantize) return fuse_gemm(f, multiply, &p);
  if (bias || !f->quantize) return fuse_to_float(f, multiply, &p);
  if (!list_inputs(f, &p, VALUE_ABSENT, true, in, &count)) return error_no_memory(f->c->err, sizeof(tensor));
  node *made;
  SDX_TRY(replace(f, "QLinearMatMul", false, count, in, &made));
  return take_attrs(f, made, no_attrs);
}

static sdx_status fuse_product(fusion *f) {
  node *n = f->core;
  if (match_is(n, "Conv")) return f->quantize ? fuse_conv(f) : SDX_OK;
  if (match_is(n, "MatMul")) return fuse_matmul(f, n, VALUE_ABSENT);
  if (match_is(n, "Gemm")) {
    product p = {.unit_factor = (double)node_attr_float(n, "alpha", 1),
                 .bias_factor = (double)node_attr_float(n, "beta", 1),
                 .bias = n->input_count > 2 ? n->inputs[2] : VALUE_ABSENT};
    bool usual = p.unit_factor > 1e-3 && p.unit_factor < 1e3;
    return usual && read_factors(f, n, node_attr_int(n, "transB", 0) != 0, &p) ? fuse_gemm(f, n, &p) : SDX_OK;
  }
  for (int i = 0; i < 2 && match_is(n, "Add"); i++) {
    node *multiply = match_producer(f->graph, n->inputs[i]);
    if (match_is(multiply, "MatMul") && f->reader[n->inputs[i]] == n && n->inputs[0] != n->inputs[1])
      SDX_TRY(fuse_matmul(f, multiply, n->inputs[1 - i]));
    if (n->dead) break;
  }
  return SDX_OK;
}

// ---- sums, means --------------------------------------------------------------------------------------

static bool source_of(const fusion *f, value_id v, quantized *q) {
  return quantized_source(f->graph, v, q) && q->axis == ONE_FOR_ALL;
}

static uint8_t shift_entry(const fusion *f, int byte) { return (uint8_t)(byte ^ 0x80); }

// The same numbers in bytes of y's type: values and zero point are 128 away.
static sdx_status take_type_of_y(fusion *f, quantized *q) {
  if (q->dtype == f->y.dtype) return SDX_OK;
  value_id shifted = VALUE_ABSENT;
  int32_t zero = quantized_zero(f->graph, q, 0) + (f->y.dtype == SDX_INT8 ? -128 : 128);
  SDX_TRY(add_lookup(f, q->bytes, f->y.dtype, shift_entry, &shifted));
  q->bytes = shifted, q->dtype = f->y.dtype, q->zero = graph_constant_scalar(f->graph, q->dtype, zero);
  return q->zero ? SDX_OK : error_no_memory(f->c->err, sizeof(tensor));
}

static sdx_status fuse_pair(fusion *f, const char *op_type) {
  const node *n = f->core;
  quantized a, b;
  if (!source_of(f, n->inputs[0], &a) || !source_of(f, n->inputs[1], &b)) return SDX_OK;
  SDX_TRY(take_type_of_y(f, &a));
  SDX_TRY(take_type_of_y(f, &b));
  value_id in[] = {a.bytes, a.scale, zero_of(f, &a), b.bytes, b.scale, zero_of(f, &b), f->y.scale, zero_of(f, &f->y)};
  if (!in[2] || !in[5] || !in[7]) return error_no_memory(f->c->err, sizeof(tensor));
  node *made;
  SDX_TRY(replace(f, op_type, true, sizeof in / sizeof *in, in, &made));
  return take_attrs(f, made, no_attrs);
}

// A mean over all axes from 2 on, which stay as ones.
static bool means_planes(const fusion *f) {
  const node *n = f->core;
  const type_info *t = &f->graph->values[n->inputs[0]].type;
  const tensor *axes = n->input_count > 1 && n->inputs[1] ? f->graph->values[n->inputs[1]].constant : NULL;
  uint64_t seen = 0;
  if (t->rank < 3 || !axes || axes->dtype != SDX_INT64 || !node_attr_int(n, "keepdims", 1)) return false;
  for (size_t i = 0; i < axes->count; i++) {
    int64_t axis = ((const int64_t *)axes->data)[i];
    seen |= 1ull << ((axis < 0 ? axis + t->rank : axis) & 63);
  }
  return seen == (t->rank < 64 ? (1ull << t->rank) - 1 : UINT64_MAX) - 3;
}

static sdx_status fuse_mean(fusion *f, const char *op_type) {
  static const char *const names[] = {"auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads",
                                      "strides",  NULL};
  quantized x;
  if (!source_of(f, f->core->inputs[0], &x) || !match_all_ones(node_attr(f->core, "dilations"))) return SDX_OK;
  SDX_TRY(take_type_of_y(f, &x));
  value_id in[] = {x.bytes, x.scale, zero_of(f, &x), f->y.scale, zero_of(f, &f->y)};
  if (!in[2] || !in[4]) return error_no_memory(f->c->err, sizeof(tensor));
  node *made;
  SDX_TRY(replace(f, op_type, true, sizeof in / sizeof *in, in, &made));
  return take_attrs(f, made, names);
}

static sdx_status fuse(fusion *f) {
  SDX_TRY(fuse_product(f));
  if (f->core->dead) return SDX_OK;
  if (match_is(f->core, "Add")) return fuse_pair(f, "QLinearAdd");
  if (match_is(f->core, "Mul")) return fuse_pair(f, "QLinearMul");
  if (match_is(f->core, "AveragePool")) return fuse_mean(f, "QLinearAveragePool");
  if (match_is(f->core, "GlobalAveragePool") || (match_is(f->core, "ReduceMean") && means_planes(f)))
    return fuse_mean(f, "QLinearGlobalAveragePool");
  return SDX_OK;
}

static sdx_status run(pass_context *c) {
  fusion f = {.c = c, .graph = c->graph, .reader = match_sole_readers(c->graph, c->scratch)};
  uint32_t count = c->graph->node_count;
  if (!f.reader) return error_no_memory(c->err, c->graph->value_count * sizeof *f.reader);
  for (uint32_t i = 0; i < count; i++)
    if (match_is(c->graph->nodes[i], "QuantizeLinear") && read_ending(&f, c->graph->nodes[i])) SDX_TRY(fuse(&f));
  f.quantize = NULL;
  for (uint32_t i = count; i-- > 0;)  // the Add of a bias before its MatMul
    if (!c->graph->nodes[i]->dead) {
      f.core = c->graph->nodes[i];
      SDX_TRY(fuse_product(&f));
    }
  return SDX_OK;
}

const pass_def pass_fuse_quantized = {.name = "fuse_quantized",
                                      .help = "computes products, sums and means of quantised numbers on bytes",
                                      .level = 2,
                                      .reassociates = true,
                                      .run = run};
