// SPDX-License-Identifier: Apache-2.0
// Model-local functions as they stand in the file: found by name, checked against calling each other
// in a circle before anything is expanded. Expansion itself is in import_graph.c.
#pragma once

#include "base/wire.h"
#include "graph/graph.h"

typedef struct function {
  str domain, name, overload;
  model_function *kept;        // what the model remembers of it
  wire body;                   // FunctionProto, scanned
  const opset_import *opsets;  // its own; NULL: the model's
  uint32_t opset_count;
  uint32_t next;   // index + 1 of another function with this name
  uint32_t depth;  // longest chain of calls that begins here, 1 = calls no function
} function;

typedef struct function_table {
  function *at;
  size_t count;
  str_map by_name;  // first index
} function_table;

enum { MAX_FUNCTIONS = 65536, MAX_OPSETS = 1024 };

// Reads opset_import messages (slot of schema) into `memory`.
sdx_status opsets_read(arena *memory, wire message, const wire_schema *schema, size_t slot, size_t count,
                       opset_import **out, size_t *out_count, error *err);
// "ai.onnx" is "".
str domain_canonical(str domain);

// `count` functions of a scanned ModelProto: the table lies in `memory`, m->functions in the model's.
sdx_status functions_read(function_table *t, arena *memory, model *m, wire file, size_t count, size_t max_depth,
                          error *err);
const function *function_find(const function_table *t, str domain, str name, str overload);
