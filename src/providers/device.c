// SPDX-License-Identifier: Apache-2.0
// Steps on devices. A step that is prepared for a device computes through its provider's table; Copy moves a value
// between the host and a device, Wait stands before the first reader of a copy that may still be under way.
#include "providers/device.h"

#include <string.h>

#include "base/size.h"

// What a step on a device keeps: the provider's kernel, and the operator's own state if the provider prepared that.
typedef struct device_state {
  place *place;
  void *kernel, *host_state;
  size_t host_scratch;
} device_state;

// One execution's scratch, the operator's own behind it.
typedef struct device_scratch {
  const void **inputs;
  void **outputs;
  value *values;
  value **in, **out;
  void *rest;
} device_scratch;

static bool lay_out(const op_step *c, size_t host_scratch, char *base, device_scratch *s, size_t *total) {
  size_t inputs = c->input_count, all = inputs + c->output_count, bytes = 64;
  size_t pointers, values;
  if (!size_mul(all, 2 * sizeof(void *), &pointers) || !size_mul(all, sizeof(value), &values)) return false;
  if (!size_add(pointers, values, &bytes) || !size_align(bytes, 64, &bytes)) return false;
  if (base) {
    s->values = (value *)base;
    s->inputs = (const void **)(base + values);
    s->outputs = (void **)s->inputs + inputs;
    s->in = (value **)(s->outputs + c->output_count);
    s->out = s->in + inputs;
    s->rest = base + bytes;
  }
  return size_add(bytes, host_scratch, total);
}

// A provider may fail without a word.
static sdx_status named(op_step *c, const place *p, sdx_status status, const char *what) {
  if (status == SDX_OK || c->err->message[0]) return status;
  return step_fail(c, status, "provider '%s' failed %s: %s", p->provider->name, what, status_text(status));
}

static sdx_status device_compute(op_step *c) {
  const device_state *d = c->state;
  device_scratch s;
  size_t total;
  if (!lay_out(c, d->host_scratch, c->scratch, &s, &total)) return error_no_memory(c->err, SIZE_MAX);
  for (uint32_t i = 0; i < c->input_count; i++) s.inputs[i] = c->in[i] ? c->in[i]->tensor.data : NULL;
  for (uint32_t i = 0; i < c->output_count; i++) s.outputs[i] = c->out[i] ? c->out[i]->tensor.data : NULL;
  sdx_status status = d->place->provider->run(d->place->context, (sdx_node *)c, d->kernel, s.inputs, s.outputs);
  return named(c, d->place, status, "to run it");
}

sdx_status device_prepare(place *p, op_step *c) {
  device_state *d = arena_zalloc(c->memory, sizeof *d);
  if (!d) return error_no_memory(c->err, sizeof *d);
  d->place = p;
  c->state = d;
  c->compute = device_compute;
  c->kernel = p->provider->name;
  error_clear(c->err);
  SDX_TRY(named(c, p, p->provider->prepare(p->context, (sdx_node *)c, &d->kernel), "to prepare it"));
  if (!lay_out(c, d->host_scratch, NULL, NULL, &c->scratch_bytes)) return error_no_memory(c->err, SIZE_MAX);
  return SDX_OK;
}

void device_release(op_step *c) {
  device_state *d = c->compute == device_compute ? c->state : NULL;
  if (d && d->kernel && d->place->provider->release_kernel)
    d->place->provider->release_kernel(d->place->context, d->kernel);
}

// ---- the engine's own kernels -----------------------------------------------------------------------

sdx_status device_prepare_on_host(sdx_node *node) {
  op_step *c = (op_step *)node, host = *c;
  device_state *d = c->state;
  value *constants = arena_array(c->memory, c->input_count + 1, sizeof *constants);
  host.in = arena_array(c->memory, c->input_count + 1, sizeof *host.in);
  host.packable = arena_array(c->memory, c->input_count + 1, sizeof *host.packable);
  if (!constants || !host.in || !host.packable) return error_no_memory(c->err, sizeof *constants);
  for (uint32_t i = 0; i < c->input_count; i++) {
    host.in[i] = c->in[i];
    if (!c->in[i] || !c->constants || !c->constants[i]) continue;
    constants[i].tensor = *c->constants[i];
    host.in[i] = &constants[i];
  }
  host.state = NULL;
  host.scratch_bytes = 0;
  SDX_TRY(step_prepare(&host));
  d->host_state = host.state;
  d->host_scratch = host.scratch_bytes;
  return SDX_OK;
}

sdx_status device_run_on_host(sdx_node *node, const void *const *inputs, void *const *outputs) {
  op_step *c = (op_step *)node, host = *c;
  const device_state *d = c->state;
  device_scratch s;
  size_t total;
  if (!lay_out(c, d->host_scratch, c->scratch, &s, &total)) return error_no_memory(c->err, SIZE_MAX);
  for (uint32_t i = 0; i < c->input_count + c->output_count; i++) {
    bool input = i < c->input_count;
    const value *v = input ? c->in[i] : c->out[i - c->input_count];
    s.in[i] = NULL;
    if (!v) continue;
    s.values[i] = *v;
    s.values[i].tensor.data = input ? (void *)(uintptr_t)inputs[i] : outputs[i - c->input_count];
    s.in[i] = &s.values[i];
  }
  host.in = s.in;
  host.out = s.out;
  host.state = d->host_state;
  host.scratch = s.rest;
  return c->node->op->compute(&host);
}

// ---- between places ---------------------------------------------------------------------------------

static sdx_status copy_compute(op_step *c) {
  const copy_params *p = c->params;
  const sdx_provider *provider = p->device->provider;
  const tensor *from = step_in(c, 0);
  tensor *to = step_out(c, 0), *event = step_out(c, 1);
  if (from->bytes == 0) return SDX_OK;
  if (p->in)
    return named(c, p->device, provider->copy_in(p->device->context, to->data, from->data, from->bytes), "to copy in");
  SDX_TRY(
      named(c, p->device, provider->copy_out(p->device->context, to->data, from->data, from->bytes), "to copy out"));
  if (!event) return named(c, p->device, provider->synchronise(p->device->context), "to copy out");
  void *handle = provider->record(p->device->context);
  memcpy(event->data, &handle, sizeof handle);
  return named(c, p->device, handle ? SDX_OK : SDX_NO_MEMORY, "to record an event");
}

static sdx_status wait_compute(op_step *c) {
  const copy_params *p = c->params;
  void *handle;
  memcpy(&handle, step_in(c, 1)->data, sizeof handle);
  if (step_in(c, 0)->bytes == 0) return SDX_OK;
  return named(c, p->device, p->device->provider->wait(p->device->context, handle), "to wait for a copy");
}

const op_def op_copy = {.domain = "sardonyx",
                        .name = "Copy",
                        .since = 1,
                        .versions = "1",
                        .inputs = "X:T",
                        .outputs = "Y:T event:int64?",
                        .types = "T=any",
                        .params_size = sizeof(copy_params),
                        .compute = copy_compute};
const op_def op_wait = {.domain = "sardonyx",
                        .name = "Wait",
                        .since = 1,
                        .versions = "1",
                        .inputs = "X:T event:int64",
                        .outputs = "",
                        .types = "T=any",
                        .params_size = sizeof(copy_params),
                        .compute = wait_compute};
