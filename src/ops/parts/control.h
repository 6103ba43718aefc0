// SPDX-License-Identifier: Apache-2.0
// What Loop, Scan and SequenceMap share: lists of counted values that grow trip by trip, and stacking
// them along a new axis.
#pragma once

#include "ops/parts/move.h"

typedef struct value_list {
  sdx_value **at;
  size_t count, capacity;
} value_list;

sdx_status list_add(op_step *c, value_list *l, sdx_value *owned);  // takes the reference, also on failure
void list_release(value_list *lists, size_t count);                // of `count` lists
value_list *list_create(op_step *c, size_t count);                 // from the run's memory

// A body that runs again and again.
typedef struct repeated {
  graph *graph;
  const type_info *declared;  // what the file says of each output; passes may drop the values it is said of
} repeated;
sdx_status repeated_read(op_params_context *c, const char *attribute, repeated *out);

// How the items of one output of a body become one tensor: along a new axis, `length` >= count of them, the rest zeros.
typedef struct stacking {
  const repeated *body;
  const value *const *in;  // what the body was given last; NULL: it never came to that
  size_t output, length;
  int64_t axis;
  bool reverse;
} stacking;
// Items have one type and shape: those of the first; where there is none, those that the body would give, else the
// declared ones (free dimensions become 0).
sdx_status values_stack(op_step *c, const value_list *l, const stacking *s, sdx_value **out);

// `outer` runs of `inner` elements, each `step` elements after the one before; packed types too.
typedef struct runs {
  int64_t outer, inner;
  int64_t from, from_step, to, to_step;  // elements
} runs;
void runs_copy(op_step *c, const runs *r, const tensor *from, tensor *to);

// Runs a body whose outputs are all wanted; out[] is filled or, on failure, all NULL.
sdx_status body_run(op_step *c, graph *body, size_t inputs, const value *const *in, sdx_value **out);
void values_release(sdx_value **values, size_t count);

// Infers a body; types[] has one entry per output, all unknown if that cannot be done now or fails.
// A failure is not the model's: the body may never run with these types.
sdx_status body_types(op_step *c, graph *body, size_t inputs, const type_info *const *in, const type_info ***types);
// The same for a body whose inputs [first, first + carried) come back as outputs from `back` on. in[] then says what of
// them holds in every trip.
sdx_status repeated_types(op_step *c, graph *body, size_t inputs, const type_info **in, size_t first, size_t back,
                          size_t carried, const type_info ***types);
