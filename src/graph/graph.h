// SPDX-License-Identifier: Apache-2.0
// The graph: values and nodes in one arena. Values are named by index (0 = absent); nodes keep
// topological order. A subgraph (branch or body) is a graph whose `outer` values stand for values
// of its parent. Passes edit through the functions below. Read next: edit.c, sort.c, type.c, verify.c, print.c,
// parse.c.
#pragma once

#include "base/text.h"
#include "graph/op_histogram.h"
#include "tensor/tensor.h"

typedef uint32_t value_id;  // 0 = "not given"
enum { VALUE_ABSENT = 0 };

typedef enum attr_kind {  // numbers of AttributeProto.AttributeType
  ATTR_FLOAT = 1,
  ATTR_INT,
  ATTR_STRING,
  ATTR_TENSOR,
  ATTR_GRAPH,
  ATTR_FLOATS,
  ATTR_INTS,
  ATTR_STRINGS,
  ATTR_TENSORS,
  ATTR_GRAPHS,
  ATTR_SPARSE_TENSOR,
  ATTR_SPARSE_TENSORS,
  ATTR_TYPE,
  ATTR_TYPES,
  ATTR_REFERENCE,  // in the graph of a function: `s` names the attribute of the call that stands here
} attr_kind;

typedef struct attr {
  str name;
  attr_kind kind;
  union {
    int64_t i;
    float f;
    str s;
    struct {
      const int64_t *at;
      size_t count;
    } ints;
    struct {
      const float *at;
      size_t count;
    } floats;
    struct {
      const str *at;
      size_t count;
    } strings;
    const tensor *tensor;
    struct {
      const tensor *const *at;
      size_t count;
    } tensors;
    struct graph *graph;
    struct {
      struct graph **at;
      size_t count;
    } graphs;
    const struct sparse_tensor *sparse;
    struct {
      const struct sparse_tensor *const *at;
      size_t count;
    } sparses;
    const type_info *type;
    struct {
      const type_info *at;
      size_t count;
    } types;
  };
} attr;

typedef struct sparse_tensor {
  tensor values, indices;
  const int64_t *dims;
  size_t rank;
} sparse_tensor;

struct op_def;  // ops/record.h

typedef struct node {
  const struct op_def *op;  // NULL until bound
  str name, domain, op_type;
  const str *doc;   // NULL: none
  int32_t version;  // since-version the node was written for; 0 once upgraded to newest
  uint32_t input_count, output_count, attr_count, capture_count;
  bool dead;                   // removed; skipped and dropped by graph_compact
  value_id *inputs, *outputs;  // VALUE_ABSENT where an optional one is left out
  attr *attrs;
  value_id *captures;         // outer values its subgraphs read: implicit inputs
  void *params;               // filled by op->params; lives in the graph's arena
  _Atomic uint64_t accepted;  // element types of inputs and outputs that its schema allows, as step_infer found
} node;

typedef struct graph_value {
  str name;
  type_info type;  // what inference proves, or what an input or constant is; free dims: DIM_UNKNOWN / ~symbol
  // What the file says of a value that a node makes, or of a body's input: a hint, no proof. Of a default: what may be
  // fed in its place.
  type_info declared;
  const tensor *constant;  // initializer (sparse ones made dense) or folded value, else NULL
  uint32_t producer;       // node index + 1, 0 = input/constant/outer
  value_id outer;          // subgraphs: the value of the parent this stands for, else 0
} graph_value;

typedef struct graph {
  arena *memory;
  struct graph *parent;
  str name, doc;
  graph_value *values;  // [0] is unused
  uint32_t value_count, value_capacity;
  node **nodes;
  uint32_t node_count, node_capacity;
  value_id *inputs, *outputs;
  uint32_t input_count, output_count;
  value_id *defaults;  // constants of the root that a run may feed others for, as if they were inputs
  uint32_t default_count;
  str *symbols;  // [0] = ""; shared with subgraphs through `root`
  uint32_t symbol_count, symbol_capacity;
  str_map names;         // value name -> id
  str_map symbol_names;  // named symbols of the root -> index
  uint32_t fresh;        // counter for generated names
} graph;

// A whole model: what the loader makes and a session keeps.
typedef struct opset_import {
  str domain;
  int64_t version;
} opset_import;
typedef struct key_value {
  str key, value;
} key_value;
// A local function of the file; its nodes stand in the graph wherever it was called.
typedef struct model_function {
  str domain, name, overload;
  size_t calls, nodes;  // calls that the graph holds or held; nodes in the function and its bodies
  graph *graph;         // where calls are kept, else NULL
  op_histogram operators;
} model_function;
typedef struct model {
  arena memory;
  graph *graph;
  int64_t ir_version, model_version;
  str producer_name, producer_version, domain, doc;
  opset_import *opsets;
  size_t opset_count;
  key_value *metadata;
  size_t metadata_count;
  model_function *functions;
  size_t function_count;
  text warnings;        // one a line
  text external_files;  // that its constants came from, a NUL behind each name
} model;

graph *graph_create(arena *memory, graph *parent);  // NULL: memory
// A graph of its own with the same values and nodes, whose names, types and tensors are those of `from`. Nodes that are
// bound stay so. NULL: memory.
graph *graph_clone(arena *memory, const graph *from);
// Room for so many values and nodes in all, so that growing leaves no garbage behind in the arena.
bool graph_reserve(graph *g, size_t values, size_t nodes);
// New value (name copied by reference; "" = a fresh unique name, a name that is taken gets a suffix). 0: memory.
value_id graph_add_value(graph *g, str name);
value_id graph_find(const graph *g, str name);                            // this graph only; 0 = none
value_id graph_add_constant(graph *g, str name, const tensor *constant);  // sets the type too
// Small constants made by upgrades and passes: 1-D int64, scalar float/int64 of a dtype.
value_id graph_constant_i64(graph *g, const int64_t *at, size_t count);
value_id graph_constant_scalar(graph *g, sdx_dtype dtype, double number);
// New node at the end (order is restored by graph_sort); outputs get their producer. NULL: memory.
node *graph_add_node(graph *g, str domain, str op_type, size_t inputs, const value_id *in, size_t outputs,
                     const value_id *out, error *err);
// The next graph_sort puts it right before its first reader, so upgrades and passes insert without
// caring about order. It is stable: nodes that are in order already stay where they are.
sdx_status node_set_attr(graph *g, node *n, attr a);  // adds or replaces by name
void node_remove_attr(node *n, const char *name);
const attr *node_attr(const node *n, const char *name);
int64_t node_attr_int(const node *n, const char *name, int64_t otherwise);
float node_attr_float(const node *n, const char *name, float otherwise);
// Fills captures from what the node's subgraphs stand in for: a sorted set.
sdx_status node_collect_captures(graph *g, node *n);
uint32_t node_find_capture(const node *n, value_id outer);  // its index in captures; capture_count: not there
// One sweep over node inputs, captures, subgraphs and graph outputs: every read of v becomes a read of to[v]
// (0 = as it is; chains are followed; `to` has value_count entries).
void graph_replace_many(graph *g, value_id *to);
// How many inputs, captures and graph outputs read each value: [value_count]; NULL: memory.
uint32_t *graph_count_uses(const graph *g, arena *memory);
// Drops dead nodes, restores topological order, renumbers producers, in g and all of its subgraphs.
// A cycle is an error that prints the path (SDX_INVALID_GRAPH).
sdx_status graph_sort(graph *g, error *err);
// The graphs an attribute holds: none, one, or a list.
size_t attr_graphs(const attr *a, struct graph *const **graphs);
// Free dimension: index of a named symbol (adds it); ~index is the dim. 0 (unknown) for "" or without memory.
int64_t graph_symbol(graph *g, str name);
int64_t graph_add_symbol(graph *g, str name);        // one more, unlike all others, whatever their names
bool dim_name_is_placeholder(str name);              // "?", "None", "unk__7", ...: says that there is no name
str graph_symbol_name(const graph *g, int64_t dim);  // "" when unnamed
type_info *type_tensor(arena *memory, sdx_dtype dtype, int rank, const int64_t *dims);
// "seq(map(int64,tensor(float)))" to a type whose parts lie in `room`; NULL: it is none.
const type_info *type_parse(const char *text, type_info *room, size_t count);
const char *type_describe(const graph *g, const type_info *t, char *buffer, size_t size);
// A tensor of known element type whose dimensions are all numbers.
bool type_is_fixed(const type_info *t);
// The best that is known of a value, for people and files: what is proved, else what is declared.
const type_info *type_best_known(const graph_value *v);
// The same dimension by dimension; the list lies in `memory`. false: memory.
bool type_complete(arena *memory, const graph_value *v, type_info *out);

// Checks every rule that needs no operator table: names, single assignment, arity of lists, order,
// scoping, limits. Reports each problem through `report` (check lists all; load stops at the first).
typedef struct graph_limits {
  size_t max_nodes, max_rank, max_subgraph_depth, max_name_bytes;
} graph_limits;
typedef struct problem_sink {
  void (*report)(void *context, bool warning, const error *problem);
  void *context;
} problem_sink;
sdx_status graph_verify(const graph *g, const graph_limits *limits, const problem_sink *sink, error *err);

// Text form: one line a node; print(parse(text)) = text. Used by pass tests, `inspect --graph`.
// Grammar and example: README.md. Large constants print as {...} and parse as zeros.
void graph_print(const graph *g, text *out);
sdx_status graph_parse(arena *memory, str source, graph **out, error *err);
