// SPDX-License-Identifier: Apache-2.0
// Tools of `upgrade` functions, which rewrite a node of an older operator version into the newest
// form: attributes, inputs made from attributes, helper nodes.
#include <stdarg.h>
#include <stdio.h>

#include "ops/schema.h"

sdx_status upgrade_set_input(op_upgrade *u, size_t index, value_id value) {
  node *n = u->node;
  if (!value && index >= n->input_count) return SDX_OK;
  if (index >= n->input_count) {
    value_id *inputs = arena_array(u->graph->memory, index + 1, sizeof *inputs);
    if (!inputs) return error_no_memory(u->err, (index + 1) * sizeof *inputs);
    if (n->input_count) memcpy(inputs, n->inputs, n->input_count * sizeof *inputs);
    n->inputs = inputs;
    n->input_count = (uint32_t)(index + 1);
  }
  n->inputs[index] = value;
  return SDX_OK;
}

sdx_status upgrade_ints_to_input(op_upgrade *u, const char *name, size_t index) {
  const attr *a = node_attr(u->node, name);
  if (!a) return SDX_OK;
  value_id v = a->kind == ATTR_INT ? graph_constant_i64(u->graph, &a->i, 1)
                                   : graph_constant_i64(u->graph, a->ints.at, a->ints.count);
  if (!v) return error_no_memory(u->err, sizeof(tensor));
  node_remove_attr(u->node, name);
  return upgrade_set_input(u, index, v);
}

sdx_status upgrade_set_attr(op_upgrade *u, node *n, attr a) {
  if (a.kind == ATTR_INTS) {
    a.ints.at = arena_copy(u->graph->memory, a.ints.at, a.ints.count * sizeof *a.ints.at);
    if (!a.ints.at) return error_no_memory(u->err, a.ints.count * sizeof *a.ints.at);
  }
  return node_set_attr(u->graph, n, a) == SDX_OK ? SDX_OK : error_no_memory(u->err, sizeof(attr));
}

static sdx_status set_attrs(op_upgrade *u, node *n, const attr *attrs, size_t count) {
  for (size_t i = 0; i < count; i++) SDX_TRY(upgrade_set_attr(u, n, attrs[i]));
  return SDX_OK;
}

// "com.microsoft::MatMulNBits" names an operator of another domain.
static str domain_of(const char **op_type) {
  const char *name = strstr(*op_type, "::");
  if (!name) return STR("");
  str domain = {*op_type, (size_t)(name - *op_type)};
  *op_type = name + 2;
  return domain;
}

bool upgrade_insert_many(op_upgrade *u, const char *op_type, size_t inputs, const value_id *in, const attr *attrs,
                         size_t attr_count, size_t outputs, value_id *out) {
  if (u->err->status != SDX_OK) return false;  // something it reads could not be made
  for (size_t i = 0; i < outputs; i++) {
    out[i] = graph_add_value(u->graph, STR(""));
    if (out[i]) continue;
    error_no_memory(u->err, sizeof(graph_value));
    return false;
  }
  str domain = domain_of(&op_type);
  node *n = graph_add_node(u->graph, domain, str_from(op_type), inputs, in, outputs, out, u->err);
  if (!n) return false;
  const char *name = arena_format(u->graph->memory, "%.*s/%s", STR_ARG(u->node->name), op_type);
  n->name = name ? str_from(name) : u->node->name;
  return set_attrs(u, n, attrs, attr_count) == SDX_OK;
}

value_id upgrade_insert(op_upgrade *u, const char *op_type, size_t inputs, const value_id *in, const attr *attrs,
                        size_t attr_count) {
  value_id out;
  return upgrade_insert_many(u, op_type, inputs, in, attrs, attr_count, 1, &out) ? out : VALUE_ABSENT;
}

sdx_status upgrade_become(op_upgrade *u, const char *op_type, size_t inputs, const value_id *in, const attr *attrs,
                          size_t attr_count) {
  if (u->err->status != SDX_OK) return u->err->status;
  value_id *at = arena_copy(u->graph->memory, in, inputs * sizeof *in);
  if (!at) return error_no_memory(u->err, inputs * sizeof *in);
  u->node->inputs = at;
  u->node->input_count = (uint32_t)inputs;
  u->node->attr_count = 0;
  u->node->domain = domain_of(&op_type);
  upgrade_rename(u, op_type);
  return set_attrs(u, u->node, attrs, attr_count);
}

sdx_status upgrade_fail(op_upgrade *u, sdx_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  node_fail_list(u->node, u->err, (error_part){0}, status, format, args);
  va_end(args);
  return status;
}

sdx_status upgrade_fail_at(op_upgrade *u, error_part part, sdx_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  node_fail_list(u->node, u->err, part, status, format, args);
  va_end(args);
  return status;
}

void upgrade_rename(op_upgrade *u, const char *op_type) {
  u->node->op_type = str_from(op_type);
  u->node->op = NULL;
}

attr attr_of_int(const char *name, int64_t value) {
  return (attr){.name = str_from(name), .kind = ATTR_INT, .i = value};
}
attr attr_of_ints(const char *name, const int64_t *at, size_t count) {
  return (attr){.name = str_from(name), .kind = ATTR_INTS, .ints = {at, count}};
}
attr attr_of_float(const char *name, float value) {
  return (attr){.name = str_from(name), .kind = ATTR_FLOAT, .f = value};
}
attr attr_of_string(const char *name, const char *text) {
  return (attr){.name = str_from(name), .kind = ATTR_STRING, .s = str_from(text)};
}
