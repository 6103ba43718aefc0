// SPDX-License-Identifier: Apache-2.0
// What the parts of import_graph.c share: a graph under construction, what names mean in it, a node of the file.
//
// Local functions are expanded while nodes are built. A scope says what names mean: names of a graph
// are in the graph, names of a function body in a map of the call. Attributes that a body takes from
// its call are read where they are used, with the scope of the caller.
#pragma once

#include "onnx/import.h"
#include "onnx/proto.h"

enum { PENDING = UINT32_MAX };  // producer of a value whose node is not built yet

// A graph under construction; `outer` is the graph its subgraph-node is in.
typedef struct building {
  struct building *outer;
  graph *graph;
  uint32_t declared;  // values below have names of the file
  str_map captured;   // name in the outer graph -> stand-in here
  size_t depth;
} building;

typedef struct scope {
  const struct scope *outer;  // where names that are not found are looked for; NULL in function bodies
  building *at;               // the graph whose values the names mean
  str_map *names;             // function bodies; NULL: the graph's own names
  const struct call *call;    // where attributes come from, NULL outside of functions
  const opset_import *opsets;
  size_t opset_count;
} scope;

typedef struct call {
  const function *function;
  wire node;            // the calling NodeProto
  const scope *caller;  // its scope
  str_map outputs;      // formal output -> value of the caller
} call;

// A node of the file before it is built.
typedef struct node_head {
  wire message;
  size_t index;
  wire_counts counts;
  str name, op_type, domain, overload, doc;
  size_t named_outputs;
} node_head;

// import_settle for a problem of a node.
sdx_status import_settle_node(importer *im, const scope *s, const node_head *h, sdx_status status, const char *code);
sdx_status import_no_memory(importer *im);
// For a tensor that is read `once`: of its bytes in the file, those that were copied are let go.
tensor_reader import_reader(const importer *im, bool once);

// ---- import_names.c ---------------------------------------------------------------------------------------

// The value a name means, and the graph it is in; false: nobody knows the name. An optional input of a
// function that its call leaves out is known, and absent.
bool scope_find(const scope *s, str name, const building **home, value_id *id);
// The value of `target` that the name of `part`, read in scope s, means; 0 for "".
sdx_status scope_resolve(importer *im, const scope *s, building *target, error_part part, value_id *out);
// A name that a node of scope s makes. *id = 0 where the name is taken.
sdx_status scope_declare(importer *im, const scope *s, str name, value_id *id);
// Fails because the name is `what` already.
sdx_status scope_fail_twice(importer *im, error_part part, const char *what);

// ---- import_attributes.c ----------------------------------------------------------------------------------

// Names of all attributes of a NodeProto: none empty, none twice. Before memory is asked for.
sdx_status import_check_attributes(importer *im, wire message);
// Into `parts`: a node that has no place in the graph yet.
sdx_status import_attributes(importer *im, const scope *s, const node_head *h, node *parts);

// ---- import_defaults.c ------------------------------------------------------------------------------------

// Every free dimension of an input is one of its own, whatever it is called: callers feed sizes that differ under one
// name. `named`: but for those of one name, which says so.
sdx_status import_own_dims(importer *im, graph *g, type_info *t, bool named);
// An initializer is listed as an input of this type: a default, unless the file is of before IR version 4, where all
// were listed. What is declared must fit it.
sdx_status default_declare(importer *im, graph *g, value_id id, const type_info *declared);
// The initializers that the options name become defaults, too.
sdx_status defaults_add_named(importer *im, graph *g);

// ---- import_graph.c ---------------------------------------------------------------------------------------

// A GraphProto that is an attribute; its names are looked for in `names`, which means values of `outer`.
sdx_status import_subgraph(importer *im, const scope *names, building *outer, wire message, graph **out);
