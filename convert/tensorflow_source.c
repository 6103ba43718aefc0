// SPDX-License-Identifier: Apache-2.0
// Operators that values come from: constants, inputs, variables; those that only pass them on, which vanish; and those
// that read recordings, pictures and records, whose results become inputs of the model instead.
#include <string.h>

#include "convert/tensorflow_proto.h"

static void constant(tf_op *op) {
  wire tensor;
  if (!tf_attr_tensor(op->node, "value", &tensor)) {
    tf_fail(op, SDX_INVALID_MODEL, NULL, "it has no value");
    return;
  }
  if (!tf_read_tensor(op->t, tensor, &op->out[0])) return;
  op->out[0].origin = (tf_end){op->scope, op->at, 0};
  op->out[0].shared = &op->node->constant;
}

static void not_given(tf_op *op) {
  tf_fail(op, SDX_INVALID_MODEL, NULL, "it is no input of the model, but its value is needed");
}

// ---- borders ----------------------------------------------------------------------------------------

// What the results of a node are: letters of types and ranks, "f2,i0"; or records, taken apart by their keys.
static bool describe(tf *t, const tf_scope *scope, size_t at, size_t out, tf_value *value, str *name) {
  const tf_node *node = &scope->graph->nodes[at];
  const char *spec = node->kind->op;
  *value = (tf_value){.what = TF_TENSOR};
  *name = node->name;
  if (out) *name = str_from(arena_format(t->c->memory, "%.*s:%zu", STR_ARG(node->name), out));
  for (size_t i = 0; i < TF_RANK; i++) value->shape[i] = -1;
  if (*spec) {
    spec += 3 * out;
    if (out > strlen(node->kind->op) / 3) return false;
    value->dtype = *spec == 'f' ? SDX_FLOAT : *spec == 'u' ? SDX_UINT8 : SDX_INT32;
    value->rank = spec[1] - '0';
    int64_t channels = tf_attr_int(node, "channels", 0);
    if (*spec == 'u' && channels > 0) value->shape[2] = channels;
    return true;
  }
  bool second = str_is(node->op, "ParseExampleV2");
  size_t sparse = (size_t)tf_attr_int(node, second ? "num_sparse" : "Nsparse", 0), dense = out - 3 * sparse;
  int64_t types[TF_ELEMENTS];
  if (out < 3 * sparse || dense >= tf_attr_ints(node, "Tdense", types, TF_ELEMENTS)) return false;
  value->dtype = tf_dtype(types[dense]);
  if (!tf_attr_shape(t, node, "dense_shapes", dense, &value->rank, value->shape) || value->rank == TF_RANK)
    return false;
  for (int i = value->rank++; value->rank && i > 0; i--) value->shape[i] = value->shape[i - 1];
  value->shape[0] = -1;
  tf_end key;
  size_t input = second ? 3 : 2 + sparse + dense;
  tf_scope *main = (tf_scope *)scope;
  if (input >= node->input_count || !tf_end_of(main, node->inputs[input], &key)) return false;
  const tf_value *keys = tf_compute(t, key);
  if (keys && keys->texts && (second ? dense : 0) < keys->element_count) *name = keys->texts[second ? dense : 0];
  return keys != NULL;
}

static bool add_border_input(tf *t, tf_scope *scope, size_t node, size_t out) {
  tf_value value;
  str name;
  tf_op op = {.t = t, .scope = scope, .node = &scope->graph->nodes[node]};
  if (!describe(t, scope, node, out, &value, &name) || !value.dtype)
    return !tf_fail(&op, SDX_NOT_SUPPORTED, NULL, "its result %zu is not taken as an input", out);
  char *text = str_to_c(t->c->memory, name);
  if (!text) return !convert_no_memory(t->c);
  convert_note(t->c, "%s is an input: %.*s is not converted, give what it results in", text, STR_ARG(op.node->op));
  value.ref = tf_add_input(t, &value, text);
  return value.ref && (tf_preset((tf_end){scope, node, out}, &value) || !convert_no_memory(t->c));
}

// Of each result that is read.
bool tf_add_border_inputs(tf *t, tf_scope *scope) {
  for (size_t i = 0; i < t->main.count; i++)
    for (size_t j = 0; t->reached[i] && j < t->main.nodes[i].input_count; j++) {
      tf_end end;
      if (!tf_end_of(scope, t->main.nodes[i].inputs[j], &end)) return false;
      const tf_kind *kind = t->main.nodes[end.node].kind;
      if (!kind || !(kind->flags & TF_BORDER) || !t->reached[end.node]) continue;
      const tf_value *before = tf_value_at(end);
      if (t->main.nodes[i].kind && t->main.nodes[i].kind->flags & TF_BORDER) continue;
      if ((!before || before->what == TF_NONE) && !add_border_input(t, scope, end.node, end.out)) return false;
    }
  return true;
}

const tf_kind tf_source_kinds[] = {
    {"AudioSpectrogram", not_given, .op = "f3", .flags = TF_BORDER},
    {"CheckNumerics", .flags = TF_PASSES},
    {"Const", .emit = constant},
    {"DecodeBmp", not_given, .op = "u3", .flags = TF_BORDER},
    {"DecodeImage", not_given, .op = "u3", .flags = TF_BORDER},
    {"DecodeJpeg", not_given, .op = "u3", .flags = TF_BORDER},
    {"DecodePng", not_given, .op = "u3", .flags = TF_BORDER},
    {"DecodeWav", not_given, .op = "f2,i0", .flags = TF_BORDER},
    {"Enter", .flags = TF_PASSES},
    {"Identity", .flags = TF_PASSES},
    {"IdentityN", .op = "all", .flags = TF_PASSES},
    {"Mfcc", not_given, .op = "f3", .flags = TF_BORDER},
    {"Placeholder", .emit = not_given},
    {"PlaceholderV2", .emit = not_given},
    {"PlaceholderWithDefault", .flags = TF_PASSES},
    {"PreventGradient", .flags = TF_PASSES},
    {"Print", .flags = TF_PASSES},
    {"ReadVariableOp", .flags = TF_PASSES},
    {"RefEnter", .flags = TF_PASSES},
    {"RefIdentity", .flags = TF_PASSES},
    {"RefSwitch", .outputs = "output_false,output_true", .flags = TF_PASSES},
    {"Snapshot", .flags = TF_PASSES},
    {"StopGradient", .flags = TF_PASSES},
    {"Switch", .outputs = "output_false,output_true", .flags = TF_PASSES},
    {"ParseExample", not_given, .op = "", .flags = TF_BORDER},
    {"ParseExampleV2", not_given, .op = "", .flags = TF_BORDER},
    {"PartitionedCall", .flags = TF_CALLS},
    {"StatefulPartitionedCall", .flags = TF_CALLS},
    {"_Arg", .emit = not_given},
    {0},
};
