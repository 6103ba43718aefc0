// SPDX-License-Identifier: Apache-2.0
// What operators may ask of the run they are part of (op.h, call_services).
#include <string.h>

#include "plan/frame.h"

static sdx_status set_shape(op_call *c, size_t output, sdx_dtype dtype, size_t rank, const int64_t *dims) {
  if (output >= c->output_count || !c->out[output]) return SDX_OK;
  run_frame *f = c->frame;
  value *v = c->out[output];
  size_t index = (size_t)(v - f->values);
  bool same = v->tensor.dtype == dtype && v->tensor.rank == rank &&
              (rank == 0 || memcmp(v->tensor.dims, dims, rank * sizeof *dims) == 0);
  if (!f->dynamic)
    return same ? SDX_OK : call_fail(c, SDX_INTERNAL, "output %zu got another shape than planned", output);
  if (f->owners[index]) {
    if (same && v->kind == VALUE_TENSOR) return SDX_OK;
    value_release(f->owners[index]);
    f->owners[index] = NULL;
  }
  sdx_value *made;
  SDX_TRY(call_located(c, value_create(&f->account, dtype, rank, dims, NULL, NULL, NULL, &made, c->err)));
  f->owners[index] = made;
  *v = made->value;
  return SDX_OK;
}

static void *alloc(op_call *c, size_t bytes) { return arena_alloc(&c->frame->memory, bytes); }

static sdx_status check(op_call *c) { return frame_check(c->frame, c->node, c->err); }

static sdx_status set_value(op_call *c, size_t output, sdx_value *owned) {
  if (output >= c->output_count || !c->out[output]) {
    value_release(owned);
    return SDX_OK;
  }
  run_frame *f = c->frame;
  size_t index = (size_t)(c->out[output] - f->values);
  if (!f->dynamic) {
    value_release(owned);
    return call_fail(c, SDX_INTERNAL, "output %zu was planned as a tensor", output);
  }
  value_release(f->owners[index]);
  f->owners[index] = owned;
  *c->out[output] = owned->value;
  return SDX_OK;
}

static sdx_status run_subgraph(op_call *c, graph *body, size_t inputs, const value *const *in, size_t outputs,
                               sdx_value **out) {
  if (!c->frame->run_subgraph) return call_fail(c, SDX_NOT_SUPPORTED, "a body cannot run outside of a session");
  return c->frame->run_subgraph(c->frame, c, body, inputs, in, outputs, out);
}

static bool body_output(op_call *c, graph *body, const value *const *in, size_t output, tensor *out, int64_t *dims) {
  return c->frame->body_output && c->frame->body_output(c->frame, c, body, in, output, out, dims);
}

static mem_account *account(op_call *c) { return &c->frame->account; }

static int64_t max_loop_trips(const op_call *c) {
  int64_t most = c->frame->limits.max_loop_trips;
  return most ? most : INT64_MAX;
}

static const call_services services = {set_shape,    alloc,       check,   set_value,
                                       run_subgraph, body_output, account, max_loop_trips};
const call_services *op_services = &services;
