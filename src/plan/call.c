// SPDX-License-Identifier: Apache-2.0
// What operators may ask of the run they are part of: the services of a frame's steps.
#include <string.h>

#include "plan/frame.h"

static sdx_status set_shape(op_step *c, size_t output, sdx_dtype dtype, size_t rank, const int64_t *dims) {
  if (output >= c->output_count || !c->out[output]) return SDX_OK;
  run_frame *f = c->owner;
  value *v = c->out[output];
  size_t index = (size_t)(v - f->values);
  bool same = v->tensor.dtype == dtype && v->tensor.rank == rank &&
              (rank == 0 || memcmp(v->tensor.dims, dims, rank * sizeof *dims) == 0);
  if (!f->dynamic)
    return same ? SDX_OK : step_fail_at(c, at_output(output), SDX_INTERNAL, "got another shape than planned");
  if (f->owners[index]) {
    if (same && v->kind == VALUE_TENSOR) return SDX_OK;
    value_release(f->owners[index]);
    f->owners[index] = NULL;
  }
  sdx_value *made;
  SDX_TRY(step_located(c, value_create(&f->account, dtype, rank, dims, NULL, NULL, NULL, &made, c->err)));
  f->owners[index] = made;
  *v = made->value;
  return SDX_OK;
}

static void *alloc(op_step *c, size_t bytes) { return arena_alloc(&((run_frame *)c->owner)->memory, bytes); }

static sdx_status check(op_step *c) { return frame_check(c->owner, c->node, c->err); }

static sdx_status set_value(op_step *c, size_t output, sdx_value *owned) {
  if (output >= c->output_count || !c->out[output]) {
    value_release(owned);
    return SDX_OK;
  }
  run_frame *f = c->owner;
  size_t index = (size_t)(c->out[output] - f->values);
  if (!f->dynamic) {
    value_release(owned);
    return step_fail_at(c, at_output(output), SDX_INTERNAL, "was planned as a tensor");
  }
  value_release(f->owners[index]);
  f->owners[index] = owned;
  *c->out[output] = owned->value;
  return SDX_OK;
}

static const void *get_pack(op_step *c, size_t input, const pack_format *format, size_t bytes,
                            void (*fill)(void *target, const tensor *source, void *context), void *context) {
  run_frame *f = c->owner;
  const plan *p = f->plan;
  const tensor *source = step_in(c, input);
  if (p->weights && !pack_cache_holds(p->packs, source, format, bytes) &&
      weights_pin(p->weights, source->data, c->err) != SDX_OK)
    return NULL;
  if (input < 64) f->packed |= (uint64_t)1 << input;
  return pack_cache_get(p->packs, c, input, format, bytes, fill, context);
}

static sdx_status run_body(op_step *c, graph *body, size_t inputs, const value *const *in, size_t outputs,
                           sdx_value **out) {
  run_frame *f = c->owner;
  if (!f->run_body) return step_fail(c, SDX_NOT_SUPPORTED, "a body cannot run outside of a session");
  return f->run_body(f, c, body, inputs, in, outputs, out);
}

static bool body_output(op_step *c, graph *body, const value *const *in, size_t output, tensor *out, int64_t *dims) {
  run_frame *f = c->owner;
  return f->body_output && f->body_output(f, c, body, in, output, out, dims);
}

static mem_account *account(op_step *c) { return &((run_frame *)c->owner)->account; }

static int64_t max_loop_trips(const op_step *c) {
  int64_t most = ((const run_frame *)c->owner)->limits.max_loop_trips;
  return most ? most : INT64_MAX;
}

static sdx_status keep(op_step *c, size_t input) {
  const plan *p = ((const run_frame *)c->owner)->plan;
  return p->weights ? weights_pin(p->weights, step_in(c, input)->data, c->err) : SDX_OK;
}

const step_services frame_services = {.pack = get_pack,
                                      .keep = keep,
                                      .set_shape = set_shape,
                                      .set_value = set_value,
                                      .alloc = alloc,
                                      .check = check,
                                      .run_body = run_body,
                                      .body_output = body_output,
                                      .account = account,
                                      .max_loop_trips = max_loop_trips};
