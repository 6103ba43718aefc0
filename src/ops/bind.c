// SPDX-License-Identifier: Apache-2.0
// Binding: every node of an imported graph gets its operator record, is checked against it, is
// rewritten from the version it was written for to the newest form, and gets its params. Nodes that
// upgrades insert are bound by the same loop; subgraphs wait in a list, so nesting costs no stack.
#include <stdarg.h>
#include <stdio.h>

#include "base/size.h"
#include "ops/own.h"
#include "ops/schema.h"

typedef struct binder {
  const opset_import *opsets;
  size_t opset_count;
  const op_custom_set *custom;
  const problem_sink *sink;
  text *warnings;  // NULL: not wanted
  error *err;      // of the caller: the first problem
  sdx_status status;
  int64_t opset;  // of the node in hand; 0 for nodes of our own
  bool late;      // OP_LATE has its turn
  bool waiting;   // there is one
} binder;

__attribute__((format(printf, 6, 7))) static sdx_status problem(error *err, sdx_status status, const char *code,
                                                                const node *n, error_part part, const char *format,
                                                                ...) {
  va_list args;
  va_start(args, format);
  node_fail_list(n, err, part, status, format, args);
  va_end(args);
  error_code(err, code);
  return status;
}

// An attribute that no version knows: passed over where the caller takes warnings, so that the operator runs without
// it.
static sdx_status unknown_attr(binder *b, const node *n, const attr *a, int version, error *err) {
  static const char code[] = "unknown-attribute";
  char hint[240];
  schema_attr s;
  str_nearest nearest;
  str_nearest_init(&nearest, a->name);
  for (const char *p = n->op->attrs; schema_next_attr(&p, &s);)
    if (s.name.at[0] != '_') str_nearest_offer(&nearest, s.name);
  error_part part = part_named(PART_ATTRIBUTE, a->name);
  error warning = {0}, *to = b->warnings ? &warning : err;
  problem(to, SDX_INVALID_GRAPH, code, n, part, "is not known in version %d%s", version,
          b->warnings ? " and ignored" : "");
  error_hint(to, "%s", str_nearest_hint(&nearest, hint, sizeof hint));
  if (to == err) return SDX_INVALID_GRAPH;
  if (b->sink) b->sink->report(b->sink->context, true, &warning);
  else text_format(b->warnings, "%s\n", warning.message);
  return SDX_OK;
}

static const op_def *find_custom(const binder *b, str domain, str name) {
  for (size_t i = 0; b->custom && i < b->custom->count; i++) {
    const op_def *op = b->custom->ops[i];
    if (str_is(name, op->name) && str_equal(domain, op_domain(str_from(op->domain)))) return op;
  }
  return NULL;
}

static sdx_status find_op(binder *b, node *n, error *err) {
  if (n->op_type.size == 0)
    return problem(err, SDX_INVALID_GRAPH, "empty-operator", n, (error_part){0}, "the operator type is empty");
  n->domain = op_domain(n->domain);
  n->accepted = 0;
  n->op = find_custom(b, n->domain, n->op_type);
  if (!n->op) n->op = op_find(n->domain, n->op_type);
  if (!n->op && !b->opsets) n->op = op_find_own(n->domain, n->op_type);
  if (n->op) return SDX_OK;
  char hint[240];
  problem(err, SDX_NOT_SUPPORTED, "unknown-operator", n, (error_part){0},
          "operator '%.*s' of domain '%.*s' is not known", STR_ARG(n->op_type),
          STR_ARG(n->domain.size ? n->domain : STR("ai.onnx")));
  error_hint(err, "%s", op_hint(n->domain, n->op_type, hint, sizeof hint));
  return SDX_NOT_SUPPORTED;
}

// Opset number the node was written for; 0 = newest form (made by ourselves).
static int64_t opset_of(const binder *b, const node *n) {
  if (n->version > 0) return n->version;
  for (size_t i = 0; i < b->opset_count; i++) {
    str domain = b->opsets[i].domain;
    if (str_equal(str_is(domain, "ai.onnx") ? STR("") : domain, n->domain)) return b->opsets[i].version;
  }
  return 0;
}

static sdx_status find_version(const node *n, int64_t opset, int *version, error *err) {
  *version = opset > 0 ? op_version_at(n->op, opset) : n->op->since;
  if (*version) return SDX_OK;
  const char *oldest = n->op->versions;
  for (const char *p = oldest; p && *p; p++)
    if (*p == ' ') oldest = p + 1;
  return problem(err, SDX_INVALID_GRAPH, "operator-too-new", n, (error_part){0},
                 "operator %s exists since opset %s, but the model imports opset %lld of domain '%s'", n->op->name,
                 oldest, (long long)opset, *n->op->domain ? n->op->domain : "ai.onnx");
}

// Files of version 1 (those that import no opset) hold attributes of frameworks that no schema ever had.
enum { FIRST_CHECKED_OPSET = 2 };

static sdx_status check_attrs(binder *b, const node *n, int version, bool from_file, error *err) {
  if (n->op->flags & OP_FREE_ATTRS) return SDX_OK;
  for (uint32_t i = 0; i < n->attr_count; i++) {
    const attr *a = &n->attrs[i];
    schema_attr s;
    // An attribute may have changed its kind: the older one counts only where it is of that kind.
    bool old = from_file && schema_find_attr(n->op->attrs_old, a->name, &s) && version < s.below &&
               (s.kind == a->kind || !schema_find_attr(n->op->attrs, a->name, &(schema_attr){0}));
    bool ours = a->name.size && a->name.at[0] == '_';
    bool known = (old || schema_find_attr(n->op->attrs, a->name, &s)) && !(from_file && ours);
    if (!known && b->opset && b->opset < FIRST_CHECKED_OPSET) continue;
    if (!known) {
      SDX_TRY(unknown_attr(b, n, a, version, err));
      continue;
    }
    if (s.kind && a->kind != s.kind)
      return problem(err, SDX_INVALID_GRAPH, "attribute-kind", n, part_named(PART_ATTRIBUTE, a->name),
                     "is of kind %s, expected %s", attr_kind_name(a->kind), attr_kind_name(s.kind));
  }
  return SDX_OK;
}

static sdx_status check_required(const node *n, error *err) {
  schema_attr s;
  for (const char *p = n->op->attrs; schema_next_attr(&p, &s);) {
    if (!s.required) continue;
    uint32_t i = 0;
    while (i < n->attr_count && !str_equal(n->attrs[i].name, s.name)) i++;
    if (i == n->attr_count)
      return problem(err, SDX_INVALID_GRAPH, "missing-attribute", n, part_named(PART_ATTRIBUTE, s.name), "is required");
  }
  return SDX_OK;
}

// Attributes of older versions that the upgrade did not turn into something else.
static void drop_old_attrs(node *n) {
  if (n->op->flags & OP_FREE_ATTRS) return;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < n->attr_count; i++) {
    schema_attr s;
    bool ours = n->attrs[i].name.size && n->attrs[i].name.at[0] == '_';
    if (ours || schema_find_attr(n->op->attrs, n->attrs[i].name, &s)) n->attrs[kept++] = n->attrs[i];
  }
  n->attr_count = kept;
}

// Names against formal parameters; `what` is "input" or "output".
static sdx_status check_arity(const node *n, const char *what, const char *formals, uint32_t count, const value_id *at,
                              bool extra, error *err) {
  error_part_kind kind = *what == 'i' ? PART_INPUT : PART_OUTPUT;
  schema_formal f = {0};
  uint32_t i = 0;
  bool more = true;
  for (; i < count; i++) {
    if (!f.variadic) more = schema_next_formal(&formals, &f);
    if (!more) break;
    if (at[i] == VALUE_ABSENT && !f.optional && !(f.variadic && *what == 'o'))
      return problem(err, SDX_INVALID_GRAPH, kind == PART_INPUT ? "missing-input" : "missing-output", n,
                     part_at(kind, i), "is required but left out");
  }
  if (i < count && !extra)
    return problem(err, SDX_INVALID_GRAPH, "arity", n, (error_part){0}, "%u %ss are given, expected at most %u", count,
                   what, i);
  if (f.variadic) return SDX_OK;
  while (schema_next_formal(&formals, &f)) {
    if (!f.optional && (!f.variadic || f.some))
      return problem(err, SDX_INVALID_GRAPH, "arity", n, part_at(kind, i), "is required, but only %u %s given", count,
                     count == 1 ? "is" : "are");
    i++;
  }
  return SDX_OK;
}

static sdx_status check_form(const node *n, error *err) {
  SDX_TRY(check_required(n, err));
  SDX_TRY(check_arity(n, "input", n->op->inputs, n->input_count, n->inputs, false, err));
  return check_arity(n, "output", n->op->outputs, n->output_count, n->outputs, (n->op->flags & OP_TRAILING_EXTRA) != 0,
                     err);
}

static sdx_status run_params(binder *b, graph *g, node *n, error *err) {
  const op_def *op = n->op;
  n->params = NULL;
  if (op->params_size) {
    n->params = arena_zalloc(g->memory, op->params_size);
    if (!n->params) return error_no_memory(err, op->params_size);
  }
  sdx_status status = op->params ? op->params(&(op_params_context){n, g->memory, err, b->warnings}, n->params) : SDX_OK;
  if (status != SDX_OK) node_located(n, err);
  return status;
}

static void name_node(const graph *g, node *n) {
  for (uint32_t i = 0; i < n->output_count && n->name.size == 0; i++)
    if (n->outputs[i] < g->value_count) n->name = g->values[n->outputs[i]].name;
}

static sdx_status bind(binder *b, graph *g, node *n, int64_t opset, error *err) {
  b->opset = opset;
  name_node(g, n);  // messages and profiles need something to call it by
  SDX_TRY(find_op(b, n, err));
  if (n->op->flags & OP_LATE && !b->late) {
    n->op = NULL;
    b->waiting = true;
    return SDX_OK;
  }
  int version;
  SDX_TRY(find_version(n, opset, &version, err));
  bool from_file = opset > 0;
  SDX_TRY(check_attrs(b, n, version, from_file, err));
  while (n->input_count && n->inputs[n->input_count - 1] == VALUE_ABSENT) n->input_count--;
  while (n->output_count && n->outputs[n->output_count - 1] == VALUE_ABSENT) n->output_count--;
  if ((version < n->op->since || n->op->flags & OP_REWRITE) && n->op->upgrade) {
    const op_def *before = n->op;
    if (before->flags & OP_REWRITE) SDX_TRY(check_form(n, err));  // nobody will ask this record again
    SDX_TRY(before->upgrade(&(op_upgrade){g, n, version, err}));
    if (!n->op) {  // renamed: the new operator's newest form
      SDX_TRY(find_op(b, n, err));
      SDX_TRY(check_attrs(b, n, n->op->since, false, err));
    }
    while (n->input_count && n->inputs[n->input_count - 1] == VALUE_ABSENT) n->input_count--;
  }
  if (from_file) drop_old_attrs(n);
  n->version = 0;
  SDX_TRY(check_form(n, err));
  return run_params(b, g, n, err);
}

sdx_status op_bind(graph *g, node *n, int64_t opset, error *err) {
  binder b = {.late = true};
  return bind(&b, g, n, opset, err);
}

sdx_status op_check(const node *n, int64_t opset, error *err) {
  binder b = {.opset = opset};
  node copy = *n;
  int version;
  SDX_TRY(find_op(&b, &copy, err));
  SDX_TRY(find_version(&copy, opset, &version, err));
  SDX_TRY(check_attrs(&b, &copy, version, true, err));
  return version == copy.op->since ? check_form(&copy, err) : SDX_OK;
}

static sdx_status bind_node(binder *b, graph *g, node *n) {
  error err = {0};
  sdx_status status = bind(b, g, n, opset_of(b, n), &err);
  if (status == SDX_OK) return SDX_OK;
  error_set(&err, status, "%s", status_text(status));
  node_located(n, &err);
  error_code(&err, "invalid-node");
  error_copy(b->err, &err);
  if (b->status == SDX_OK) b->status = status;
  if (!b->sink || status == SDX_NO_MEMORY) return status;
  b->sink->report(b->sink->context, false, &err);
  n->op = NULL;
  return SDX_OK;
}

// Graphs that wait to be bound.
typedef struct worklist {
  graph **at;
  size_t count, capacity;
  mem_account *account;
} worklist;

static bool push(worklist *w, graph *g) {
  if (w->count == w->capacity) {
    size_t capacity = w->capacity ? w->capacity * 2 : 16;
    graph **at = mem_alloc(w->account, capacity * sizeof *at);
    if (!at) return false;
    if (w->count) memcpy(at, w->at, w->count * sizeof *at);
    mem_free(w->at);
    w->at = at;
    w->capacity = capacity;
  }
  w->at[w->count++] = g;
  return true;
}

static bool push_subgraphs(worklist *w, const node *n) {
  for (uint32_t i = 0; i < n->attr_count; i++) {
    struct graph *const *bodies;
    size_t count = attr_graphs(&n->attrs[i], &bodies);
    for (size_t k = 0; k < count; k++)
      if (!push(w, bodies[k])) return false;
  }
  return true;
}

static bool is_late(const node *n) {
  const op_def *op = op_find(n->domain, n->op_type);
  return op && op->flags & OP_LATE;
}

sdx_status ops_bind_graph(graph *g, const opset_import *opsets, size_t opset_count, const op_custom_set *custom,
                          const problem_sink *sink, text *warnings, error *err) {
  binder b = {
      .opsets = opsets, .opset_count = opset_count, .custom = custom, .sink = sink, .warnings = warnings, .err = err};
  worklist waiting = {.account = g->memory->account};
  sdx_status status = push(&waiting, g) ? SDX_OK : error_no_memory(err, sizeof g);
  bool inserted = false;
  while (status == SDX_OK && waiting.count) {
    graph *body = waiting.at[--waiting.count];
    uint32_t from_file = body->node_count;
    b.waiting = false;
    for (int turn = 0; turn == 0 || (turn == 1 && b.waiting); turn++) {
      b.late = turn == 1;
      for (uint32_t i = 0; status == SDX_OK && i < body->node_count; i++) {  // grows while upgrades insert
        node *n = body->nodes[i];
        if (n->dead || n->op || (b.late && i < from_file && !is_late(n))) continue;
        if (i < from_file) {
          status = bind_node(&b, body, n);
        } else {
          inserted = true;
          binder ours = {.custom = custom, .late = true};
          status = bind(&ours, body, n, n->version, err);
        }
        if (status == SDX_OK && n->op && !push_subgraphs(&waiting, n)) status = error_no_memory(err, sizeof g);
      }
    }
  }
  mem_free(waiting.at);
  if (status == SDX_OK) status = b.status;
  if (status == SDX_OK && inserted) status = graph_sort(g, err);
  return status;
}
