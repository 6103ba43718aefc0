// SPDX-License-Identifier: Apache-2.0
// Operators with a fixed pattern of movement: Trilu (one triangle, zeros elsewhere), DepthToSpace and
// SpaceToDepth (blocks of pixels to channels and back), ReverseSequence (the first elements of each
// batch entry reversed). DepthToSpace-11 and SpaceToDepth-28 added `mode`.
#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

// ---- Trilu ------------------------------------------------------------------------------------------

typedef struct trilu_params {
  bool upper;
} trilu_params;

static sdx_status trilu_read(op_params_context *c, void *p) {
  ((trilu_params *)p)->upper = params_int(c, "upper") != 0;
  return SDX_OK;
}

static sdx_status trilu_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 0, 2, -1));
  return infer_same(c, 0, 0);
}

static sdx_status trilu_compute(op_step *c) {
  const tensor *x = step_in(c, 0), *at = step_in(c, 1);
  tensor *y = step_out(c, 0);
  bool upper = ((const trilu_params *)c->params)->upper;
  if (x->count == 0) return SDX_OK;
  if (at && at->count != 1)
    return step_fail(c, SDX_INVALID_SHAPE, "input 1 ('k') has %zu elements, expected 1", at->count);
  int64_t k = at ? tensor_index_at(at, 0) : 0, rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
  size_t width = move_width(x), row_bytes = (size_t)columns * width;
  for (size_t i = 0; i < x->count / (size_t)columns; i++) {
    int64_t r = (int64_t)(i % (size_t)rows);
    // The triangle's edge: upper keeps columns >= r + k, lower keeps columns <= r + k.
    int64_t edge = i64_max(0, i64_min(columns, k > columns ? columns : k < -rows ? 0 : r + k + (upper ? 0 : 1)));
    size_t begin = upper ? (size_t)edge : 0, end = upper ? (size_t)columns : (size_t)edge;
    char *to = (char *)y->data + i * row_bytes;
    memset(to, 0, begin * width);
    if (y->data != x->data)
      memcpy(to + begin * width, (const char *)x->data + i * row_bytes + begin * width, (end - begin) * width);
    memset(to + end * width, 0, row_bytes - end * width);
  }
  return SDX_OK;
}

static const char *const trilu_cases[] = {"input=float[4,5]",
                                          "input=float[2,4,3] upper=0",
                                          "input=float[5,4] k=int64(1)",
                                          "input=float[3,3] k=int64(-2) upper=0",
                                          "input=float[0,3]",
                                          NULL};

SDX_OP(Trilu) = {
    .since = 14,
    .versions = "14",
    .inputs = "input:T k:int64?",
    .outputs = "output:T",
    .types =
        "T=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,string,"
        "complex64,complex128",
    .attrs = "upper:int=1",
    .flags = OP_INPLACE,
    .params_size = sizeof(trilu_params),
    .params = trilu_read,
    .infer = trilu_infer,
    .compute = trilu_compute,
    .cases = trilu_cases,
};

// ---- DepthToSpace, SpaceToDepth ---------------------------------------------------------------------

typedef struct block_params {
  int64_t size;
  bool columns_first;
} block_params;  // mode CRD

static sdx_status block_read(op_params_context *c, void *p) {
  block_params *out = p;
  str mode = params_string(c, "mode");
  *out = (block_params){params_int(c, "blocksize"), str_is(mode, "CRD")};
  if (out->size <= 0 || out->size > INT32_MAX)
    return params_fail(c, "blocksize", "is %lld, expected a positive number", (long long)out->size);
  if (!out->columns_first && !str_is(mode, "DCR"))
    return params_fail(c, "mode", "is '%.*s', expected DCR or CRD", STR_ARG(mode));
  return SDX_OK;
}

static sdx_status block_infer(op_step *c, bool to_space) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 0, 4, 4));
  if (infer_rank_of(c, 0) < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  const int64_t *in = c->in_types[0]->dims;
  int64_t b = ((const block_params *)c->params)->size, dims[4] = {in[0], DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN};
  for (int i = 1; i < 4; i++) {
    if (in[i] < 0) continue;
    bool divides = (i == 1) == to_space;
    int64_t factor = i == 1 ? b * b : b;
    if (divides && in[i] % factor)
      return step_fail(c, SDX_INVALID_SHAPE, "dimension %d of input 0 is %lld, not a multiple of %lld", i,
                       (long long)in[i], (long long)factor);
    if (divides) dims[i] = in[i] / factor;
    else if (!i64_mul(in[i], factor, &dims[i]))
      return step_fail(c, SDX_INVALID_SHAPE, "dimension %d of the output does not fit 64 bits", i);
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), 4, dims);
}
static sdx_status to_space_infer(op_step *c) { return block_infer(c, true); }
static sdx_status to_depth_infer(op_step *c) { return block_infer(c, false); }

// Both are one box of rank 6: batch, channel, row, row in block, column, column in block. `space` has
// the larger image, `depth` the more channels.
static sdx_status block_compute(op_step *c, bool to_space) {
  const block_params *p = c->params;
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  if (y->count == 0) return SDX_OK;
  const int64_t *s = to_space ? y->dims : x->dims;  // dims of the space side
  int64_t b = p->size, channels = s[1], h = s[2] / b, w = s[3] / b;
  int64_t plane = h * w, channel_step = p->columns_first ? b * b * plane : plane,
          offset_step = p->columns_first ? plane : channels * plane;  // of the offset in the block, depth side
  strided box = {.rank = 6, .dims = {s[0], channels, h, b, w, b}};
  int64_t space[6] = {channels * s[2] * s[3], s[2] * s[3], b * s[3], s[3], b, 1};
  int64_t depth[6] = {channels * b * b * plane, channel_step, w, b * offset_step, 1, offset_step};
  memcpy(box.from, to_space ? depth : space, sizeof space);
  memcpy(box.to, to_space ? space : depth, sizeof depth);
  move_strided(c, &box, move_width(x), x->data, y->data);
  return SDX_OK;
}
static sdx_status to_space_compute(op_step *c) { return block_compute(c, true); }
static sdx_status to_depth_compute(op_step *c) { return block_compute(c, false); }

#define BLOCK_TYPES                                                                                \
  "T=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,string," \
  "complex64,complex128"

static const char *const depth_to_space_cases[] = {"input=float[2,8,3,4] blocksize=2",
                                                   "input=float[1,18,2,3] blocksize=3 mode=CRD",
                                                   "input=float[1,4,2,0] blocksize=2", NULL};

SDX_OP(DepthToSpace) = {
    .since = 28,
    .versions = "28 13 11 1",
    .inputs = "input:T",
    .outputs = "output:T",
    .types = BLOCK_TYPES,
    .attrs = "blocksize:int! mode:string=DCR",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(block_params),
    .params = block_read,
    .infer = to_space_infer,
    .compute = to_space_compute,
    .cases = depth_to_space_cases,
};

static const char *const space_to_depth_cases[] = {
    "input=float[2,3,4,6] blocksize=2", "input=float[1,1,6,3] blocksize=3", "input=float[1,2,0,2] blocksize=2", NULL};

SDX_OP(SpaceToDepth) = {
    .since = 28,
    .versions = "28 13 1",
    .inputs = "input:T",
    .outputs = "output:T",
    .types = BLOCK_TYPES,
    .attrs = "blocksize:int! mode:string=DCR",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(block_params),
    .params = block_read,
    .infer = to_depth_infer,
    .compute = to_depth_compute,
    .cases = space_to_depth_cases,
};

// ---- ReverseSequence --------------------------------------------------------------------------------

typedef struct reverse_params {
  int64_t batch_axis, time_axis;
} reverse_params;

static sdx_status reverse_read(op_params_context *c, void *p) {
  reverse_params *out = p;
  *out = (reverse_params){params_int(c, "batch_axis"), params_int(c, "time_axis")};
  if ((out->batch_axis != 0 || out->time_axis != 1) && (out->batch_axis != 1 || out->time_axis != 0))
    return params_fail(c, "batch_axis", "and 'time_axis' are %lld and %lld, expected 0 and 1 or 1 and 0",
                       (long long)out->batch_axis, (long long)out->time_axis);
  return SDX_OK;
}

static sdx_status reverse_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 0, 2, -1));
  SDX_TRY(infer_rank(c, 1, 1, 1));
  return infer_same(c, 0, 0);
}

static sdx_status reverse_compute(op_step *c) {
  const reverse_params *p = c->params;
  const tensor *x = step_in(c, 0), *lengths = step_in(c, 1);
  tensor *y = step_out(c, 0);
  int64_t batches = x->dims[p->batch_axis], times = x->dims[p->time_axis];
  if (lengths->count != (size_t)batches)
    return step_fail(c, SDX_INVALID_SHAPE, "input 1 ('sequence_lens') has %zu entries for %lld batch entries",
                     lengths->count, (long long)batches);
  size_t slice = move_width(x);
  for (size_t d = 2; d < x->rank; d++) slice *= (size_t)x->dims[d];
  for (int64_t b = 0; b < batches; b++) {
    int64_t n = tensor_index_at(lengths, (size_t)b);
    if (n < 0 || n > times)
      return step_fail(c, SDX_OUT_OF_RANGE, "input 1 ('sequence_lens') is %lld at %lld, expected 0 to %lld",
                       (long long)n, (long long)b, (long long)times);
    for (int64_t t = 0; t < times; t++) {
      int64_t from = t < n ? n - 1 - t : t;
      size_t to_row = (size_t)(p->batch_axis ? t * batches + b : b * times + t),
             from_row = (size_t)(p->batch_axis ? from * batches + b : b * times + from);
      memcpy((char *)y->data + to_row * slice, (const char *)x->data + from_row * slice, slice);
    }
  }
  return SDX_OK;
}

static const char *const reverse_sequence_cases[] = {
    "input=float[4,3,2] sequence_lens=int64(1,3,4)",
    "input=float[2,5] sequence_lens=int64(0,3) batch_axis=0 time_axis=1", NULL};

SDX_OP(ReverseSequence) = {
    .since = 28,
    .versions = "28 10",
    .inputs = "input:T sequence_lens:int64",
    .outputs = "Y:T",
    .types = BLOCK_TYPES,
    .attrs = "batch_axis:int=1 time_axis:int=0",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(reverse_params),
    .params = reverse_read,
    .infer = reverse_infer,
    .compute = reverse_compute,
    .cases = reverse_sequence_cases,
};
