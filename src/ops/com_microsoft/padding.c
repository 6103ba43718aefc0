// SPDX-License-Identifier: Apache-2.0
// Batches without their padding. RemovePadding puts the rows of all samples that count behind one another and says in
// token_offset where each came from (those of padding after them); RestorePadding is the way back, with zeros.
// PackedMultiHeadAttention and PackedAttention work on such rows: they are rewritten to RestorePadding,
// MultiHeadAttention with the lengths as its mask, and picking the rows again.

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/rewrite.h"

static size_t width_of(const tensor *t) { return (size_t)dtype_bits((sdx_dtype)t->dtype) / 8; }

// ---- RemovePadding --------------------------------------------------------------------------------

static sdx_status remove_padding_infer(op_step *c) {
  int64_t batch = infer_dim(c, 0, 0), length = infer_dim(c, 0, 1), total = DIM_UNKNOWN, ends = DIM_UNKNOWN;
  SDX_TRY(infer_rank(c, 0, 3, 3));
  SDX_TRY(infer_rank(c, 1, 1, 1));
  SDX_TRY(infer_agree(c, 1, 0, "batch", &batch));
  const tensor *counts = c->constants[1];
  for (size_t i = 0; counts && length >= 0 && i < counts->count; i++) {
    int64_t n = ((const int32_t *)counts->data)[i];
    if (n < 0 || n > length)
      return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %lld at %zu, expected 0 to %lld", (long long)n, i,
                          (long long)length);
    total = (i ? total : 0) + n;
  }
  if (counts && counts->count == 0) total = 0;
  if (total > INT32_MAX || (batch >= 0 && length >= 0 &&
                            (batch > INT32_MAX || batch * (length < INT32_MAX ? length : INT32_MAX) > INT32_MAX)))
    return step_fail(c, SDX_OUT_OF_RANGE, "there are more tokens than token_offset (int32) can count");
  if (batch >= 0) ends = batch + 1;
  SDX_TRY(infer_output(c, 0, infer_dtype_of(c, 0), 2, (int64_t[]){total, infer_dim(c, 0, 2)}));
  SDX_TRY(infer_output(c, 1, SDX_INT32, 2, (int64_t[]){batch, length}));
  SDX_TRY(infer_output(c, 2, SDX_INT32, 1, &ends));
  return infer_output(c, 3, SDX_INT32, 1, (int64_t[]){1});
}

static sdx_status remove_padding_compute(op_step *c) {
  const tensor *x = step_in(c, 0), *counts = step_in(c, 1);
  tensor *y = step_out(c, 0), *offset = step_out(c, 1), *ends = step_out(c, 2), *most = step_out(c, 3);
  size_t batch = (size_t)x->dims[0], length = (size_t)x->dims[1], row = (size_t)x->dims[2] * width_of(x);
  size_t next = 0, padding = 0;
  int32_t longest = 0;
  for (size_t b = 0; b < batch; b++) padding += (size_t)((const int32_t *)counts->data)[b];
  if (ends) ((int32_t *)ends->data)[0] = 0;
  for (size_t b = 0; b < batch; b++) {
    int32_t n = ((const int32_t *)counts->data)[b];
    if (y && n && row) memcpy((char *)y->data + next * row, (const char *)x->data + b * length * row, (size_t)n * row);
    for (size_t i = 0; offset && i < length; i++)
      ((int32_t *)offset->data)[i < (size_t)n ? next + i : padding + i - (size_t)n] = (int32_t)(b * length + i);
    next += (size_t)n, padding += length - (size_t)n;
    if (ends) ((int32_t *)ends->data)[b + 1] = (int32_t)next;
    if (n > longest) longest = n;
  }
  if (most) ((int32_t *)most->data)[0] = longest;
  return SDX_OK;
}

// ---- RestorePadding -------------------------------------------------------------------------------

static sdx_status restore_padding_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 0, 2, 2));
  SDX_TRY(infer_rank(c, 1, 2, 2));
  return infer_output(c, 0, infer_dtype_of(c, 0), 3,
                      (int64_t[]){infer_dim(c, 1, 0), infer_dim(c, 1, 1), infer_dim(c, 0, 1)});
}

static sdx_status restore_padding_compute(op_step *c) {
  const tensor *x = step_in(c, 0), *offset = step_in(c, 1);
  tensor *y = step_out(c, 0);
  size_t row = (size_t)x->dims[1] * width_of(x), rows = (size_t)x->dims[0];
  if (rows > offset->count)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %zu rows, but there are only %zu tokens with padding",
                        rows, offset->count);
  SDX_TRY(call_zero(c, y->data, y->bytes));
  for (size_t i = 0; i < rows; i++) {
    int32_t to = ((const int32_t *)offset->data)[i];
    if (to < 0 || (size_t)to >= offset->count)
      return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %d at %zu, expected 0 to %zu", to, i,
                          offset->count - 1);
    if (row) memcpy((char *)y->data + (size_t)to * row, (const char *)x->data + i * row, row);
  }
  return call_check(c);
}

// ---- attention over packed rows -------------------------------------------------------------------

#define MS "com.microsoft::"

static value_id restored(op_upgrade *u, value_id rows, value_id offset) {
  return rows ? insert2(u, MS "RestorePadding", rows, offset) : VALUE_ABSENT;
}

// q, k, v (or one with all) are rows; `heads` says how MultiHeadAttention is to read them.
static sdx_status packed(op_upgrade *u, value_id q, value_id k, value_id v, value_id bias, value_id offset,
                         value_id ends, value_id add, const char *hidden_name) {
  attr attrs[5];
  size_t count = 0;
  static const char *const kept[] = {"num_heads", "scale", "mask_filter_value"};
  for (size_t i = 0; i < 3; i++)
    if (node_attr(u->node, kept[i])) attrs[count++] = *node_attr(u->node, kept[i]);
  const attr *hidden = node_attr(u->node, hidden_name);
  if (hidden) attrs[count] = *hidden, attrs[count++].name = STR("_hidden");
  value_id first = slice(u, ends, 0, -1), last = slice(u, ends, 1, INT64_MAX);
  value_id in[6] = {0, 0, 0, bias, insert2(u, "Sub", last, first), add};
  in[0] = restored(u, q, offset);
  in[1] = restored(u, k, offset);
  in[2] = restored(u, v, offset);
  value_id whole = upgrade_insert(u, MS "MultiHeadAttention", 6, in, attrs, count);
  value_id any = ints1(u, -1), shape = concat2(u, 0, any, dims(u, whole, 2, 3));
  value_id zero = ints1(u, 0), rows = dims(u, q, 0, 1);
  value_id places = insert3(u, "Slice", flat(u, offset), zero, rows);
  return become2(u, "Gather", insert2(u, "Reshape", whole, shape), places);
}

static sdx_status packed_multi_head(op_upgrade *u) {
  value_id q = input(u, 0);
  if (!input(u, 1))  // [tokens, heads, 3, width] to [tokens, Q | K | V]
    q = reshape(u, transpose(u, q, (int64_t[]){0, 2, 1, 3}, 4), (int64_t[]){0, -1}, 2);
  return packed(u, q, input(u, 1), input(u, 2), input(u, 3), input(u, 4), input(u, 5), input(u, 6), "");
}

static sdx_status packed_attention(op_upgrade *u) {
  value_id product = insert2(u, "MatMul", input(u, 0), input(u, 1));
  return packed(u, product, 0, 0, input(u, 2), input(u, 3), input(u, 4), input(u, 5), "qkv_hidden_sizes");
}

SDX_CASES = {"input=float[2,3,4] sequence_token_count=int32[2](2,3) outputs=4", NULL};
static const char *const restore_cases[] = {"input=float[4,5] token_offset=int32[2,3](0,1,3,5,2,4)", NULL};
static const char *const heads_cases[] = {
    "query=float[4,8] key=float[4,8] value=float[4,8] bias=float[24] token_offset=int32[2,3](0,1,3,4,2,5) "
    "cumulative_sequence_length=int32[3](0,2,4) num_heads=2",
    NULL};
static const char *const attention_cases[] = {
    "input=float[4,8] weights=float[8,24]@-0.2..0.2 bias=float[24] token_offset=int32[2,3](0,1,3,4,2,5) "
    "cumulative_sequence_length=int32[3](0,2,4) num_heads=2",
    NULL};

// clang-format off
SDX_OP_MS(RemovePadding) = {
    .since = 1, .versions = "1", .inputs = "input:T sequence_token_count:M",
    .outputs = "output:T token_offset:M cumulated_seq_len:M max_seq_len:M", .types = "T=float,float16,bfloat16;M=int32",
    .infer = remove_padding_infer, .compute = remove_padding_compute, .cases = cases};
SDX_OP_MS(RestorePadding) = {
    .since = 1, .versions = "1", .inputs = "input:T token_offset:M", .outputs = "output:T",
    .types = "T=float,float16,bfloat16;M=int32", .infer = restore_padding_infer, .compute = restore_padding_compute,
    .cases = restore_cases};
SDX_OP_MS(PackedMultiHeadAttention) = {
    .since = 1, .versions = "1", .flags = OP_REWRITE,
    .inputs = "query:T key:T? value:T? bias:T? token_offset:M cumulative_sequence_length:M attention_bias:T?",
    .outputs = "output:T", .types = "T=float,float16;M=int32",
    .attrs = "mask_filter_value:float=-10000 num_heads:int! scale:float=0", .upgrade = packed_multi_head,
    .cases = heads_cases};
SDX_OP_MS(PackedAttention) = {
    .since = 1, .versions = "1", .flags = OP_REWRITE,
    .inputs = "input:T weights:T bias:T token_offset:M cumulative_sequence_length:M attention_bias:T?",
    .outputs = "output:T", .types = "T=float,float16;M=int32",
    .attrs = "num_heads:int! qkv_hidden_sizes:ints scale:float=0", .upgrade = packed_attention,
    .cases = attention_cases};
// clang-format on
