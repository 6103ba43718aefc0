// SPDX-License-Identifier: Apache-2.0
// Operators of com.microsoft that ai.onnx took over later, perhaps with other spellings: nodes become those.
#include "ops/com_microsoft/rewrite.h"

// The operator of the same name, attributes as they are.
static sdx_status same(op_upgrade *u, const char *name) {
  node *n = u->node;
  n->domain = STR("");
  upgrade_rename(u, name);
  return SDX_OK;
}
static sdx_status trilu(op_upgrade *u) { return same(u, "Trilu"); }
static sdx_status gather_nd(op_upgrade *u) { return BECOME("GatherND", IN(0), rewrite_cast(u, IN(1), SDX_INT64)); }
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
  return BECOME_WITH("Unique", ATTRS(attr_of_int("sorted", 0)), IN(0));
}

static value_id flat(op_upgrade *u, value_id x) { return NODE("Reshape", x, INTS(-1)); }
static value_id number(op_upgrade *u, value_id x) { return NODE("Reshape", x, rewrite_constant(u, NULL, 0)); }

static sdx_status pad(op_upgrade *u) {
  const attr *given = node_attr(u->node, "mode");
  attr mode = given ? *given : attr_of_string("mode", "constant");
  value_id in[3] = {IN(0), flat(u, IN(1)), IN(2) ? number(u, IN(2)) : VALUE_ABSENT};
  return upgrade_become(u, "Pad", in[2] ? 3 : 2, in, &mode, 1);
}

static sdx_status range(op_upgrade *u) {
  value_id start = number(u, IN(0));
  value_id delta = IN(2) ? number(u, IN(2)) : NODE("CastLike", rewrite_scalar(u, SDX_INT64, 1), start);
  return BECOME("Range", start, number(u, IN(1)), delta);
}

static sdx_status expand_dims(op_upgrade *u) {
  return BECOME("Unsqueeze", IN(0), flat(u, rewrite_cast(u, IN(1), SDX_INT64)));
}

SDX_CASES = {"X=float[2,3,5,6] Grid=float[2,4,4,2]", NULL};
static const char *const pad_cases[] = {"data=float[2,3] pads=int64(1,0,0,2)", NULL};
#define COPYABLE                                                                                   \
  "T=float,double,float16,bfloat16,int8,int16,int32,int64,uint8,uint16,uint32,uint64,bool,string," \
  "complex64,complex128"
static const char *const unique_cases[] = {"x=int64[9]", NULL};
static const char *const any_cases[] = {"X=float[3,4]", NULL};

static const char *const gather_nd_cases[] = {"data=float[2,3,4] indices=int64[5,2]@0..1",
                                              "data=float[4] indices=int32[3,1]@0..3", NULL};
static const char *const range_cases[] = {"start=float(1) limit=float(4) delta=float(0.5)",
                                          "start=int64(3) limit=int64(9)", NULL};
static const char *const expand_dims_cases[] = {"X=float[2,3] axis=int32[](1)", "X=float[2,3] axis=int32[](-1)", NULL};

// clang-format off
#define RECORD .since = 1, .versions = "1", .flags = OP_REWRITE
SDX_OP_MS(GridSample) = {RECORD, .inputs = "X:T1 Grid:T1", .outputs = "Y:T1", .types = "T1=float,float16,double",
                         .attrs = "align_corners:int=0 mode:string=bilinear padding_mode:string=zeros",
                         .upgrade = grid_sample, .cases = cases};
SDX_OP_MS(Trilu) = {RECORD, .inputs = "X:T k:int64?", .outputs = "Y:T", .types = COPYABLE, .attrs = "upper:int=1",
                    .upgrade = trilu, .cases = any_cases};
SDX_OP_MS(GatherND) = {RECORD, .inputs = "data:T indices:I", .outputs = "output:T", .types = "T=any;I=int32,int64",
                       .upgrade = gather_nd, .cases = gather_nd_cases};
SDX_OP_MS(SampleOp) = {RECORD, .inputs = "X:T", .outputs = "Y:T", .types = "T=any", .upgrade = sample_op, .cases = any_cases};
SDX_OP_MS(Unique) = {RECORD, .inputs = "x:T", .outputs = "y:T idx:int64 counts:int64", .types = COPYABLE,
                     .upgrade = unique, .cases = unique_cases};
SDX_OP_MS(Pad) = {RECORD, .inputs = "data:T pads:int64 value:T?", .outputs = "output:T",
                  .types = "T=float16,float,double", .attrs = "mode:string=constant", .upgrade = pad, .cases = pad_cases};
SDX_OP_MS(Range) = {RECORD, .inputs = "start:T limit:T delta:T?", .outputs = "Y:T",
                    .types = "T=float,double,int16,int32,int64", .upgrade = range, .cases = range_cases};
SDX_OP_MS(ExpandDims) = {RECORD, .inputs = "X:T axis:int32", .outputs = "Y:T", .types = "T=any", .upgrade = expand_dims,
                         .cases = expand_dims_cases};
// clang-format on
