// SPDX-License-Identifier: Apache-2.0
// What the two halves of the import share: import.c (the model) and import_graph.c with its parts (graphs, nodes,
// attributes, expanded functions; import_scope.h).
#pragma once

#include "onnx/function.h"
#include "onnx/onnx.h"
#include "onnx/tensor_proto.h"
#include "onnx/type_proto.h"

// However the limits are set: what nests in the file may nest on our stack no deeper than this.
enum { MOST_SUBGRAPHS_DEEP = 256, MOST_FUNCTIONS_DEEP = 256 };

// A tensor of a function: read at the first call, shared by the others.
typedef struct shared_tensor {
  const void *place;  // of its message; these bytes are its key
  tensor tensor;
  str name;
} shared_tensor;

typedef struct importer {
  const import_options *options;
  const problem_sink *sink;
  model *model;
  arena scratch;  // until the import ends
  tensor_reader tensors;
  external_gate gate;
  type_limits types;
  function_table functions;
  // Nodes made and functions expanded. A node takes two bytes of a file, so that only functions reach the bound that
  // goes by its size.
  size_t work, most_work;
  size_t expanded, most_expanded;  // bytes that expanded functions take
  size_t unexpanded;               // bytes in use, less these
  bool expanding;
  str_map shared_by_place;  // -> index
  shared_tensor **shared;
  size_t shared_count, shared_room;
  value_id *ids;  // room for the inputs and outputs of one node
  size_t ids_room;
  bool out_of_order;  // a node stands before one whose output it reads
  size_t problems;    // reported through the sink
  error *err;
} importer;

// With a sink a problem is reported and forgotten, unless memory, a limit or the time is spent. Else it is returned.
bool import_goes_on(const importer *im, sdx_status status);
// Does so; `code` and `place` are for errors that have none.
sdx_status import_settle(importer *im, sdx_status status, const char *code, const char *place);
// tensor_proto_read, but what lies in a function is read once.
sdx_status import_tensor(importer *im, tensor_reader *r, wire message, bool in_function, tensor *out, str *name);
// Builds the model's graph from a GraphProto.
sdx_status import_graph(importer *im, wire message, graph **out);
// Gives each function of the model a graph.
sdx_status import_functions(importer *im);
