// SPDX-License-Identifier: Apache-2.0
// MultiHeadAttention: attention over heads that come as [batch, time, heads * width], as a cache
// [batch, heads, time, width], or packed: query [batch, time, heads, 3, width], or key [batch, time, heads, 2, width].
// The bias of the projection may still have to be added. The work is in ops/parts/attend.h.
//
// Masks of padding are numbers to add (mask_filter_value where closed), so a row with nothing but padding is not
// zero; the future, if `unidirectional`, is really closed. With past_sequence_length the cache is a buffer that is
// longer than what counts; cache_indirection then says which beam each past key comes from.
//
// Query without key may also be [batch, time, Q | K | V]: what Attention, QAttention and
// DecoderMaskedMultiHeadAttention are rewritten to (attention.c); _hidden says where it is cut if not in thirds.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/floats.h"
#include "ops/parts/heads.h"

enum { Q, K, V, BIAS, MASK, ADD, PAST_KEY, PAST_VALUE, PAST_LENGTH, BEAMS, INPUTS };
enum { Y, PRESENT_KEY, PRESENT_VALUE, SCORES };

typedef struct mha_params {
  int64_t heads;
  const int64_t *hidden;  // columns of Q, K and V; NULL: thirds
  bool causal;
  float scale, filter;  // scale 0: 1 / sqrt(width)
} mha_params;

static sdx_status multi_head_attention_read(op_params_context *c, void *params) {
  mha_params *p = params;
  size_t count = 0;
  *p = (mha_params){.heads = params_int(c, "num_heads"),
                    .hidden = params_ints(c, "_hidden", &count),
                    .causal = params_int(c, "unidirectional") != 0,
                    .scale = params_float(c, "scale"),
                    .filter = params_float(c, "mask_filter_value")};
  if (p->heads < 1 || p->heads > INT32_MAX)
    return params_fail(c, "num_heads", "is %lld, expected 1 to %d", (long long)p->heads, INT32_MAX);
  if (!count) {
    p->hidden = NULL;
    return SDX_OK;
  }
  if (count != 3) return params_fail(c, "qkv_hidden_sizes", "has %zu entries, expected 3", count);
  for (size_t i = 0; i < 3; i++)
    if (p->hidden[i] < 1 || p->hidden[i] > INT32_MAX || p->hidden[i] % p->heads)
      return params_fail(c, "qkv_hidden_sizes", "[%zu] is %lld, expected a multiple of num_heads %lld", i,
                         (long long)p->hidden[i], (long long)p->heads);
  if (p->hidden[0] != p->hidden[1]) return params_fail(c, "qkv_hidden_sizes", "differs between Q and K");
  return SDX_OK;
}

// ---- sizes ----------------------------------------------------------------------------------------

typedef enum mha_layout { SEPARATE, PACKED_QKV, PACKED_KV, BLOCKS } mha_layout;

// Negative: not known.
typedef struct mha_sizes {
  mha_layout layout;
  bool known;                   // the ranks that decide about the layout
  bool key_apart, value_apart;  // [batch, heads, time, width]
  bool shared;                  // the past is a buffer of `columns` rows
  int64_t batch, rows, incoming, past, columns, width, v_width;
} mha_sizes;

static sdx_status wrong_rank(error *err, size_t input, int rank, const char *expected) {
  return error_at(err, at_input(input), SDX_INVALID_SHAPE, "has rank %d, expected %s", rank, expected);
}

// hidden = heads * width
static sdx_status split(error *err, size_t input, int64_t hidden, int64_t heads, int64_t *width) {
  if (hidden < 0) return SDX_OK;
  if (hidden % heads)
    return error_at(err, at_input(input), SDX_INVALID_SHAPE, "has %lld columns, expected a multiple of its %lld heads",
                    (long long)hidden, (long long)heads);
  return heads_agree(err, input, "width of a head", hidden / heads, width);
}

static sdx_status measure_packed(const heads_input *in, size_t input, int64_t parts, const mha_params *p, mha_sizes *s,
                                 error *err) {
  int64_t heads = p->heads;
  const int64_t *d = in[input].dims;
  SDX_TRY(heads_agree(err, input, "batch", d[0], &s->batch));
  SDX_TRY(heads_agree(err, input, "keys", d[1], &s->incoming));
  SDX_TRY(heads_agree(err, input, "heads", d[2], &heads));
  SDX_TRY(heads_agree(err, input, "packed parts", d[3], &parts));
  SDX_TRY(heads_agree(err, input, "width of a head", d[4], &s->width));
  return heads_agree(err, input, "width of a head", d[4], &s->v_width);
}

// Key or value on its own.
static sdx_status measure_part(const heads_input *in, size_t input, const mha_params *p, mha_sizes *s, bool *apart,
                               int64_t *width, error *err) {
  const int64_t *d = in[input].dims;
  int64_t heads = p->heads;
  if (in[input].rank != 3 && in[input].rank != 4) return wrong_rank(err, input, in[input].rank, "3 or 4");
  *apart = in[input].rank == 4;
  SDX_TRY(heads_agree(err, input, "batch", d[0], &s->batch));
  SDX_TRY(heads_agree(err, input, "keys", d[*apart ? 2 : 1], &s->incoming));
  if (!*apart) return split(err, input, d[2], p->heads, width);
  SDX_TRY(heads_agree(err, input, "heads", d[1], &heads));
  return heads_agree(err, input, "width of a head", d[3], width);
}

static sdx_status measure_blocks(const heads_input *in, const mha_params *p, mha_sizes *s, error *err) {
  int64_t all = in[Q].dims[2];
  s->incoming = s->rows;
  if (p->hidden) {
    s->width = p->hidden[0] / p->heads, s->v_width = p->hidden[2] / p->heads;
    int64_t sum = p->hidden[0] + p->hidden[1] + p->hidden[2];
    return heads_agree(err, Q, "columns", all, &sum);
  }
  if (all >= 0 && all % 3)
    return error_at(err, at_input(0), SDX_INVALID_SHAPE, "has %lld columns, which are not three times as many heads",
                    (long long)all);
  SDX_TRY(split(err, Q, all < 0 ? all : all / 3, p->heads, &s->width));
  s->v_width = s->width;
  return SDX_OK;
}

static sdx_status measure_past(const heads_input *in, const mha_params *p, mha_sizes *s, error *err) {
  int64_t length = s->shared ? s->columns : DIM_UNKNOWN;
  if (in[PAST_KEY].given != in[PAST_VALUE].given)
    return error_set(err, SDX_INVALID_GRAPH, "past_key and past_value go together, but only one of them is given");
  for (size_t i = PAST_KEY; i <= PAST_VALUE && in[i].given; i++) {
    int64_t heads = p->heads;
    if (in[i].rank < 0) continue;
    if (in[i].rank != 4) return wrong_rank(err, i, in[i].rank, "4");
    SDX_TRY(heads_agree(err, i, "batch", in[i].dims[0], &s->batch));
    SDX_TRY(heads_agree(err, i, "heads", in[i].dims[1], &heads));
    SDX_TRY(heads_agree(err, i, "past keys", in[i].dims[2], &length));
    SDX_TRY(heads_agree(err, i, "width of a head", in[i].dims[3], i == PAST_KEY ? &s->width : &s->v_width));
  }
  s->shared = in[PAST_KEY].given && in[PAST_LENGTH].given;
  s->past = !in[PAST_KEY].given ? 0 : length;
  s->columns = DIM_UNKNOWN;
  if (s->shared) s->columns = length;
  else if (s->past == 0) s->columns = s->incoming;
  else if (s->past > 0 && s->incoming >= 0 && !i64_add(s->past, s->incoming, &s->columns))
    return error_set(err, SDX_INVALID_SHAPE, "past and new keys are too many");
  return SDX_OK;
}

// Every size that the inputs imply; the errors name the input that does not fit.
static sdx_status measure(const heads_input *in, const mha_params *p, mha_sizes *s, error *err) {
  *s = (mha_sizes){.batch = DIM_UNKNOWN,
                   .rows = DIM_UNKNOWN,
                   .incoming = DIM_UNKNOWN,
                   .past = DIM_UNKNOWN,
                   .columns = DIM_UNKNOWN,
                   .width = DIM_UNKNOWN,
                   .v_width = DIM_UNKNOWN};
  if (in[Q].rank < 0 || (in[K].given && in[K].rank < 0) || (in[V].given && in[V].rank < 0)) return SDX_OK;
  s->known = true;
  if (in[Q].rank != 3 && in[Q].rank != 5) return wrong_rank(err, Q, in[Q].rank, "3 or 5");
  s->batch = in[Q].dims[0], s->rows = in[Q].dims[1];
  if (in[Q].rank == 5) {
    s->layout = PACKED_QKV;
    if (in[K].given || in[V].given)
      return error_set(err, SDX_INVALID_GRAPH, "a packed query of rank 5 leaves no place for key and value");
    SDX_TRY(measure_packed(in, Q, 3, p, s, err));
  } else if (!in[K].given) {
    s->layout = BLOCKS;
    SDX_TRY(measure_blocks(in, p, s, err));
  } else {
    SDX_TRY(split(err, Q, in[Q].dims[2], p->heads, &s->width));
    if (in[K].rank == 5) {
      s->layout = PACKED_KV;
      if (in[V].given) return error_set(err, SDX_INVALID_GRAPH, "a packed key of rank 5 leaves no place for value");
      SDX_TRY(measure_packed(in, K, 2, p, s, err));
    } else {
      if (!in[V].given) return error_at(err, at_input(2), SDX_INVALID_GRAPH, "is required beside input 1 ('key')");
      SDX_TRY(measure_part(in, K, p, s, &s->key_apart, &s->width, err));
      SDX_TRY(measure_part(in, V, p, s, &s->value_apart, &s->v_width, err));
    }
  }
  SDX_TRY(measure_past(in, p, s, err));
  if (in[BIAS].given && in[BIAS].rank >= 0) {
    if (in[BIAS].rank != 1) return wrong_rank(err, BIAS, in[BIAS].rank, "1");
    if (s->width >= 0 && s->v_width >= 0) {
      int64_t all = p->heads * (2 * s->width + s->v_width);
      SDX_TRY(heads_agree(err, BIAS, "elements", in[BIAS].dims[0], &all));
    }
  }
  return SDX_OK;
}

// Masks may be shorter than a shared buffer, never longer than the keys.
static sdx_status check_columns(error *err, size_t input, const mha_sizes *s, int64_t have) {
  if (have < 0 || s->columns < 0 || have == s->columns || (s->shared && have < s->columns)) return SDX_OK;
  return error_at(err, at_input(input), SDX_INVALID_SHAPE, "has %lld columns, but there are %lld keys", (long long)have,
                  (long long)s->columns);
}

static sdx_status check_masks(const heads_input *in, const mha_params *p, const mha_sizes *s, error *err) {
  const heads_input *mask = &in[MASK], *add = &in[ADD];
  if (mask->given && mask->rank >= 0) {
    int64_t batch = s->batch, rows = s->rows, one = 1, have = mask->rank > 0 ? mask->dims[0] : 0;
    if (mask->rank < 1 || mask->rank > 4) return wrong_rank(err, MASK, mask->rank, "1 to 4");
    if (mask->rank == 1) {
      if (have >= 0 && batch >= 0 && have != batch && have != 2 * batch && have != 3 * batch + 2)
        return error_at(err, at_input(4), SDX_INVALID_SHAPE, "has %lld elements, expected %lld, %lld or %lld",
                        (long long)have, (long long)batch, (long long)(2 * batch), (long long)(3 * batch + 2));
    } else {
      SDX_TRY(heads_agree(err, MASK, "batch", have, &batch));
      if (mask->rank == 3) SDX_TRY(heads_agree(err, MASK, "rows", mask->dims[1], &rows));
      if (mask->rank == 4) {  // square, for all positions there can be
        int64_t side = mask->dims[2];
        SDX_TRY(heads_agree(err, MASK, "second dimension", mask->dims[1], &one));
        SDX_TRY(heads_agree(err, MASK, "columns", mask->dims[3], &side));
        if (side >= 0 && s->columns >= 0 && side < s->columns)
          return error_at(err, at_input(4), SDX_INVALID_SHAPE, "is for %lld keys, but there are %lld", (long long)side,
                          (long long)s->columns);
      } else SDX_TRY(check_columns(err, MASK, s, mask->dims[mask->rank - 1]));
    }
  }
  if (add->given && add->rank >= 0) {
    const int64_t wanted[3] = {s->batch, p->heads, s->rows};
    if (add->rank != 4) return wrong_rank(err, ADD, add->rank, "4");
    for (size_t d = 0; d < 3; d++)
      if (add->dims[d] >= 0 && wanted[d] >= 0 && add->dims[d] != wanted[d] && (d == 2 || add->dims[d] != 1))
        return error_at(err, at_input(5), SDX_INVALID_SHAPE, "has %lld as its dimension %zu, expected %lld",
                        (long long)add->dims[d], d, (long long)wanted[d]);
    SDX_TRY(check_columns(err, ADD, s, add->dims[3]));
  }
  const heads_input *beams = &in[BEAMS];
  if (beams->given && s->shared && beams->rank >= 0) {
    if (beams->rank != 3) return wrong_rank(err, BEAMS, beams->rank, "3");
    int64_t samples = beams->dims[0] >= 0 && beams->dims[1] >= 0 ? wrap_mul(beams->dims[0], beams->dims[1]) : -1,
            batch = s->batch, length = s->columns;
    SDX_TRY(heads_agree(err, BEAMS, "number of beams", samples, &batch));
    SDX_TRY(heads_agree(err, BEAMS, "keys", beams->dims[2], &length));
  }
  return SDX_OK;
}

static sdx_status multi_head_attention_infer(op_step *c) {
  const mha_params *p = c->params;
  heads_input in[INPUTS];
  mha_sizes s;
  for (size_t i = 0; i < INPUTS; i++) in[i] = heads_from_type(c, i);
  SDX_TRY(step_located(c, measure(in, p, &s, c->err)));
  SDX_TRY(step_located(c, check_masks(in, p, &s, c->err)));
  int64_t hidden = DIM_UNKNOWN;
  if (s.v_width >= 0 && !i64_mul(p->heads, s.v_width, &hidden))
    return step_fail_at(c, at_output(0), SDX_INVALID_SHAPE, "would be too large");
  sdx_dtype dtype = infer_dtype_of(c, Q);
  SDX_TRY(infer_output(c, Y, dtype, 3, (int64_t[]){s.batch, s.rows, hidden}));
  SDX_TRY(infer_output(c, PRESENT_KEY, dtype, 4, (int64_t[]){s.batch, p->heads, s.columns, s.width}));
  SDX_TRY(infer_output(c, PRESENT_VALUE, dtype, 4, (int64_t[]){s.batch, p->heads, s.columns, s.v_width}));
  return infer_output(c, SCORES, dtype, 4, (int64_t[]){s.batch, p->heads, s.rows, s.columns});
}

// ---- prepare and compute --------------------------------------------------------------------------

typedef struct mha_state {
  attend_plan plan;
  mha_sizes sizes;
  size_t own[3], mask, y;  // bytes of scratch for Q, K, V in their final form, for the mask as numbers, for the result
  size_t total;
} mha_state;

static bool wanted(const op_step *c, size_t i) { return i < c->output_count && c->out[i]; }

static sdx_status multi_head_attention_prepare(op_step *c) {
  const mha_params *p = c->params;
  heads_input in[INPUTS];
  mha_state *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  for (size_t i = 0; i < INPUTS; i++) in[i] = heads_from_tensor(c, i);
  SDX_TRY(measure(in, p, &s->sizes, c->err));
  const mha_sizes *z = &s->sizes;
  attend_shape shape = {.dtype = SDX_FLOAT,
                        .batch = (size_t)z->batch,
                        .heads = (size_t)p->heads,
                        .kv_heads = (size_t)p->heads,
                        .rows = (size_t)z->rows,
                        .columns = (size_t)z->columns,
                        .width = (size_t)z->width,
                        .v_width = (size_t)z->v_width};
  bool bias = in[BIAS].given, past = in[PAST_KEY].given;
  int64_t q[4] = {z->batch, p->heads, z->rows, z->width}, k[4] = {z->batch, p->heads, z->columns, z->width},
          v[4] = {z->batch, p->heads, z->columns, z->v_width}, m[2] = {z->batch, z->columns};
  const int64_t *dims[3] = {q, k, v};
  bool fits = attend_plan_init(&s->plan, &shape, c->threads, c->precision);
  for (size_t i = 0; i < 3 && fits; i++) {
    bool needed = i == 0 ? bias : (bias || past) && !wanted(c, i == 1 ? PRESENT_KEY : PRESENT_VALUE);
    fits = !needed || (size_product(dims[i], 4, &s->own[i]) && size_mul(s->own[i], sizeof(float), &s->own[i]));
  }
  const tensor *mask = step_in(c, MASK);
  s->mask = mask && mask->rank != 1 ? mask->count : 0;
  if (mask && mask->rank == 1) fits = fits && size_product(m, 2, &s->mask);
  fits = fits && size_mul(s->mask, sizeof(float), &s->mask);
  if (!wanted(c, Y)) fits = fits && size_product(v, 4, &s->y) && size_mul(s->y, sizeof(float), &s->y);
  for (size_t i = 0; i < 3; i++) fits = fits && scratch_reserve(&s->total, s->own[i]);
  fits = fits && scratch_reserve(&s->total, s->mask) && scratch_reserve(&s->total, s->y) &&
         scratch_reserve(&s->total, s->plan.scratch_bytes);
  if (!fits) return error_no_memory(c->err, SIZE_MAX);
  c->kernel = s->plan.gemm ? s->plan.scores[0].name : "portable";
  return prepare_widened(c, s->total);
}

// Where an input lies.
static attend_view part(op_step *c, const mha_state *s, size_t which) {
  const mha_sizes *z = &s->sizes;
  size_t heads = s->plan.shape.heads, width = which == V ? (size_t)z->v_width : (size_t)z->width,
         rows = which == Q ? (size_t)z->rows : (size_t)z->incoming;
  if (z->layout == BLOCKS) {
    size_t all = heads * (2 * (size_t)z->width + (size_t)z->v_width);
    float *at = (float *)step_in(c, Q)->data + which * heads * (size_t)z->width;
    return (attend_view){at, rows * all, width, all};
  }
  if (z->layout == PACKED_QKV || (z->layout == PACKED_KV && which != Q)) {
    size_t parts = z->layout == PACKED_QKV ? 3 : 2;
    float *at = (float *)step_in(c, parts == 3 ? Q : K)->data + (which + parts - 3) * width;
    return (attend_view){at, rows * heads * parts * width, parts * width, heads * parts * width};
  }
  void *at = step_in(c, which)->data;
  bool apart = which == K ? z->key_apart : which == V && z->value_apart;
  return apart ? heads_apart(at, heads, rows, width) : heads_packed(at, heads, rows, width);
}

// Keys or values, past and incoming, in one piece.
static void join(op_step *c, const mha_state *s, size_t which, size_t used, char **scratch, attend_view *out) {
  const attend_shape *shape = &s->plan.shape;
  const tensor *past = step_in(c, which == K ? PAST_KEY : PAST_VALUE), *bias = step_in(c, BIAS);
  tensor *present = step_out(c, which == K ? PRESENT_KEY : PRESENT_VALUE);
  bool apart = which == K ? s->sizes.key_apart : s->sizes.value_apart;
  size_t width = which == K ? shape->width : shape->v_width, incoming = (size_t)s->sizes.incoming;
  attend_view from = part(c, s, which);
  void *own = scratch_take(scratch, s->own[which]);
  *out = from;
  if (!past && !present && (!bias || apart)) return;
  *out = heads_apart(present ? present->data : own, shape->heads, shape->columns, width);
  size_t all = shape->batch * shape->heads * shape->columns * width;
  if (s->sizes.shared && all) memcpy(out->at, past->data, all * sizeof(float));
  heads_move move = {.to = *out, .batch = shape->batch, .heads = shape->heads, .width = width};
  if (past && !s->sizes.shared) {
    move.from = heads_apart(past->data, shape->heads, used, width), move.rows = used;
    heads_run(c, &move);
  }
  move.from = from, move.rows = incoming;
  move.to.at = (float *)out->at + used * width;
  // A cache of cross attention went through the projection long ago.
  if (bias && !apart) move.bias = (const float *)bias->data + (which == K ? 1 : 2) * shape->heads * shape->width;
  heads_run(c, &move);
}

// Past keys of each beam from where cache_indirection says.
static sdx_status gather_beams(op_step *c, const mha_state *s, size_t used, size_t width, attend_view *view) {
  const attend_shape *shape = &s->plan.shape;
  const tensor *beams = step_in(c, BEAMS);
  size_t count = shape->batch * shape->heads * shape->columns * width, group = (size_t)beams->dims[1];
  float *to = call_alloc(c, count * sizeof *to);
  if (!to) return call_no_memory(c, count * sizeof *to);
  if (count) memcpy(to, view->at, count * sizeof *to);
  for (size_t b = 0; b < shape->batch; b++)
    for (size_t t = 0; t < used; t++) {
      int32_t from = ((const int32_t *)beams->data)[b * shape->columns + t];
      if (from < 0 || (size_t)from >= group)
        return step_fail_at(c, at_input(9), SDX_OUT_OF_RANGE, "is %d at [%zu, %zu], expected 0 to %zu", from, b, t,
                            group - 1);
      for (size_t h = 0; h < shape->heads; h++)
        memcpy(
            to + b * view->batch + h * view->head + t * view->row,
            (const float *)view->at + (b / group * group + (size_t)from) * view->batch + h * view->head + t * view->row,
            width * sizeof *to);
    }
  view->at = to;
  return SDX_OK;
}

// The mask as numbers to add.
static attend_bias numbers(op_step *c, const mha_state *s, float filter, float *to) {
  const attend_shape *shape = &s->plan.shape;
  const tensor *mask = step_in(c, MASK);
  const int32_t *at = mask->data;
  size_t columns = shape->columns, batch = shape->batch;
  if (mask->rank == 1) {
    bool starts = mask->count == 2 * batch && batch;
    for (size_t b = 0; b < batch; b++)
      for (size_t i = 0; i < columns; i++) {
        bool open = (int64_t)i < at[b] && (!starts || (int64_t)i >= at[batch + b]);
        to[b * columns + i] = open ? 0 : filter;
      }
    return (attend_bias){.at = to, .batch = columns, .columns = columns};
  }
  for (size_t i = 0; i < mask->count; i++) to[i] = at[i] > 0 ? 0 : filter;
  size_t row = (size_t)mask->dims[mask->rank - 1];
  if (mask->rank == 2) return (attend_bias){.at = to, .batch = row, .columns = row};
  size_t first = mask->rank == 4 ? (columns - shape->rows) * row : 0;  // the rows of the latest positions
  return (attend_bias){to + first, (size_t)mask->dims[mask->rank - 2] * row, 0, row, row < columns ? row : columns, 0};
}

static sdx_status attention(op_step *c) {
  const mha_params *p = c->params;
  const mha_state *s = c->state;
  const attend_shape *shape = &s->plan.shape;
  const tensor *add = step_in(c, ADD), *length = step_in(c, PAST_LENGTH), *bias = step_in(c, BIAS);
  tensor *y = step_out(c, Y), *stages = step_out(c, SCORES);
  char *scratch = call_scratch(c, s->total);
  int64_t used = s->sizes.past;
  if (!scratch) return c->err->status;
  if (s->sizes.shared) {
    if (length->count != 1)
      return step_fail_at(c, at_input(8), SDX_INVALID_SHAPE, "has %zu elements, expected 1", length->count);
    used = ((const int32_t *)length->data)[0];
    if (used < 0 || used > s->sizes.columns - s->sizes.incoming)
      return step_fail_at(c, at_input(8), SDX_OUT_OF_RANGE, "is %lld, but the buffer has room for %lld and %lld",
                          (long long)used, (long long)s->sizes.columns, (long long)s->sizes.incoming);
  }
  attend_call a = {.q = part(c, s, Q),
                   .scale = p->scale != 0 ? (double)p->scale : 1 / sqrt((double)shape->width),
                   .offset = used,
                   .left = -1,
                   .right = p->causal ? 0 : -1,
                   .stages = stages ? stages->data : NULL,
                   .stage = ATTEND_BIASED};
  void *own = scratch_take(&scratch, s->own[Q]);
  if (bias) {
    heads_move move = {a.q,          heads_packed(own, shape->heads, shape->rows, shape->width),
                       bias->data,   NULL,
                       NULL,         shape->batch,
                       shape->heads, shape->rows,
                       shape->width};
    heads_run(c, &move);
    a.q = move.to;
  }
  join(c, s, K, (size_t)used, &scratch, &a.k);
  join(c, s, V, (size_t)used, &scratch, &a.v);
  if (s->sizes.shared && step_in(c, BEAMS)) {
    SDX_TRY(gather_beams(c, s, (size_t)used, shape->width, &a.k));
    SDX_TRY(gather_beams(c, s, (size_t)used, shape->v_width, &a.v));
  }
  float *mask = scratch_take(&scratch, s->mask);
  if (step_in(c, MASK)) a.bias[0] = numbers(c, s, p->filter, mask);
  if (add) {
    size_t row = (size_t)add->dims[3], head = shape->rows * row;
    a.bias[1] = (attend_bias){
        add->data, add->dims[0] == 1 ? 0 : (size_t)add->dims[1] * head, add->dims[1] == 1 ? 0 : head, row, row, 0};
  }
  int64_t *lengths = NULL;
  if (s->sizes.shared) {
    lengths = call_alloc(c, shape->batch * sizeof *lengths);
    if (!lengths) return call_no_memory(c, shape->batch * sizeof *lengths);
    for (size_t b = 0; b < shape->batch; b++) lengths[b] = used + s->sizes.incoming;
    a.lengths = lengths;
  }
  void *room = scratch_take(&scratch, s->y);
  a.y = heads_packed(y ? y->data : room, shape->heads, shape->rows, shape->v_width);
  attend_run(c, &s->plan, &a, scratch);
  return call_check(c);
}

static sdx_status multi_head_attention_compute(op_step *c) { return call_widened(c, attention); }

SDX_CASES = {"query=float[2,3,8] key=float[2,5,8] value=float[2,5,4] num_heads=2",
             "query=float[2,3,8] key=float[2,3,8] value=float[2,3,8] bias=float[24] num_heads=4 unidirectional=1",
             "query=float[2,3,2,3,4] num_heads=2", NULL};

// clang-format off
SDX_OP_MS(MultiHeadAttention) = {
    .since = 1, .versions = "1",
    .inputs = "query:T key:T? value:T? bias:T? key_padding_mask:M? attention_bias:T? past_key:T? past_value:T? "
              "past_sequence_length:M? cache_indirection:M?",
    .outputs = "output:T present_key:T? present_value:T? qk:QK?",
    .types = "T=float,float16,bfloat16;QK=float,float16,bfloat16;M=int32",
    .attrs = "mask_filter_value:float=-10000 num_heads:int! scale:float=0 unidirectional:int=0 _hidden:ints",
    .params_size = sizeof(mha_params), .params = multi_head_attention_read, .infer = multi_head_attention_infer,
    .prepare = multi_head_attention_prepare, .compute = multi_head_attention_compute,
    .cases = cases,
};
// clang-format on
