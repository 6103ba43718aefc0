// SPDX-License-Identifier: Apache-2.0
// ModelProto bytes <-> model. Import is zero-copy: names and tensors point into `bytes`, which must
// outlive the model. Nothing here knows the operator table; nodes come out unbound (op NULL).
// Read next: base/wire.h (protobuf), import.c, external.h (the one gate for files a model names).
#pragma once

#include "base/text.h"
#include "base/wire.h"
#include "graph/graph.h"

enum { ONNX_NEWEST_OPSET = 28 };  // of domain ai.onnx

// The file that a model was read from: its name as the user gave it, and what that was when it was opened.
typedef struct model_file {
  const char *path;
  uint64_t device, inode, names;  // names: hard links
} model_file;

// A limit of 0 takes its default (onnx/import.c).
typedef struct import_options {
  graph_limits limits;
  size_t max_function_depth;  // nesting of local function calls
  size_t decode_depth;        // nesting of protobuf messages
  const char *external_dir;   // where external data is looked for first; may be NULL
  const model_file *file;     // then beside it; NULL: the model came as bytes
  bool allow_hard_links;
  bool strict_dims;  // inputs that share a dimension's name share its size
  // Initializers that become defaults (graph.h) beside those that the graph lists as inputs: names, separated by
  // commas, "*" for all; may be NULL.
  const char *overridable;
  mem_account *account;  // what the model's arena and external data are charged to
  uint64_t deadline_ns;  // CLOCK_MONOTONIC, 0 = none
  // Written so (export_options): nodes are in newest form, their version 0; every input with an initializer is a
  // default.
  bool as_prepared;
  // Calls of local functions stay nodes, and the functions become graphs: to be looked at, not run.
  bool keep_calls;
  // Where all external data lies, whatever location it names; NULL: in files.
  const void *region;
  size_t region_bytes;
  // Bytes of the file that were copied, as their alignment asks, and are not looked at again; may be NULL.
  void (*spent)(void *context, const void *at, size_t bytes);
  void *context;
} import_options;

// Decodes, expands local functions (their own opset imports apply), resolves external data, builds
// graphs with captures, verifies what needs no operator table. Node versions hold the opset version
// of the node's domain (`version` = opset number; binding resolves it to a since-version).
// sink NULL: stop at the first problem. With a sink, problems that can be worked around are reported
// and the import goes on, so that binding can look for more: SDX_OK then means "there is a model", not
// "it is good"; what cannot be worked around is reported, too, and returned. On failure *out is NULL.
sdx_status onnx_import(const void *bytes, size_t size, const import_options *options, const problem_sink *sink,
                       model **out, error *err);
void model_destroy(model *m);

// A TensorProto in bytes (input_0.pb, output_0.pb): the value in memory charged to `account`.
sdx_status onnx_read_tensor(const void *bytes, size_t size, mem_account *account, sdx_value **out, error *err);
// Sequence- and OptionalProto too: `type` says what is expected (kind unknown = TensorProto).
sdx_status onnx_read_value(const void *bytes, size_t size, const type_info *type, mem_account *account, sdx_value **out,
                           error *err);
sdx_status onnx_write_tensor(const value *v, str name, wire_out *out);  // TensorProto with raw_data; name may be empty

// Every member may be 0.
typedef struct export_options {
  const char *external;       // name of the file that takes tensors of `external_least` bytes and more
  size_t external_least;      // 0: EXPORT_EXTERNAL_LEAST
  size_t external_alignment;  // of their bytes, at most a page, which 0 stands for: so that they can be mapped
  uint64_t external_at;       // where in the file they begin
  bool (*put_external)(void *context, const void *bytes, size_t size);
  // Bytes that are in the file already stay where they are: true and *offset. May be NULL.
  bool (*find_external)(void *context, const void *bytes, uint64_t *offset);
  // Bytes of a tensor that has none in memory, asked for when it is written; good until the next call. NULL: failure.
  const void *(*fetch)(void *context, const tensor *t);
  void *context;
  // For readers that bind without versions (ops_bind_graph): versions as the model says them, whatever form its nodes
  // have now, and no constant that nobody reads.
  bool as_prepared;
} export_options;
enum { EXPORT_EXTERNAL_LEAST = 1024 };
// ModelProto of a model whose nodes are in newest form, or all as they were built (node.version). options may be NULL.
sdx_status onnx_export(const model *m, const export_options *options, wire_out *out);
