// SPDX-License-Identifier: Apache-2.0
// What the engine does for providers: a node is a step, asked about through functions so that both may grow apart; and
// the engine's own kernels on a device's bytes, for as long as the host may touch them.
#include "providers/provider.h"

#include <string.h>

#include "providers/device.h"

// The handle that providers see is the step itself.
static const op_step *step_of(const sdx_node *n) { return (const op_step *)n; }

static const char *node_domain(const sdx_node *n) { return step_of(n)->node->op->domain; }
static const char *node_operator(const sdx_node *n) { return step_of(n)->node->op->name; }
static size_t node_inputs(const sdx_node *n) { return step_of(n)->input_count; }
static size_t node_outputs(const sdx_node *n) { return step_of(n)->output_count; }

static void fill_port(sdx_port *port, const type_info *type, const value *v) {
  tensor t;
  *port = (sdx_port){.dtype = SDX_UNDEFINED};
  if (v) t = v->tensor;
  else if (!type || type->kind != TYPE_TENSOR || type->rank < 0 ||
           tensor_init(&t, (sdx_dtype)type->dtype, (size_t)type->rank, type->dims, NULL) != SDX_OK)
    return;
  *port = (sdx_port){.dtype = (sdx_dtype)t.dtype, .rank = t.rank, .shape = t.dims, .bytes = t.bytes};
}

static void node_input(const sdx_node *n, size_t i, sdx_port *port) {
  const op_step *c = step_of(n);
  bool there = i < c->input_count && c->node->inputs[i];
  fill_port(port, there && c->in_types ? c->in_types[i] : NULL, there && c->in ? c->in[i] : NULL);
  if (there && c->constants && c->constants[i]) port->constant = c->constants[i]->data;
}

static void node_output(const sdx_node *n, size_t i, sdx_port *port) {
  const op_step *c = step_of(n);
  bool there = i < c->output_count && c->node->outputs[i];
  fill_port(port, there && c->out_types ? &c->out_types[i] : NULL, there && c->out ? c->out[i] : NULL);
}

static void node_attribute(const sdx_node *n, const char *name, sdx_attribute *out) {
  const attr *a = node_attr(step_of(n)->node, name);
  *out = (sdx_attribute){.kind = SDX_ATTR_NONE};
  if (!a) return;
  if (a->kind == ATTR_INT) *out = (sdx_attribute){.kind = SDX_ATTR_INT, .i = a->i};
  else if (a->kind == ATTR_FLOAT) *out = (sdx_attribute){.kind = SDX_ATTR_FLOAT, .f = a->f};
  else if (a->kind == ATTR_STRING)
    *out = (sdx_attribute){.kind = SDX_ATTR_STRING, .count = a->s.size, .string = a->s.at};
  else if (a->kind == ATTR_INTS)
    *out = (sdx_attribute){.kind = SDX_ATTR_INTS, .count = a->ints.count, .ints = a->ints.at};
  else if (a->kind == ATTR_FLOATS)
    *out = (sdx_attribute){.kind = SDX_ATTR_FLOATS, .count = a->floats.count, .floats = a->floats.at};
}

static sdx_status fail(sdx_node *n, sdx_status status, const char *message) {
  return step_fail((op_step *)n, status, "%.400s", message);
}

const sdx_provider_host provider_host = {.size = sizeof provider_host,
                                         .abi = SDX_PROVIDER_ABI,
                                         .version = SDX_VERSION,
                                         .node_domain = node_domain,
                                         .node_operator = node_operator,
                                         .node_inputs = node_inputs,
                                         .node_outputs = node_outputs,
                                         .node_input = node_input,
                                         .node_output = node_output,
                                         .node_attribute = node_attribute,
                                         .prepare_on_host = device_prepare_on_host,
                                         .run_on_host = device_run_on_host,
                                         .fail = fail};
