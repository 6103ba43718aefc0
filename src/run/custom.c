// SPDX-License-Identifier: Apache-2.0
// Custom operators: the caller's callbacks behind ordinary operator records.
#include "ops/call.h"
#include "ops/infer.h"
#include "run/session.h"

typedef struct custom_record {
  op_def record;  // first: node->op leads back here
  sdx_custom_op op;
} custom_record;

struct sdx_op_context {
  op_step *infer;  // one of the two
  op_step *call;
  size_t charged;
};

static const node *node_of(const sdx_op_context *c) { return c->infer ? c->infer->node : c->call->node; }
static const custom_record *record_of(const node *n) { return (const custom_record *)n->op; }

static sdx_status custom_infer(op_step *infer) {
  const sdx_custom_op *op = &record_of(infer->node)->op;
  sdx_op_context c = {.infer = infer};
  return op->infer ? op->infer(op->user, &c) : SDX_OK;
}

static sdx_status custom_compute(op_step *call) {
  const sdx_custom_op *op = &record_of(call->node)->op;
  sdx_op_context c = {.call = call};
  sdx_status status = op->compute(op->user, &c);
  mem_uncharge(call_account(call), c.charged);
  return status == SDX_OK ? SDX_OK : step_fail(call, status, "the custom operator failed: %s", status_text(status));
}

static const char *formals(arena *a, const char *name, size_t least, size_t most) {
  text t = {0};
  for (size_t i = 0; i < least; i++) text_format(&t, "%s%s%zu:any", i ? " " : "", name, i);
  if (most == SIZE_MAX) text_format(&t, "%s%s:any*", least ? " " : "", name);
  else
    for (size_t i = least; i < most; i++) text_format(&t, "%s%s%zu:any?", i ? " " : "", name, i);
  char *copy = t.failed ? NULL : str_to_c(a, (str){t.at, t.size});
  text_deinit(&t);
  return copy;
}

sdx_status custom_bind(sdx_session *s) {
  const sdx_options *o = s->options;
  if (o->op_count == 0) return SDX_OK;
  custom_record *records = arena_array(&s->memory, o->op_count, sizeof *records);
  const op_def **list = arena_array(&s->memory, o->op_count, sizeof *list);
  if (!records || !list) return error_no_memory(&s->err, o->op_count * sizeof *records);
  for (size_t i = 0; i < o->op_count; i++) {
    const sdx_custom_op *op = &o->ops[i];
    const op_def *built_in = op_find(str_from(op->domain), str_from(op->name));
    records[i].op = *op;
    list[i] = &records[i].record;
    if (built_in) {  // one that leaves compute to the caller
      records[i].record = *built_in;
      records[i].record.compute = custom_compute;
      continue;
    }
    records[i].record = (op_def){.domain = op->domain,
                                 .name = op->name,
                                 .since = 1,
                                 .versions = "1",
                                 .inputs = formals(&s->memory, "in", op->min_inputs, op->max_inputs),
                                 .outputs = formals(&s->memory, "out", op->min_outputs, op->max_outputs),
                                 .flags = OP_FREE_ATTRS | OP_NONDETERMINISTIC,
                                 .infer = custom_infer,
                                 .compute = custom_compute};
    if (!records[i].record.inputs || !records[i].record.outputs) return error_no_memory(&s->err, 64);
  }
  s->custom = (op_custom_set){list, o->op_count};
  return SDX_OK;
}

size_t sdx_op_input_count(const sdx_op_context *c) { return c->infer ? c->infer->input_count : c->call->input_count; }
size_t sdx_op_output_count(const sdx_op_context *c) {
  return c->infer ? c->infer->output_count : c->call->output_count;
}

const sdx_value *sdx_op_input(sdx_op_context *c, size_t index) {
  if (index >= sdx_op_input_count(c)) return NULL;
  if (c->call) {
    const value *v = c->call->in[index];
    sdx_value *wrapped = v ? call_alloc(c->call, sizeof *wrapped) : NULL;
    if (!wrapped) return NULL;
    *wrapped = (sdx_value){.value = *v};
    return wrapped;
  }
  const type_info *t = c->infer->in_types[index];
  if (!t || t->kind != TYPE_TENSOR || t->rank < 0) return NULL;
  sdx_value *wrapped = arena_zalloc(c->infer->memory, sizeof *wrapped);
  if (!wrapped) return NULL;
  if (c->infer->constants[index]) wrapped->value.tensor = *c->infer->constants[index];
  else wrapped->value.tensor = (tensor){.dims = t->dims, .dtype = t->dtype, .rank = (uint8_t)t->rank};
  return wrapped;
}

void *sdx_op_set_output(sdx_op_context *c, size_t index, sdx_dtype dtype, size_t rank, const int64_t *shape) {
  static char declared;  // infer has no memory to give: any non-NULL pointer says "accepted"
  if (index >= sdx_op_output_count(c)) return NULL;
  if (c->infer) return infer_output(c->infer, index, dtype, (int)rank, shape) == SDX_OK ? &declared : NULL;
  if (call_set_shape(c->call, index, dtype, rank, shape) != SDX_OK || !c->call->out[index]) return NULL;
  return c->call->out[index]->tensor.data;
}

sdx_status sdx_op_charge(sdx_op_context *c, size_t bytes) {
  if (c->infer) return SDX_OK;
  if (!mem_charge(call_account(c->call), bytes)) return call_no_memory(c->call, bytes);
  c->charged += bytes;
  return SDX_OK;
}

sdx_status sdx_op_check(sdx_op_context *c) { return c->infer ? SDX_OK : call_check(c->call); }

static const attr *find(const sdx_op_context *c, const char *name, attr_kind kind) {
  const attr *a = node_attr(node_of(c), name);
  return a && a->kind == kind ? a : NULL;
}

bool sdx_op_attr_int(const sdx_op_context *c, const char *name, int64_t *value) {
  const attr *a = find(c, name, ATTR_INT);
  if (a) *value = a->i;
  return a != NULL;
}

bool sdx_op_attr_float(const sdx_op_context *c, const char *name, float *value) {
  const attr *a = find(c, name, ATTR_FLOAT);
  if (a) *value = a->f;
  return a != NULL;
}

const char *sdx_op_attr_string(const sdx_op_context *c, const char *name, size_t *length) {
  const attr *a = find(c, name, ATTR_STRING);
  if (a) *length = a->s.size;
  return a ? a->s.at : NULL;
}

const int64_t *sdx_op_attr_ints(const sdx_op_context *c, const char *name, size_t *count) {
  const attr *a = find(c, name, ATTR_INTS);
  *count = a ? a->ints.count : 0;
  return a ? a->ints.at : NULL;
}

const float *sdx_op_attr_floats(const sdx_op_context *c, const char *name, size_t *count) {
  const attr *a = find(c, name, ATTR_FLOATS);
  *count = a ? a->floats.count : 0;
  return a ? a->floats.at : NULL;
}

sdx_status sdx_op_fail(sdx_op_context *c, sdx_status status, const char *message) {
  if (c->infer) return step_fail(c->infer, status, "%s", message);
  return step_fail(c->call, status, "%s", message);
}
