// SPDX-License-Identifier: Apache-2.0
// The domain com.microsoft.nchwc: what ONNX Runtime writes into files saved with all of its optimisations. Tensors
// hold their channels in blocks of 8 or 16, filled up with zeros. Here they keep their usual order: ReorderInput fills
// channels up, ReorderOutput drops what was filled up, weights are brought out of their blocks once, at import, and
// everything between is an ordinary operator.
//
// The size of a block is that of the processor which saved the file, and the file does not say it. Most files give it
// away by a number of channels; where none does, it is what ONNX Runtime would take on this processor.
#include "base/cpu.h"
#include "base/size.h"
#include "ops/parts/rewrite.h"

#define DOMAIN "com.microsoft.nchwc"

static const tensor *constant_of(const graph *g, value_id v) {
  for (; v && g->values[v].outer && g->parent; g = g->parent) v = g->values[v].outer;
  return v ? g->values[v].constant : NULL;
}

static int64_t rounded(int64_t channels, int64_t block) { return (channels + block - 1) / block * block; }

static const node *producer_of(const graph *g, value_id v) {
  uint32_t producer = v ? g->values[v].producer : 0;
  return producer && producer <= g->node_count ? g->nodes[producer - 1] : NULL;
}

// What the channels of a node say: 8, 16, or 0 = nothing.
static int64_t evidence(const graph *g, const node *n) {
  if (str_is(n->op_type, "Conv")) {
    const tensor *w = n->input_count > 1 ? constant_of(g, n->inputs[1]) : NULL;
    if (!w || w->rank != 4) return 0;
    if (w->dims[0] % 16 == 8 || (w->dims[1] > 8 && w->dims[1] % 16 == 8)) return 8;
    if (node_attr_int(n, "group", 1) != 1 || w->dims[1] < 8 || w->dims[1] > 16) return 0;
    if (w->dims[1] != 8) return w->dims[1] < 16 ? 16 : 0;
    // Inputs that do not fill a block are read as they are; those that do come reordered.
    const node *from = producer_of(g, n->inputs[0]);
    bool blocked = from && str_is(from->domain, DOMAIN) && !str_is(from->op_type, "ReorderOutput");
    return blocked ? 8 : from && from->domain.size == 0 ? 0 : 16;
  }
  if (!str_is(n->op_type, "ReorderOutput") || !n->input_count || !n->inputs[0]) return 0;
  int64_t channels = node_attr_int(n, "channels", 0), filled = 0;
  const type_info *x = type_best_known(&g->values[n->inputs[0]]);
  const node *from = producer_of(g, n->inputs[0]);
  const tensor *w =
      from && str_is(from->op_type, "Conv") && from->input_count > 1 ? constant_of(g, from->inputs[1]) : NULL;
  if (w && w->rank == 4) filled = w->dims[0];
  else if (x->kind == TYPE_TENSOR && x->rank == 4) filled = x->dims[1];
  if (channels <= 0 || channels > filled || rounded(channels, 8) == rounded(channels, 16)) return 0;
  return filled == rounded(channels, 8) ? 8 : filled == rounded(channels, 16) ? 16 : 0;
}

// Found out once a model, at its first node of the domain, and kept as a constant of the outermost graph.
static int64_t block_of(op_upgrade *u) {
  static const char note[] = "(size of a nchwc block)";
  graph *root = u->graph;
  while (root->parent) root = root->parent;
  value_id kept = graph_find(root, str_from(note));
  const tensor *t = kept ? root->values[kept].constant : NULL;
  if (t && t->dtype == SDX_INT64 && t->count == 1) return *(const int64_t *)t->data == 8 ? 8 : 16;
  int64_t block = 0;
  for (uint32_t i = 0; i < u->graph->node_count && !block; i++) {
    const node *n = u->graph->nodes[i];
    if (str_is(n->domain, DOMAIN)) block = evidence(u->graph, n);
  }
#if defined(__x86_64__)
  if (!block && cpu_isa_missing(CPU_x86_avx512)) block = 8;
#endif
  if (!block) block = 16;
  value_id v = graph_constant_i64(root, &block, 1);
  if (!v || !graph_add_constant(root, str_from(note), root->values[v].constant))
    error_no_memory(u->err, sizeof(tensor));
  return block;
}

// ---- weights ----------------------------------------------------------------------------------------------

// [outputs / block, inputs / inner, height, width, inner, block] to [outputs, inputs, height, width].
static void unblock(const tensor *from, float *to, int64_t block, int64_t inner) {
  int64_t outputs = from->dims[0], inputs = from->dims[1], area = from->dims[2] * from->dims[3];
  const float *x = from->data;
  for (int64_t o = 0; o < outputs; o++)
    for (int64_t i = 0; i < inputs; i++)
      for (int64_t a = 0; a < area; a++) {
        int64_t at = (o / block * (inputs / inner) + i / inner) * area + a;
        *to++ = x[(at * inner + i % inner) * block + o % block];
      }
}

static sdx_status conv(op_upgrade *u) {
  node *n = u->node;
  const tensor *w = constant_of(u->graph, input(u, 1));
  char text[100];
  int64_t block = block_of(u), group = node_attr_int(n, "group", 1);
  if (u->err->status != SDX_OK) return u->err->status;
  if (!w) return upgrade_fail_at(u, at_input(1), SDX_NOT_SUPPORTED, "is no initializer; its blocks cannot be undone");
  if (w->rank != 4 || w->dtype != SDX_FLOAT)
    return upgrade_fail_at(u, at_input(1), SDX_INVALID_SHAPE, "is %s, expected float of rank 4",
                           tensor_describe(w, text, sizeof text));
  bool depthwise = w->dims[1] == 1 && group == w->dims[0];
  bool both = !depthwise && w->dims[1] >= block;  // blocks of inputs, too
  if (w->dims[0] % block || (both && w->dims[1] % block))
    return upgrade_fail_at(u, at_input(1), SDX_INVALID_SHAPE, "is %s, whose channels do not fill blocks of %lld",
                           tensor_describe(w, text, sizeof text), (long long)block);
  tensor *plain = arena_zalloc(u->graph->memory, sizeof *plain);
  float *data = arena_alloc(u->graph->memory, w->bytes);
  if (!plain || !data) return error_no_memory(u->err, w->bytes);
  unblock(w, data, block, both ? block : 1);
  *plain = *w;
  plain->data = data;
  value_id v = graph_add_constant(u->graph, STR(""), plain);
  if (!v) return error_no_memory(u->err, sizeof(graph_value));
  n->inputs[1] = v;
  bool fused = input(u, 3) || node_attr(n, "activation");
  if (!fused) node_remove_attr(n, "activation_params");
  n->domain = fused ? STR("com.microsoft") : STR("");
  upgrade_rename(u, fused ? "FusedConv" : "Conv");
  return SDX_OK;
}

// ---- the rest ---------------------------------------------------------------------------------------------

static int64_t channels_of(const op_upgrade *u, int axis) {
  const type_info *t = &u->graph->values[input(u, 0)].type;
  return t->kind == TYPE_TENSOR && t->rank == 4 ? t->dims[axis] : DIM_UNKNOWN;
}

static sdx_status reorder_input(op_upgrade *u) {
  bool last = node_attr_int(u->node, "channels_last", 0) != 0;
  int64_t block = block_of(u), channels = channels_of(u, last ? 3 : 1);
  value_id x = last ? transpose(u, input(u, 0), (int64_t[]){0, 3, 1, 2}, 4) : input(u, 0);
  if (channels >= 0 && channels % block == 0) return become1(u, "Identity", x);
  value_id missing = insert1(u, "Neg", dims(u, x, 1, 2));
  missing = insert2(u, "Mod", missing, ints1(u, block));
  value_id before = ints(u, (int64_t[]){0, 0, 0, 0, 0}, 5), after = ints2(u, 0, 0);
  return become2(u, "Pad", x, concat3(u, 0, before, missing, after));
}

static sdx_status reorder_output(op_upgrade *u) {
  int64_t channels = node_attr_int(u->node, "channels", 0);
  bool last = node_attr_int(u->node, "channels_last", 0) != 0;
  if (channels < 1)
    return upgrade_fail_at(u, at_attribute("channels"), SDX_INVALID_GRAPH, "is %lld", (long long)channels);
  value_id begin = ints1(u, 0), end = ints1(u, channels), axis = ints1(u, 1);
  value_id x = insert_n(u, "Slice", 4, (value_id[]){input(u, 0), begin, end, axis});
  return become1(u, "Identity", last ? transpose(u, x, (int64_t[]){0, 2, 3, 1}, 4) : x);
}

static sdx_status plain(op_upgrade *u) {
  const char *name = u->node->op->name;
  u->node->domain = STR("");
  upgrade_rename(u, name);
  return SDX_OK;
}

static sdx_status upsample(op_upgrade *u) {
  const attr *scales = node_attr(u->node, "scales"), *mode = node_attr(u->node, "mode");
  const attr *place = node_attr(u->node, "coordinate_transformation_mode");
  attr attrs[] = {attr_of_string("mode", "nearest"), attr_of_string("coordinate_transformation_mode", "asymmetric"),
                  attr_of_string("nearest_mode", "floor")};
  if (mode) attrs[0].s = mode->s;
  if (place) attrs[1].s = place->s;
  value_id in[3] = {input(u, 0), VALUE_ABSENT, cast(u, ints(u, scales->ints.at, scales->ints.count), SDX_FLOAT)};
  return upgrade_become(u, "Resize", 3, in, attrs, 3);
}

// clang-format off
#define RECORD .since = 1, .versions = "1", .outputs = "Y:T", .types = "T=float", .flags = OP_REWRITE
#define WINDOW "auto_pad:string=NOTSET ceil_mode:int=0 dilations:ints kernel_shape:ints! pads:ints strides:ints"
SDX_OP_NCHWC(Conv) = {RECORD, .inputs = "X:T W:T B:T? Sum:T?", .upgrade = conv,
                      .attrs = "activation:string activation_params:floats auto_pad:string=NOTSET dilations:ints "
                               "group:int=1 kernel_shape:ints pads:ints strides:ints"};
SDX_OP_NCHWC(MaxPool) = {RECORD, .inputs = "X:T", .attrs = WINDOW " storage_order:int=0", .upgrade = plain};
SDX_OP_NCHWC(AveragePool) = {RECORD, .inputs = "X:T", .attrs = WINDOW " count_include_pad:int=0", .upgrade = plain};
SDX_OP_NCHWC(GlobalMaxPool) = {RECORD, .inputs = "X:T", .upgrade = plain};
SDX_OP_NCHWC(GlobalAveragePool) = {RECORD, .inputs = "X:T", .upgrade = plain};
SDX_OP_NCHWC(Upsample) = {RECORD, .inputs = "X:T", .upgrade = upsample,
                          .attrs = "coordinate_transformation_mode:string=asymmetric mode:string=nearest scales:ints!"};
SDX_OP_NCHWC(ReorderInput) = {RECORD, .inputs = "X:T", .attrs = "channels_last:int=0", .upgrade = reorder_input};
SDX_OP_NCHWC(ReorderOutput) = {RECORD, .inputs = "X:T", .attrs = "channels:int! channels_last:int=0",
                               .upgrade = reorder_output};
// clang-format on
