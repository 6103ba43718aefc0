// SPDX-License-Identifier: Apache-2.0
// NGramHashMapping: rows of a table for the 2 to N last tokens of each position: for every head of n tokens
//   (id[t] m[0] xor id[t-1] m[1] xor ... xor id[t-n+1] m[n-1]) mod vocabulary + offset
// with products that wrap. Tokens before the sequence come from past_ids or are eos_token_id (pad_id without one), and
// so are those from before the segment began or, with reset_on_eos, up to the last end of a sequence.
// VarlenNGramHashMapping is the same for samples that lie behind one another.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "tensor/convert.h"

enum { IDS, MULTIPLIERS, SIZES, ENDS, PAST, OFFSETS, EOS, SEGMENTS, PAST_SEGMENTS, CAPTURE, INPUTS };
enum { HASHES, PRESENT, PRESENT_SEGMENTS, UPDATE };
enum { MOST_ORDER = 64, MOST_STATES = 8 };

static const int8_t plain_inputs[INPUTS] = {0, 1, 2, -1, 3, 4, 5, 6, -1, -1};
static const int8_t varlen_inputs[INPUTS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

typedef struct hash_params {
  const int8_t *inputs;
  int64_t order, heads, pad, capacity;  // order: the most tokens of a hash
  bool reset;
} hash_params;

static sdx_status ngram_hash_read(op_params_context *c, void *params) {
  hash_params *p = params;
  *p = (hash_params){.inputs = plain_inputs,
                     .order = params_int(c, "max_ngram_size"),
                     .heads = params_int(c, "n_head_per_ngram"),
                     .pad = params_int(c, "pad_id"),
                     .reset = params_int(c, "reset_on_eos") != 0};
  if (p->order < 2 || p->order > MOST_ORDER)
    return params_fail(c, "max_ngram_size", "is %lld, expected 2 to %d", (long long)p->order, MOST_ORDER);
  if (p->heads < 1 || p->heads > INT32_MAX / MOST_ORDER)
    return params_fail(c, "n_head_per_ngram", "is %lld, expected 1 to %d", (long long)p->heads, INT32_MAX / MOST_ORDER);
  return SDX_OK;
}

static sdx_status varlen_ngram_hash_mapping_read(op_params_context *c, void *params) {
  hash_params *p = params;
  SDX_TRY(ngram_hash_read(c, params));
  p->inputs = varlen_inputs;
  p->capacity = params_int(c, "state_update_capacity");
  if (p->capacity >= 0 && p->capacity <= MOST_STATES) return SDX_OK;
  return params_fail(c, "state_update_capacity", "is %lld, expected 0 to %d", (long long)p->capacity, MOST_STATES);
}

static const tensor *given(const op_step *c, size_t input) {
  int8_t at = ((const hash_params *)c->params)->inputs[input];
  return at < 0 ? NULL : step_in(c, (size_t)at);
}

// ---- infer ----------------------------------------------------------------------------------------

// Input `which` has these sizes.
static sdx_status agree(op_step *c, size_t which, int rank, int64_t *first, int64_t *second) {
  int8_t at = ((const hash_params *)c->params)->inputs[which];
  if (at < 0) return SDX_OK;
  SDX_TRY(infer_rank(c, (size_t)at, rank, rank));
  SDX_TRY(infer_agree(c, (size_t)at, 0, "first dimension", first));
  return rank == 2 ? infer_agree(c, (size_t)at, 1, "second dimension", second) : SDX_OK;
}

static sdx_status ngram_hash_infer(op_step *c) {
  const hash_params *p = c->params;
  bool varlen = p->inputs[ENDS] >= 0;
  int64_t first = DIM_UNKNOWN, time = DIM_UNKNOWN, batch = DIM_UNKNOWN, before = p->order - 1,
          hashes = before * p->heads, ends = DIM_UNKNOWN, multipliers = infer_dim(c, MULTIPLIERS, 0);
  sdx_dtype dtype = infer_dtype_of(c, IDS);
  SDX_TRY(agree(c, IDS, varlen ? 1 : 2, &first, &time));
  SDX_TRY(agree(c, SEGMENTS, varlen ? 1 : 2, &first, &time));
  SDX_TRY(agree(c, SIZES, 1, &hashes, NULL));
  SDX_TRY(agree(c, OFFSETS, 1, &hashes, NULL));
  SDX_TRY(infer_rank(c, MULTIPLIERS, 1, 1));
  if (multipliers >= 0 && multipliers < p->order)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has %lld elements, expected at least %lld",
                        (long long)multipliers, (long long)p->order);
  SDX_TRY(agree(c, ENDS, 1, &ends, NULL));
  if (ends == 0)
    return step_fail_at(c, at_input(3), SDX_INVALID_SHAPE, "has no elements, expected the samples and one");
  if (!varlen) batch = first;
  else if (ends > 0) batch = ends - 1;
  SDX_TRY(agree(c, PAST, 2, &batch, &before));
  SDX_TRY(agree(c, PAST_SEGMENTS, 2, &batch, &before));
  SDX_TRY(agree(c, CAPTURE, 1, &batch, NULL));
  if (varlen && (p->capacity > 0) != infer_has(c, (size_t)p->inputs[CAPTURE]))
    return step_fail_at(c, at_input(9), SDX_INVALID_GRAPH, "goes with state_update_capacity");
  int64_t out[3] = {first, varlen ? hashes : time, hashes};
  SDX_TRY(infer_output(c, HASHES, dtype, varlen ? 2 : 3, out));
  SDX_TRY(infer_output(c, PRESENT, dtype, 2, (int64_t[]){batch, before}));
  if (!varlen) return SDX_OK;
  SDX_TRY(infer_output(c, PRESENT_SEGMENTS, SDX_INT32, 2, (int64_t[]){batch, before}));
  return infer_output(c, UPDATE, dtype, 3, (int64_t[]){batch, p->capacity, before});
}

// ---- compute --------------------------------------------------------------------------------------

// One sample; places below 0 are the past's.
typedef struct sequence {
  const hash_params *p;
  const tensor *ids, *past, *segments, *past_segments;
  int64_t first, count, before, fill;  // row of its first token and number of them; length of the past
  size_t index;
  bool has_eos;
  int64_t eos;
} sequence;

static int64_t id_at(const sequence *q, int64_t place) {
  if (place >= 0) return tensor_index_at(q->ids, (size_t)(q->first + place));
  if (!q->past || place < -q->before) return q->fill;
  return tensor_index_at(q->past, (size_t)((int64_t)(q->index + 1) * q->before + place));
}

// The segment of a place; false: not known.
static bool segment_at(const sequence *q, int64_t place, int32_t *segment) {
  if (place >= 0) *segment = ((const int32_t *)q->segments->data)[q->first + place];
  else if (!q->past_segments || place < -q->before) return false;
  else *segment = ((const int32_t *)q->past_segments->data)[(int64_t)(q->index + 1) * q->before + place];
  return true;
}

// Tokens of a position and those before it, [0] the position's own; what history does not reach is q->fill.
static void read_tokens(const sequence *q, int64_t place, int64_t *tokens) {
  bool cut = false;
  for (int64_t k = 0; k < q->p->order; k++) {
    int64_t at = place - k, id = id_at(q, at);
    int32_t here, next;
    if (k > 0 && q->segments && segment_at(q, at, &here) && segment_at(q, at + 1, &next)) cut |= here != next;
    if (k > 0 && q->p->reset && q->has_eos) cut |= id == q->eos;
    tokens[k] = cut ? q->fill : id;
  }
}

// The last ids (or segments) before `end`.
static void write_last(const sequence *q, int64_t end, tensor *to, size_t row, bool segments) {
  for (int64_t i = 0; to && i < q->before; i++) {
    int64_t place = end - q->before + i, v = segments ? 0 : id_at(q, place);
    int32_t segment = 0;
    if (segments && q->segments && segment_at(q, place, &segment)) v = segment;
    convert_set_int((sdx_dtype)to->dtype, to->data, row * (size_t)q->before + (size_t)i, v);
  }
}

static int64_t wrapped(sdx_dtype dtype, int64_t v) { return dtype == SDX_INT32 ? (int32_t)(uint32_t)(uint64_t)v : v; }

static void hash_sequence(op_step *c, const sequence *q, tensor *y) {
  const hash_params *p = q->p;
  const tensor *multipliers = given(c, MULTIPLIERS), *sizes = given(c, SIZES), *offsets = given(c, OFFSETS);
  sdx_dtype dtype = (sdx_dtype)q->ids->dtype;
  int64_t tokens[MOST_ORDER];
  size_t hashes = (size_t)((p->order - 1) * p->heads);
  for (int64_t t = 0; t < q->count && !pool_stopped_in((size_t)t); t++) {
    size_t at = 0;
    read_tokens(q, t, tokens);
    int64_t mix = 0;
    for (int64_t n = 1; n <= p->order; n++) {
      mix ^= wrapped(dtype, wrap_mul(tokens[n - 1], tensor_index_at(multipliers, (size_t)(n - 1))));
      for (int64_t h = 0; n > 1 && h < p->heads; h++, at++) {
        int64_t size = tensor_index_at(sizes, at), v = mix % size;
        if (v < 0) v += size;
        if (offsets) v = wrapped(dtype, wrap_add(v, tensor_index_at(offsets, at)));
        convert_set_int(dtype, y->data, (size_t)(q->first + t) * hashes + at, v);
      }
    }
  }
}

static sdx_status check(op_step *c, size_t batch) {
  const tensor *sizes = given(c, SIZES), *ends = given(c, ENDS), *eos = given(c, EOS), *ids = given(c, IDS);
  for (size_t i = 0; i < sizes->count; i++)
    if (tensor_index_at(sizes, i) < 1)
      return step_fail_at(c, at_input(2), SDX_OUT_OF_RANGE, "is %lld at %zu, expected at least 1",
                          (long long)tensor_index_at(sizes, i), i);
  if (eos && eos->count != 1)
    return step_fail_at(c, part_named(PART_INPUT, STR("eos_token_id")), SDX_INVALID_SHAPE,
                        "has %zu elements, expected 1", eos->count);
  for (size_t b = 0; ends && b <= batch; b++) {
    int64_t end = ((const int32_t *)ends->data)[b], low = b ? ((const int32_t *)ends->data)[b - 1] : 0;
    if (end < low || end > ids->dims[0] || (b == 0 && end) || (b == batch && end != ids->dims[0]))
      return step_fail_at(c, at_input(3), SDX_OUT_OF_RANGE, "is %lld at %zu: samples must rise from 0 to all %lld rows",
                          (long long)end, b, (long long)ids->dims[0]);
  }
  return SDX_OK;
}

static sdx_status ngram_hash_compute(op_step *c) {
  const hash_params *p = c->params;
  const tensor *ids = given(c, IDS), *eos = given(c, EOS), *ends = given(c, ENDS), *capture = given(c, CAPTURE);
  tensor *y = step_out(c, HASHES), *update = step_out(c, UPDATE);
  size_t batch = ends ? ends->count - 1 : (size_t)ids->dims[0];
  SDX_TRY(check(c, batch));
  sequence q = {.p = p,
                .ids = ids,
                .past = given(c, PAST),
                .segments = given(c, SEGMENTS),
                .past_segments = given(c, PAST_SEGMENTS),
                .before = p->order - 1,
                .has_eos = eos != NULL,
                .eos = eos ? tensor_index_at(eos, 0) : 0};
  q.fill = eos ? q.eos : wrapped((sdx_dtype)ids->dtype, p->pad);
  for (size_t i = 0; update && i < update->count; i++)
    convert_set_int((sdx_dtype)update->dtype, update->data, i, wrapped((sdx_dtype)update->dtype, p->pad));
  for (q.index = 0; q.index < batch; q.index++) {
    const int32_t *end = ends ? (const int32_t *)ends->data + q.index : NULL;
    q.first = end ? end[0] : (int64_t)q.index * ids->dims[1], q.count = end ? end[1] - end[0] : ids->dims[1];
    if (y) hash_sequence(c, &q, y);
    write_last(&q, q.count, step_out(c, PRESENT), q.index, false);
    write_last(&q, q.count, step_out(c, PRESENT_SEGMENTS), q.index, true);
    int64_t states = capture ? i64_min(((const int32_t *)capture->data)[q.index], i64_min(p->capacity, q.count)) : 0;
    for (int64_t k = 0; k < states; k++)
      write_last(&q, k + 1, update, q.index * (size_t)p->capacity + (size_t)k, false);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

SDX_CASES = {
    "input_ids=int64[2,5]@0..9 multipliers=int64(3,5,7) vocab_sizes=int64(11,13,17,19) past_ids=int64[2,2]@0..9 "
    "eos_token_id=int64[](4) segment_ids=int32[2,5]@0..1 max_ngram_size=3 n_head_per_ngram=2 pad_id=1 reset_on_eos=1 "
    "outputs=2",
    NULL};
static const char *const varlen_cases[] = {
    "input_ids=int32[5]@0..9 multipliers=int32(3,5,7) vocab_sizes=int32(11,13) cumulative_sequence_length=int32(0,2,5) "
    "past_ids=int32[2,2]@0..9 head_offsets=int32(0,11) segment_ids=int32[5]@0..1 past_segment_ids=int32[2,2]@0..1 "
    "capture_count=int32(1,2) max_ngram_size=3 n_head_per_ngram=1 pad_id=1 state_update_capacity=2 outputs=4",
    NULL};

// clang-format off
#define ATTRS "max_ngram_size:int! n_head_per_ngram:int! pad_id:int! reset_on_eos:int=0"
SDX_OP_MS(NGramHashMapping) = {
    .since = 1, .versions = "1",
    .inputs = "input_ids:M multipliers:M vocab_sizes:M past_ids:M? head_offsets:M? eos_token_id:M? segment_ids:int32?",
    .outputs = "hash_ids:M present_ids:M?", .types = "M=int32,int64", .attrs = ATTRS,
    .params_size = sizeof(hash_params), .params = ngram_hash_read, .infer = ngram_hash_infer,
    .compute = ngram_hash_compute, .cases = cases,
};
SDX_OP_MS(VarlenNGramHashMapping) = {
    .since = 1, .versions = "1",
    .inputs = "input_ids:M multipliers:M vocab_sizes:M cumulative_sequence_length:S past_ids:M? head_offsets:M? "
              "eos_token_id:M? segment_ids:int32? past_segment_ids:S? capture_count:S?",
    .outputs = "hash_ids:M present_ids:M? present_segment_ids:S? state_update:M?", .types = "M=int32,int64;S=int32",
    .attrs = ATTRS " state_update_capacity:int=0",
    .params_size = sizeof(hash_params), .params = varlen_ngram_hash_mapping_read, .infer = ngram_hash_infer,
    .compute = ngram_hash_compute,
    .cases = varlen_cases,
};
// clang-format on
