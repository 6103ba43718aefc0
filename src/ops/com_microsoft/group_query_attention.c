// SPDX-License-Identifier: Apache-2.0
// GroupQueryAttention: causal attention of decoders. Several query heads share a key and value head; new keys go
// behind each sample's own past in the cache, [batch, kv_heads, capacity, width]. Before that heads may be normalised
// (q_norm_weight, k_norm_weight) and rotated (do_rotary).
//
// seqlens_k[b] + 1 keys count for sample b, total_sequence_length is the most of them. If that equals the number of
// new rows the call is a first prompt and the past is not looked at; else sample b has seqlens_k[b] + 1 - rows past
// keys. The capacity of `present` is the longer of past and total. Rows of it that do not count are zero. The cache may
// be quantised (kv_cache.h); what is looked at then is what the cache holds, new rows included.
//
// With sliding_window_cache the past's buffer of C rows holds only the latest of the T keys, L(T) of them: all while
// they fit, and when one more would not, only the window and what has come since (`held`).
//
// SparseAttention is the same with its inputs in other places, lengths that are not one less, and blocks of keys that
// a block of queries may look at: for layout head % layouts, columns[layout][rows[layout][i] .. rows[layout][i + 1]).
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/floats.h"
#include "ops/parts/heads.h"
#include "ops/parts/kv_cache.h"
#include "ops/parts/rotary.h"

enum {
  Q,
  K,
  V,
  PAST_KEY,
  PAST_VALUE,
  LENGTHS,
  TOTAL,
  COS,
  SIN,
  POSITIONS,
  ADD,
  SINK,
  K_SCALE,
  V_SCALE,
  Q_NORM,
  K_NORM,
  BLOCK_ROWS,
  BLOCK_COLUMNS,
  INPUTS
};
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

// Where the operators have these inputs; -1: nowhere.
static const int8_t gqa_inputs[INPUTS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, -1, -1};
static const int8_t sparse_inputs[INPUTS] = {0, 1, 2, 3, 4, 8, 7, 9, 10, -1, -1, -1, -1, -1, -1, -1, 5, 6};

typedef struct gqa_params {
  const int8_t *inputs;
  int64_t heads, kv_heads, window;  // window -1: none
  bool causal, rotary, interleaved, smooth;
  float scale, softcap, epsilon;
  int64_t scores;                       // 0: not wanted, 1: before softmax, 2: after
  int64_t block;                        // SparseAttention: positions of a block, else 0
  bool evicts;                          // sliding_window_cache
  bool quantized, by_channel, nibbles;  // of the cache; nibbles: two numbers in a byte, each plus 8
} gqa_params;

static const tensor *given(const op_step *c, size_t input) {
  int8_t at = ((const gqa_params *)c->params)->inputs[input];
  return at < 0 ? NULL : step_in(c, (size_t)at);
}

static sdx_status check_heads(op_params_context *c, const gqa_params *p) {
  if (p->kv_heads < 1 || p->kv_heads > INT32_MAX)
    return params_fail(c, "kv_num_heads", "is %lld, expected 1 to %d", (long long)p->kv_heads, INT32_MAX);
  if (p->heads < 1 || p->heads > INT32_MAX || p->heads % p->kv_heads)
    return params_fail(c, "num_heads", "is %lld, expected a positive multiple of kv_num_heads %lld",
                       (long long)p->heads, (long long)p->kv_heads);
  return SDX_OK;
}

static sdx_status group_query_attention_read(op_params_context *c, void *params) {
  gqa_params *p = params;
  *p = (gqa_params){.inputs = gqa_inputs,
                    .heads = params_int(c, "num_heads"),
                    .kv_heads = params_int(c, "kv_num_heads"),
                    .window = params_int(c, "local_window_size"),
                    .causal = params_int(c, "causal") != 0,
                    .rotary = params_int(c, "do_rotary") != 0,
                    .interleaved = params_int(c, "rotary_interleaved") != 0,
                    .smooth = params_int(c, "smooth_softmax") > 0,
                    .scale = params_float(c, "scale"),
                    .softcap = params_float(c, "softcap"),
                    .epsilon = params_float(c, "qk_norm_epsilon"),
                    .scores = params_int(c, "qk_output")};
  SDX_TRY(check_heads(c, p));
  if (p->window != -1 && (p->window < 1 || !p->causal))
    return params_fail(c, "local_window_size", "is %lld, expected -1, or a positive number if causal",
                       (long long)p->window);
  if (p->scores < 0 || p->scores > 2)
    return params_fail(c, "qk_output", "is %lld, expected 0 to 2", (long long)p->scores);
  p->evicts = params_int(c, "sliding_window_cache") != 0;
  if (p->evicts && p->window < 1)
    return params_fail(c, "sliding_window_cache", "is set, but 'local_window_size' is %lld", (long long)p->window);
  bool values, by_channel;
  SDX_TRY(kv_cache_read_kind(c, "k_quant_type", &p->quantized, &p->by_channel));
  SDX_TRY(kv_cache_read_kind(c, "v_quant_type", &values, &by_channel));
  if (values != p->quantized || by_channel != p->by_channel)
    return params_fail(c, "v_quant_type", "is not what 'k_quant_type' is");
  int64_t bits = params_int(c, "kv_cache_bit_width");
  p->nibbles = p->quantized && bits == 4;
  if (p->quantized && bits != 0 && bits != 4 && bits != 8)
    return params_fail(c, "kv_cache_bit_width", "is %lld, expected 4 or 8", (long long)bits);
  return SDX_OK;
}

static sdx_status sparse_attention_read(op_params_context *c, void *params) {
  gqa_params *p = params;
  *p = (gqa_params){.inputs = sparse_inputs,
                    .heads = params_int(c, "num_heads"),
                    .kv_heads = params_int(c, "kv_num_heads"),
                    .window = -1,
                    .causal = true,
                    .rotary = params_int(c, "do_rotary") != 0,
                    .interleaved = params_int(c, "rotary_interleaved") != 0,
                    .scale = params_float(c, "scale"),
                    .block = params_int(c, "sparse_block_size")};
  if (p->block < 1 || p->block > INT32_MAX)
    return params_fail(c, "sparse_block_size", "is %lld, expected 1 to %d", (long long)p->block, INT32_MAX);
  return check_heads(c, p);
}

// ---- sizes ----------------------------------------------------------------------------------------

// Negative: not known. past: rows of the past's buffer, 0 without one.
typedef struct gqa_sizes {
  bool packed;
  int64_t batch, rows, past, width;
} gqa_sizes;

static sdx_status need_rank(error *err, const heads_input *in, size_t input, int number, int rank) {
  if (!in[input].given || in[input].rank < 0 || in[input].rank == rank) return SDX_OK;
  return error_at(err, at_input(number), SDX_INVALID_SHAPE, "has rank %d, expected %d", in[input].rank, rank);
}
static int64_t dim(const heads_input *in, size_t input, int axis) {
  return in[input].given && in[input].rank > axis ? in[input].dims[axis] : DIM_UNKNOWN;
}

static sdx_status split(error *err, size_t input, int64_t hidden, int64_t heads, int64_t *width) {
  if (hidden < 0) return SDX_OK;
  if (hidden % heads)
    return error_at(err, at_input(input), SDX_INVALID_SHAPE, "has %lld columns, expected a multiple of its %lld heads",
                    (long long)hidden, (long long)heads);
  return heads_agree(err, input, "width of a head", hidden / heads, width);
}

static sdx_status measure(const heads_input *in, const gqa_params *p, gqa_sizes *s, error *err) {
  static const int8_t ranks[INPUTS] = {
      [Q] = 3,         [K] = 3,   [V] = 3,    [PAST_KEY] = 4, [PAST_VALUE] = 4, [COS] = 2,        [SIN] = 2,
      [POSITIONS] = 2, [ADD] = 4, [SINK] = 1, [Q_NORM] = 1,   [K_NORM] = 1,     [BLOCK_ROWS] = 2, [BLOCK_COLUMNS] = 2};
  const int8_t *at = p->inputs;
  *s = (gqa_sizes){!in[K].given, dim(in, Q, 0), dim(in, Q, 1), DIM_UNKNOWN, DIM_UNKNOWN};
  for (size_t i = 0; i < INPUTS; i++)
    if (ranks[i]) SDX_TRY(need_rank(err, in, i, at[i], ranks[i]));
  if (in[K].given != in[V].given)
    return error_set(err, SDX_INVALID_GRAPH, "key and value go together, but only one of them is given");
  if (in[PAST_KEY].given != in[PAST_VALUE].given)
    return error_set(err, SDX_INVALID_GRAPH, "past_key and past_value go together, but only one of them is given");
  if (in[Q_NORM].given != in[K_NORM].given)
    return error_set(err, SDX_INVALID_GRAPH, "q_norm_weight and k_norm_weight go together");
  if (p->rotary && (!in[COS].given || !in[SIN].given))
    return error_at(err, at_attribute("do_rotary"), SDX_INVALID_GRAPH, "needs inputs %d and %d (cos_cache, sin_cache)",
                    at[COS], at[SIN]);
  SDX_TRY(split(err, (size_t)at[Q], dim(in, Q, 2), p->heads + (s->packed ? 2 * p->kv_heads : 0), &s->width));
  for (size_t i = K; i <= V && !s->packed; i++) {
    SDX_TRY(heads_agree(err, (size_t)at[i], "batch", dim(in, i, 0), &s->batch));
    SDX_TRY(heads_agree(err, (size_t)at[i], "rows", dim(in, i, 1), &s->rows));
    SDX_TRY(split(err, (size_t)at[i], dim(in, i, 2), p->kv_heads, &s->width));
  }
  if (!in[PAST_KEY].given) s->past = 0;
  for (size_t i = PAST_KEY; i <= PAST_VALUE && in[i].given; i++) {
    int64_t heads = p->kv_heads;
    SDX_TRY(heads_agree(err, (size_t)at[i], "batch", dim(in, i, 0), &s->batch));
    SDX_TRY(heads_agree(err, (size_t)at[i], "heads", dim(in, i, 1), &heads));
    SDX_TRY(heads_agree(err, (size_t)at[i], "past keys", dim(in, i, 2), &s->past));
    int64_t stored = p->nibbles && s->width >= 0 ? (s->width + 1) / 2 : s->width;
    SDX_TRY(heads_agree(err, (size_t)at[i], "width of a head", dim(in, i, 3), &stored));
    if (!p->nibbles) s->width = stored;
  }
  int64_t positions = dim(in, COS, 0), pairs = dim(in, COS, 1), heads = p->heads, batch = s->batch, rows = s->rows,
          width[2] = {s->width, s->width};
  SDX_TRY(heads_agree(err, (size_t)at[SIN], "positions", dim(in, SIN, 0), &positions));
  SDX_TRY(heads_agree(err, (size_t)at[SIN], "pairs", dim(in, SIN, 1), &pairs));
  if (pairs >= 0 && s->width >= 0 && pairs > s->width / 2)
    return error_at(err, at_input(at[COS]), SDX_INVALID_SHAPE, "has %lld pairs, but heads have %lld numbers",
                    (long long)pairs, (long long)s->width);
  SDX_TRY(heads_agree(err, (size_t)at[POSITIONS], "batch", dim(in, POSITIONS, 0), &batch));
  SDX_TRY(heads_agree(err, (size_t)at[POSITIONS], "rows", dim(in, POSITIONS, 1), &rows));
  SDX_TRY(heads_agree(err, (size_t)at[SINK], "heads", dim(in, SINK, 0), &heads));
  SDX_TRY(heads_agree(err, (size_t)at[Q_NORM], "numbers", dim(in, Q_NORM, 0), &width[0]));
  SDX_TRY(heads_agree(err, (size_t)at[K_NORM], "numbers", dim(in, K_NORM, 0), &width[1]));
  int64_t add[3] = {dim(in, ADD, 0), dim(in, ADD, 1), dim(in, ADD, 2)}, wanted[3] = {s->batch, p->heads, s->rows};
  for (size_t d = 0; d < 3; d++)
    if (add[d] >= 0 && wanted[d] >= 0 && add[d] != wanted[d] && (d == 2 || add[d] != 1))
      return error_at(err, at_input(10), SDX_INVALID_SHAPE, "has %lld as its dimension %zu, expected %lld",
                      (long long)add[d], d, (long long)wanted[d]);
  int64_t layouts = dim(in, BLOCK_ROWS, 0);
  SDX_TRY(heads_agree(err, (size_t)at[BLOCK_COLUMNS], "layouts", dim(in, BLOCK_COLUMNS, 0), &layouts));
  if (p->block && layouts >= 0 && (layouts == 0 || p->heads % layouts))
    return error_at(err, at_input(at[BLOCK_ROWS]), SDX_INVALID_SHAPE,
                    "has %lld layouts, which do not divide the %lld heads", (long long)layouts, (long long)p->heads);
  return SDX_OK;
}

// A quantised cache comes with its scales, which may have any shape.
static sdx_status check_scales(op_step *c, const gqa_sizes *s) {
  const gqa_params *p = c->params;
  size_t past = (size_t)p->inputs[PAST_KEY];
  sdx_dtype dtype = past < c->input_count ? infer_dtype_of(c, past) : SDX_UNDEFINED;
  if (dtype && kv_cache_is_quantized(dtype) != p->quantized)
    return step_fail_at(c, at_attribute("k_quant_type"), SDX_INVALID_ARGUMENT, "does not go with a cache of %s",
                        dtype_name(dtype));
  if (p->quantized && dtype && (dtype == SDX_UINT8) != p->nibbles)
    return step_fail_at(c, at_attribute("kv_cache_bit_width"), SDX_INVALID_ARGUMENT, "does not go with a cache of %s",
                        dtype_name(dtype));
  for (size_t i = K_SCALE; p->quantized && i <= V_SCALE; i++) {
    size_t at = (size_t)p->inputs[i];
    if (at >= c->input_count || !c->in_types[at] || past >= c->input_count || !c->in_types[past])
      return step_fail_at(c, at_input(at), SDX_INVALID_GRAPH,
                          "and input %zu ('past_key') are not both given, as a quantised cache needs them", past);
    int64_t count = 1, wanted = s->width < 0 || !p->by_channel ? 1 : s->width * p->kv_heads;
    for (int d = 0; d < infer_rank_of(c, at) && count >= 0; d++)
      if (infer_dim(c, at, d) < 0 || !i64_mul(count, infer_dim(c, at, d), &count)) count = DIM_UNKNOWN;
    if (infer_rank_of(c, at) >= 0 && count >= 0 && s->width >= 0 && count != wanted)
      return step_fail_at(c, at_input(at), SDX_INVALID_SHAPE, "has %lld scales, expected %lld", (long long)count,
                          (long long)wanted);
  }
  return SDX_OK;
}

static sdx_status check_window(op_step *c, const heads_input *in, const gqa_sizes *s) {
  const gqa_params *p = c->params;
  if (!p->evicts) return SDX_OK;
  if (!in[PAST_KEY].given)
    return step_fail_at(c, at_attribute("sliding_window_cache"), SDX_INVALID_GRAPH, "needs input 3 ('past_key')");
  if (in[ADD].given || p->scores)
    return step_fail(c, SDX_NOT_SUPPORTED, "sliding_window_cache together with attention_bias or output_qk");
  if (s->past >= 0 && s->past < p->window)
    return step_fail(c, SDX_INVALID_SHAPE, "the cache has room for %lld keys, but the window is %lld",
                     (long long)s->past, (long long)p->window);
  return SDX_OK;
}

static void find_types(const op_step *c, heads_input in[INPUTS]) {
  const int8_t *at = ((const gqa_params *)c->params)->inputs;
  for (size_t i = 0; i < INPUTS; i++) in[i] = at[i] < 0 ? (heads_input){.rank = -1} : heads_from_type(c, (size_t)at[i]);
}

static sdx_status group_query_attention_infer(op_step *c) {
  const gqa_params *p = c->params;
  heads_input in[INPUTS];
  gqa_sizes s;
  find_types(c, in);
  SDX_TRY(step_located(c, measure(in, p, &s, c->err)));
  SDX_TRY(check_scales(c, &s));
  int64_t stored = p->nibbles && s.width >= 0 ? (s.width + 1) / 2 : s.width;
  int64_t hidden = DIM_UNKNOWN, total = DIM_UNKNOWN, capacity = p->block || p->evicts ? s.past : DIM_UNKNOWN;
  SDX_TRY(check_window(c, in, &s));
  if (s.width >= 0 && !i64_mul(p->heads, s.width, &hidden))
    return step_fail_at(c, at_output(0), SDX_INVALID_SHAPE, "would be too large");
  size_t total_at = (size_t)p->inputs[TOTAL];
  const tensor *given = total_at < c->input_count ? c->constants[total_at] : NULL;
  if (given) {
    if (given->count != 1)
      return step_fail_at(c, at_input(total_at), SDX_INVALID_SHAPE, "has %zu elements, expected 1", given->count);
    total = ((const int32_t *)given->data)[0];
    if (total < 0) return step_fail_at(c, at_input(total_at), SDX_OUT_OF_RANGE, "is %lld", (long long)total);
    if (!p->evicts && s.past >= 0 && s.rows >= 0 && total - s.rows > s.past)
      return step_fail_at(c, at_input(total_at), SDX_OUT_OF_RANGE, "is %lld with %lld past and %lld new keys",
                          (long long)total, (long long)s.past, (long long)s.rows);
    if (s.past >= 0 && !p->block && !p->evicts) capacity = i64_max(s.past, total);
  }
  sdx_dtype dtype = infer_dtype_of(c, Q),
            cache = in[PAST_KEY].given ? infer_dtype_of(c, (size_t)p->inputs[PAST_KEY]) : dtype;
  SDX_TRY(infer_output(c, Y, dtype, 3, (int64_t[]){s.batch, s.rows, hidden}));
  SDX_TRY(infer_output(c, PRESENT_KEY, cache, 4, (int64_t[]){s.batch, p->kv_heads, capacity, stored}));
  SDX_TRY(infer_output(c, PRESENT_VALUE, cache, 4, (int64_t[]){s.batch, p->kv_heads, capacity, stored}));
  return infer_output(c, SCORES, dtype, 4, (int64_t[]){s.batch, p->heads, s.rows, total});
}

// ---- prepare and compute --------------------------------------------------------------------------

typedef struct gqa_state {
  size_t batch, rows, width, past, capacity;
  bool packed;
  int precision;
  size_t threads;
  size_t q, k, cache[2], attend, total;  // bytes of scratch
} gqa_state;

static attend_shape shape_of(const gqa_params *p, const gqa_state *s, size_t columns) {
  return (attend_shape){SDX_FLOAT, s->batch, (size_t)p->heads, (size_t)p->kv_heads,
                        s->rows,   columns,  s->width,         s->width};
}

static sdx_status group_query_attention_prepare(op_step *c) {
  const gqa_params *p = c->params;
  heads_input in[INPUTS];
  gqa_sizes z;
  attend_plan plan;
  gqa_state *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  for (size_t i = 0; i < INPUTS; i++)
    in[i] = p->inputs[i] < 0 ? (heads_input){.rank = -1} : heads_from_tensor(c, (size_t)p->inputs[i]);
  SDX_TRY(measure(in, p, &z, c->err));
  s->batch = (size_t)z.batch, s->rows = (size_t)z.rows, s->width = (size_t)z.width, s->past = (size_t)z.past;
  s->packed = z.packed, s->precision = c->precision, s->threads = c->threads;
  const tensor *present[2] = {NULL, NULL};
  bool fits = size_add(s->past, s->rows, &s->capacity);  // enough where nobody wants to see it
  for (size_t i = 0; i < 2; i++) {
    present[i] = PRESENT_KEY + i < c->output_count ? step_out(c, PRESENT_KEY + i) : NULL;
    if (present[i]) s->capacity = (size_t)present[i]->dims[2];
  }
  bool rewritten = p->rotary || in[Q_NORM].given;
  int64_t q[4] = {z.batch, z.rows, p->heads, z.width}, k[4] = {z.batch, z.rows, p->kv_heads, z.width},
          cache[4] = {z.batch, p->kv_heads, (int64_t)s->capacity, z.width};
  if (rewritten) fits = fits && size_product(q, 4, &s->q) && size_product(k, 4, &s->k);
  for (size_t i = 0; i < 2; i++)
    if (!present[i] && !p->quantized && !p->evicts)
      fits = fits && size_product(cache, 4, &s->cache[i]) && size_mul(s->cache[i], 4, &s->cache[i]);
  attend_shape shape = shape_of(p, s, s->capacity);
  fits = fits && size_mul(s->q, 4, &s->q) && size_mul(s->k, 4, &s->k) &&
         attend_plan_init(&plan, &shape, c->threads, c->precision) && scratch_reserve(&s->total, s->q) &&
         scratch_reserve(&s->total, s->k) && scratch_reserve(&s->total, s->cache[0]) &&
         scratch_reserve(&s->total, s->cache[1]) && scratch_reserve(&s->total, plan.scratch_bytes);
  if (!fits) return error_no_memory(c->err, SIZE_MAX);
  s->attend = plan.scratch_bytes;
  c->kernel = plan.gemm ? plan.scores[0].name : "portable";
  return prepare_widened(c, s->total);
}

// What each sample has: keys before, those of them that the buffer holds, and rows of the buffer that may be seen.
typedef struct spans {
  int64_t *past, *held, *lengths;
  size_t total;  // rows of the buffer that any sample needs
} spans;

// How many of n keys stay in a buffer of C rows: G at once leave it, so that the window always stays.
static int64_t held_of(const gqa_params *p, const gqa_state *s, int64_t n) {
  int64_t room = (int64_t)s->past, most = room - p->window + 1;
  if (!p->evicts || n <= room) return n;
  return n - most * ((n - room + most - 1) / most);
}

static sdx_status read_spans(op_step *c, const gqa_state *s, spans *out) {
  const tensor *lengths = given(c, LENGTHS), *most = given(c, TOTAL);
  const gqa_params *p = c->params;
  const int8_t *inputs = p->inputs;
  if (most->count != 1)
    return step_fail_at(c, at_input((size_t)inputs[TOTAL]), SDX_INVALID_SHAPE, "has %zu elements, expected 1",
                        most->count);
  if (lengths->count != s->batch)
    return step_fail_at(c, at_input((size_t)inputs[LENGTHS]), SDX_INVALID_SHAPE, "has %zu elements, expected %zu",
                        lengths->count, s->batch);
  int64_t total = ((const int32_t *)most->data)[0], rows = (int64_t)s->rows;
  if (total < rows || (!p->evicts && total > (int64_t)s->capacity))
    return step_fail_at(c, at_input(inputs[TOTAL]), SDX_OUT_OF_RANGE, "is %lld, expected %zu to %zu", (long long)total,
                        s->rows, s->capacity);
  out->total = p->evicts ? s->rows : (size_t)total;
  out->past = call_alloc(c, 3 * s->batch * sizeof(int64_t));
  if (!out->past) return call_no_memory(c, 3 * s->batch * sizeof(int64_t));
  out->held = out->past + s->batch, out->lengths = out->held + s->batch;
  for (size_t b = 0; b < s->batch; b++) {
    int64_t length = (int64_t)((const int32_t *)lengths->data)[b] + (p->block == 0),
            past = total == rows ? 0 : length - rows;
    if (length < 1 || length > total || past < 0 || (past > (int64_t)s->past && !p->evicts))
      return step_fail_at(c, at_input(inputs[LENGTHS]), SDX_OUT_OF_RANGE,
                          "sample %zu has %lld keys; with %zu new rows, %zu past ones and a total of %lld they must "
                          "leave between 0 and %zu to the past",
                          b, (long long)length, s->rows, s->past, (long long)total, s->past);
    int64_t held = held_of(p, s, past);
    out->past[b] = past, out->held[b] = held, out->lengths[b] = held + length - past;
    if (p->evicts && (size_t)held + s->rows > out->total) out->total = (size_t)held + s->rows;
  }
  return SDX_OK;
}

// QK-norm and RoPE: the heads of queries or keys, normalised and rotated into `own`.
static sdx_status norm_and_rotate(op_step *c, const gqa_state *s, const spans *at, size_t norm, size_t heads, void *own,
                                  attend_view *view) {
  const gqa_params *p = c->params;
  const tensor *weight = given(c, norm), *cosine = given(c, COS), *positions = given(c, POSITIONS);
  attend_view to = heads_packed(own, heads, s->rows, s->width);
  if (weight) {
    heads_norm(c, view, &to, weight->data, p->epsilon, (size_t[4]){s->batch, heads, s->rows, s->width});
    *view = to;
  }
  if (!p->rotary) return SDX_OK;
  rotary r = {.cos = cosine->data,
              .sin = given(c, SIN)->data,
              .table_rows = (size_t)cosine->dims[0],
              .pairs = (size_t)cosine->dims[1],
              .columns = (size_t)cosine->dims[1],
              .interleaved = p->interleaved,
              .positions = positions ? positions->data : at->past,
              .position_batch = positions ? s->rows : 1,
              .position_row = positions != NULL};
  SDX_TRY(rotary_run(c, &r, view, &to, s->batch, heads, s->rows, s->width,
                     at_input((size_t)p->inputs[positions ? POSITIONS : LENGTHS])));
  *view = to;
  return SDX_OK;
}

typedef struct load_job {
  const kv_cache *cache;
  float *to;
  size_t heads, capacity, total, width;
} load_job;

static void load_range(void *context, size_t begin, size_t end, size_t worker) {
  const load_job *j = context;
  for (size_t i = begin; i < end; i++)
    for (size_t t = 0; t < j->total; t++)
      kv_cache_read(j->cache, i * j->capacity + t, i % j->heads, j->to + (i * j->total + t) * j->width);
}

// A buffer of rows as they are stored, [batch, kv_heads, rows, bytes of a row].
typedef struct stage {
  uint8_t *at;
  size_t rows, row;
} stage;

// Past and new rows of keys or values, one behind the other.
static sdx_status fill_stage(op_step *c, const gqa_state *s, const spans *at, const attend_view *from,
                             const tensor *past, const kv_cache *cache, const stage *g) {
  size_t heads = (size_t)((const gqa_params *)c->params)->kv_heads;
  float *scratch = call_alloc(c, s->width * sizeof(float));
  if (!scratch) return call_no_memory(c, s->width * sizeof(float));
  for (size_t i = 0; i < s->batch * heads; i++) {
    size_t b = i / heads, used = (size_t)at->held[b];
    uint8_t *rows = g->at + i * g->rows * g->row;
    if (used > 0 && g->row > 0) memcpy(rows, (const uint8_t *)past->data + i * s->past * g->row, used * g->row);
    memset(rows + used * g->row, 0, (g->rows - used) * g->row);
    for (size_t r = 0; r < s->rows; r++)
      kv_cache_write(cache, i * g->rows + used + r, i % heads,
                     (const float *)from->at + b * from->batch + i % heads * from->head + r * from->row, scratch);
  }
  return call_check(c);
}

// The latest rows, as many as the buffer keeps.
static void keep_latest(const op_step *c, const gqa_state *s, const spans *at, const stage *g, uint8_t *to) {
  const gqa_params *p = c->params;
  size_t heads = (size_t)p->kv_heads;
  for (size_t i = 0; i < s->batch * heads; i++, to += s->capacity * g->row) {
    size_t b = i / heads, end = (size_t)at->lengths[b],
           kept = (size_t)held_of(p, s, at->past[b] + at->lengths[b] - at->held[b]);
    if (kept > 0 && g->row > 0) memcpy(to, g->at + (i * g->rows + end - kept) * g->row, kept * g->row);
    memset(to + kept * g->row, 0, (s->capacity - kept) * g->row);
  }
}

// join for caches that are quantised or drop old rows.
static sdx_status join_stored(op_step *c, const gqa_state *s, const spans *at, size_t which, const attend_view *from,
                              attend_view *view) {
  const gqa_params *p = c->params;
  const tensor *past = given(c, which == K ? PAST_KEY : PAST_VALUE), *scale = given(c, which == K ? K_SCALE : V_SCALE);
  tensor *present = step_out(c, which == K ? PRESENT_KEY : PRESENT_VALUE);
  size_t heads = (size_t)p->kv_heads, bytes = SIZE_MAX, columns = (size_t)past->dims[3];
  stage g = {.rows = p->evicts ? s->past + s->rows : s->capacity, .row = columns * (p->quantized ? 1 : sizeof(float))};
  int64_t raw[4] = {(int64_t)s->batch, p->kv_heads, (int64_t)g.rows, (int64_t)g.row},
          wide[5] = {(int64_t)s->batch, p->kv_heads, (int64_t)at->total, (int64_t)s->width, sizeof(float)};
  if (!size_product(raw, 4, &bytes)) return call_no_memory(c, SIZE_MAX);
  g.at = present && !p->evicts ? present->data : call_alloc(c, bytes);
  if (!g.at) return call_no_memory(c, bytes);
  kv_cache cache = {.data = g.at,
                    .dtype = p->nibbles ? SDX_UINT4 : (sdx_dtype)past->dtype,
                    .scale = p->quantized ? scale->data : NULL,
                    .by_channel = p->by_channel,
                    .zero = p->nibbles ? 8 : 0,
                    .width = s->width,
                    .stride = p->nibbles ? 2 * columns : columns};
  SDX_TRY(fill_stage(c, s, at, from, past, &cache, &g));
  if (present && p->evicts) keep_latest(c, s, at, &g, present->data);
  *view = heads_apart(g.at, heads, g.rows, s->width);
  if (!p->quantized) return SDX_OK;
  if (!size_product(wide, 5, &bytes)) return call_no_memory(c, SIZE_MAX);
  float *floats = call_alloc(c, bytes);
  if (!floats) return call_no_memory(c, bytes);
  load_job j = {&cache, floats, heads, g.rows, at->total, s->width};
  call_parallel(c, s->batch * heads, 1 + GRAIN_CHEAP / (at->total * s->width + 1), load_range, &j);
  *view = heads_apart(floats, heads, at->total, s->width);
  return SDX_OK;
}

// Past and new rows of keys or values in one buffer.
static attend_view join(op_step *c, const gqa_state *s, const spans *at, size_t which, const attend_view *from,
                        void *own) {
  const gqa_params *p = c->params;
  const tensor *past = given(c, which == K ? PAST_KEY : PAST_VALUE);
  tensor *present = step_out(c, which == K ? PRESENT_KEY : PRESENT_VALUE);
  size_t heads = (size_t)p->kv_heads;
  float *to = present ? present->data : own;
  attend_view view = heads_apart(to, heads, s->capacity, s->width);
  for (size_t b = 0; b < s->batch; b++) {  // what does not count
    size_t used = (size_t)at->past[b] + s->rows;
    for (size_t h = 0; h < heads && !pool_stopped(); h++)
      memset(to + b * view.batch + h * view.head + used * s->width, 0, (s->capacity - used) * s->width * sizeof *to);
  }
  heads_move move = {.to = view, .batch = s->batch, .heads = heads, .width = s->width};
  if (past) {
    move.from = heads_apart(past->data, heads, s->past, s->width), move.counts = at->past, move.rows = s->past;
    heads_run(c, &move);
  }
  move.from = *from, move.counts = NULL, move.offsets = at->past, move.rows = s->rows;
  heads_run(c, &move);
  return view;
}

// Adds -inf to the scores of keys in blocks that are closed: [samples with a past of their own, layouts, rows, total].
static sdx_status close_blocks(op_step *c, const gqa_state *s, const spans *at, attend_bias *bias) {
  const tensor *rows = given(c, BLOCK_ROWS), *columns = given(c, BLOCK_COLUMNS);
  const int32_t *first = rows->data, *column = columns->data;
  const int8_t *inputs = ((const gqa_params *)c->params)->inputs;
  size_t layouts = (size_t)rows->dims[0], ends = (size_t)rows->dims[1], most = (size_t)columns->dims[1],
         block = (size_t)((const gqa_params *)c->params)->block, samples = s->batch, bytes = SIZE_MAX;
  bool same = true;
  for (size_t b = 1; b < s->batch; b++) same &= at->past[b] == at->past[0];
  if (same) samples = 1;
  int64_t dims[4] = {(int64_t)samples, (int64_t)layouts, (int64_t)s->rows, (int64_t)at->total};
  float *to = size_product(dims, 4, &bytes) && size_mul(bytes, sizeof *to, &bytes) ? call_alloc(c, bytes) : NULL;
  if (!to) return call_no_memory(c, bytes);
  *bias =
      (attend_bias){to, same ? 0 : layouts * s->rows * at->total, s->rows * at->total, at->total, at->total, layouts};
  for (size_t i = 0; i < samples * layouts * s->rows; i++, to += at->total) {
    size_t layout = i / s->rows % layouts, row = ((size_t)at->past[i / s->rows / layouts] + i % s->rows) / block;
    for (size_t k = 0; k < at->total; k++) to[k] = -INFINITY;
    if (row + 1 >= ends) {
      if ((int64_t)(i % s->rows) >= at->lengths[i / s->rows / layouts]) continue;  // padding
      return step_fail_at(c, at_input(inputs[BLOCK_ROWS]), SDX_OUT_OF_RANGE,
                          "has %zu rows of blocks, but queries stand in block %zu", ends ? ends - 1 : 0, row);
    }
    int32_t begin = first[layout * ends + row], end = first[layout * ends + row + 1];
    if (begin < 0 || end < begin || (size_t)end > most)
      return step_fail_at(c, at_input(inputs[BLOCK_ROWS]), SDX_OUT_OF_RANGE,
                          "row %zu of layout %zu spans %d to %d, but there are %zu blocks", row, layout, begin, end,
                          most);
    for (int32_t n = begin; n < end; n++) {
      int32_t open = column[layout * most + (size_t)n];
      if (open < 0)
        return step_fail_at(c, at_input(inputs[BLOCK_COLUMNS]), SDX_OUT_OF_RANGE, "is %d at [%zu, %d]", open, layout,
                            n);
      for (size_t k = (size_t)open * block; k < ((size_t)open + 1) * block && k < at->total; k++) to[k] = 0;
    }
    if (i % 64 == 0) SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

// Heads of queries, keys and values where the inputs have them.
static void find_heads(op_step *c, const gqa_state *s, attend_view *q, attend_view *k, attend_view *v) {
  const gqa_params *p = c->params;
  size_t heads = (size_t)p->heads, kv_heads = (size_t)p->kv_heads, all = (heads + 2 * kv_heads) * s->width;
  float *x = given(c, Q)->data;
  if (s->packed) {
    *q = *k = *v = (attend_view){x, s->rows * all, s->width, all};
    k->at = x + heads * s->width, v->at = x + (heads + kv_heads) * s->width;
  } else {
    *q = heads_packed(x, heads, s->rows, s->width);
    *k = heads_packed(given(c, K)->data, kv_heads, s->rows, s->width);
    *v = heads_packed(given(c, V)->data, kv_heads, s->rows, s->width);
  }
}

static sdx_status attention(op_step *c) {
  const gqa_params *p = c->params;
  const gqa_state *s = c->state;
  const tensor *sink = given(c, SINK), *add = given(c, ADD);
  tensor *y = step_out(c, Y), *stages = step_out(c, SCORES);
  size_t heads = (size_t)p->heads, kv_heads = (size_t)p->kv_heads;
  spans at;
  if (!y || y->count == 0) return SDX_OK;
  SDX_TRY(read_spans(c, s, &at));
  if (add && (size_t)add->dims[3] != at.total)
    return step_fail_at(c, at_input(10), SDX_INVALID_SHAPE, "has %lld columns, expected %zu", (long long)add->dims[3],
                        at.total);
  char *scratch = call_scratch(c, s->total);
  if (!scratch) return c->err->status;
  attend_view q, k, v;
  find_heads(c, s, &q, &k, &v);
  void *own_q = scratch_take(&scratch, s->q), *own_k = scratch_take(&scratch, s->k);
  SDX_TRY(norm_and_rotate(c, s, &at, Q_NORM, heads, own_q, &q));
  SDX_TRY(norm_and_rotate(c, s, &at, K_NORM, kv_heads, own_k, &k));
  void *cache[2] = {scratch_take(&scratch, s->cache[0]), scratch_take(&scratch, s->cache[1])};
  if (p->quantized || p->evicts) {
    SDX_TRY(join_stored(c, s, &at, K, &k, &k));
    SDX_TRY(join_stored(c, s, &at, V, &v, &v));
  } else {
    k = join(c, s, &at, K, &k, cache[0]), v = join(c, s, &at, V, &v, cache[1]);
  }
  attend_call a = {.q = q,
                   .k = k,
                   .v = v,
                   .y = heads_packed(y->data, heads, s->rows, s->width),
                   .scale = p->scale != 0 ? (double)p->scale : 1 / sqrt((double)s->width),
                   .softcap = (double)p->softcap,
                   .offsets = at.held,
                   .lengths = at.lengths,
                   .left = p->window < 0 ? -1 : p->window - 1,
                   .right = p->causal ? 0 : -1,
                   .sinks = sink ? sink->data : NULL,
                   .stages = stages && p->scores ? stages->data : NULL,
                   .stage = p->scores == 2 ? ATTEND_PROBABILITIES : ATTEND_BIASED};
  if (add)
    a.bias[0] = (attend_bias){add->data,
                              add->dims[0] == 1 ? 0 : (size_t)add->dims[1] * s->rows * at.total,
                              add->dims[1] == 1 ? 0 : s->rows * at.total,
                              at.total,
                              at.total,
                              0};
  if (p->block) SDX_TRY(close_blocks(c, s, &at, &a.bias[0]));
  if (p->smooth && !sink) {
    float *zeros = call_alloc(c, heads * sizeof *zeros);
    if (!zeros) return call_no_memory(c, heads * sizeof *zeros);
    memset(zeros, 0, heads * sizeof *zeros);
    a.sinks = zeros;
  }
  attend_plan plan;  // over the keys that count, not over the whole buffer
  attend_shape shape = shape_of(p, s, at.total);
  if (!attend_plan_init(&plan, &shape, s->threads, s->precision)) return call_no_memory(c, SIZE_MAX);
  void *own = plan.scratch_bytes <= s->attend ? scratch : call_alloc(c, plan.scratch_bytes);
  if (!own) return call_no_memory(c, plan.scratch_bytes);
  attend_run(c, &plan, &a, own);
  float *scores = a.stages;
  for (size_t i = 0; scores && p->scores == 1 && i < stages->count; i++)  // closed keys show as 0
    if (scores[i] == -INFINITY) scores[i] = 0;
  return call_check(c);
}

static sdx_status group_query_attention_compute(op_step *c) { return call_widened(c, attention); }

SDX_CASES = {
    "query=float[2,3,16] key=float[2,3,8] value=float[2,3,8] seqlens_k=int32(2,1) "
    "total_sequence_length=int32(3) num_heads=4 kv_num_heads=2",
    "query=float[2,1,16] key=float[2,1,8] value=float[2,1,8] past_key=int8[2,2,3,4]@-127..127 "
    "past_value=int8[2,2,3,4]@-127..127 seqlens_k=int32(3,2) total_sequence_length=int32(4) k_scale=float[8]@0.1..0.2 "
    "v_scale=float[8]@0.1..0.2 num_heads=4 kv_num_heads=2 k_quant_type=PER_CHANNEL v_quant_type=PER_CHANNEL "
    "kv_cache_bit_width=8 outputs=3 not=float,float16,bfloat16,uint8",
    "query=float[2,1,16] key=float[2,1,8] value=float[2,1,8] past_key=uint8[2,2,3,2]@0..255 "
    "past_value=uint8[2,2,3,2]@0..255 seqlens_k=int32(3,2) total_sequence_length=int32(4) k_scale=float[8]@0.1..0.2 "
    "v_scale=float[8]@0.1..0.2 num_heads=4 kv_num_heads=2 k_quant_type=PER_CHANNEL v_quant_type=PER_CHANNEL "
    "kv_cache_bit_width=4 outputs=3 not=float,float16,bfloat16,int8,float8e4m3fn",
    "query=float[1,2,16] key=float[1,2,8] value=float[1,2,8] past_key=float[1,2,5,4] past_value=float[1,2,5,4] "
    "seqlens_k=int32[1](8) total_sequence_length=int32(9) num_heads=4 kv_num_heads=2 local_window_size=3 "
    "sliding_window_cache=1 outputs=3 not=int8,uint8,float8e4m3fn",
    NULL};
static const char *const sparse_cases[] = {
    "query=float[2,3,16] key=float[2,3,8] value=float[2,3,8] past_key=float[2,2,8,4] past_value=float[2,2,8,4] "
    "block_row_indices=int32[2,5](0,1,3,5,8,0,1,3,6,9) "
    "block_col_indices=int32[2,9](0,0,1,1,2,1,2,3,-1,0,0,1,0,1,2,0,2,3) total_sequence_length=int32(6) "
    "key_total_sequence_lengths=int32(6,5) num_heads=4 kv_num_heads=2 sparse_block_size=2",
    NULL};

// clang-format off
SDX_OP_MS(GroupQueryAttention) = {
    .since = 1, .versions = "1",
    .inputs = "query:T key:T? value:T? past_key:T_CACHE? past_value:T_CACHE? seqlens_k:M total_sequence_length:M "
              "cos_cache:T? sin_cache:T? position_ids:int64? attention_bias:T? head_sink:T? k_scale:S? v_scale:S? "
              "q_norm_weight:T? k_norm_weight:T?",
    .outputs = "output:T present_key:T_CACHE? present_value:T_CACHE? output_qk:T?",
    .types = "T=float16,bfloat16,float;T_CACHE=float,float16,bfloat16,uint8,int8,float8e4m3fn;S=float;M=int32",
    .attrs = "causal:int=1 do_rotary:int=0 k_quant_type:string=NONE kv_cache_bit_width:int=0 kv_num_heads:int! "
             "local_window_size:int=-1 num_heads:int! qk_norm_epsilon:float=1e-6 qk_output:int=0 "
             "rotary_interleaved:int=0 scale:float=0 sliding_window_cache:int=0 smooth_softmax:int=-1 softcap:float=0 "
             "v_quant_type:string=NONE",
    .params_size = sizeof(gqa_params), .params = group_query_attention_read, .infer = group_query_attention_infer,
    .prepare = group_query_attention_prepare, .compute = group_query_attention_compute,
    .cases = cases,
};
SDX_OP_MS(SparseAttention) = {
    .since = 1, .versions = "1",
    .inputs = "query:T key:T? value:T? past_key:T past_value:T block_row_indices:M block_col_indices:M "
              "total_sequence_length:M key_total_sequence_lengths:M cos_cache:T? sin_cache:T?",
    .outputs = "output:T present_key:T present_value:T", .types = "T=float,float16,bfloat16;M=int32",
    .attrs = "do_rotary:int=0 kv_num_heads:int! num_heads:int! rotary_interleaved:int=0 scale:float=0 "
             "sparse_block_size:int!",
    .params_size = sizeof(gqa_params), .params = sparse_attention_read, .infer = group_query_attention_infer,
    .prepare = group_query_attention_prepare, .compute = group_query_attention_compute,
    .cases = sparse_cases,
};
// clang-format on
