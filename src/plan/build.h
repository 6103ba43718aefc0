// SPDX-License-Identifier: Apache-2.0
// How a plan is made: walk.c follows the nodes (types, what is computed at once, which become steps), places.c which
// of them go to devices, layouts.c chooses layouts, convert.c puts steps between them and lets views vanish, storage.c
// says which values share memory and when it is free, prepare is asked for kernels and packed weights, slab.c places
// what is left.
#pragma once

#include "plan/plan.h"

typedef struct builder {
  plan *p;
  const plan_request *request;
  graph *g;
  arena scratch;
  bool *needed;         // by value_id
  step_layouts *ports;  // by step; NULL: no step has a choice
  bool types_only;      // no plan comes of it: bodies are walked, too
  error *err;
} builder;

// A step while the plan is made: what layouts.c and convert.c decide by.
static inline bool builder_has_port(const builder *b, uint32_t step) { return b->ports && b->ports[step].in; }

// Whose bytes a value shows: views may stand on views.
static inline value_id plan_root(const plan *p, value_id v) {
  while (p->values[v].root != v) v = p->values[v].root;
  return v;
}

// build.c. Room for what is added is the caller's to make.
// A value of the plan's own: type and tensor are those of `like`.
value_id builder_add_value(builder *b, value_id like);
// v has no bytes of its own: it shows those of another value.
void builder_show(builder *b, value_id v, value_id shown);
str builder_name(const builder *b, value_id v);  // empty for the plan's own
// The plan reads a constant's bytes as they are: they stay, and come back if they were let go.
sdx_status builder_read_constant(builder *b, value_id v);
// A step that no node of the graph stands for. ids: inputs, then outputs; copied like params. name: lives in the plan,
// NULL: no memory.
sdx_status builder_make_step(builder *b, const op_def *op, const char *name, const void *params, uint32_t inputs,
                             uint32_t outputs, const value_id *ids, plan_step *out);

// Steps and types of all values. Views are steps still, marked so.
sdx_status walk_nodes(builder *b);
// Chooses step.place, and copies values between places.
sdx_status choose_places(builder *b);
// Chooses step.layout and the layouts of values.
sdx_status choose_layouts(builder *b);
// Gives every step its inputs in the layout it wants, and graph outputs in ONNX's.
sdx_status convert_layouts(builder *b);
// Life spans, values that share memory, lists of views and releases.
sdx_status assign_storage(builder *b);
// pack_ahead.c: makes the packs that a step whose shapes depend on data will most likely ask for.
void pack_ahead(builder *b, const plan_step *s);
// Offsets of values and scratch in the slab, and its size.
sdx_status assign_slab(builder *b);
