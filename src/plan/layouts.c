// SPDX-License-Identifier: Apache-2.0
// Which layout each step works in. Records say what their operators take and give; of all choices the one is taken that
// costs least in bytes reordered over the whole graph, less what steps gain by channels-last. That is a minimum cut: a
// choice per step, and per value read by several whether some reader wants it in the other layout (the reordered copy
// serves all of them).
#include "plan/build.h"
#include "plan/cut.h"

// What a port lies in: one of the two, or what a choice says.
typedef struct side {
  bool free;
  uint32_t choice;  // free; else 1 for channels-last
} side;

typedef struct reader {
  uint32_t step, next;  // next: of the same value, + 1
  uint8_t port;
} reader;

typedef struct chooser {
  builder *b;
  uint32_t *first;  // by value: its first reader + 1
  reader *readers;
  uint32_t reader_count;
  side *written;  // by value: what it lies in
  cut *cut;
  uint32_t choices;  // of steps, then of values
} chooser;

// ---- ports ------------------------------------------------------------------------------------------

// Elementwise steps work in any layout, as long as what they broadcast can be shown in it.
static bool pointwise_ports(const op_step *c, step_layouts *l) {
  const type_info *out = &c->out_types[0];
  if (out->rank < 3) return false;
  for (uint32_t i = 0; i < c->output_count; i++) {
    l->out[i] = PORT_CHOSEN;
    if (c->node->outputs[i] && (!layout_fits(&c->out_types[i]) || c->out_types[i].rank != out->rank)) return false;
  }
  for (uint32_t i = 0; i < c->input_count; i++) {
    const type_info *in = c->in_types[i];
    int64_t dims[TENSOR_MAX_RANK];
    if (!in) continue;
    if (!layout_fits(in) || in->rank > out->rank) return false;
    l->in[i] = in->rank == out->rank ? PORT_CHOSEN : PORT_BROADCAST;
    if (in->rank == out->rank) continue;
    for (int d = 0; d < out->rank; d++) dims[d] = d < out->rank - in->rank ? 1 : in->dims[d - (out->rank - in->rank)];
    if (!layout_is_moot((size_t)out->rank, dims)) return false;
  }
  return true;
}

static sdx_status list_ports(builder *b, bool *any) {
  plan *p = b->p;
  *any = false;
  b->ports = arena_array(&b->scratch, p->step_count, sizeof *b->ports);
  if (!b->ports) return error_no_memory(b->err, p->step_count * sizeof *b->ports);
  for (uint32_t s = 0; s < p->step_count; s++) {
    plan_step *step = &p->steps[s];
    const op_def *op = step->step.node->op;
    if (step->dynamic || step->place || (!op->layouts && !(op->flags & OP_POINTWISE))) continue;
    step_layouts l = {.in = arena_zalloc(&b->scratch, step->step.input_count + 1),
                      .out = arena_zalloc(&b->scratch, step->step.output_count + 1)};
    if (!l.in || !l.out) return error_no_memory(b->err, step->step.input_count);
    if (op->layouts) op->layouts(&step->step, &l);
    else if (!pointwise_ports(&step->step, &l)) continue;
    *any |= l.gain > 0;
    b->ports[s] = l;
  }
  return SDX_OK;
}

// ---- costs ------------------------------------------------------------------------------------------

static side side_of(uint8_t port, uint32_t step) {
  return port == PORT_CHOSEN ? (side){true, step} : (side){false, port == PORT_CHANNELS_LAST};
}

// A reader that is content with either layout has no side.
static bool reads_from(const builder *b, const reader *r, side *out) {
  uint8_t port = builder_has_port(b, r->step) ? b->ports[r->step].in[r->port] : PORT_ONNX;
  *out = side_of(port == PORT_BROADCAST ? PORT_ONNX : port, r->step);
  return port != PORT_ANY;
}

static void list_readers(chooser *c) {
  const plan *p = c->b->p;
  for (uint32_t s = 0; s < p->step_count; s++)
    for (uint32_t i = p->steps[s].step.input_count; i-- > 0;) {
      value_id v = p->steps[s].inputs[i];
      if (!v) continue;
      c->readers[c->reader_count] = (reader){.step = s, .next = c->first[v], .port = (uint8_t)(i < 255 ? i : 255)};
      c->first[v] = ++c->reader_count;
    }
}

// It costs so much if the first is channels-last while the second is not.
static void pay(chooser *c, side a, side b, int64_t cost) {
  if (a.free && b.free) cut_pair(c->cut, a.choice, b.choice, cost);
  else if (a.free && b.choice == 0) cut_cost(c->cut, a.choice, 0, cost);
  else if (b.free && a.choice == 1) cut_cost(c->cut, b.choice, cost, 0);
}

// The bytes of a value are paid once if some reader wants them in the layout that they are not written in.
static void add_value(chooser *c, value_id v) {
  const plan_value *pv = &c->b->p->values[v];
  bool fixed_there = pv->storage == STORE_CONST || !pv->known;  // constants are reordered while planning
  if (fixed_there || layout_is_moot((size_t)pv->type.rank, pv->type.dims)) return;
  int64_t bytes = pv->value.tensor.bytes < INT64_MAX / 2 ? (int64_t)pv->value.tensor.bytes : INT64_MAX / 2;
  side written = c->written[v], one = {0};
  uint32_t count = 0;
  for (uint32_t r = c->first[v]; r; r = c->readers[r - 1].next) count += reads_from(c->b, &c->readers[r - 1], &one);
  if (count <= 1) {
    if (count == 0) return;
    for (uint32_t r = c->first[v]; r; r = c->readers[r - 1].next)
      if (reads_from(c->b, &c->readers[r - 1], &one)) break;
    pay(c, one, written, bytes);
    pay(c, written, one, bytes);
    return;
  }
  side last = {true, c->choices++}, onnx = {true, c->choices++};  // 1: some reader wants channels-last; 0: ONNX's
  for (uint32_t r = c->first[v]; r; r = c->readers[r - 1].next) {
    if (!reads_from(c->b, &c->readers[r - 1], &one)) continue;
    pay(c, one, last, CUT_NEVER);
    pay(c, onnx, one, CUT_NEVER);
  }
  pay(c, last, written, bytes);
  pay(c, written, onnx, bytes);
}

// ---- choice -----------------------------------------------------------------------------------------

static bool prepare_cut(chooser *c) {
  const plan *p = c->b->p;
  arena *a = &c->b->scratch;
  size_t readers = 0;
  for (uint32_t s = 0; s < p->step_count; s++) readers += p->steps[s].step.input_count;
  c->first = arena_array(a, p->value_count, sizeof *c->first);
  c->readers = arena_array(a, readers + p->graph->output_count, sizeof *c->readers);
  c->written = arena_array(a, p->value_count, sizeof *c->written);
  if (!c->first || !c->readers || !c->written) return false;
  list_readers(c);
  size_t values = 0;
  for (value_id v = 1; v < p->value_count; v++) values += c->first[v] != 0;
  c->choices = p->step_count;
  c->cut = cut_create((uint32_t)(p->step_count + 2 * values), 2 * readers + 4 * values + 2 * p->step_count, a);
  return c->cut != NULL;
}

// Graph outputs are read in ONNX's layout, like inputs of steps without ports.
static void add_results(chooser *c) {
  const plan *p = c->b->p;
  for (uint32_t i = 0; i < p->graph->output_count; i++) {
    value_id v = p->graph->outputs[i];
    const plan_value *pv = &p->values[v];
    if (p->wanted[i] && pv->known && pv->storage == STORE_SLAB && !layout_is_moot((size_t)pv->type.rank, pv->type.dims))
      pay(c, c->written[v], (side){false, 0}, (int64_t)(pv->value.tensor.bytes / 2));
  }
}

static sdx_status set_layout(builder *b, value_id v, layout l) {
  plan_value *pv = &b->p->values[v];
  tensor *t = &pv->value.tensor;
  if (l == LAYOUT_ONNX || t->rank < 3) return SDX_OK;
  int64_t *dims = arena_array(&b->p->memory, t->rank, sizeof *dims);
  if (!dims) return error_no_memory(b->err, t->rank * sizeof *dims);
  layout_dims(l, t->rank, pv->type.dims, dims);
  t->dims = dims;
  pv->layout = (uint8_t)l;
  return SDX_OK;
}

static sdx_status take(builder *b, const bool *chosen) {
  plan *p = b->p;
  for (uint32_t s = 0; s < p->step_count; s++) {
    plan_step *step = &p->steps[s];
    if (!builder_has_port(b, s)) continue;
    step->step.layout = chosen[s] ? LAYOUT_CHANNELS_LAST : LAYOUT_ONNX;
    step->view |= chosen[s] && b->ports[s].view;
    for (uint32_t i = 0; i < step->step.output_count; i++) {
      uint8_t port = b->ports[s].out[i];
      bool last = port == PORT_CHANNELS_LAST || (port == PORT_CHOSEN && chosen[s]);
      if (step->outputs[i]) SDX_TRY(set_layout(b, step->outputs[i], last ? LAYOUT_CHANNELS_LAST : LAYOUT_ONNX));
    }
  }
  return SDX_OK;
}

sdx_status choose_layouts(builder *b) {
  plan *p = b->p;
  bool any;
  if (!b->request->layouts) return SDX_OK;
  SDX_TRY(list_ports(b, &any));
  if (!any) {
    b->ports = NULL;
    return SDX_OK;
  }
  chooser c = {.b = b};
  if (!prepare_cut(&c)) return error_no_memory(b->err, p->step_count * sizeof(side));
  for (uint32_t s = 0; s < p->step_count; s++) {
    const plan_step *step = &p->steps[s];
    bool has = builder_has_port(b, s);
    for (uint32_t i = 0; i < step->step.output_count; i++)
      if (step->outputs[i]) c.written[step->outputs[i]] = side_of(has ? b->ports[s].out[i] : PORT_ONNX, s);
    if (has)
      cut_cost(c.cut, s, b->ports[s].gain > 0 ? b->ports[s].gain : 0, b->ports[s].gain < 0 ? -b->ports[s].gain : 0);
  }
  for (value_id v = 1; v < p->value_count; v++)
    if (c.first[v]) add_value(&c, v);
  add_results(&c);
  bool *chosen = arena_array(&b->scratch, p->step_count + 2 * (size_t)p->value_count, sizeof *chosen);
  if (!chosen || !cut_solve(c.cut, chosen, &b->scratch)) return error_no_memory(b->err, p->step_count);
  return take(b, chosen);
}
