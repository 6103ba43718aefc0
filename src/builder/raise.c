// SPDX-License-Identifier: Apache-2.0
// Versions of operators. The engine reads all and rewrites old forms into the newest (`upgrade` of a record). To write
// a graph in newest form, an opset must be found in which every node is said in just these words: one not older than
// the last change of an operator's form. New types, and new attributes with a default, are no change of form. What an
// upgrade could only note in an attribute of our own ("_flatten") is said in the old form alone. Read next: edit.h.
#include <stdlib.h>

#include "builder/rewrite.h"
#include "ops/record.h"
#include "run/session.h"

enum { OLDEST_WRITTEN = 7, LAST_OF_RETIRED = 9 };

// Version of which on an operator has its newest form, where that is above OLDEST_WRITTEN; and which constant inputs
// were attributes before, kept in order of input. What has none can be said in no older version.
typedef struct old_input {
  const char *attribute;
  attr_kind kind;
} old_input;
enum { MOST_OLD = 3 };
#define AXES \
  { "axes", ATTR_INTS }
static const struct form {
  const char *op;
  int64_t since;
  old_input inputs[MOST_OLD];  // from the second input on
} forms[] = {{"BatchNormalization", 14, {{0}}},
             {"Clip", 11, {{"min", ATTR_FLOAT}, {"max", ATTR_FLOAT}}},
             {"DFT", 20, {{0}}},
             {"Dropout", 12, {{"ratio", ATTR_FLOAT}}},
             {"GridSample", 20, {{0}}},
             {"GroupNormalization", 21, {{0}}},
             {"Hardmax", 13, {{0}}},
             {"LogSoftmax", 13, {{0}}},
             {"MeanVarianceNormalization", 9, {{0}}},
             {"Pad", 11, {{"pads", ATTR_INTS}, {"value", ATTR_FLOAT}}},
             {"ReduceL1", 18, {AXES}},
             {"ReduceL2", 18, {AXES}},
             {"ReduceLogSum", 18, {AXES}},
             {"ReduceLogSumExp", 18, {AXES}},
             {"ReduceMax", 18, {AXES}},
             {"ReduceMean", 18, {AXES}},
             {"ReduceMin", 18, {AXES}},
             {"ReduceProd", 18, {AXES}},
             {"ReduceSum", 13, {AXES}},
             {"ReduceSumSquare", 18, {AXES}},
             {"Resize", 11, {{0}}},
             {"RoiAlign", 16, {{0}}},
             {"Scan", 9, {{0}}},
             {"Slice", 10, {{"starts", ATTR_INTS}, {"ends", ATTR_INTS}, AXES}},
             {"Softmax", 13, {{0}}},
             {"Split", 13, {{"split", ATTR_INTS}}},
             {"Squeeze", 13, {AXES}},
             {"TopK", 10, {{"k", ATTR_INT}}},
             {"Unsqueeze", 13, {AXES}}};

static const struct form *form_of(const node *n) {
  for (size_t i = 0; i < sizeof forms / sizeof *forms && !n->domain.size; i++)
    if (str_is(n->op_type, forms[i].op)) return &forms[i];
  return NULL;
}

// Whether the inputs that were attributes once are constants, so that they can be attributes again.
static bool has_old_form(const graph *g, const node *n, const struct form *f) {
  if (str_is(n->op_type, "BatchNormalization")) return node_attr_int(n, "training_mode", 0) == 0;
  if (!f->inputs[0].attribute || n->input_count > MOST_OLD + 1) return false;
  if (node_attr_int(n, "noop_with_empty_axes", 0) || node_attr(n, "num_outputs")) return false;
  for (uint32_t i = 1; i < n->input_count; i++) {
    const tensor *t = g->values[n->inputs[i]].constant;
    const old_input *old = &f->inputs[i - 1];
    if (!n->inputs[i]) continue;
    if (!t || !old->attribute || t->dtype != (old->kind == ATTR_FLOAT ? SDX_FLOAT : SDX_INT64)) return false;
    if (old->kind != ATTR_INTS && t->count != 1) return false;
  }
  return true;
}

static sdx_status to_old_form(sdx_builder *b, graph *g, node *n, const struct form *f) {
  for (uint32_t i = 1; i < n->input_count && f->inputs[0].attribute; i++) {
    const tensor *t = g->values[n->inputs[i]].constant;
    const old_input *old = &f->inputs[i - 1];
    if (!n->inputs[i]) continue;
    attr a = {.name = str_from(old->attribute), .kind = old->kind};
    if (old->kind == ATTR_FLOAT) a.f = *(const float *)t->data;
    else if (old->kind == ATTR_INT) a.i = *(const int64_t *)t->data;
    else a.ints.at = t->data, a.ints.count = t->count;
    if (node_set_attr(g, n, a) != SDX_OK) return error_no_memory(&b->err, sizeof a);
  }
  static const char *const newer[] = {"training_mode", "noop_with_empty_axes"};
  for (size_t i = 0; i < sizeof newer / sizeof *newer; i++) node_remove_attr(n, newer[i]);
  if (f->inputs[0].attribute) n->input_count = 1;
  return SDX_OK;
}

static int64_t oldest_version(const op_def *op) {
  int64_t version = op->since;
  for (const char *p = op->versions; p && *p; p += strcspn(p, " "), p += *p == ' ') version = strtoll(p, NULL, 10);
  return version;
}

static bool is_own(const attr *a) { return a->name.size && a->name.at[0] == '_'; }

// Own attributes that say no more than the newest form does.
static bool says_nothing(const graph *g, const node *n, const attr *a) {
  if (str_is(a->name, "_clamp4")) return true;  // of types that no version that needs it had
  if (str_is(a->name, "_mask_as_data")) return n->output_count < 2;
  if (!str_is(a->name, "_flatten")) return false;
  const type_info *t = &g->values[n->inputs[0]].type;
  return t->kind == TYPE_TENSOR && t->rank > 0 &&
         (node_attr_int(n, "axis", 1) == t->rank - 1 || node_attr_int(n, "axis", 1) == -1);
}

typedef struct span {
  int64_t lowest, highest;
  const node *lowest_node, *highest_node;
} span;

static void narrow(span *s, const graph *g, const node *n) {
  bool is_old = false, only_old = false;
  for (uint32_t i = 0; i < n->attr_count; i++) {
    is_old |= is_own(&n->attrs[i]);
    only_old |= is_own(&n->attrs[i]) && !says_nothing(g, n, &n->attrs[i]);
  }
  const struct form *f = form_of(n);
  int64_t lowest = n->op ? oldest_version(n->op) : 1, highest = ONNX_NEWEST_OPSET;
  if (f && only_old) highest = f->since - 1;
  if (f && !is_old && !has_old_form(g, n, f) && f->since > lowest) lowest = f->since;
  // Operators that were never changed are those that were retired early, and one more.
  if (n->op && n->op->since == 1 && !str_is(n->op_type, "Not")) highest = LAST_OF_RETIRED;
  if (highest < s->highest) s->highest = highest, s->highest_node = n;
  if (lowest > s->lowest) s->lowest = lowest, s->lowest_node = n;
}

static sdx_status refuse(sdx_builder *b, const node *n, int64_t opset, const char *expected, int64_t bound) {
  return sdx_builder_fail(b, SDX_NOT_SUPPORTED, "node '%.*s' (%.*s) cannot be said in opset %lld, expected %s %lld",
                          STR_ARG(n->name), STR_ARG(n->op_type), (long long)opset, expected, (long long)bound);
}

// What old broadcasting becomes (ops/ai_onnx/align_to_axis.c) is an Unsqueeze where both ranks are known.
static sdx_status spread_axis(sdx_builder *b, graph *g, node *n) {
  const type_info *from = &g->values[n->inputs[0]].type, *to = &g->values[n->inputs[1]].type;
  int64_t axis = node_attr_int(n, "axis", 0), axes[TENSOR_MAX_RANK];
  size_t count = 0;
  if (from->rank < 0 || to->rank < 0) return refuse(b, n, sdx_builder_opset(b, ""), "at most", OLDEST_WRITTEN - 1);
  for (int64_t i = from->rank; axis >= 0 && i < to->rank - axis; i++) axes[count++] = i;
  node_remove_attr(n, "axis");
  if (!count) {
    n->input_count = 1;
    n->op_type = STR("Identity");
    n->op = op_find(n->domain, n->op_type);
    return SDX_OK;
  }
  n->inputs[1] = graph_constant_i64(g, axes, count);
  if (!n->inputs[1]) return error_no_memory(&b->err, sizeof axes);
  n->op_type = STR("Unsqueeze");
  n->op = op_find(n->domain, n->op_type);
  return SDX_OK;
}

static void drop_own(node *n) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < n->attr_count; i++)
    if (!is_own(&n->attrs[i])) n->attrs[kept++] = n->attrs[i];
  n->attr_count = kept;
}

// Sizes of equal parts must be told from version 18 on.
static sdx_status count_parts(graph *g, node *n, int64_t opset) {
  if (opset < 18 || !str_is(n->op_type, "Split") || n->input_count > 1 || node_attr(n, "num_outputs")) return SDX_OK;
  return node_set_attr(g, n, (attr){.name = STR("num_outputs"), .kind = ATTR_INT, .i = n->output_count});
}

// Names of what upgrades and passes made become texts of C, and nobody else's.
static void take_names(sdx_builder *b, graph *g) {
  arena *memory = build_memory(b);
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *n = g->nodes[i];
    n->name = str_from(str_to_c(memory, n->name));
    n->op_type = str_from(str_to_c(memory, n->op_type)), n->domain = str_from(str_to_c(memory, n->domain));
    if (!n->name.at || !n->op_type.at || !n->domain.at) build_no_memory(b);
  }
  for (value_id v = 1; v < g->value_count && !build_failed(b); v++) {
    if (g->values[v].outer) continue;
    str name = str_from(str_to_c(memory, g->values[v].name));
    g->values[v].name = name;
    if (!name.at || !str_map_put(&b->names, name, 1)) build_no_memory(b);
  }
}

sdx_status build_settle(sdx_builder *b, int64_t least, int64_t wanted) {
  span s = {.lowest = OLDEST_WRITTEN, .highest = ONNX_NEWEST_OPSET};
  for (sdx_graph *at = b->graphs; at && !build_failed(b); at = at->next)
    for (uint32_t i = 0; i < at->graph->node_count; i++) {
      node *n = at->graph->nodes[i];
      if (!n->dead && str_is(n->op_type, "AlignToAxis")) spread_axis(b, at->graph, n);
    }
  if (build_failed(b)) return b->err.status;
  for (sdx_graph *at = b->graphs; at; at = at->next)
    for (uint32_t i = 0; i < at->graph->node_count; i++)
      if (!at->graph->nodes[i]->dead && !at->graph->nodes[i]->domain.size) narrow(&s, at->graph, at->graph->nodes[i]);
  int64_t opset = wanted ? wanted : least > s.lowest ? least : s.lowest;
  if (opset < s.lowest) return refuse(b, s.lowest_node ? s.lowest_node : &(node){0}, opset, "at least", s.lowest);
  if (opset > s.highest) return refuse(b, s.highest_node, opset, "at most", s.highest);
  sdx_builder_import(b, "", opset);
  build_fit_release(b, opset);
  for (sdx_graph *at = b->graphs; at && !build_failed(b); at = at->next) {
    for (uint32_t i = 0; i < at->graph->node_count; i++) {
      node *n = at->graph->nodes[i];
      if (n->dead) continue;
      const struct form *f = form_of(n);
      if (f && opset < f->since && has_old_form(at->graph, n, f)) to_old_form(b, at->graph, n, f);
      drop_own(n);
      if (count_parts(at->graph, n, opset) != SDX_OK) build_no_memory(b);
      n->version = 0, n->op = NULL, n->params = NULL;
    }
    take_names(b, at->graph);
  }
  return build_complete(b);
}

sdx_status sdx_builder_raise(sdx_builder *b, int64_t opset) {
  if (build_failed(b) || build_complete(b) != SDX_OK) return b->err.status;
  int64_t now = sdx_builder_opset(b, "");
  if (opset && (opset < now || opset > ONNX_NEWEST_OPSET))
    return sdx_builder_fail(b, SDX_NOT_SUPPORTED,
                            "the model has opset %lld and can become one of up to %d, not of %lld", (long long)now,
                            ONNX_NEWEST_OPSET, (long long)opset);
  sdx_session *s = build_session(b);
  if (s && session_bind_graph(s, b->model.graph, false, NULL, &s->err) != SDX_OK) error_copy(&b->err, &s->err);
  return build_failed(b) ? b->err.status : build_settle(b, now, opset);
}
