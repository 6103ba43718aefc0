// SPDX-License-Identifier: Apache-2.0
// PagedAttention: GroupQueryAttention for a batch whose samples lie behind one another without padding, over a cache
// in blocks. Sample b owns rows [ends[b], ends[b + 1]) of the query; its key t lies in block table[b][t / size] of the
// cache at t % size. New keys and values are written there first, or where slot_mapping says (-1: nowhere), and then
// every sample attends to what its blocks hold.
//
// The cache may be quantised: w = q * scale, of one scale or one for each channel; int4 and float4e2m1 are packed in
// uint8. LATENT: one cache, whose rows start with the value. The outputs are copies of the caches, not the same memory.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/heads.h"
#include "ops/parts/kv_cache.h"
#include "ops/parts/rotary.h"

enum {
  Q,
  K,
  V,
  KEY_CACHE,
  VALUE_CACHE,
  ENDS,
  PAST,
  TABLE,
  COS,
  SIN,
  SLOTS,
  SINK,
  Q_NORM,
  K_NORM,
  K_SCALE,
  V_SCALE,
  METADATA
};
enum { KEYS, VALUES };

typedef struct paged_params {
  int64_t heads, kv_heads, window, rotary_offset, v_width;  // v_width 0: as wide as keys
  bool causal, rotary, interleaved, latent;
  float scale, softcap, epsilon;
  sdx_dtype cache[2];  // what uint8 holds; SDX_UNDEFINED: the tensor's own type
  bool quantized[2], by_channel[2];
} paged_params;

static sdx_status read_cache(op_params_context *c, paged_params *p, int which) {
  static const char *const types[2] = {"k_cache_dtype", "v_cache_dtype"}, *const kinds[2] = {"k_quant_type",
                                                                                             "v_quant_type"};
  str type = params_string(c, types[which]);
  p->cache[which] = type.size ? dtype_from_name(type) : SDX_UNDEFINED;
  if (type.size && !p->cache[which])
    return params_fail(c, types[which], "is '%.*s', expected an element type", STR_ARG(type));
  return kv_cache_read_kind(c, kinds[which], &p->quantized[which], &p->by_channel[which]);
}

static sdx_status paged_attention_read(op_params_context *c, void *params) {
  paged_params *p = params;
  str layout = params_string(c, "kv_cache_layout");
  *p = (paged_params){.heads = params_int(c, "num_heads"),
                      .kv_heads = params_int(c, "kv_num_heads"),
                      .window = params_int(c, "local_window_size"),
                      .rotary_offset = params_int(c, "rotary_offset"),
                      .v_width = params_int(c, "v_head_size"),
                      .causal = params_int(c, "is_causal") != 0,
                      .rotary = params_int(c, "do_rotary") != 0,
                      .interleaved = params_int(c, "rotary_interleaved") != 0,
                      .latent = str_is(layout, "LATENT"),
                      .scale = params_float(c, "scale"),
                      .softcap = params_float(c, "softcap"),
                      .epsilon = params_float(c, "qk_norm_epsilon")};
  if (!p->latent && !str_is(layout, "SEPARATE"))
    return params_fail(c, "kv_cache_layout", "is '%.*s', expected SEPARATE or LATENT", STR_ARG(layout));
  if (p->kv_heads < 1 || p->kv_heads > INT32_MAX || (p->latent && p->kv_heads != 1))
    return params_fail(c, "kv_num_heads", "is %lld, expected 1 to %d", (long long)p->kv_heads,
                       p->latent ? 1 : INT32_MAX);
  if (p->heads < 1 || p->heads > INT32_MAX || p->heads % p->kv_heads)
    return params_fail(c, "num_heads", "is %lld, expected a positive multiple of kv_num_heads %lld",
                       (long long)p->heads, (long long)p->kv_heads);
  if (p->window != -1 && p->window < 1)
    return params_fail(c, "local_window_size", "is %lld, expected -1 or a positive number", (long long)p->window);
  if (p->rotary_offset < 0 || p->rotary_offset > INT32_MAX)
    return params_fail(c, "rotary_offset", "is %lld", (long long)p->rotary_offset);
  if (p->v_width < 0 || p->v_width > INT32_MAX || (p->v_width && !p->latent))
    return params_fail(c, "v_head_size", "is %lld; it is for the layout LATENT", (long long)p->v_width);
  SDX_TRY(read_cache(c, p, KEYS));
  return read_cache(c, p, VALUES);
}

// ---- infer ----------------------------------------------------------------------------------------

static sdx_status check_pairs(op_step *c, const paged_params *p) {
  static const size_t pairs[][2] = {{K, V}, {COS, SIN}, {Q_NORM, K_NORM}};
  for (size_t i = 0; i < 3; i++)
    if (infer_has(c, pairs[i][0]) != infer_has(c, pairs[i][1]) && !(p->latent && i == 0)) {
      bool first = infer_has(c, pairs[i][1]);
      return step_fail_at(c, at_input(pairs[i][!first]), SDX_INVALID_GRAPH, "is missing, but input %zu is given",
                          pairs[i][first]);
    }
  for (size_t i = 0; p->latent && i < 2; i++)
    if (infer_has(c, i ? VALUE_CACHE : V))
      return step_fail_at(c, at_input(i ? VALUE_CACHE : V), SDX_INVALID_GRAPH,
                          "is given, but the layout LATENT has neither value nor value_cache");
  if (p->latent && !infer_has(c, K))
    return step_fail_at(c, at_input(K), SDX_INVALID_GRAPH, "is missing, which the layout LATENT needs");
  if (!p->latent && !infer_has(c, VALUE_CACHE))
    return step_fail_at(c, at_input(VALUE_CACHE), SDX_INVALID_GRAPH, "is missing");
  if (p->rotary && !infer_has(c, COS))
    return step_fail_at(c, at_attribute("do_rotary"), SDX_INVALID_GRAPH, "needs inputs %d and %d", COS, SIN);
  for (size_t i = 0; i < (p->latent ? 1u : 2u); i++) {
    if (p->quantized[i] && !infer_has(c, K_SCALE + i))
      return step_fail_at(c, at_input(K_SCALE + i), SDX_INVALID_GRAPH, "is missing, which a quantised cache needs");
    sdx_dtype stored = infer_dtype_of(c, KEY_CACHE + i), holds = p->cache[i] ? p->cache[i] : stored;
    if (stored && holds != stored && !(stored == SDX_UINT8 && (holds == SDX_INT4 || holds == SDX_FLOAT4E2M1)))
      return step_fail_at(c, at_input(KEY_CACHE + i), SDX_INVALID_ARGUMENT, "is %s, which does not hold %s",
                          dtype_name(stored), dtype_name(holds));
    if (stored && kv_cache_is_quantized(holds) != p->quantized[i])
      return step_fail_at(c, at_input(KEY_CACHE + i), SDX_INVALID_ARGUMENT, "is %s, which %s a quantisation type",
                          dtype_name(holds), p->quantized[i] ? "has not" : "needs");
  }
  return SDX_OK;
}

static sdx_status split(op_step *c, size_t input, int64_t heads, int64_t *width) {
  int64_t hidden = infer_dim(c, input, 1);
  if (hidden < 0) return SDX_OK;
  if (hidden % heads || (*width >= 0 && hidden / heads != *width))
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE,
                        "has %lld columns, which are not %lld heads of one width", (long long)hidden, (long long)heads);
  *width = hidden / heads;
  return SDX_OK;
}

static bool packs(const op_step *c, const paged_params *p, size_t which) {
  return infer_dtype_of(c, KEY_CACHE + which) == SDX_UINT8 && p->cache[which];
}

static sdx_status check_caches(op_step *c, const paged_params *p, int64_t width) {
  int64_t blocks = DIM_UNKNOWN, size = DIM_UNKNOWN, heads = p->kv_heads;
  for (size_t i = 0; i < (p->latent ? 1u : 2u); i++) {
    size_t at = KEY_CACHE + i, scale = K_SCALE + i;
    int64_t stored = width >= 0 && packs(c, p, i) ? (width + 1) / 2 : width, one = 1, channels = width;
    SDX_TRY(infer_rank(c, at, 4, 4));
    SDX_TRY(infer_agree(c, at, 0, "blocks", &blocks));
    SDX_TRY(infer_agree(c, at, 1, "positions of a block", &size));
    SDX_TRY(infer_agree(c, at, 2, "heads", &heads));
    SDX_TRY(infer_agree(c, at, 3, "width of a head", &stored));
    if (!p->quantized[i]) continue;
    SDX_TRY(infer_rank(c, scale, p->by_channel[i] ? 3 : 0, p->by_channel[i] ? 3 : 1));
    if (!p->by_channel[i]) SDX_TRY(infer_agree(c, scale, 0, "one scale", &one));
    else SDX_TRY(infer_agree(c, scale, 0, "heads", &heads));
    if (p->by_channel[i]) SDX_TRY(infer_agree(c, scale, 1, "one scale of each channel", &one));
    if (p->by_channel[i]) SDX_TRY(infer_agree(c, scale, 2, "channels", &channels));
  }
  if (size == 0) return step_fail_at(c, at_input(KEY_CACHE), SDX_INVALID_SHAPE, "has blocks without positions");
  return SDX_OK;
}

static sdx_status paged_attention_infer(op_step *c) {
  const paged_params *p = c->params;
  bool packed = !infer_has(c, K);
  static const int8_t ranks[METADATA + 1] = {[Q] = 2,   [K] = 2,   [V] = 2,     [ENDS] = 1, [PAST] = 1,   [TABLE] = 2,
                                             [COS] = 2, [SIN] = 2, [SLOTS] = 1, [SINK] = 1, [Q_NORM] = 1, [K_NORM] = 1};
  int64_t tokens = DIM_UNKNOWN, width = DIM_UNKNOWN, batch = DIM_UNKNOWN, pairs = DIM_UNKNOWN, rows = DIM_UNKNOWN,
          heads = p->heads, ends = DIM_UNKNOWN, hidden = DIM_UNKNOWN;
  for (size_t i = 0; i <= METADATA; i++)
    if (ranks[i]) SDX_TRY(infer_rank(c, i, ranks[i], ranks[i]));
  SDX_TRY(check_pairs(c, p));
  SDX_TRY(split(c, Q, p->heads + (packed ? 2 * p->kv_heads : 0), &width));
  SDX_TRY(split(c, K, p->kv_heads, &width));
  SDX_TRY(split(c, V, p->kv_heads, &width));
  SDX_TRY(check_caches(c, p, width));
  for (size_t i = Q; i <= V; i++) SDX_TRY(infer_agree(c, i, 0, "rows", &tokens));
  SDX_TRY(infer_agree(c, SLOTS, 0, "rows", &tokens));
  SDX_TRY(infer_agree(c, PAST, 0, "samples", &batch));
  SDX_TRY(infer_agree(c, TABLE, 0, "samples", &batch));
  if (batch >= 0) ends = batch + 1;
  SDX_TRY(infer_agree(c, ENDS, 0, "ends", &ends));
  SDX_TRY(infer_agree(c, SINK, 0, "heads", &heads));
  SDX_TRY(infer_agree(c, Q_NORM, 0, "numbers of a head", &width));
  SDX_TRY(infer_agree(c, K_NORM, 0, "numbers of a head", &width));
  for (size_t i = COS; i <= SIN; i++) {
    SDX_TRY(infer_agree(c, i, 0, "positions", &rows));
    SDX_TRY(infer_agree(c, i, 1, "pairs", &pairs));
  }
  if (width >= 0 && pairs >= 0 && (pairs > width || p->rotary_offset > width - 2 * pairs))
    return step_fail(c, SDX_INVALID_SHAPE, "%lld pairs from %lld on do not fit into heads of %lld numbers",
                     (long long)pairs, (long long)p->rotary_offset, (long long)width);
  int64_t v_width = p->v_width ? p->v_width : width;
  if (width >= 0 && v_width > width)
    return step_fail(c, SDX_INVALID_SHAPE, "v_head_size is %lld, but heads have %lld numbers", (long long)v_width,
                     (long long)width);
  if (v_width >= 0 && !i64_mul(p->heads, v_width, &hidden))
    return step_fail_at(c, at_output(0), SDX_INVALID_SHAPE, "would be too large");
  SDX_TRY(infer_output(c, 0, infer_dtype_of(c, Q), 2, (int64_t[]){tokens, hidden}));
  for (size_t i = 1; i < c->output_count; i++)
    if (infer_has(c, KEY_CACHE + i - 1)) SDX_TRY(infer_same(c, i, KEY_CACHE + i - 1));
  return SDX_OK;
}

// ---- the cache ------------------------------------------------------------------------------------

// Rows [block * size + position][head].
typedef struct cache {
  kv_cache rows;
  size_t blocks, size, heads;
} cache;

// The output, or a copy for the time of the call.
static sdx_status open_cache(op_step *c, size_t which, size_t width, cache *m) {
  const paged_params *p = c->params;
  const tensor *from = step_in(c, KEY_CACHE + which), *scale = step_in(c, K_SCALE + which);
  tensor *to = step_out(c, 1 + which);
  sdx_dtype holds = from->dtype == SDX_UINT8 && p->cache[which] ? p->cache[which] : (sdx_dtype)from->dtype;
  *m = (cache){.rows = {.data = to ? to->data : call_alloc(c, from->bytes),
                        .dtype = holds,
                        .scale = p->quantized[which] ? scale->data : NULL,
                        .by_channel = p->by_channel[which],
                        .width = width,
                        .stride = (size_t)from->dims[3] * (from->dtype == SDX_UINT8 && p->cache[which] ? 2 : 1)},
               .blocks = (size_t)from->dims[0],
               .size = (size_t)from->dims[1],
               .heads = (size_t)from->dims[2]};
  if (!m->rows.data) return call_no_memory(c, from->bytes);
  if (from->bytes) memcpy(m->rows.data, from->data, from->bytes);
  return SDX_OK;
}

// ---- compute --------------------------------------------------------------------------------------

// One sample: rows [first, first + rows) of the queries, behind `past` keys.
typedef struct sample {
  size_t first, rows, total;
  int64_t past;
  const int32_t *table;
} sample;

static sdx_status read_sample(op_step *c, size_t b, size_t tokens, const cache *m, sample *s) {
  const int32_t *ends = step_in(c, ENDS)->data, *past = step_in(c, PAST)->data;
  const tensor *table = step_in(c, TABLE);
  size_t batch = (size_t)table->dims[0], blocks = (size_t)table->dims[1], total;
  if (ends[b] < 0 || ends[b + 1] < ends[b] || (size_t)ends[b + 1] > tokens || (b == 0 && ends[0] != 0) ||
      (b + 1 == batch && (size_t)ends[batch] != tokens))
    return step_fail_at(c, at_input(ENDS), SDX_OUT_OF_RANGE, "sample %zu has rows %d to %d of %zu", b, ends[b],
                        ends[b + 1], tokens);
  *s = (sample){.first = (size_t)ends[b],
                .rows = (size_t)(ends[b + 1] - ends[b]),
                .past = past[b],
                .table = (const int32_t *)table->data + b * blocks};
  if (past[b] < 0 || !size_add((size_t)past[b], s->rows, &total) || (total + m->size - 1) / m->size > blocks)
    return step_fail_at(c, at_input(PAST), SDX_OUT_OF_RANGE,
                        "sample %zu has %d past and %zu new keys, but %zu blocks of %zu", b, past[b], s->rows, blocks,
                        m->size);
  s->total = total;
  for (size_t i = 0; i * m->size < total; i++)
    if (s->table[i] < 0 || (size_t)s->table[i] >= m->blocks)
      return step_fail_at(c, at_input(TABLE), SDX_OUT_OF_RANGE, "is %d at [%zu, %zu], but there are %zu blocks",
                          s->table[i], b, i, m->blocks);
  return SDX_OK;
}

static size_t slot_of(const cache *m, const sample *s, size_t position) {
  return (size_t)s->table[position / m->size] * m->size + position % m->size;
}

// QK-norm and RoPE: heads of rows of a sample, normalised and rotated into `own` where that is asked for.
static sdx_status norm_and_rotate(op_step *c, const sample *s, size_t norm, size_t heads, size_t width, float *own,
                                  attend_view *view) {
  const paged_params *p = c->params;
  const tensor *weight = step_in(c, norm), *cosine = step_in(c, COS);
  attend_view to = heads_packed(own, heads, s->rows, width);
  if (!weight && !p->rotary) return SDX_OK;
  if (weight) heads_norm(c, view, &to, weight->data, p->epsilon, (size_t[4]){1, heads, s->rows, width});
  else
    heads_run(c, &(heads_move){.from = *view, .to = to, .batch = 1, .heads = heads, .rows = s->rows, .width = width});
  *view = to;
  if (!p->rotary) return SDX_OK;
  rotary r = {.cos = cosine->data,
              .sin = step_in(c, SIN)->data,
              .table_rows = (size_t)cosine->dims[0],
              .pairs = (size_t)cosine->dims[1],
              .columns = (size_t)cosine->dims[1],
              .interleaved = p->interleaved,
              .positions = &s->past};
  to.at = own + p->rotary_offset;
  return rotary_run(c, &r, &to, &to, 1, heads, s->rows, width - (size_t)p->rotary_offset,
                    part_named(PART_INPUT, STR("past_seqlens")));
}

static sdx_status store(op_step *c, const cache *m, const sample *s, const attend_view *from, float *scaled) {
  const tensor *slots = step_in(c, SLOTS);
  for (size_t r = 0; r < s->rows; r++) {
    int64_t slot = slots ? ((const int32_t *)slots->data)[s->first + r] : (int64_t)slot_of(m, s, (size_t)s->past + r);
    if (slot == -1) continue;
    if (slot < 0 || (uint64_t)slot >= m->blocks * m->size)
      return step_fail_at(c, at_input(SLOTS), SDX_OUT_OF_RANGE, "is %lld at %zu, but the cache has %zu places",
                          (long long)slot, s->first + r, m->blocks * m->size);
    for (size_t h = 0; h < m->heads; h++)
      kv_cache_write(&m->rows, (size_t)slot * m->heads + h, h, (const float *)from->at + h * from->head + r * from->row,
                     scaled);
  }
  return SDX_OK;
}

typedef struct load_job {
  const cache *m;
  const sample *s;
  float *to;  // [heads, total, width]
} load_job;

static void load_range(void *context, size_t begin, size_t end, size_t worker) {
  const load_job *j = context;
  for (size_t i = begin; i < end; i++)
    for (size_t h = 0; h < j->m->heads; h++)
      kv_cache_read(&j->m->rows, slot_of(j->m, j->s, i) * j->m->heads + h, h,
                    j->to + (h * j->s->total + i) * j->m->rows.width);
}

// Memory of a call, enough for the longest sample.
typedef struct room {
  float *q, *k, *loaded[2], *scaled;
  void *attend;
} room;

static attend_shape shape_of(const paged_params *p, const sample *s, size_t width, size_t v_width) {
  return (attend_shape){SDX_FLOAT, 1, (size_t)p->heads, (size_t)p->kv_heads, s->rows, s->total, width, v_width};
}

static sdx_status attend_sample(op_step *c, const sample *s, const cache m[2], const attend_view in[3], const room *r,
                                size_t v_width) {
  const paged_params *p = c->params;
  const tensor *sink = step_in(c, SINK);
  tensor *y = step_out(c, 0);
  size_t heads = (size_t)p->heads, kv_heads = (size_t)p->kv_heads, width = m[KEYS].rows.width;
  attend_view view[3], loaded[2];
  for (size_t i = 0; i < 3; i++) {
    view[i] = in[i];
    if (in[i].at) view[i].at = (float *)in[i].at + s->first * in[i].row;
  }
  SDX_TRY(norm_and_rotate(c, s, Q_NORM, heads, width, r->q, &view[Q]));
  SDX_TRY(norm_and_rotate(c, s, K_NORM, kv_heads, width, r->k, &view[K]));
  for (size_t i = 0; i < (p->latent ? 1u : 2u); i++) {
    SDX_TRY(store(c, &m[i], s, &view[K + i], r->scaled));
    load_job j = {&m[i], s, r->loaded[i]};
    call_parallel(c, s->total, 1 + GRAIN_CHEAP / (width * kv_heads + 1), load_range, &j);
    loaded[i] = heads_apart(r->loaded[i], kv_heads, s->total, width);
  }
  if (p->latent) loaded[VALUES] = loaded[KEYS];
  attend_call a = {.q = view[Q],
                   .k = loaded[KEYS],
                   .v = loaded[VALUES],
                   .y = heads_packed((float *)y->data + s->first * heads * v_width, heads, s->rows, v_width),
                   .scale = p->scale != 0 ? (double)p->scale : 1 / sqrt((double)width),
                   .softcap = (double)p->softcap,
                   .offset = s->past,
                   .left = p->window < 0 ? -1 : p->window - 1,
                   .right = p->causal ? 0 : -1,
                   .sinks = sink ? sink->data : NULL};
  attend_plan plan;
  attend_shape shape = shape_of(p, s, width, v_width);
  if (!attend_plan_init(&plan, &shape, c->threads, 0)) return call_no_memory(c, SIZE_MAX);
  attend_run(c, &plan, &a, r->attend);
  return call_check(c);
}

static sdx_status paged(op_step *c) {
  const paged_params *p = c->params;
  const tensor *q = step_in(c, Q), *key = step_in(c, K), *value = step_in(c, V), *table = step_in(c, TABLE);
  size_t tokens = (size_t)q->dims[0], heads = (size_t)p->heads, kv_heads = (size_t)p->kv_heads,
         columns = (size_t)q->dims[1], width = columns / (heads + (key ? 0 : 2 * kv_heads)),
         v_width = p->v_width ? (size_t)p->v_width : width, rows = 0, total = 0, scratch = 0, bytes = 0;
  cache m[2] = {0};
  SDX_TRY(open_cache(c, KEYS, width, &m[KEYS]));
  if (!p->latent) SDX_TRY(open_cache(c, VALUES, width, &m[VALUES]));
  for (size_t b = 0; b < (size_t)table->dims[0]; b++) {
    sample s;
    attend_plan plan;
    SDX_TRY(read_sample(c, b, tokens, &m[KEYS], &s));
    attend_shape shape = shape_of(p, &s, width, v_width);
    if (!attend_plan_init(&plan, &shape, c->threads, 0)) return call_no_memory(c, SIZE_MAX);
    if (s.rows > rows) rows = s.rows;
    if (s.total > total) total = s.total;
    if (plan.scratch_bytes > scratch) scratch = plan.scratch_bytes;
  }
  room r = {0};
  int64_t all[4] = {(int64_t)(heads + kv_heads), (int64_t)rows, (int64_t)width, sizeof(float)},
          kept[4] = {(int64_t)kv_heads, (int64_t)total, (int64_t)width, sizeof(float)};
  for (size_t i = 0; i < 2; i++)
    if (!size_product(kept, 4, &bytes) || !(r.loaded[i] = call_alloc(c, bytes))) return call_no_memory(c, bytes);
  if (!size_product(all, 4, &bytes) || !(r.q = call_alloc(c, bytes))) return call_no_memory(c, bytes);
  if (!(r.scaled = call_alloc(c, width * sizeof(float)))) return call_no_memory(c, width * sizeof(float));
  if (!(r.attend = call_alloc(c, scratch))) return call_no_memory(c, scratch);
  r.k = r.q + heads * rows * width;
  attend_view in[3] = {{q->data, 0, width, columns}};
  if (key) {
    in[K] = heads_packed(key->data, kv_heads, tokens, width);
    in[V] = heads_packed(value ? value->data : NULL, kv_heads, tokens, width);
  } else {
    in[K] = in[V] = in[Q];
    in[K].at = (float *)q->data + heads * width, in[V].at = (float *)q->data + (heads + kv_heads) * width;
  }
  for (size_t b = 0; b < (size_t)table->dims[0]; b++) {
    sample s;
    SDX_TRY(read_sample(c, b, tokens, &m[KEYS], &s));
    if (s.rows) SDX_TRY(attend_sample(c, &s, m, in, &r, v_width));
  }
  return SDX_OK;
}

static sdx_status paged_attention_prepare(op_step *c) { return prepare_widened(c, 0); }
static sdx_status paged_attention_compute(op_step *c) { return call_widened(c, paged); }

SDX_CASES = {
    "query=float[4,16] key=float[4,8] value=float[4,8] key_cache=float[5,2,2,4] value_cache=float[5,2,2,4] "
    "cumulative_sequence_length=int32[3](0,1,4) past_seqlens=int32[2](2,1) block_table=int32[2,2](3,0,1,4) "
    "num_heads=4 kv_num_heads=2 not=int8,uint8,float8e4m3fn",
    "query=float[4,16] key=float[4,8] value=float[4,8] key_cache=int8[5,2,2,4] value_cache=int8[5,2,2,4] "
    "cumulative_sequence_length=int32[3](0,1,4) past_seqlens=int32[2](2,1) block_table=int32[2,2](3,0,1,4) "
    "k_scale=float(0.1) v_scale=float(0.2) k_quant_type=PER_TENSOR v_quant_type=PER_TENSOR num_heads=4 kv_num_heads=2",
    NULL};

// clang-format off
SDX_OP_MS(PagedAttention) = {
    .since = 1, .versions = "1",
    .inputs = "query:T key:T? value:T? key_cache:T_CACHE value_cache:T_CACHE? cumulative_sequence_length:S "
              "past_seqlens:S block_table:S cos_cache:T? sin_cache:T? slot_mapping:S? head_sink:T? q_norm_weight:T? "
              "k_norm_weight:T? k_scale:F? v_scale:F? attention_metadata:S?",
    .outputs = "output:T key_cache_out:T_CACHE? value_cache_out:T_CACHE?",
    .types = "T=float,float16,bfloat16;T_CACHE=float,float16,bfloat16,int8,float8e4m3fn,uint8;F=float;S=int32",
    .attrs = "do_rotary:int=0 is_causal:int=1 k_cache_dtype:string= k_quant_type:string=NONE "
             "kv_cache_layout:string=SEPARATE kv_num_heads:int! local_window_size:int=-1 num_heads:int! "
             "qk_norm_epsilon:float=1e-6 rotary_interleaved:int=0 rotary_offset:int=0 scale:float=0 softcap:float=0 "
             "v_cache_dtype:string= v_head_size:int=0 v_quant_type:string=NONE",
    .params_size = sizeof(paged_params), .params = paged_attention_read, .infer = paged_attention_infer,
    .prepare = paged_attention_prepare, .compute = paged_attention_compute,
    .cases = cases,
};
// clang-format on
