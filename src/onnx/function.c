// SPDX-License-Identifier: Apache-2.0
// Table and call graph of model-local functions; see function.h. Both walks (nodes in nested
// subgraphs, calls) keep their own stack, so neither nesting nor call chains can exhaust ours.
#include "onnx/function.h"

#include <stdio.h>

#include "onnx/proto.h"

str domain_canonical(str domain) { return str_is(domain, "ai.onnx") ? STR("") : domain; }

static str shown_domain(str domain) { return domain.size ? domain : STR("ai.onnx"); }

static sdx_status read_opset(wire message, opset_import *out, error *err) {
  wire_counts counts;
  wire_field f;
  *out = (opset_import){.domain = STR("")};
  SDX_TRY(wire_scan(message, &proto_opset, &counts, err));
  while (wire_next(&message, &proto_opset, &f)) {
    if (f.slot == OPSET_DOMAIN) out->domain = domain_canonical(wire_str(&f));
    else out->version = (int64_t)f.value;
  }
  if (out->version < 1 || out->version > INT32_MAX)
    return error_set(err, SDX_INVALID_GRAPH,
                     "opset_import of domain '%.*s' asks for version %lld, expected 1 to 2147483647",
                     STR_ARG(shown_domain(out->domain)), (long long)out->version);
  return SDX_OK;
}

sdx_status opsets_read(arena *memory, wire message, const wire_schema *schema, size_t slot, size_t count,
                       opset_import **out, size_t *out_count, error *err) {
  *out_count = 0;
  if (count > MAX_OPSETS)
    return error_set(err, SDX_LIMIT_EXCEEDED, "opset_import has %zu entries; the limit is %d", count, MAX_OPSETS);
  *out = arena_array(memory, count, sizeof **out);
  if (!*out) return error_no_memory(err, count * sizeof **out);
  wire_field f;
  while (wire_next(&message, schema, &f)) {
    if (f.slot != slot || *out_count == count) continue;
    opset_import one;
    SDX_TRY(read_opset(f.body, &one, err));
    size_t i = 0;
    while (i < *out_count && !str_equal((*out)[i].domain, one.domain)) i++;
    if (i == *out_count) (*out)[(*out_count)++] = one;
    else if ((*out)[i].version != one.version)
      return error_set(err, SDX_INVALID_GRAPH, "opset_import lists domain '%.*s' twice, with versions %lld and %lld",
                       STR_ARG(shown_domain(one.domain)), (long long)(*out)[i].version, (long long)one.version);
  }
  return SDX_OK;
}

const function *function_find(const function_table *t, str domain, str name, str overload) {
  uint32_t index;
  if (t->count == 0 || !str_map_find(&t->by_name, name, &index)) return NULL;
  for (const function *f = &t->at[index];; f = &t->at[f->next - 1]) {
    if (str_equal(f->domain, domain) && str_equal(f->overload, overload)) return f;
    if (f->next == 0) return NULL;
  }
}

static sdx_status read_function(function_table *t, arena *memory, model *m, wire body, error *err) {
  wire_counts counts;
  wire_field f;
  function fresh = {.domain = STR(""), .name = STR(""), .overload = STR(""), .body = body};
  SDX_TRY(wire_scan(body, &proto_function, &counts, err));
  for (wire w = body; wire_next(&w, &proto_function, &f);) {
    if (f.slot == FUNCTION_NAME) fresh.name = wire_str(&f);
    if (f.slot == FUNCTION_DOMAIN) fresh.domain = domain_canonical(wire_str(&f));
    if (f.slot == FUNCTION_OVERLOAD) fresh.overload = wire_str(&f);
  }
  if (fresh.name.size == 0) return error_set(err, SDX_INVALID_GRAPH, "function %zu has no name", t->count);
  if (function_find(t, fresh.domain, fresh.name, fresh.overload))
    return error_set(err, SDX_INVALID_GRAPH, "function '%.*s' of domain '%.*s' (overload '%.*s') is defined twice",
                     STR_ARG(fresh.name), STR_ARG(shown_domain(fresh.domain)), STR_ARG(fresh.overload));
  if (counts.of[FUNCTION_OPSET]) {
    opset_import *opsets;
    size_t opset_count;
    SDX_TRY(opsets_read(memory, body, &proto_function, FUNCTION_OPSET, counts.of[FUNCTION_OPSET], &opsets, &opset_count,
                        err));
    fresh.opsets = opsets;
    fresh.opset_count = (uint32_t)opset_count;
  }
  uint32_t first;
  if (str_map_find(&t->by_name, fresh.name, &first)) {
    fresh.next = t->at[first].next;  // right behind the first, so the map stays as it is
    t->at[first].next = (uint32_t)t->count + 1;
  } else if (!str_map_put(&t->by_name, fresh.name, (uint32_t)t->count)) {
    return error_no_memory(err, sizeof fresh);
  }
  fresh.kept = &m->functions[m->function_count++];
  *fresh.kept = (model_function){.domain = fresh.domain, .name = fresh.name, .overload = fresh.overload};
  op_histogram_init(&fresh.kept->operators, &m->memory);
  t->at[t->count++] = fresh;
  return SDX_OK;
}

// ---- calls ----------------------------------------------------------------------------------------------

// Functions called by a function, and messages whose nodes are still to be looked at.
typedef struct callee {
  struct callee *next;
  uint32_t index;
} callee;

typedef struct pending {
  struct pending *next;
  wire message;
  const wire_schema *schema;
  size_t node_slot;
} pending;

typedef struct call_walk {
  const function_table *table;
  arena *memory;
  callee **calls;  // per function
  pending *todo;
  error *err;
} call_walk;

static sdx_status push(call_walk *c, wire message, const wire_schema *schema, size_t node_slot) {
  pending *p = arena_alloc(c->memory, sizeof *p);
  if (!p) return error_no_memory(c->err, sizeof *p);
  *p = (pending){c->todo, message, schema, node_slot};
  c->todo = p;
  return SDX_OK;
}

static sdx_status push_attribute_graphs(call_walk *c, wire attribute) {
  wire_counts counts;
  wire_field f;
  SDX_TRY(wire_scan(attribute, &proto_attribute, &counts, c->err));
  if (!counts.of[ATTRIBUTE_G] && !counts.of[ATTRIBUTE_GRAPHS]) return SDX_OK;
  while (wire_next(&attribute, &proto_attribute, &f))
    if (f.slot == ATTRIBUTE_G || f.slot == ATTRIBUTE_GRAPHS) SDX_TRY(push(c, f.body, &proto_graph, GRAPH_NODE));
  return SDX_OK;
}

static sdx_status note_node(call_walk *c, size_t caller, wire node) {
  wire_counts counts;
  wire_field f;
  str domain = STR(""), name = STR(""), overload = STR("");
  SDX_TRY(wire_scan(node, &proto_node, &counts, c->err));
  while (wire_next(&node, &proto_node, &f)) {
    if (f.slot == NODE_OP_TYPE) name = wire_str(&f);
    if (f.slot == NODE_DOMAIN) domain = domain_canonical(wire_str(&f));
    if (f.slot == NODE_OVERLOAD) overload = wire_str(&f);
    if (f.slot == NODE_ATTRIBUTE) SDX_TRY(push_attribute_graphs(c, f.body));
  }
  model_function *kept = c->table->at[caller].kept;
  kept->nodes++;
  if (!op_histogram_add(&kept->operators, name)) return error_no_memory(c->err, sizeof(op_bin));
  const function *callee_function = function_find(c->table, domain, name, overload);
  if (!callee_function) return SDX_OK;
  callee *call = arena_alloc(c->memory, sizeof *call);
  if (!call) return error_no_memory(c->err, sizeof *call);
  *call = (callee){c->calls[caller], (uint32_t)(callee_function - c->table->at)};
  c->calls[caller] = call;
  return SDX_OK;
}

static sdx_status collect_calls(call_walk *c, size_t caller) {
  SDX_TRY(push(c, c->table->at[caller].body, &proto_function, FUNCTION_NODE));
  while (c->todo) {
    pending *p = c->todo;
    c->todo = p->next;
    wire_counts counts;
    wire_field f;
    SDX_TRY(wire_scan(p->message, p->schema, &counts, c->err));
    for (wire w = p->message; wire_next(&w, p->schema, &f);)
      if (f.slot == p->node_slot) SDX_TRY(note_node(c, caller, f.body));
  }
  return SDX_OK;
}

static sdx_status fail_circle(const function_table *t, const uint32_t *stack, size_t depth, uint32_t again,
                              error *err) {
  enum { SHOWN = 8 };
  char path[600];
  size_t used = 0, from = depth;
  while (from > 0 && stack[from - 1] != again) from--;
  if (from) from--;
  for (size_t i = from; i < depth && i < from + SHOWN; i++) {
    str name = t->at[stack[i]].name;
    int n = snprintf(path + used, sizeof path - used, "%.*s -> ", (int)(name.size < 60 ? name.size : 60), name.at);
    if (n > 0) used += (size_t)n;
  }
  return error_set(err, SDX_INVALID_GRAPH, "functions call each other in a circle: %s%s%.*s", path,
                   depth - from > SHOWN ? "... -> " : "", STR_ARG(t->at[again].name));
}

// Depth of every function, callees first.
static sdx_status measure(function_table *t, call_walk *c, size_t max_depth) {
  uint32_t *stack = arena_array(c->memory, t->count, sizeof *stack);
  bool *open = arena_array(c->memory, t->count, sizeof *open);
  if (!stack || !open) return error_no_memory(c->err, t->count * sizeof *stack);
  for (uint32_t root = 0; root < t->count; root++) {
    size_t depth = 0;
    if (t->at[root].depth) continue;
    stack[depth++] = root;
    open[root] = true;
    while (depth) {
      uint32_t top = stack[depth - 1];
      callee *call = c->calls[top];
      if (!call) {  // all callees are measured; depth of a leaf is still 0
        function *f = &t->at[top];
        if (f->depth == 0) f->depth = 1;
        if (f->depth > max_depth)
          return error_set(c->err, SDX_LIMIT_EXCEEDED, "calls of function '%.*s' are nested %u deep; the limit is %zu",
                           STR_ARG(f->name), f->depth, max_depth);
        open[top] = false;
        depth--;
        continue;
      }
      function *called = &t->at[call->index];
      if (open[call->index]) return fail_circle(t, stack, depth, call->index, c->err);
      if (called->depth == 0) {
        open[call->index] = true;
        stack[depth++] = call->index;
        continue;
      }
      if (t->at[top].depth < called->depth + 1) t->at[top].depth = called->depth + 1;
      c->calls[top] = call->next;
    }
  }
  return SDX_OK;
}

sdx_status functions_read(function_table *t, arena *memory, model *m, wire file, size_t count, size_t max_depth,
                          error *err) {
  *t = (function_table){0};
  str_map_init(&t->by_name, memory);
  if (count == 0) return SDX_OK;
  if (count > MAX_FUNCTIONS)
    return error_set(err, SDX_LIMIT_EXCEEDED, "the model has %zu functions, expected at most %d", count, MAX_FUNCTIONS);
  t->at = arena_array(memory, count, sizeof *t->at);
  call_walk c = {.table = t, .memory = memory, .calls = arena_array(memory, count, sizeof(callee *)), .err = err};
  m->functions = arena_array(&m->memory, count, sizeof *m->functions);
  if (!t->at || !c.calls || !m->functions) return error_no_memory(err, count * sizeof *t->at);
  wire_field f;
  while (wire_next(&file, &proto_model, &f))
    if (f.slot == MODEL_FUNCTION && t->count < count) SDX_TRY(read_function(t, memory, m, f.body, err));
  for (size_t i = 0; i < t->count; i++) {
    SDX_TRY(collect_calls(&c, i));
    op_histogram_sort(&t->at[i].kept->operators);
  }
  return measure(t, &c, max_depth);
}
