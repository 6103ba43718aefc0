// SPDX-License-Identifier: Apache-2.0
// Run handles: bindings, checks of inputs when shapes change, and the steady state, which compares
// shapes with the plan's and goes straight to the step loop.
#include <stdarg.h>
#include <string.h>

#include "run/session.h"

sdx_status sdx_run_create(sdx_session *s, sdx_run **out) {
  *out = NULL;
  if (!s || !s->main || s->only_read) return SDX_INVALID_ARGUMENT;
  size_t in = sdx_session_feed_count(s), outs = s->output_count;
  size_t bytes = sizeof(sdx_run) +
                 in * (sizeof(sdx_value *) + 2 * sizeof(value *) + sizeof(type_info) + sizeof(value)) +
                 outs * (2 * sizeof(sdx_value *) + sizeof(bool));
  sdx_run *r = mem_zalloc(&s->account, bytes);
  if (!r) return SDX_NO_MEMORY;
  r->session = s;
  r->types = (type_info *)(r + 1);
  r->scalars = (value *)(r->types + in);
  r->inputs = (sdx_value **)(r->scalars + in);
  r->given = (const value **)(r->inputs + in);
  r->gathered = r->given + in;
  r->bound = (sdx_value **)(r->gathered + in);
  r->outputs = r->bound + outs;
  r->wanted = (bool *)(r->outputs + outs);
  memset(r->wanted, true, outs);
  *out = r;
  return SDX_OK;
}

static void drop_outputs(sdx_run *r) {
  if (r->kept_bytes) mem_uncharge(&r->frame->account, r->kept_bytes);
  r->kept_bytes = 0;
  for (uint32_t i = 0; i < r->session->output_count; i++) {
    value_release(r->outputs[i]);
    r->outputs[i] = NULL;
  }
}

void sdx_run_destroy(sdx_run *r) {
  if (!r) return;
  drop_outputs(r);
  for (uint32_t i = 0; i < sdx_session_feed_count(r->session); i++) value_release(r->inputs[i]);
  for (uint32_t i = 0; i < r->session->output_count; i++) value_release(r->bound[i]);
  run_drop_bodies(r);
  frame_destroy(r->frame);
  mem_free(r);
}

static sdx_status bad_index(sdx_run *r, error_part part, size_t count) {
  error_clear(&r->err);
  return error_at(&r->err, part, SDX_INVALID_ARGUMENT, "does not exist: the model has %zu", count);
}

static void replace(sdx_value **slot, sdx_value *v) {
  if (*slot == v) return;
  value_retain(v);
  value_release(*slot);
  *slot = v;
}

sdx_status sdx_run_set_input(sdx_run *r, size_t index, sdx_value *v) {
  const sdx_session *s = r->session;
  if (index >= s->input_count) {
    if (index - s->input_count >= s->default_count) return bad_index(r, at_input(index), sdx_session_feed_count(s));
    if (!r->inputs[index] != !v) r->chosen = false;
  }
  replace(&r->inputs[index], v);
  r->given[index] = v ? &v->value : NULL;
  const sdx_io *io = &s->inputs[index];
  if (v && v->value.kind == VALUE_TENSOR && io->has_shape && io->rank == 0 && v->value.tensor.count == 1) {
    r->scalars[index] = v->value;  // callers feed [1] where the model wants a scalar
    r->scalars[index].tensor.rank = 0;
    r->given[index] = &r->scalars[index];
  }
  return SDX_OK;
}

sdx_status sdx_run_set_output(sdx_run *r, size_t index, sdx_value *v) {
  if (index >= r->session->output_count) return bad_index(r, at_output(index), r->session->output_count);
  replace(&r->bound[index], v);
  return SDX_OK;
}

sdx_status sdx_run_want_output(sdx_run *r, size_t index, bool wanted) {
  if (index >= r->session->output_count) return bad_index(r, at_output(index), r->session->output_count);
  r->wanted[index] = wanted;
  return SDX_OK;
}

void sdx_run_set_timeout_ms(sdx_run *r, uint64_t timeout_ms) { r->timeout_ms = timeout_ms; }
void sdx_run_set_memory_limit_bytes(sdx_run *r, uint64_t bytes) { r->memory_limit_bytes = bytes; }
void sdx_run_cancel(sdx_run *r) { atomic_store(&r->cancel, true); }
sdx_value *sdx_run_output(const sdx_run *r, size_t index) {
  return index < r->session->output_count ? r->outputs[index] : NULL;
}
const char *sdx_run_error(const sdx_run *r) { return r->err.message; }
char *sdx_run_error_json(const sdx_run *r) { return error_object(&r->err); }
const char *sdx_run_warning(const sdx_run *r) { return r->warning.message; }
uint64_t sdx_run_peak_bytes(const sdx_run *r) { return r->frame ? atomic_load(&r->frame->account.peak) : 0; }

// ---- inputs ---------------------------------------------------------------------------------------

static error_part input_part(const sdx_run *r, uint32_t i) {
  return (error_part){PART_INPUT, i, str_from(r->session->inputs[i].name)};
}

__attribute__((format(printf, 5, 6))) static sdx_status bad_input(sdx_run *r, uint32_t i, sdx_status status,
                                                                  const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  error_at_list(&r->err, input_part(r, i), status, format, args);
  va_end(args);
  error_code(&r->err, code);
  return status;
}

static sdx_status check_tensor(sdx_run *r, uint32_t i, const tensor *t) {
  const sdx_io *io = &r->session->inputs[i];
  if (t->dtype != io->dtype)
    return bad_input(r, i, SDX_INVALID_ARGUMENT, "input-type", "is tensor(%s), expected %s", dtype_name(t->dtype),
                     io->type);
  if (!io->has_shape) return SDX_OK;
  bool fits = t->rank == io->rank;
  for (size_t k = 0; fits && k < io->rank; k++) fits = io->shape[k] < 0 || io->shape[k] == t->dims[k];
  if (fits) return SDX_OK;
  char found[200], expected[200];
  return bad_input(r, i, SDX_INVALID_SHAPE, t->rank == io->rank ? "input-shape" : "input-rank",
                   "has shape %s, expected %s", shape_describe(t->dims, t->rank, found, sizeof found),
                   shape_describe(io->shape, io->rank, expected, sizeof expected));
}

static sdx_status strict_verdict(sdx_run *r) {
  if (!r->session->options->strict_dims) return SDX_OK;
  error_copy(&r->err, &r->warning);
  error_hint(&r->err, "the option strict_dims refuses this");
  return r->err.status;
}

// Inputs whose sizes differ under one name get a warning: whether they fit is up to the operators.
static sdx_status check_shared_dims(sdx_run *r) {
  const sdx_session *s = r->session;
  for (size_t i = 0; i < s->shared_dim_count; i++) {
    const shared_dim *d = &s->shared_dims[i];
    int64_t size = r->given[d->input]->tensor.dims[d->axis];
    int64_t first = r->given[d->first_input]->tensor.dims[d->first_axis];
    if (size == first) continue;
    error_at(&r->warning, part_named(PART_DIMENSION, str_from(s->inputs[d->input].symbols[d->axis])), SDX_INVALID_SHAPE,
             "is %lld in input '%.200s' but %lld in input '%.200s'", (long long)size, s->inputs[d->input].name,
             (long long)first, s->inputs[d->first_input].name);
    error_code(&r->warning, "dimension-conflict");
    return strict_verdict(r);
  }
  return SDX_OK;
}

// The size that the inputs of this run give a name; -1: none has it.
static int64_t size_of_name(const sdx_run *r, const char *name) {
  const sdx_session *s = r->session;
  for (uint32_t i = 0; i < s->input_count; i++)
    for (size_t k = 0; s->inputs[i].dtype && k < s->inputs[i].rank; k++)
      if (s->inputs[i].symbols[k] && strcmp(s->inputs[i].symbols[k], name) == 0) return r->given[i]->tensor.dims[k];
  return -1;
}

static bool as_declared(const sdx_run *r, const sdx_io *io, const tensor *t) {
  if (t->rank != io->rank) return false;
  for (size_t k = 0; k < io->rank; k++) {
    int64_t size = io->shape[k];
    if (size < 0 && r->session->options->strict_dims && io->symbols[k] &&
        !dim_name_is_placeholder(str_from(io->symbols[k])))
      size = size_of_name(r, io->symbols[k]);
    if (size >= 0 && size != t->dims[k]) return false;
  }
  return true;
}

// Results that are not what the model declares get a warning, too.
static sdx_status check_outputs(sdx_run *r) {
  for (uint32_t i = 0; i < r->session->output_count; i++) {
    const sdx_io *io = &(r->variant ? r->variant->outputs : r->session->outputs)[i];
    const sdx_value *v = r->outputs[i];
    if (!v || v->value.kind != VALUE_TENSOR || !io->has_shape || as_declared(r, io, &v->value.tensor)) continue;
    char declared[200], found[200];
    error_at(&r->warning, (error_part){PART_OUTPUT, i, str_from(io->name)}, SDX_INVALID_SHAPE,
             "is declared %s but is %s", shape_describe(io->shape, io->rank, declared, sizeof declared),
             shape_describe(v->value.tensor.dims, v->value.tensor.rank, found, sizeof found));
    error_code(&r->warning, "declared-shape");
    return strict_verdict(r);
  }
  return SDX_OK;
}

// An optional input that is not given is an empty optional.
static sdx_status fill_input(sdx_run *r, uint32_t i, uint8_t kind) {
  if (kind != TYPE_OPTIONAL) return bad_input(r, i, SDX_INVALID_ARGUMENT, "missing-input", "is not given");
  SDX_TRY(value_create_none(NULL, &r->inputs[i], &r->err));
  r->given[i] = &r->inputs[i]->value;
  return SDX_OK;
}

static sdx_status check_inputs(sdx_run *r) {
  static const char *const kind_words[] = {[VALUE_TENSOR] = "a tensor",
                                           [VALUE_SEQUENCE] = "a sequence",
                                           [VALUE_MAP] = "a map",
                                           [VALUE_NONE] = "an empty optional",
                                           [VALUE_SPARSE] = "a sparse tensor"};
  const sdx_session *s = r->session;
  for (uint32_t i = 0; i < sdx_session_feed_count(s); i++) {
    bool is_default = i >= s->input_count;
    uint8_t kind = is_default ? TYPE_TENSOR : s->main->values[s->main->inputs[i]].type.kind;
    if (is_default && !r->given[i]) continue;
    if (!r->given[i]) SDX_TRY(fill_input(r, i, kind));
    const value *v = r->given[i];
    bool fits = kind == TYPE_TENSOR     ? v->kind == VALUE_TENSOR
                : kind == TYPE_SEQUENCE ? v->kind == VALUE_SEQUENCE
                : kind == TYPE_MAP      ? v->kind == VALUE_MAP
                                        : true;
    if (!fits)
      return bad_input(r, i, SDX_INVALID_ARGUMENT, "input-type", "is %s, expected %s", kind_words[v->kind],
                       s->inputs[i].type);
    if (kind == TYPE_TENSOR) SDX_TRY(check_tensor(r, i, &v->tensor));
  }
  return check_shared_dims(r);
}

// Values for the inputs of the graph that runs.
static void gather(sdx_run *r) {
  const sdx_session *s = r->session;
  r->sources = r->variant ? r->gathered : r->given;
  if (!r->variant) return;
  for (uint32_t i = 0; i < s->input_count; i++) r->gathered[i] = r->given[i];
  for (uint32_t k = 0; k < r->variant->fed_count; k++) {
    uint32_t i = r->variant->fed[k];
    const value *fed = r->given[s->input_count + i];
    r->gathered[s->input_count + k] = fed ? fed : &s->defaults[i];
  }
}

static sdx_status choose_graph(sdx_run *r) {
  const sdx_session *s = r->session;
  const value *const *given = r->given + s->input_count;
  uint32_t fed = 0;
  for (uint32_t i = 0; i < s->default_count; i++) fed += given[i] != NULL;
  r->variant = NULL;
  if (fed) SDX_TRY(session_variant(r->session, given, &r->variant, &r->err));
  r->chosen = true;
  return SDX_OK;
}

// The frame's plan was made for exactly these shapes and outputs.
static bool frame_fits(const sdx_run *r) {
  const plan *p = r->frame->plan;
  for (uint32_t i = 0; i < p->graph->input_count; i++) {
    const value *v = r->sources[i];
    const type_info *t = &p->signature[i];
    if (!v || v->kind != VALUE_TENSOR || t->kind != TYPE_TENSOR || v->tensor.dtype != t->dtype ||
        v->tensor.rank != (size_t)t->rank ||
        (t->rank && memcmp(v->tensor.dims, t->dims, (size_t)t->rank * sizeof *t->dims) != 0))
      return false;
  }
  return memcmp(p->wanted, r->wanted, r->session->output_count) == 0;
}

static size_t memory_limit(const sdx_run *r) {
  return (size_t)(r->memory_limit_bytes ? r->memory_limit_bytes
                                        : (uint64_t)r->session->options->run_memory_limit_bytes);
}

static sdx_status change_plan(sdx_run *r, plan *p) {
  if (r->frame) {
    r->frame->account.limit = memory_limit(r);
    if (frame_change_plan(r->frame, p, &r->err) == SDX_OK) return SDX_OK;
    // Results that were kept may be what there is no room beside.
    drop_outputs(r);
    frame_destroy(r->frame);
    r->frame = NULL;
    error_clear(&r->err);
  }
  return frame_create(p, &r->session->account, memory_limit(r), &r->frame, &r->err);
}

static sdx_status make_frame(sdx_run *r) {
  sdx_session *s = r->session;
  error_clear(&r->warning);
  SDX_TRY(check_inputs(r));
  if (!r->chosen) SDX_TRY(choose_graph(r));
  plan_request request = session_request(s, r->types, r->wanted);
  if (r->variant) request.graph = r->variant->graph;
  gather(r);
  for (uint32_t i = 0; i < request.graph->input_count; i++) value_type(r->sources[i], &r->types[i]);
  plan *p;
  SDX_TRY(session_plan(s, &request, &p, &r->err));
  if (r->frame && r->frame->plan == p) {
    plan_release(p);
    return SDX_OK;
  }
  run_drop_bodies(r);
  sdx_status status = change_plan(r, p);
  plan_release(p);
  if (status != SDX_OK) return status;
  r->frame->run_body = run_body;
  r->frame->body_output = run_body_output;
  r->frame->context = r;
  return SDX_OK;
}

static bool reuse(sdx_value *v, const plan_value *pv) {
  return pv->known && pv->storage != STORE_DYNAMIC && value_reshape(v, &pv->value.tensor);
}

// Puts bound results in place and keeps own ones that have the room and that nobody else holds, which stay charged to
// the run. Returns how many wanted ones are still to be made.
static uint32_t recycle_outputs(sdx_run *r) {
  const plan *p = r->frame->plan;
  uint32_t missing = 0;
  size_t kept = 0;
  for (uint32_t i = 0; i < r->session->output_count; i++) {
    sdx_value *v = r->outputs[i];
    if (r->bound[i]) {
      replace(&r->outputs[i], r->bound[i]);
    } else if (v && p->wanted[i] && reuse(v, &p->values[p->outputs[i]])) {
      kept += v->value.memory->room;
    } else {
      value_release(v);
      r->outputs[i] = NULL;
      missing += p->wanted[i];
    }
  }
  mem_account *account = &r->frame->account;
  if (kept == r->kept_bytes && atomic_load_explicit(&account->used, memory_order_relaxed) <= account->limit)
    return missing;
  mem_uncharge(account, r->kept_bytes);
  r->kept_bytes = mem_charge(account, kept) ? kept : 0;
  if (r->kept_bytes == kept) return missing;
  drop_outputs(r);
  return recycle_outputs(r);
}

sdx_status sdx_run_execute(sdx_run *r) {
  sdx_session *s = r->session;
  sdx_status status = SDX_OK;
  error_clear(&r->err);
  uint64_t deadline = clock_deadline_ns(r->timeout_ms ? r->timeout_ms : (uint64_t)s->options->run_timeout_ms);
  gather(r);
  bool fits = r->frame && r->chosen && frame_fits(r);
  if (!fits) status = make_frame(r);
  if (status == SDX_OK) {
    run_frame *f = r->frame;
    f->account.limit = memory_limit(r);
    f->limits =
        (run_limits){.deadline_ns = deadline, .cancel = &r->cancel, .max_loop_trips = s->options->max_loop_trips};
    if (f->plan->slab_bytes > f->account.limit) status = error_no_memory(&r->err, f->plan->slab_bytes);
    uint32_t missing = recycle_outputs(r);
    atomic_store_explicit(&f->account.peak, atomic_load(&f->account.used), memory_order_relaxed);
    if (status == SDX_OK)
      status = frame_execute(f, r->sources, &f->account, r->outputs, s->options->profile ? &s->profile : NULL, &r->err);
    for (uint32_t i = 0; status == SDX_OK && missing && i < s->output_count; i++)
      if (r->outputs[i]) value_lift(r->outputs[i], NULL);  // the caller may keep it longer than this run
    if (status == SDX_OK && (!fits || f->plan->has_dynamic)) status = check_outputs(r);
  }
  if (status == SDX_NOT_SUPPORTED && (r->variant || !r->chosen))
    error_hint(&r->err, "an input with a default is fed that this operator wants fixed at load: leave it out");
  if (status != SDX_OK) drop_outputs(r);
  atomic_store_explicit(&r->cancel, false, memory_order_relaxed);
  return status;
}
