// SPDX-License-Identifier: Apache-2.0
// A model that is being built: the engine's graph with references for callers outside of it. A reference is an index
// into a table of (graph, value), so that one number serves in all graphs; a graph that reads a value of a graph around
// it gets stand-ins on the way down. Read next: builder.c (model, names, checks), graph.c (values, nodes, attributes),
// save.c; open.c, edit.c, rewrite.c, append.c (models that were there before).
#pragma once

#include "graph/graph.h"
#include "onnx/onnx.h"
#include "sardonyx/edit.h"

struct sdx_graph {
  sdx_builder *builder;
  graph *graph;
  sdx_graph *parent, *next;  // next: of the builder's list of all graphs, newest first
  node *last;                // what attributes are set on
  sdx_ref *refs;             // of its values that have one, by number
  size_t ref_capacity;
  bool attached;  // an attribute holds it
};

typedef struct build_value {
  sdx_graph *graph;
  value_id id;
} build_value;

// A tensor without bytes: `fill` makes them when they are written.
typedef struct build_filled {
  tensor tensor;  // first: a tensor without data is one of these
  sdx_fill fill;
  void *context;
} build_filled;

struct sdx_builder {
  model model;
  sdx_session *source;             // that the model was opened in: holds its bytes, and what passes make; may be NULL
  sdx_builder *parts, *next_part;  // builders whose models became part of this one
  error err;
  sdx_graph *main, *graphs;
  str_map names;  // of all values of the model: ONNX wants nested graphs to differ
  uint32_t fresh;
  build_value *values;  // by reference
  size_t value_count, value_capacity;
  sdx_value **kept;  // tensors that were handed over
  size_t kept_count, kept_capacity;
  size_t opset_capacity, metadata_capacity;
  size_t most_inside;  // bytes of a file; above it the weights get a file of their own
  void (*report)(void *context, uint64_t done, uint64_t total);
  void *report_context;
};

static inline bool build_failed(const sdx_builder *b) { return b->err.status != SDX_OK; }
static inline arena *build_memory(sdx_builder *b) { return &b->model.memory; }
void build_no_memory(sdx_builder *b);
// A copy in the model's memory; {NULL, 0} after a failure.
str build_text(sdx_builder *b, const char *text);
// `wish`, or with a number behind it where that is taken; of an empty one "v". The name is taken then.
str build_name(sdx_builder *b, str wish);
sdx_ref build_refer(sdx_graph *g, value_id id);
// The value of the graph that has the name now: its map still knows names from before a renaming. 0: none.
value_id build_find(const sdx_graph *g, str name);
// Texts of C and references for all that stands in a body that was made elsewhere; false after a failure.
bool build_adopt_body(sdx_graph *parent, graph *g);
// The output becomes a value of its own, which an Identity makes; its number, 0 after a failure.
value_id build_own_output(sdx_graph *g, uint32_t i);
// It gets the name; whatever has it gets another.
void build_name_output(sdx_graph *g, uint32_t i, str name);
// The graph of a body that the builder knows.
sdx_graph *build_graph_of(sdx_builder *b, const graph *g);
void build_set_type(sdx_graph *s, value_id id, const sdx_io *io);
// The value of a reference as the graph sees it, through stand-ins; 0 after a failure.
value_id build_resolve(sdx_graph *s, sdx_ref ref);
void build_append_end(sdx_builder *b, value_id **list, uint32_t *count, value_id id);
// Room for one more element of an array from mem_alloc.
bool build_grow(void **at, size_t count, size_t *capacity, size_t element_bytes);
// The model's IR version is not older than the release of the opset.
void build_fit_release(sdx_builder *b, int64_t opset);
// Nodes that were added get their version, bodies their captures: then the graph is as an import makes it.
sdx_status build_complete(sdx_builder *b);
// Completes the graphs and checks them: what is left to find when nothing more is added.
sdx_status build_check(sdx_builder *b);
