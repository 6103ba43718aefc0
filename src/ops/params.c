// SPDX-License-Identifier: Apache-2.0
// Attribute readers for the `params` functions of operators: the node's value, else the default
// written in the record. Kinds were checked by binding.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "ops/schema.h"

static bool default_of(const op_params_context *c, const char *name, schema_attr *out) {
  return c->node->op && schema_find_attr(c->node->op->attrs, str_from(name), out) && out->has_default;
}

static const attr *find(const op_params_context *c, const char *name, attr_kind kind) {
  const attr *a = node_attr(c->node, name);
  return a && a->kind == kind ? a : NULL;
}

bool params_has(const op_params_context *c, const char *name) { return node_attr(c->node, name) != NULL; }

int64_t params_int(const op_params_context *c, const char *name) {
  const attr *a = find(c, name, ATTR_INT);
  schema_attr d;
  return a ? a->i : default_of(c, name, &d) ? strtoll(d.text.at, NULL, 10) : 0;
}

float params_float(const op_params_context *c, const char *name) {
  const attr *a = find(c, name, ATTR_FLOAT);
  schema_attr d;
  return a ? a->f : default_of(c, name, &d) ? number_parse_float(d.text.at, NULL) : 0;
}

str params_string(const op_params_context *c, const char *name) {
  const attr *a = find(c, name, ATTR_STRING);
  schema_attr d;
  return a ? a->s : default_of(c, name, &d) ? d.text : STR("");
}

const int64_t *params_ints(const op_params_context *c, const char *name, size_t *count) {
  const attr *a = find(c, name, ATTR_INTS);
  *count = a ? a->ints.count : 0;
  return a ? a->ints.at : NULL;
}

const float *params_floats(const op_params_context *c, const char *name, size_t *count) {
  const attr *a = find(c, name, ATTR_FLOATS);
  *count = a ? a->floats.count : 0;
  return a ? a->floats.at : NULL;
}

const str *params_strings(const op_params_context *c, const char *name, size_t *count) {
  const attr *a = find(c, name, ATTR_STRINGS);
  *count = a ? a->strings.count : 0;
  return a ? a->strings.at : NULL;
}

const tensor *params_tensor(const op_params_context *c, const char *name) {
  const attr *a = find(c, name, ATTR_TENSOR);
  return a ? a->tensor : NULL;
}

graph *params_graph(const op_params_context *c, const char *name) {
  const attr *a = find(c, name, ATTR_GRAPH);
  return a ? a->graph : NULL;
}

void params_warn(op_params_context *c, const char *message) {
  if (!c->warnings) return;
  error warning = {0};
  node_fail(c->node, &warning, (error_part){0}, SDX_INVALID_GRAPH, "%s", message);
  text_format(c->warnings, "%s\n", warning.message);
}

sdx_status params_fail(op_params_context *c, const char *attribute, const char *format, ...) {
  va_list args;
  va_start(args, format);
  node_fail_list(c->node, c->err, at_attribute(attribute), SDX_INVALID_GRAPH, format, args);
  va_end(args);
  return SDX_INVALID_GRAPH;
}
