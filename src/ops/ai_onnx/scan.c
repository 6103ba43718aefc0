// SPDX-License-Identifier: Apache-2.0
// Scan: runs a body once per slice of its scan inputs, carrying states, and stacks the other body
// outputs. Version 8 had a batch dimension in front of everything, an optional input with the length
// of every batch entry, and forward outputs only; it runs here entry by entry. 11 added negative axes.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/control.h"

typedef struct params {
  repeated body;
  size_t scans, states, stacked;
  bool batched;  // version 8: input 0 is sequence_lens, everything has a batch dimension
  const int64_t *in_axes, *in_directions, *out_axes, *out_directions;  // NULL: all 0
} params;

static sdx_status read_list(op_params_context *c, const char *name, size_t expected, bool flags, const int64_t **list) {
  size_t count;
  const int64_t *at = params_ints(c, name, &count);
  if (count && count != expected) return params_fail(c, name, "has %zu entries, expected %zu", count, expected);
  for (size_t i = 0; flags && i < count; i++)
    if (at[i] != 0 && at[i] != 1) return params_fail(c, name, "has %lld at %zu, expected 0 or 1", (long long)at[i], i);
  *list = count ? at : NULL;
  return SDX_OK;
}

static sdx_status scan_read(op_params_context *c, void *p) {
  params *out = p;
  SDX_TRY(repeated_read(c, "body", &out->body));
  const graph *body = out->body.graph;
  int64_t scans = params_int(c, "num_scan_inputs");
  out->batched = params_int(c, "_batched") != 0;
  size_t given = c->node->input_count - out->batched;
  if (scans < 1 || (uint64_t)scans > given)
    return params_fail(c, "num_scan_inputs", "is %lld, expected 1 to %zu", (long long)scans, given);
  out->scans = (size_t)scans;
  out->states = given - out->scans;
  if (body->input_count != given)
    return params_fail(c, "body", "has %u inputs, expected %zu", body->input_count, given);
  if (body->output_count < out->states || c->node->output_count > body->output_count)
    return params_fail(c, "body", "has %u outputs for %zu states and %u outputs of the node", body->output_count,
                       out->states, c->node->output_count);
  out->stacked = body->output_count - out->states;
  SDX_TRY(read_list(c, "scan_input_axes", out->scans, false, &out->in_axes));
  SDX_TRY(read_list(c, "scan_input_directions", out->scans, true, &out->in_directions));
  SDX_TRY(read_list(c, "scan_output_axes", out->stacked, false, &out->out_axes));
  return read_list(c, "scan_output_directions", out->stacked, true, &out->out_directions);
}

static sdx_status scan_upgrade(op_upgrade *u) {
  if (u->version >= 9) return SDX_OK;
  const attr *directions = node_attr(u->node, "directions");
  if (directions) {
    attr renamed = *directions;
    renamed.name = STR("scan_input_directions");
    SDX_TRY(node_set_attr(u->graph, u->node, renamed));
  }
  return node_set_attr(u->graph, u->node, attr_of_int("_batched", 1));
}

// ---- infer ------------------------------------------------------------------------------------------

static sdx_status slice_type(op_step *c, const params *p, size_t scan, const type_info *t, const type_info **out) {
  int64_t dims[TENSOR_MAX_RANK], axis = p->in_axes ? p->in_axes[scan] : 0;
  *out = type_tensor(c->memory, (sdx_dtype)t->dtype, -1, NULL);
  if (t->kind != TYPE_TENSOR || t->rank < 0) return SDX_OK;
  if (t->rank < 1)
    return step_fail_at(c, at_input(c->input_count - p->scans + scan), SDX_INVALID_SHAPE,
                        "has rank 0, expected at least 1");
  SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)t->rank, at_attribute("scan_input_axes"), c->err)));
  for (int d = 0; d < t->rank - 1; d++) dims[d] = t->dims[d + (d >= axis)];
  *out = type_tensor(c->memory, (sdx_dtype)t->dtype, t->rank - 1, dims);
  return SDX_OK;
}

static sdx_status scan_infer(op_step *c) {
  const params *p = c->params;
  size_t n = p->states + p->scans;
  const type_info **in = arena_array(c->memory, n + 1, sizeof *in), **types;
  if (!in) return error_no_memory(c->err, n * sizeof *in);
  if (p->batched) {  // types only
    for (size_t i = 0; i < p->states && i < c->output_count; i++)
      SDX_TRY(infer_output(c, i, infer_dtype_of(c, i + 1), -1, NULL));
    return SDX_OK;
  }
  for (size_t i = 0; i < n; i++) {
    SDX_TRY(infer_need(c, i));
    in[i] = c->in_types[i];
    if (i >= p->states) SDX_TRY(slice_type(c, p, i - p->states, c->in_types[i], &in[i]));
  }
  SDX_TRY(repeated_types(c, p->body.graph, n, in, 0, 0, p->states, &types));
  for (size_t i = 0; i < c->output_count; i++) {
    const type_info *t = types[i];
    if (t->kind != TYPE_TENSOR) continue;
    int64_t dims[TENSOR_MAX_RANK + 1];
    for (int d = 0; d <= t->rank; d++) dims[d] = DIM_UNKNOWN;
    if (i < p->states) SDX_TRY(infer_output(c, i, (sdx_dtype)t->dtype, in[i]->rank, in[i]->dims));
    else SDX_TRY(infer_output(c, i, (sdx_dtype)t->dtype, t->rank < 0 ? -1 : t->rank + 1, dims));
  }
  return SDX_OK;
}

// ---- compute ----------------------------------------------------------------------------------------

typedef struct scan {
  const value **in;    // of the body
  sdx_value **states;  // made by the last step
  sdx_value **slices;  // one per scan input, filled for every step
  sdx_value **out;     // of the body
  value_list *lists;   // per stacked output
} scan;

// Cuts position t out of a source along an axis.
static void fill_slice(op_step *c, const tensor *source, int64_t axis, int64_t t, tensor *slice) {
  int64_t outer = 1, inner = 1, n = source->dims[axis];
  if (slice->count == 0) return;
  for (int64_t d = 0; d < source->rank; d++)
    if (d != axis) *(d < axis ? &outer : &inner) *= source->dims[d];
  runs_copy(c, &(runs){outer, inner, t * inner, n * inner, 0, inner}, source, slice);
}

static sdx_status make_slice(op_step *c, const params *p, size_t i, const tensor *source, int64_t *axis,
                             int64_t *length, sdx_value **out) {
  int64_t dims[TENSOR_MAX_RANK];
  *axis = p->in_axes ? p->in_axes[i] : 0;
  SDX_TRY(step_located(c, axis_normalize(axis, source->rank, at_attribute("scan_input_axes"), c->err)));
  if (*length >= 0 && source->dims[*axis] < *length)
    return step_fail_at(c, at_input(c->input_count - p->scans + i), SDX_INVALID_SHAPE,
                        "has length %lld, expected %lld as before it", (long long)source->dims[*axis],
                        (long long)*length);
  if (*length < 0) *length = source->dims[*axis];
  else if (!p->batched && source->dims[*axis] != *length)
    return step_fail_at(c, at_input(c->input_count - p->scans + i), SDX_INVALID_SHAPE,
                        "has length %lld, expected %lld as before it", (long long)source->dims[*axis],
                        (long long)*length);
  for (int64_t d = 0; d < source->rank - 1; d++) dims[d] = source->dims[d + (d >= *axis)];
  return step_located(c, value_create(call_account(c), (sdx_dtype)source->dtype, source->rank - 1u, dims, NULL, NULL,
                                      NULL, out, c->err));
}

static sdx_status run_step(op_step *c, const params *p, scan *s) {
  SDX_TRY(body_run(c, p->body.graph, p->states + p->scans, s->in, s->out));
  for (size_t i = 0; i < p->states; i++) {
    value_release(s->states[i]);
    s->states[i] = s->out[i];
    s->out[i] = NULL;
    s->in[i] = &s->states[i]->value;
  }
  for (size_t i = 0; i < p->stacked; i++) {
    sdx_value *made = s->out[p->states + i];
    s->out[p->states + i] = NULL;
    SDX_TRY(list_add(c, &s->lists[i], made));
  }
  return SDX_OK;
}

// One sequence; sources[] are the scan inputs, s->in[0..states) the initial states. `length` < 0: all.
static sdx_status run_sequence(op_step *c, const params *p, scan *s, const tensor *const *sources, int64_t length) {
  int64_t axes[64];
  if (p->scans > 64) return step_fail(c, SDX_LIMIT_EXCEEDED, "%zu scan inputs are over the limit of 64", p->scans);
  for (size_t i = 0; i < p->scans; i++) {
    SDX_TRY(make_slice(c, p, i, sources[i], &axes[i], &length, &s->slices[i]));
    s->in[p->states + i] = &s->slices[i]->value;
  }
  for (int64_t t = 0; t < length; t++) {
    SDX_TRY(call_check(c));
    for (size_t i = 0; i < p->scans; i++) {
      bool backward = p->in_directions && p->in_directions[i];
      fill_slice(c, sources[i], axes[i], backward ? length - 1 - t : t, &s->slices[i]->value.tensor);
    }
    sdx_status status = run_step(c, p, s);
    values_release(s->out, p->body.graph->output_count);
    if (status != SDX_OK) {
      error_within(c->err, "step %lld", (long long)t);
      return step_located(c, status);
    }
  }
  return SDX_OK;
}

static sdx_status scan_create(op_step *c, const params *p, scan *s) {
  size_t inputs = p->states + p->scans,
         bytes = (2 * inputs + p->states + p->body.graph->output_count + 1) * sizeof(void *);
  void **pointers = call_alloc(c, bytes);
  s->lists = list_create(c, p->stacked);
  if (!pointers || !s->lists) return call_no_memory(c, bytes);
  memset(pointers, 0, bytes);
  s->in = (const value **)pointers;
  s->states = (sdx_value **)pointers + inputs;
  s->slices = s->states + p->states;
  s->out = s->slices + inputs;
  return SDX_OK;
}

static void scan_clear(const params *p, scan *s) {
  values_release(s->states, p->states);
  values_release(s->slices, p->scans);
  list_release(s->lists, p->stacked);
}

static sdx_status whole(op_step *c, const params *p, scan *s, const tensor **sources) {
  for (size_t i = 0; i < p->states; i++) s->in[i] = c->in[i];
  for (size_t i = 0; i < p->scans; i++) sources[i] = step_in(c, p->states + i);
  SDX_TRY(run_sequence(c, p, s, sources, -1));
  for (size_t i = 0; i < c->output_count; i++) {
    sdx_value *made;
    size_t k = i - p->states;
    if (!c->out[i]) continue;
    if (i < p->states && !s->states[i]) {
      SDX_TRY(move_value(c, i, c->in[i]));
      continue;
    }
    if (i < p->states) {
      made = s->states[i];
      s->states[i] = NULL;
    } else {
      stacking how = {&p->body,
                      s->in,
                      i,
                      s->lists[k].count,
                      p->out_axes ? p->out_axes[k] : 0,
                      p->out_directions && p->out_directions[k]};
      SDX_TRY(values_stack(c, &s->lists[k], &how, &made));
    }
    SDX_TRY(call_set_value(c, i, made));
  }
  return SDX_OK;
}

// ---- version 8: one batch entry after the other -----------------------------------------------------

// Entry b of a batched tensor, as a view.
static sdx_status entry(op_step *c, size_t input, int64_t batches, int64_t b, value *out) {
  const tensor *t = step_in(c, input);
  char text[200];
  if (!t || t->rank < 1 || t->dims[0] != batches)
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "is %s, expected a batch dimension of %lld",
                        t ? tensor_describe(t, text, sizeof text) : "missing", (long long)batches);
  if (dtype_is_packed((sdx_dtype)t->dtype))  // entries need not start at a byte; these types are younger
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "is %s, which version 8 does not know",
                        dtype_name((sdx_dtype)t->dtype));
  SDX_TRY(step_located(c, tensor_init(&out->tensor, (sdx_dtype)t->dtype, t->rank - 1u, t->dims + 1, c->err)));
  out->tensor.data = (char *)t->data + (size_t)b * out->tensor.bytes;
  out->kind = VALUE_TENSOR;
  return SDX_OK;
}

static sdx_status run_entry(op_step *c, const params *p, scan *s, int64_t batches, int64_t b, value *entries,
                            const tensor **sources, value_list *results) {
  const tensor *lengths = step_in(c, 0);
  for (size_t i = 0; i < p->states + p->scans; i++) {
    SDX_TRY(entry(c, i + 1, batches, b, &entries[i]));
    if (i < p->states) s->in[i] = &entries[i];
    else sources[i - p->states] = &entries[i].tensor;
  }
  int64_t most = sources[0]->rank ? sources[0]->dims[0] : 0,
          length = lengths ? tensor_index_at(lengths, (size_t)b) : most;
  if (length < 0 || length > most)
    return step_fail_at(c, at_input(0), SDX_OUT_OF_RANGE, "is %lld at %lld, expected 0 to %lld", (long long)length,
                        (long long)b, (long long)most);
  SDX_TRY(run_sequence(c, p, s, sources, length));
  for (size_t i = 0; i < p->body.graph->output_count; i++) {
    sdx_value *made = NULL;
    if (i >= p->states) {
      stacking how = {&p->body, s->in, i, (size_t)most, 0, false};
      SDX_TRY(values_stack(c, &s->lists[i - p->states], &how, &made));
    } else if (s->states[i]) {
      made = value_retain(s->states[i]);
    } else {
      SDX_TRY(step_located(c, value_copy(call_account(c), &entries[i], &made, c->err)));
    }
    SDX_TRY(list_add(c, &results[i], made));
  }
  return SDX_OK;
}

static sdx_status batched(op_step *c, const params *p, scan *s, const tensor **sources) {
  const tensor *first = step_in(c, 1), *lengths = step_in(c, 0);
  int64_t batches = first && first->rank ? first->dims[0] : 0;
  size_t bytes = (p->states + p->scans) * sizeof(value), outputs = p->body.graph->output_count;
  value *entries = call_alloc(c, bytes);
  value_list *results = list_create(c, outputs);
  if (!entries || !results) return call_no_memory(c, bytes);
  memset(entries, 0, bytes);
  if (lengths && (int64_t)lengths->count != batches)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %zu entries for %lld batch entries", lengths->count,
                        (long long)batches);
  sdx_status status = SDX_OK;
  for (int64_t b = 0; b < batches && status == SDX_OK; b++) {
    status = run_entry(c, p, s, batches, b, entries, sources, results);
    scan_clear(p, s);
  }
  for (size_t i = 0; i < c->output_count && status == SDX_OK; i++) {
    sdx_value *made;
    stacking how = {&p->body, NULL, i, (size_t)batches, 0, false};
    status = values_stack(c, &results[i], &how, &made);
    if (status == SDX_OK) status = call_set_value(c, i, made);
  }
  list_release(results, outputs);
  return status;
}

static sdx_status scan_compute(op_step *c) {
  const params *p = c->params;
  scan s = {0};
  SDX_TRY(scan_create(c, p, &s));
  const tensor **sources = call_alloc(c, p->scans * sizeof *sources);
  if (!sources) return call_no_memory(c, p->scans * sizeof *sources);
  sdx_status status = p->batched ? batched(c, p, &s, sources) : whole(c, p, &s, sources);
  scan_clear(p, &s);
  return status;
}

SDX_OP(Scan) = {
    .since = 25,
    .versions = "25 24 23 21 19 16 11 9 8",
    .inputs = "initial_state_and_scan_inputs:V? more:V*",
    .outputs = "final_state_and_scan_outputs:V*",
    .types = "V=any",
    .attrs =
        "body:graph! num_scan_inputs:int! scan_input_axes:ints scan_input_directions:ints "
        "scan_output_axes:ints scan_output_directions:ints _batched:int=0",
    .attrs_old = "directions:ints<9",
    .flags = OP_CONTROL | OP_MIXED,
    .params_size = sizeof(params),
    .params = scan_read,
    .upgrade = scan_upgrade,
    .infer = scan_infer,
    .compute = scan_compute,
};
