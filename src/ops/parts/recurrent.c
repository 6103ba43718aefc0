// SPDX-License-Identifier: Apache-2.0
// See recurrent.h. What does not depend on the state (X W' + biases) is one matrix product for a chunk of steps at
// once, on rows gathered in the order of processing: that settles layout, direction, sequence lengths and narrow types
// in one place. Each step then adds H R' in place; with one sequence it carries a part of the next chunk's product
// along (kernels/recurrent_f32). Two directions run side by side. `clip` bounds the inputs of f and g (as onnxruntime
// does, not the cell state under h). A sequence of length 0 gives zeros in Y, Y_h and Y_c; steps behind a sequence's
// end give zeros in Y. The reverse direction starts at each sequence's own end. Read next: recurrent.inl (the
// recurrence).
#include "ops/parts/recurrent.h"

#include <math.h>
#include <strings.h>

#include "kernels/gemm_f32/gemm_f32.h"
#include "kernels/recurrent_f32/recurrent_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"

static const struct {
  const char *name;
  bool takes_alpha, takes_beta;
  float alpha, beta;
} functions[] = {
    [F_SIGMOID] = {"Sigmoid", 0, 0, 0, 0},
    [F_TANH] = {"Tanh", 0, 0, 0, 0},
    [F_RELU] = {"Relu", 0, 0, 0, 0},
    [F_AFFINE] = {"Affine", 1, 1, 1, 0},
    [F_LEAKY] = {"LeakyRelu", 1, 0, 0.01f, 0},
    [F_THRESHOLDED] = {"ThresholdedRelu", 1, 0, 1, 0},
    [F_SCALED_TANH] = {"ScaledTanh", 1, 1, 1, 1},
    [F_HARD_SIGMOID] = {"HardSigmoid", 1, 1, 0.2f, 0.5f},
    [F_ELU] = {"Elu", 1, 0, 1, 0},
    [F_SOFTSIGN] = {"Softsign", 0, 0, 0, 0},
    [F_SOFTPLUS] = {"Softplus", 0, 0, 0, 0},
};

enum {
  X,
  W,
  R,
  B,
  LENGTHS,
  INITIAL_H,
  INITIAL_C,
  PEEPHOLES,
  QUERY,
  MEMORY_WEIGHTS,
  ALIGN,
  MEMORY,
  MEMORY_LENGTHS,
  LAYER
};

enum { SMALL = 1 << 17 };  // multiply-adds of a gate

static size_t gates_of(cell c) { return c == RNN ? 1 : c == GRU ? 3 : 4; }

// ---- params ---------------------------------------------------------------------------------------

static sdx_status read_functions(op_params_context *c, recurrent_params *p) {
  static const function usual[3][3] = {
      [RNN] = {F_TANH}, [GRU] = {F_SIGMOID, F_TANH}, [LSTM] = {F_SIGMOID, F_TANH, F_TANH}};
  size_t each = p->cell == RNN   ? 1
                : p->cell == GRU ? 2
                                 : 3,
         want = each * p->directions, count = 0, alphas = 0, betas = 0;
  const str *names = params_strings(c, "activations", &count);
  const float *alpha = params_floats(c, "activation_alpha", &alphas),
              *beta = params_floats(c, "activation_beta", &betas);
  if (count && count != want) return params_fail(c, "activations", "has %zu entries, expected %zu", count, want);
  for (size_t i = 0; i < want; i++) {
    gate_function *f = &p->functions[i / each][i % each];
    size_t k = 0, kinds = sizeof functions / sizeof *functions;
    if (!count) k = usual[p->cell][i % each];
    else
      while (k < kinds && !(strlen(functions[k].name) == names[i].size &&
                            strncasecmp(functions[k].name, names[i].at, names[i].size) == 0))
        k++;
    if (k == kinds) return params_fail(c, "activations", "[%zu] is '%.*s', which is not known", i, STR_ARG(names[i]));
    *f = (gate_function){(function)k, functions[k].alpha, functions[k].beta};
    // The lists hold a number only for functions that take one.
    if (functions[k].takes_alpha && alphas) f->alpha = *alpha++, alphas--;
    if (functions[k].takes_beta && betas) f->beta = *beta++, betas--;
  }
  return SDX_OK;
}

static sdx_status read_common(op_params_context *c, recurrent_params *p, cell cell) {
  str direction = params_string(c, "direction");
  p->cell = cell;
  p->directions = str_is(direction, "bidirectional") ? 2 : 1;
  p->reverse = str_is(direction, "reverse");
  if (p->directions == 1 && !p->reverse && !str_is(direction, "forward"))
    return params_fail(c, "direction", "is '%.*s', expected forward, reverse or bidirectional", STR_ARG(direction));
  int64_t layout = params_int(c, "layout");
  if (layout != 0 && layout != 1) return params_fail(c, "layout", "is %lld, expected 0 or 1", (long long)layout);
  p->batch_first = layout == 1;
  p->couple = params_int(c, "input_forget") != 0;
  p->linear_before_reset = params_int(c, "linear_before_reset") != 0;
  if (params_has(c, "clip")) {
    p->clip = params_float(c, "clip");
    if (!(p->clip >= 0)) return params_fail(c, "clip", "is %g, expected a number not below 0", (double)p->clip);
  }
  p->maybe_flat = params_int(c, "_maybe_flat") != 0;
  p->hidden = params_int(c, "hidden_size");
  if (params_has(c, "hidden_size") && p->hidden < 1)
    return params_fail(c, "hidden_size", "is %lld, expected at least 1", (long long)p->hidden);
  return read_functions(c, p);
}
sdx_status attn_lstm_read(op_params_context *c, void *p) {
  ((recurrent_params *)p)->attends = true;
  return read_common(c, p, LSTM);
}
sdx_status rnn_read(op_params_context *c, void *p) { return read_common(c, p, RNN); }
sdx_status gru_read(op_params_context *c, void *p) { return read_common(c, p, GRU); }
sdx_status lstm_read(op_params_context *c, void *p) { return read_common(c, p, LSTM); }

// ---- infer ----------------------------------------------------------------------------------------

// Input i, if present, has shape `want` where that is known.
static sdx_status need_shape(op_step *c, size_t i, const char *name, int rank, const int64_t *want) {
  if (i >= c->input_count || !c->in_types[i]) return SDX_OK;
  SDX_TRY(infer_rank(c, i, rank, rank));
  if (infer_rank_of(c, i) < 0) return SDX_OK;
  for (int d = 0; d < rank; d++) {
    int64_t have = c->in_types[i]->dims[d];
    if (have >= 0 && want[d] >= 0 && have != want[d])
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %lld in dimension %d, expected %lld", (long long)have,
                          d, (long long)want[d]);
  }
  return SDX_OK;
}

static int64_t known(int64_t a, int64_t b) { return a >= 0 ? a : b; }
static int64_t dim_of(const op_step *c, size_t i, int rank, int d) {
  return i < c->input_count && infer_rank_of(c, i) == rank ? c->in_types[i]->dims[d] : DIM_UNKNOWN;
}
static int64_t times(int64_t n, int64_t by) { return n < 0 || n > INT64_MAX / 16 ? DIM_UNKNOWN : n * by; }

// The inputs of the attention; *depth is how much it gives to the next step.
static sdx_status check_attention(op_step *c, int64_t batch, int64_t hidden, int64_t *depth) {
  const recurrent_params *p = c->params;
  int64_t directions = (int64_t)p->directions, memory = known(dim_of(c, MEMORY, 3, 2), dim_of(c, MEMORY_WEIGHTS, 3, 1)),
          width = dim_of(c, QUERY, 3, 2), both = memory >= 0 && hidden >= 0 ? memory + hidden : DIM_UNKNOWN;
  for (size_t i = QUERY; i <= MEMORY; i++)
    if (i >= c->input_count || !c->in_types[i]) return step_fail_at(c, at_input(i), SDX_INVALID_GRAPH, "is missing");
  SDX_TRY(need_shape(c, QUERY, "QW", 3, (const int64_t[]){directions, hidden, width}));
  SDX_TRY(need_shape(c, MEMORY_WEIGHTS, "MW", 3, (const int64_t[]){directions, memory, width}));
  SDX_TRY(need_shape(c, ALIGN, "V", 2, (const int64_t[]){directions, width}));
  SDX_TRY(need_shape(c, MEMORY, "M", 3, (const int64_t[]){batch, -1, memory}));
  SDX_TRY(need_shape(c, MEMORY_LENGTHS, "memory_seq_lens", 1, &batch));
  SDX_TRY(need_shape(c, LAYER, "AW", 3, (const int64_t[]){directions, both, -1}));
  bool layer = LAYER < c->input_count && c->in_types[LAYER];
  *depth = layer ? dim_of(c, LAYER, 3, 2) : memory;
  return SDX_OK;
}

sdx_status recurrent_infer(op_step *c) {
  const recurrent_params *p = c->params;
  sdx_dtype dtype = infer_dtype_of(c, X);
  int64_t directions = (int64_t)p->directions, gates = (int64_t)gates_of(p->cell);
  bool flat = p->maybe_flat && directions == 1 && infer_rank_of(c, W) == 2;
  int rank = flat ? 2 : 3;  // of the weights
  int64_t hidden = p->hidden ? p->hidden : dim_of(c, R, rank, rank - 1);
  int64_t steps = dim_of(c, X, 3, p->batch_first), batch = dim_of(c, X, 3, !p->batch_first), depth = 0;
  if (p->attends) SDX_TRY(check_attention(c, batch, hidden, &depth));
  int64_t input = dim_of(c, X, 3, 2), columns = input >= 0 && depth >= 0 ? input + depth : DIM_UNKNOWN;
  if (!p->attends) input = columns = known(input, dim_of(c, W, rank, rank - 1));
  SDX_TRY(need_shape(c, X, "X", 3, (const int64_t[]){-1, -1, input}));
  SDX_TRY(need_shape(c, W, "W", rank, (const int64_t[]){directions, times(hidden, gates), columns} + flat));
  SDX_TRY(need_shape(c, R, "R", rank, (const int64_t[]){directions, times(hidden, gates), hidden} + flat));
  SDX_TRY(need_shape(c, B, "B", rank - 1, (const int64_t[]){directions, times(hidden, 2 * gates)} + flat));
  SDX_TRY(need_shape(c, LENGTHS, "sequence_lens", 1, &batch));
  const int64_t state[3] = {p->batch_first ? batch : directions, p->batch_first ? directions : batch, hidden};
  SDX_TRY(need_shape(c, INITIAL_H, "initial_h", 3, state));
  SDX_TRY(need_shape(c, INITIAL_C, "initial_c", 3, state));
  SDX_TRY(need_shape(c, PEEPHOLES, "P", 2, (const int64_t[]){directions, times(hidden, 3)}));
  const int64_t forward[4] = {steps, directions, batch, hidden}, first[4] = {batch, steps, directions, hidden};
  const int64_t squeezed[3] = {steps, batch, hidden};
  if (p->maybe_flat && infer_rank_of(c, W) < 0) SDX_TRY(infer_output(c, 0, dtype, -1, NULL));
  else if (flat) SDX_TRY(infer_output(c, 0, dtype, 3, squeezed));
  else SDX_TRY(infer_output(c, 0, dtype, 4, p->batch_first ? first : forward));
  SDX_TRY(infer_output(c, 1, dtype, 3, state));
  return p->cell == LSTM ? infer_output(c, 2, dtype, 3, state) : SDX_OK;
}

// ---- prepare --------------------------------------------------------------------------------------

// c[m][n] = a[m][k] w[n][k]' (+ c) (+ bias)
typedef struct matrix {
  size_t m, n, k;
  gemm_f32_plan plan;
  size_t first;           // row of the weights
  const void *packed[2];  // per direction; NULL: not packed
} matrix;

typedef struct recurrent_state {
  size_t steps, batch, input, hidden, gates;
  size_t chunk;                // steps of one product with W
  matrix inputs, last_inputs;  // X W': of a whole chunk, of the last one
  matrix states[2];            // H R': all gates; GRU: z and r, then h
  size_t state_count, gemm_bytes;
  size_t work;                         // elements of one direction
  bool small;                          // not worth a second thread
  const recurrent_f32_kernel *kernel;  // NULL: double
  bool carries;                        // the steps carry the next chunk's inputs along
  bool usual[2];                       // per direction: the functions are those of the kernel's cells
} recurrent_state;

typedef struct pack_context {
  const matrix *matrices;
  size_t count, directions, rows;       // rows of the weights of one direction
  const recurrent_f32_kernel *carrier;  // NULL: as operands of gemm_f32
  size_t width;                         // of the carrier's panels
  int precision;
  size_t threads;
} pack_context;

static size_t packed_bytes(const pack_context *x, const matrix *m) {
  if (!x->carrier) return gemm_f32_packed_b_bytes(m->k, m->n, x->precision);
  return recurrent_f32_packed(x->carrier, x->width, m->k, m->n) * sizeof(float);
}

static void pack(void *target, const float *weights, const void *context) {
  const pack_context *x = context;
  char *to = target;
  for (size_t d = 0; d < x->directions; d++) {
    for (size_t i = 0; i < x->count; i++) {
      const matrix *m = &x->matrices[i];
      const float *from = weights + (d * x->rows + m->first) * m->k;
      gemm_f32_operand b = {.data = from, .row_stride = 1, .column_stride = m->k};
      if (x->carrier) recurrent_f32_pack(x->carrier, x->width, from, m->k, m->n, (float *)(void *)to);
      else gemm_f32_pack_b(to, &b, m->k, m->n, x->precision, x->threads);
      to += packed_bytes(x, m);
    }
  }
}

// Packs input `index`, the constant weights of `count` matrices per direction.
static sdx_status pack_weights(op_step *c, size_t index, const recurrent_state *s, matrix *matrices, size_t count) {
  const recurrent_params *p = c->params;
  pack_context x = {matrices, count, p->directions, s->gates * s->hidden, NULL, 0, c->precision, c->threads};
  pack_format format = gemm_f32_format_b(matrices[0].k, matrices[0].n, c->precision);
  if (s->carries) {
    x.carrier = s->kernel, x.width = index == R ? s->kernel->panel : s->kernel->tile_columns;
    format = pack_format_of("", kernel_best("recurrent_f32")->variant, 1);
    format.tile = (uint32_t)x.width;
  }
  snprintf(format.family, sizeof format.family, s->carries ? "recurrent_f32" : "recurrent");
  format.groups = (uint32_t)p->directions, format.detail = (uint32_t)count;
  size_t bytes = 0, offset = 0;
  for (size_t i = 0; i < count; i++) {
    size_t one = packed_bytes(&x, &matrices[i]);
    if (!one || !size_mul(one, p->directions, &one) || !size_add(bytes, one, &bytes)) return SDX_OK;
  }
  const void *packed;
  SDX_TRY(floats_pack(c, index, &format, bytes, pack, &x, &packed));
  for (size_t d = 0; d < p->directions; d++) {
    for (size_t i = 0; i < count; i++) {
      matrices[i].packed[d] = (const char *)packed + offset;
      offset += packed_bytes(&x, &matrices[i]);
    }
  }
  return SDX_OK;
}

// One sequence whose weights are constant, unless gemm_f32 takes another algorithm: bits do not depend on the batch.
// Beyond some depth of X the tiles that nothing is left to carry cost more than is won.
static bool can_carry(const op_step *c, const recurrent_state *s) {
  const recurrent_params *p = c->params;
  size_t wide = s->gates * s->hidden;
  return s->batch == 1 && s->steps > 1 && !p->attends && c->packable[W] && c->packable[R] && s->hidden > 0 &&
         s->input > 0 && s->input / 4 <= s->hidden && gemm_f32_format_b(s->input, wide, c->precision).planes == 0 &&
         gemm_f32_format_b(s->hidden, s->hidden, c->precision).planes == 0 &&
         recurrent_f32_packed(s->kernel, s->kernel->panel, s->hidden, wide) > 0 &&
         recurrent_f32_packed(s->kernel, s->kernel->tile_columns, s->input, wide) > 0;
}

static bool usual(const recurrent_params *p, size_t d) {
  const gate_function *f = p->functions[d];
  return p->cell != RNN && f[0].kind == F_SIGMOID && f[1].kind == F_TANH && (p->cell == GRU || f[2].kind == F_TANH);
}

static bool plan_matrix(op_step *c, recurrent_state *s, matrix *m, bool in_place) {
  // Small products are done before a second thread has woken up.
  size_t threads = m->m * m->n < 65536 / (m->k + 1) * 16 ? 1 : c->threads;
  gemm_f32_shape shape = {.m = m->m,
                          .n = m->n,
                          .k = m->k,
                          .threads = threads,
                          .precision = c->precision,
                          .packed_b = m->packed[0] != NULL,
                          .residual_is_c = in_place};
  if (!gemm_f32_plan_init(&m->plan, &shape)) return false;
  if (m->plan.scratch_bytes > s->gemm_bytes) s->gemm_bytes = m->plan.scratch_bytes;
  return true;
}

static bool is_double(const tensor *t) { return t->dtype == SDX_DOUBLE; }

// Elements of work memory of one direction: biases, H, C, r (.) H, gates, gathered rows.
static bool work_elements(recurrent_state *s) {
  size_t rows = 0, wide = 0, n = 0, state = 0;
  return size_mul(s->chunk * (s->carries ? 2 : 1), s->batch, &rows) && size_mul(s->gates, s->hidden, &wide) &&
         size_mul(rows, s->input, &n) && size_mul(rows, wide, &rows) && size_mul(s->batch, s->hidden, &state) &&
         size_mul(state, 3, &state) && size_add(n, rows, &n) && size_add(n, state, &n) && size_mul(wide, 2, &wide) &&
         size_add(n, wide, &n) && size_align(n, 16, &s->work);
}

static void set_sizes(op_step *c, recurrent_state *s) {
  const recurrent_params *p = c->params;
  const tensor *x = step_in(c, X), *r = step_in(c, R);
  s->steps = (size_t)x->dims[p->batch_first], s->batch = (size_t)x->dims[!p->batch_first];
  s->input = (size_t)x->dims[2];
  s->hidden = (size_t)r->dims[r->rank - 1], s->gates = gates_of(p->cell);
  s->small = (double)(s->steps * s->batch) * (double)(s->input + s->hidden) * (double)s->hidden < SMALL;
  if (!is_double(x)) {
    s->kernel = KERNEL_BEST(recurrent_f32);
    for (size_t d = 0; d < p->directions; d++) s->usual[d] = usual(p, d);
    s->carries = can_carry(c, s);
  }
  s->chunk = s->batch ? 1 + 1024 / s->batch : 1;
  if (s->chunk > s->steps) s->chunk = s->steps;
  if (s->carries) s->chunk = s->kernel->rows;
  size_t wide = s->gates * s->hidden;
  s->inputs = (matrix){.m = s->chunk * s->batch, .n = wide, .k = s->input};
  s->state_count = p->cell == GRU ? 2 : 1;
  s->states[0] = (matrix){.m = s->batch, .n = p->cell == GRU ? 2 * s->hidden : wide, .k = s->hidden};
  s->states[1] = (matrix){.m = s->batch, .n = s->hidden, .k = s->hidden, .first = 2 * s->hidden};
}

static bool plan_products(op_step *c, recurrent_state *s) {
  s->last_inputs = s->inputs;
  s->last_inputs.m = s->chunk ? s->steps % s->chunk * s->batch : 0;
  bool fits = plan_matrix(c, s, &s->inputs, false) && plan_matrix(c, s, &s->last_inputs, false);
  for (size_t i = 0; i < s->state_count; i++) fits = fits && plan_matrix(c, s, &s->states[i], true);
  return fits;
}

sdx_status recurrent_prepare(op_step *c) {
  const recurrent_params *p = c->params;
  const tensor *x = step_in(c, X), *w = step_in(c, W), *r = step_in(c, R);
  recurrent_state *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  set_sizes(c, s);
  size_t total = 0, bytes = 0;
  if (!work_elements(s) ||
      !size_mul(s->work, p->directions * (is_double(x) ? sizeof(double) : sizeof(float)), &bytes) ||
      !scratch_reserve(&total, bytes))
    return error_no_memory(c->err, SIZE_MAX);
  c->kernel = "portable";
  if (!is_double(x)) {
    if (c->packable[W] && w->count && !p->attends) SDX_TRY(pack_weights(c, W, s, &s->inputs, 1));
    if (c->packable[R] && r->count) SDX_TRY(pack_weights(c, R, s, s->states, s->state_count));
    bool fits = s->carries || plan_products(c, s);
    fits = fits && size_mul(s->gemm_bytes, p->directions, &bytes) && scratch_reserve(&total, bytes);
    for (size_t i = W; i < c->input_count; i++) {
      bool packed = (i == W && s->inputs.packed[0]) || (i == R && s->states[0].packed[0]);
      if (i != LENGTHS && !packed) fits = fits && floats_reserve(&total, step_in(c, i));
    }
    for (size_t i = 0; i < c->output_count; i++) fits = fits && floats_reserve(&total, step_out(c, i));
    if (!fits) return error_no_memory(c->err, SIZE_MAX);
    c->kernel = s->carries ? kernel_best("recurrent_f32")->variant : s->inputs.plan.name;
  }
  c->scratch_bytes = total;
  return SDX_OK;
}

// ---- compute --------------------------------------------------------------------------------------

// What AttnLSTM has besides.
typedef struct attention_operands {
  const void *query, *memory_weights, *align, *memory, *layer;
  const int32_t *lengths;
  size_t steps, depth, width, out;  // of the memory; numbers of its rows, of keys, of what goes into the next step
} attention_operands;

// Operands in the working type; NULL where absent.
typedef struct operands {
  const void *w, *r, *bias, *initial_h, *initial_c, *peepholes;
  void *y, *y_h, *y_c;
  void *work, *gemm;
  const attention_operands *attention;
} operands;

// The length of sequence b, and the time that is its step t (t < length).
static size_t length_of(const op_step *c, const recurrent_state *s, size_t b) {
  const tensor *lengths = step_in(c, LENGTHS);
  return lengths ? (size_t)((const int32_t *)lengths->data)[b] : s->steps;
}
static size_t time_of(const op_step *c, const recurrent_state *s, size_t b, size_t t, bool backwards) {
  return backwards ? length_of(c, s, b) - 1 - t : t;
}
// Element offsets of (time, direction, sequence) in Y and of (direction, sequence) in the states.
static size_t y_row(const recurrent_params *p, const recurrent_state *s, size_t time, size_t d, size_t b) {
  return (p->batch_first ? (b * s->steps + time) * p->directions + d : (time * p->directions + d) * s->batch + b) *
         s->hidden;
}
static size_t state_row(const recurrent_params *p, const recurrent_state *s, size_t d, size_t b) {
  return (p->batch_first ? b * p->directions + d : d * s->batch + b) * s->hidden;
}

// What the products of one direction need besides.
typedef struct products {
  void *gemm;
  recurrent_f32_ahead ahead;
  bool backwards;  // this step goes through R from its end
} products;

static void multiply_floats(const matrix *m, size_t d, const float *a, const float *w, const float *bias, bool add,
                            float *c, size_t stride, void *scratch) {
  gemm_f32_call call = {
      .a = {.data = a, .row_stride = m->k, .column_stride = 1}, .c = c, .c_stride = stride, .epilogue = GEMM_F32_PLAIN};
  if (m->packed[d]) call.b.packed = m->packed[d];
  else call.b = (gemm_f32_operand){.data = w, .row_stride = 1, .column_stride = m->k};
  call.epilogue.bias = bias, call.epilogue.bias_kind = GEMM_BIAS_PER_COLUMN;
  if (add) call.epilogue.residual = c, call.epilogue.residual_stride = stride;
  gemm_f32_run(&m->plan, &call, scratch);
}

static void multiply_doubles(const matrix *m, size_t d, const double *a, const double *w, const double *bias, bool add,
                             double *c, size_t stride, void *scratch) {
  for (size_t i = 0; i < m->m; i++) {
    for (size_t j = 0; j < m->n; j++) {
      double sum = 0;
      for (size_t k = 0; k < m->k; k++) sum += a[i * m->k + k] * w[j * m->k + k];
      if (bias) sum += bias[j];
      c[i * stride + j] = add ? c[i * stride + j] + sum : sum;
    }
  }
}

static void apply_floats(const gate_function *f, float clip, float *v, size_t n);
static void apply_doubles(const gate_function *f, float clip, double *v, size_t n);

#define REAL float
#define NAME(x) x##_floats
#include "ops/parts/recurrent.inl"
#define REAL double
#define NAME(x) x##_doubles
#include "ops/parts/recurrent.inl"

// The vector kernels for the three usual functions, one formula for the rest.
static void apply_floats(const gate_function *f, float clip, float *v, size_t n) {
  activation_kind kind = f->kind == F_SIGMOID ? ACTIVATION_SIGMOID
                         : f->kind == F_TANH  ? ACTIVATION_TANH
                                              : ACTIVATION_RELU;
  bound_floats(clip, v, n);
  if (f->kind <= F_RELU) activation_find(kind)(v, v, n, 0, 0);
  else formula_floats(f, v, n);
}
static void apply_doubles(const gate_function *f, float clip, double *v, size_t n) {
  bound_doubles(clip, v, n);
  formula_doubles(f, v, n);
}

// ---- what kernels do for floats -------------------------------------------------------------------

static void multiply_state_floats(const lane_floats *l, size_t i, const float *a, const float *bias, bool add, float *c,
                                  size_t stride) {
  const matrix *m = &l->s->states[i];
  products *x = l->products;
  if (!l->s->carries) {
    multiply_floats(m, l->d, a, l->r ? l->r + m->first * m->k : NULL, bias, add, c, stride, x->gemm);
    return;
  }
  if (i == 0) x->backwards = !x->backwards;
  for (size_t j = 0; !add && j < m->n; j++) c[j] = bias ? bias[j] : 0;
  recurrent_f32_row(l->s->kernel, (const float *)m->packed[l->d], m->k, m->n, a, c, x->backwards, &x->ahead);
}
static void multiply_state_doubles(const lane_doubles *l, size_t i, const double *a, const double *bias, bool add,
                                   double *c, size_t stride) {
  const matrix *m = &l->s->states[i];
  multiply_doubles(m, l->d, a, l->r + m->first * m->k, bias, add, c, stride, NULL);
}

// The inputs of the chunk [first, first + count) become what the steps carry along, to be ready in `gates`.
static void aim(const op_step *c, const lane_floats *l, size_t first, size_t count, float *gates) {
  const recurrent_state *s = l->s;
  size_t rows = s->kernel->rows;
  float *x = l->gathered + rows * s->input;
  gather_floats(c, l, first, count, l->gathered);
  for (size_t k = 0; k < s->input; k++)
    for (size_t i = 0; i < rows; i++) x[k * rows + i] = i < count ? l->gathered[i * s->input + k] : 0;
  l->products->ahead = (recurrent_f32_ahead){.x = x,
                                             .w = (const float *)s->inputs.packed[l->d],
                                             .bias = l->bias,
                                             .z = gates,
                                             .live = count,
                                             .columns = s->inputs.n,
                                             .depth = s->input,
                                             .tiles = recurrent_f32_tiles(s->kernel, s->inputs.n)};
}

static float *open_chunk_floats(const op_step *c, const lane_floats *l, size_t first, size_t count) {
  const recurrent_state *s = l->s;
  if (!s->carries) return inputs_floats(c, l, first, count);
  float *both[2] = {l->gates, l->gates + s->chunk * s->inputs.n};
  size_t turn = first / s->chunk % 2, next = first + count;
  if (first == 0) aim(c, l, 0, count, both[0]);
  recurrent_f32_finish(s->kernel, &l->products->ahead);
  if (next < s->steps) aim(c, l, next, s->steps - next < s->chunk ? s->steps - next : s->chunk, both[!turn]);
  return both[turn];
}
static double *open_chunk_doubles(const op_step *c, const lane_doubles *l, size_t first, size_t count) {
  return inputs_doubles(c, l, first, count);
}

static bool usual_row_floats(const lane_floats *l, float *gates, float *h, float *c, const float *spare) {
  const recurrent_params *p = l->p;
  const recurrent_state *s = l->s;
  if (!s->usual[l->d]) return false;
  float clip = p->clip > 0 ? p->clip : INFINITY;
  if (p->cell == LSTM) {
    s->kernel->lstm(&(recurrent_f32_lstm){gates, l->peepholes, h, c, s->hidden, clip, p->couple});
  } else {
    const float *product = p->linear_before_reset ? spare : NULL;
    s->kernel->gru(&(recurrent_f32_gru){gates, product, h, s->hidden, clip});
  }
  return true;
}
static bool usual_row_doubles(const lane_doubles *l, double *gates, double *h, double *c, const double *spare) {
  return false;
}

static sdx_status check_lengths(op_step *c, const recurrent_state *s) {
  const tensor *lengths = step_in(c, LENGTHS);
  for (size_t b = 0; lengths && b < s->batch; b++) {
    int32_t n = ((const int32_t *)lengths->data)[b];
    if (n < 0 || (size_t)n > s->steps)
      return step_fail_at(c, part_named(PART_INPUT, STR("sequence_lens")), SDX_OUT_OF_RANGE,
                          "[%zu] is %d, expected 0 to %zu", b, n, s->steps);
  }
  return SDX_OK;
}

static const void *data_of(const op_step *c, size_t i) {
  const tensor *t = step_in(c, i);
  return t ? t->data : NULL;
}

static sdx_status find_attention(op_step *c, const recurrent_state *s, attention_operands *a) {
  const tensor *memory = step_in(c, MEMORY), *layer = step_in(c, LAYER), *lengths = step_in(c, MEMORY_LENGTHS);
  *a = (attention_operands){.query = data_of(c, QUERY),
                            .memory_weights = data_of(c, MEMORY_WEIGHTS),
                            .align = data_of(c, ALIGN),
                            .memory = memory->data,
                            .layer = data_of(c, LAYER),
                            .lengths = lengths ? lengths->data : NULL,
                            .steps = (size_t)memory->dims[1],
                            .depth = (size_t)memory->dims[2],
                            .width = (size_t)step_in(c, QUERY)->dims[2]};
  a->out = layer ? (size_t)layer->dims[2] : a->depth;
  for (size_t b = 0; lengths && b < s->batch; b++)
    if (a->lengths[b] < 0 || (size_t)a->lengths[b] > a->steps)
      return step_fail_at(c, part_named(PART_INPUT, STR("memory_seq_lens")), SDX_OUT_OF_RANGE,
                          "[%zu] is %d, expected 0 to %zu", b, a->lengths[b], a->steps);
  return SDX_OK;
}

sdx_status recurrent_compute(op_step *c) {
  const recurrent_params *p = c->params;
  const recurrent_state *s = c->state;
  attention_operands attention;
  tensor *out[3] = {step_out(c, 0), step_out(c, 1), step_out(c, 2)};
  char *scratch = c->scratch;
  SDX_TRY(check_lengths(c, s));
  if (p->attends) SDX_TRY(find_attention(c, s, &attention));
  if (is_double(step_in(c, X))) {
    operands o = {data_of(c, W),
                  data_of(c, R),
                  data_of(c, B),
                  data_of(c, INITIAL_H),
                  data_of(c, INITIAL_C),
                  data_of(c, PEEPHOLES),
                  out[0] ? out[0]->data : NULL,
                  out[1] ? out[1]->data : NULL,
                  out[2] ? out[2]->data : NULL,
                  scratch,
                  NULL,
                  p->attends ? &attention : NULL};
    return run_doubles(c, p, s, &o);
  }
  operands o = {.work = scratch_take(&scratch, p->directions * s->work * sizeof(float)),
                .gemm = scratch_take(&scratch, p->directions * s->gemm_bytes),
                .attention = p->attends ? &attention : NULL};
  if (!s->inputs.packed[0]) o.w = floats_load(c, step_in(c, W), &scratch);
  if (!s->states[0].packed[0]) o.r = floats_load(c, step_in(c, R), &scratch);
  o.bias = floats_load(c, step_in(c, B), &scratch);
  o.initial_h = floats_load(c, step_in(c, INITIAL_H), &scratch);
  o.initial_c = floats_load(c, step_in(c, INITIAL_C), &scratch);
  o.peepholes = floats_load(c, step_in(c, PEEPHOLES), &scratch);
  void **to[3] = {&o.y, &o.y_h, &o.y_c};
  for (size_t i = 0; i < 3; i++)
    if (out[i]) *to[i] = floats_target(out[i], &scratch);
  SDX_TRY(run_floats(c, p, s, &o));
  for (size_t i = 0; i < 3; i++)
    if (out[i]) floats_store(c, out[i], *to[i]);
  return SDX_OK;
}
