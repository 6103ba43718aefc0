// SPDX-License-Identifier: Apache-2.0
// Operators of com.microsoft that ai.onnx took over later, perhaps with other spellings: nodes become those.
#include "ops/parts/rewrite.h"

// The operator of the same name, attributes as they are.
static sdx_status same(op_upgrade *u, const char *name) {
  node *n = u->node;
  n->domain = STR("");
  upgrade_rename(u, name);
  return SDX_OK;
}
static sdx_status trilu(op_upgrade *u) { return same(u, "Trilu"); }
static sdx_status gather_nd(op_upgrade *u) {
  return become2(u, "GatherND", input(u, 0), cast(u, input(u, 1), SDX_INT64));
}
static sdx_status sample_op(op_upgrade *u) { return same(u, "Identity"); }

static sdx_status grid_sample(op_upgrade *u) {
  const attr *mode = node_attr(u->node, "mode");
  if (!mode || str_is(mode->s, "bilinear")) SDX_TRY(node_set_attr(u->graph, u->node, attr_of_string("mode", "linear")));
  else if (str_is(mode->s, "bicubic")) SDX_TRY(node_set_attr(u->graph, u->node, attr_of_string("mode", "cubic")));
  return same(u, "GridSample");
}

// Its second output is what ai.onnx has third, and the order is that of appearance.
static sdx_status unique(op_upgrade *u) {
  node *n = u->node;
  value_id *outputs = arena_array(u->graph->memory, 4, sizeof *outputs);
  if (!outputs) return error_no_memory(u->err, 4 * sizeof *outputs);
  for (uint32_t i = 0; i < n->output_count && i < 3; i++) outputs[i ? i + 1 : 0] = n->outputs[i];
  n->outputs = outputs, n->output_count = 4;
  while (n->output_count && !outputs[n->output_count - 1]) n->output_count--;
  SDX_TRY(become1(u, "Unique", input(u, 0)));
  return upgrade_set_attr(u, n, attr_of_int("sorted", 0));
}

static sdx_status pad(op_upgrade *u) {
  const attr *given = node_attr(u->node, "mode");
  attr mode = given ? *given : attr_of_string("mode", "constant");
  value_id in[3] = {input(u, 0), flat(u, input(u, 1))};
  if (input(u, 2)) in[2] = as_scalar(u, input(u, 2));
  return upgrade_become(u, "Pad", in[2] ? 3 : 2, in, &mode, 1);
}

static sdx_status range(op_upgrade *u) {
  value_id start = as_scalar(u, input(u, 0)), limit = as_scalar(u, input(u, 1));
  value_id delta = input(u, 2) ? as_scalar(u, input(u, 2)) : scalar_like(u, 1, start);
  return become3(u, "Range", start, limit, delta);
}

static sdx_status expand_dims(op_upgrade *u) {
  return become2(u, "Unsqueeze", input(u, 0), flat(u, cast(u, input(u, 1), SDX_INT64)));
}

// A boolean tensor as words of 32 bits, low ones first.
static value_id bit_mask(op_upgrade *u, value_id mask) {
  int64_t places[32];
  for (int64_t i = 0; i < 32; i++) places[i] = i;
  mask = flat(u, cast(u, mask, SDX_UINT32));
  value_id missing = insert1(u, "Neg", insert1(u, "Shape", mask)), zero = ints1(u, 0);
  missing = insert2(u, "Mod", missing, ints1(u, 32));
  mask = insert2(u, "Pad", mask, concat2(u, 0, zero, missing));
  mask = reshape(u, mask, (int64_t[]){-1, 32}, 2);
  mask = insert2(u, "BitShift", mask, cast(u, ints(u, places, 32), SDX_UINT32));
  return sum_over(u, with_attr(u, mask, attr_of_string("direction", "LEFT")), 1);
}

// Dropout of data, to which `residual` is added afterwards.
static sdx_status dropout(op_upgrade *u, value_id data, value_id residual, size_t ratio, bool as_bits) {
  const attr *seed = node_attr(u->node, "seed");
  value_id in[3] = {data, input(u, ratio), input(u, ratio + 1)}, out[2] = {0};
  upgrade_insert_many(u, "Dropout", 3, in, seed, seed != NULL, 2, out);
  if (wants_output(u, 1)) give_output(u, 1, as_bits ? bit_mask(u, out[1]) : out[1]);
  return residual ? become2(u, "Add", out[0], residual) : become1(u, "Identity", out[0]);
}
static sdx_status biased_dropout(op_upgrade *u, bool as_bits) {
  value_id sum = insert2(u, "Add", input(u, 0), input(u, 1));
  return dropout(u, sum, input(u, 2), 3, as_bits);
}
static sdx_status bias_dropout(op_upgrade *u) { return biased_dropout(u, false); }
static sdx_status bitmask_bias_dropout(op_upgrade *u) { return biased_dropout(u, true); }
static sdx_status bitmask_dropout(op_upgrade *u) { return dropout(u, input(u, 0), VALUE_ABSENT, 1, true); }

// Sparse constants are dense here.
static sdx_status sparse_matmul(op_upgrade *u) {
  float alpha = node_attr_float(u->node, "alpha", 1);
  value_id a = input(u, 0), b = input(u, 1);
  if (node_attr_int(u->node, "transA", 0)) a = insert1(u, "Transpose", a);
  if (node_attr_int(u->node, "transB", 0)) b = insert1(u, "Transpose", b);
  if (alpha == 1) return become2(u, "MatMul", a, b);
  value_id product = insert2(u, "MatMul", a, b), factor = scalar_like(u, (double)alpha, b);
  return become2(u, "Mul", product, factor);
}

static sdx_status torch_embedding(op_upgrade *u) { return become2(u, "Gather", input(u, 0), input(u, 1)); }

// The output without padding, cut afterwards.
static sdx_status conv_transpose(op_upgrade *u) {
  static const char *const kept[] = {"auto_pad", "dilations", "group", "kernel_shape", "output_padding", "strides"};
  attr attrs[6], halves = attr_of_int("num_outputs", 2);
  size_t count = 0;
  value_id in[3] = {input(u, 0), input(u, 1), input(u, 3)}, ends[2] = {0}, pads = input(u, 2);
  for (size_t i = 0; i < 6; i++)
    if (node_attr(u->node, kept[i])) attrs[count++] = *node_attr(u->node, kept[i]);
  if (!pads) return upgrade_become(u, "ConvTranspose", 3, in, attrs, count);
  value_id y = upgrade_insert(u, "ConvTranspose", 3, in, attrs, count);
  upgrade_insert_many(u, "Split", 1, &pads, &halves, 1, 2, ends);
  value_id size = dims(u, y, 2, INT64_MAX), two = scalar(u, SDX_INT64, 2);
  value_id spatial = range_to(u, insert1(u, "Size", size));
  value_id axes = insert2(u, "Add", spatial, two), end = insert2(u, "Sub", size, ends[1]);
  return upgrade_become(u, "Slice", 4, (value_id[]){y, ends[0], end, axes}, NULL, 0);
}

static value_id gemma_table(op_upgrade *u, const char *function) {
  value_id table = insert2(u, "CastLike", insert1(u, function, input(u, 0)), input(u, 1));
  return insert2(u, "Unsqueeze", table, ints1(u, 1));
}
static sdx_status gemma_rotary(op_upgrade *u) {
  value_id cosine = gemma_table(u, "Cos"), sine = gemma_table(u, "Sin");
  value_id k = insert2(u, "Mul", input(u, 3), cosine), k_rot = insert2(u, "Mul", input(u, 4), sine);
  give_output(u, 1, insert2(u, "Add", k, k_rot));
  value_id q = insert2(u, "Mul", input(u, 1), cosine), q_rot = insert2(u, "Mul", input(u, 2), sine);
  return become2(u, "Add", q, q_rot);
}

// Rows of one table for the positions of a token in time, height and width: each column follows one of the three.
static value_id position_table(op_upgrade *u, value_id table, const int64_t section[3], bool interleaved) {
  value_id all = insert2(u, "Gather", table, input(u, 1)), row[3], mask[3] = {0};
  int64_t half = section[0] + section[1] + section[2],
          *open = arena_array(u->graph->memory, (size_t)half + 1, sizeof *open);
  if (!open) error_no_memory(u->err, (size_t)half * sizeof *open);
  for (int64_t i = 0, first = 0; i < 3; first += section[i++]) {
    row[i] = insert2(u, "Gather", all, scalar(u, SDX_INT64, (double)i));
    for (int64_t k = 0; open && k < half; k++)
      open[k] = interleaved ? k % 3 == i && k < 3 * section[i] : k >= first && k < first + section[i];
    if (open) mask[i] = cast(u, ints(u, open, (size_t)half), SDX_BOOL);
  }
  value_id mixed = insert3(u, "Where", mask[1], row[1], row[0]);
  mixed = insert3(u, "Where", mask[2], row[2], mixed);
  return reshape(u, mixed, (int64_t[]){-1, half}, 2);
}

static sdx_status multimodal_rotary(op_upgrade *u) {
  static const char *const kept[] = {"interleaved", "is_packed_batching", "num_heads", "rotary_embedding_dim", "scale"};
  attr attrs[5];
  size_t count = 0;
  const attr *sections = node_attr(u->node, "mrope_section");
  int64_t layout = node_attr_int(u->node, "mrope_layout", 0), section[3];
  if (sections->ints.count != 3)
    return upgrade_fail_at(u, at_attribute("mrope_section"), SDX_INVALID_ARGUMENT, "has %zu entries, expected 3",
                           sections->ints.count);
  for (size_t i = 0; i < 3; i++) {
    section[i] = sections->ints.at[i];
    if (section[i] < 0 || section[i] > 1 << 16)
      return upgrade_fail_at(u, at_attribute("mrope_section"), SDX_OUT_OF_RANGE, "[%zu] is %lld, expected 0 to 2^16", i,
                             (long long)section[i]);
  }
  if (layout != 0 && layout != 1)
    return upgrade_fail_at(u, at_attribute("mrope_layout"), SDX_INVALID_ARGUMENT, "is %lld, expected 0 or 1",
                           (long long)layout);
  for (size_t i = 0; i < 5; i++)
    if (node_attr(u->node, kept[i])) attrs[count++] = *node_attr(u->node, kept[i]);
  value_id shape = dims(u, input(u, 1), 1, INT64_MAX);
  value_id size = with_attr(u, insert1(u, "ReduceProd", shape), attr_of_int("keepdims", 0));
  value_id rows = insert2(u, "Reshape", range_to(u, size), shape);
  value_id cosine = position_table(u, input(u, 2), section, layout == 1);
  value_id sine = position_table(u, input(u, 3), section, layout == 1);
  value_id in[4] = {input(u, 0), rows, cosine, sine};
  return upgrade_become(u, "com.microsoft::RotaryEmbedding", 4, in, attrs, count);
}

SDX_CASES = {"X=float[2,3,5,6] Grid=float[2,4,4,2]", NULL};
static const char *const pad_cases[] = {"data=float[2,3] pads=int64(1,0,0,2)", NULL};
static const char *const unique_cases[] = {"x=int64[9]", NULL};
static const char *const any_cases[] = {"X=float[3,4]", NULL};

static const char *const gather_nd_cases[] = {"data=float[2,3,4] indices=int64[5,2]@0..1",
                                              "data=float[4] indices=int32[3,1]@0..3", NULL};
static const char *const range_cases[] = {"start=float(1) limit=float(4) delta=float(0.5)",
                                          "start=int64(3) limit=int64(9)", NULL};
static const char *const expand_dims_cases[] = {"X=float[2,3] axis=int32[](1)", "X=float[2,3] axis=int32[](-1)", NULL};

static const char *const embedding_cases[] = {"weight=float[5,4] indices=int64[2,3]@0..4", NULL};
static const char *const transpose_cases[] = {"X=float[1,2,4,5] W=float[2,3,3,3] Pads=int64(1,0,0,1) B=float[3]", NULL};
static const char *const gemma_cases[] = {
    "emb=float[2,3,4] q=float16[2,2,3,4] q_rot=float16[2,2,3,4] k=float16[2,2,3,4] k_rot=float16[2,2,3,4]", NULL};
static const char *const multimodal_cases[] = {
    "input=float[2,3,16] position_ids=int64[3,2,3]@0..8 cos_cache=float[9,4] sin_cache=float[9,4] mrope_section=2,1,1 "
    "mrope_layout=1",
    NULL};

static const char *const bias_dropout_cases[] = {
    "data=float[3,4] bias=float[4] residual=float[3,4] ratio=float(0.4) training_mode=bool(0) outputs=2", NULL};
static const char *const dropout_cases[] = {"data=float[7,9] ratio=float(0.4) outputs=2", NULL};
static const char *const sparse_cases[] = {"A=float[4,3] B=float[4,5] transA=1 alpha=0.5", "A=int64[3,4] B=int64[4,5]",
                                           NULL};

// clang-format off
#define RECORD .since = 1, .versions = "1", .flags = OP_REWRITE
SDX_OP_MS(GridSample) = {RECORD, .inputs = "X:T1 Grid:T1", .outputs = "Y:T1", .types = "T1=float,float16,double",
                         .attrs = "align_corners:int=0 mode:string=bilinear padding_mode:string=zeros",
                         .upgrade = grid_sample, .cases = cases};
SDX_OP_MS(Trilu) = {RECORD, .inputs = "X:T k:int64?", .outputs = "Y:T", .types = "T=" TYPES_TENSOR,
                    .attrs = "upper:int=1",
                    .upgrade = trilu, .cases = any_cases};
SDX_OP_MS(GatherND) = {RECORD, .inputs = "data:T indices:I", .outputs = "output:T", .types = "T=any;I=int32,int64",
                       .upgrade = gather_nd, .cases = gather_nd_cases};
SDX_OP_MS(SampleOp) = {RECORD, .inputs = "X:T", .outputs = "Y:T", .types = "T=any", .upgrade = sample_op,
                       .cases = any_cases};
SDX_OP_MS(Unique) = {RECORD, .inputs = "x:T", .outputs = "y:T idx:int64 counts:int64", .types = "T=" TYPES_TENSOR,
                     .upgrade = unique, .cases = unique_cases};
SDX_OP_MS(Pad) = {RECORD, .inputs = "data:T pads:int64 value:T?", .outputs = "output:T",
                  .types = "T=float16,float,double", .attrs = "mode:string=constant", .upgrade = pad,
                  .cases = pad_cases};
SDX_OP_MS(Range) = {RECORD, .inputs = "start:T limit:T delta:T?", .outputs = "Y:T",
                    .types = "T=float,double,int16,int32,int64", .upgrade = range, .cases = range_cases};
SDX_OP_MS(ExpandDims) = {RECORD, .inputs = "X:T axis:int32", .outputs = "Y:T", .types = "T=any", .upgrade = expand_dims,
                         .cases = expand_dims_cases};
SDX_OP_MS(TorchEmbedding) = {RECORD, .inputs = "weight:T indices:int64 padding_idx:int64? scale_grad_by_freq:bool?",
                             .outputs = "Y:T", .types = "T=any", .upgrade = torch_embedding, .cases = embedding_cases};
SDX_OP_MS(ConvTransposeWithDynamicPads) = {
    RECORD, .inputs = "X:T W:T Pads:int64? B:T?", .outputs = "Y:T", .types = "T=float16,float,double",
    .attrs = "auto_pad:string=NOTSET dilations:ints group:int=1 kernel_shape:ints output_padding:ints strides:ints",
    .upgrade = conv_transpose, .cases = transpose_cases};
SDX_OP_MS(GemmaRotaryEmbedding) = {RECORD, .inputs = "emb:U q:T q_rot:T k:T k_rot:T", .outputs = "output1:T output2:T",
                                   .types = "T=float16,float,bfloat16;U=float", .upgrade = gemma_rotary,
                                   .cases = gemma_cases};
SDX_OP_MS(MRotaryEmbedding) = {
    RECORD, .inputs = "input:T position_ids:int64 cos_cache:T sin_cache:T", .outputs = "output:T",
    .types = "T=float,float16,bfloat16",
    .attrs = "interleaved:int=0 is_packed_batching:int=0 mrope_layout:int=0 mrope_section:ints! num_heads:int=0 "
             "rotary_embedding_dim:int=0 scale:float=1", .upgrade = multimodal_rotary, .cases = multimodal_cases};
#define BIAS_DROPOUT(Mask) \
    RECORD, .inputs = "data:T bias:T residual:T? ratio:T1? training_mode:T2?", .outputs = "output:T mask:" Mask "?", \
    .types = "T=float,float16,double,bfloat16;T1=float,float16,double,bfloat16;T2=bool;T3=uint32", \
    .attrs = "seed:int", .cases = bias_dropout_cases
SDX_OP_MS(BiasDropout) = {BIAS_DROPOUT("T2"), .upgrade = bias_dropout};
SDX_OP_MS(BitmaskBiasDropout) = {BIAS_DROPOUT("T3"), .upgrade = bitmask_bias_dropout};
SDX_OP_MS(BitmaskDropout) = {
    RECORD, .inputs = "data:T ratio:T1? training_mode:T2?", .outputs = "output:T mask:T3?",
    .types = "T=float,float16,double,bfloat16;T1=float,float16,double,bfloat16;T2=bool;T3=uint32", .attrs = "seed:int",
    .upgrade = bitmask_dropout, .cases = dropout_cases};
SDX_OP_MS(SparseToDenseMatMul) = {
    RECORD, .inputs = "A:T B:T", .outputs = "Y:T", .types = "T=float,double,int64,int32,uint64,uint32",
    .attrs = "alpha:float=1 transA:int=0 transB:int=0", .upgrade = sparse_matmul, .cases = sparse_cases};
// clang-format on
