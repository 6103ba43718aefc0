// SPDX-License-Identifier: Apache-2.0
// Evaluating operators on constants written as text, node by node, as constant folding would.
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plan/frame.h"
#include "tensor/convert.h"

enum { BUDGET = 16 << 20, MOST_VALUES = 64 };

typedef struct outcome {
  arena memory;
  error err;
  sdx_status status;
  sdx_value *values[MOST_VALUES];
  graph *g;
} outcome;

// Evaluates the nodes of a graph without inputs, one by one, as constant folding would.
static inline outcome evaluate(const char *body) {
  outcome o = {0};
  char text[1200];
  arena_init(&o.memory, NULL);
  snprintf(text, sizeof text, "graph g() -> (%%y) {\n%s\n}", body);
  if (graph_parse(&o.memory, str_from(text), &o.g, &o.err) != SDX_OK) fail_msg("%s\n%s", text, o.err.message);
  o.status = ops_bind_graph(o.g, &(opset_import){STR(""), 24}, 1, NULL, NULL, NULL, &o.err);
  assert_true(o.g->value_count <= MOST_VALUES);
  for (uint32_t i = 0; i < o.g->node_count && o.status == SDX_OK; i++) {
    const node *n = o.g->nodes[i];
    value constants[16] = {0};
    const value *in[16] = {NULL};
    for (uint32_t k = 0; k < n->input_count; k++) {
      const graph_value *v = &o.g->values[n->inputs[k]];
      constants[k].tensor = v->constant ? *v->constant : (tensor){0};
      in[k] = v->constant ? &constants[k] : o.values[n->inputs[k]] ? &o.values[n->inputs[k]]->value : NULL;
    }
    sdx_value *out[8] = {NULL};
    o.status = node_evaluate(n, in, NULL, BUDGET, NULL, out, &o.err);
    for (uint32_t k = 0; k < n->output_count; k++) o.values[n->outputs[k]] = out[k];
  }
  return o;
}

static inline void clear(outcome *o) {
  for (size_t i = 0; i < MOST_VALUES; i++) value_release(o->values[i]);
  arena_deinit(&o->memory);
}

static inline void fails(const char *body, sdx_status status, const char *part) {
  outcome o = evaluate(body);
  if (o.status != status || !strstr(o.err.message, part))
    fail_msg("%s\n  wanted %s with '%s'\n  got %s: %s", body, status_name(status), part, status_name(o.status),
             o.err.message);
  clear(&o);
}

// The graph's output has this type and shape, and these numbers up to a relative 1e-5 (floats only).
static inline void gives(const char *body, const char *shape, size_t count, const double *want) {
  outcome o = evaluate(body);
  if (o.status != SDX_OK) fail_msg("%s\n  %s", body, o.err.message);
  const tensor *t = &o.values[o.g->outputs[0]]->value.tensor;
  char text[200];
  if (strcmp(tensor_describe(t, text, sizeof text), shape) != 0) fail_msg("%s\n  %s, wanted %s", body, text, shape);
  assert_int_equal(t->count, count);
  for (size_t i = 0; i < count; i++) {
    double got = tensor_number_at(t, i), off = dtype_is_float((sdx_dtype)t->dtype) ? 1e-5 * (1 + fabs(want[i])) : 0;
    bool same = isnan(want[i]) ? isnan(got) : got == want[i] || fabs(got - want[i]) <= off;
    if (!same) fail_msg("%s\n  element %zu is %g, wanted %g", body, i, got, want[i]);
  }
  clear(&o);
}
#define GIVES(body, shape, ...) \
  gives(body, shape, sizeof((double[]){__VA_ARGS__}) / sizeof(double), (double[]){__VA_ARGS__})
