// SPDX-License-Identifier: Apache-2.0
// Sardonyx: open a model, change it, save it. A model that was opened is a builder (build.h) whose graph is there
// already: what build.h adds can be added to it, what stands in it is found, changed and removed by what is declared
// here.
//
//   sdx_builder *b;
//   if (sdx_builder_open("model.onnx", NULL, &b)) return puts(sdx_builder_error(b));
//   sdx_graph *g = sdx_builder_graph(b);
//   for (size_t i = 0; i < sdx_graph_node_count(g); i++)
//     if (!strcmp(sdx_graph_node_op(g, i), "Relu")) sdx_graph_replace(g, sdx_graph_node_output(g, i, 0), ...);
//   sdx_builder_sweep(b);
//   if (sdx_builder_save(b, "changed.onnx")) return puts(sdx_builder_error(b));
//   sdx_builder_destroy(b);
//
// A value has one sdx_ref for as long as the builder lives. Nodes are numbered; their numbers hold until
// sdx_builder_sweep, _rewrite, _raise or _save. New nodes come behind the others: saving brings them into order.
#pragma once

#include "sardonyx/build.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- models -----------------------------------------------------------------------------------------

// Nodes are as the file has them, in its versions; calls of local functions are expanded. The options are those of a
// load. On failure *builder holds the error, or is NULL without memory; destroy it either way.
SDX_API sdx_status sdx_builder_open(const char *path, const sdx_options *options, sdx_builder **builder);
// Constants that the model lists as inputs, so that a run may feed others, are constants alone.
SDX_API void sdx_builder_freeze(sdx_builder *builder);
// The passes of the engine that give a graph every reader of ONNX understands; `passes` is "shrink" (removes and
// folds), "standard" (fuses, too) or "contrib" (also to operators of com.microsoft). The model is frozen first, since
// what is computed beforehand can be fed no more. The versions of operators stay where they can, else they become the
// lowest that can say it.
SDX_API sdx_status sdx_builder_rewrite(sdx_builder *builder, const char *passes);
// Nodes become those of a newer opset of ai.onnx; 0: the lowest in which all of them can be said.
SDX_API sdx_status sdx_builder_raise(sdx_builder *builder, int64_t opset);
// Types and shapes of all values, as sdx_graph_describe gives them.
SDX_API sdx_status sdx_builder_infer(sdx_builder *builder);
// Everything of `other`, of the same opset, becomes part of the builder, which takes `other` over, whatever happens.
// Names get the prefix, and a number where they are taken.
SDX_API sdx_status sdx_builder_append(sdx_builder *builder, sdx_builder *other, const char *prefix);
// Removes nodes and constants that no output needs. Inputs stay.
SDX_API sdx_status sdx_builder_sweep(sdx_builder *builder);
// {"opset": 17, "nodes": 12, "weights": 3, "weight_bytes": 400, "operators": {"Conv": 4, ...}}, bodies included.
// Release with sdx_string_free.
SDX_API char *sdx_builder_summary(sdx_builder *builder);

// ---- values -----------------------------------------------------------------------------------------

SDX_API size_t sdx_graph_input_count(const sdx_graph *graph);
SDX_API size_t sdx_graph_output_count(const sdx_graph *graph);
SDX_API sdx_ref sdx_graph_input(sdx_graph *graph, size_t index);
SDX_API sdx_ref sdx_graph_output(sdx_graph *graph, size_t index);
// What is known of a value; borrowed until the builder's end.
SDX_API sdx_io sdx_graph_describe(sdx_graph *graph, sdx_ref value);
// All values of this graph by number, 1 up to and including the count; 0 where it stands for one of a graph around it.
SDX_API size_t sdx_graph_value_count(const sdx_graph *graph);
SDX_API sdx_ref sdx_graph_value(sdx_graph *graph, size_t number);
// A constant's tensor, over the builder's bytes, to be released; NULL: it is none, or one of strings.
SDX_API sdx_value *sdx_graph_constant(sdx_graph *graph, sdx_ref value);
// Declares another type or shape: of an input, or what the file says of other values.
SDX_API void sdx_graph_declare(sdx_graph *graph, sdx_ref value, const sdx_io *io);
// All that read `value` read `other`, outputs of the graph included; nodes before `first` stay as they are.
SDX_API void sdx_graph_replace(sdx_graph *graph, sdx_ref value, sdx_ref other, size_t first);
// Whether a node, a body or the list of outputs reads a value of this graph.
SDX_API bool sdx_graph_is_read(sdx_graph *graph, sdx_ref value);
// The value becomes an input: whatever made it, makes it no more.
SDX_API void sdx_graph_make_input(sdx_graph *graph, sdx_ref value);
SDX_API void sdx_graph_remove_input(sdx_graph *graph, sdx_ref value);
SDX_API void sdx_graph_remove_output(sdx_graph *graph, size_t index);
SDX_API void sdx_graph_clear_outputs(sdx_graph *graph);
// A value becomes the output of that number and name; whatever has the name gets another.
SDX_API void sdx_graph_set_output(sdx_graph *graph, size_t index, sdx_ref value, const char *name);

// ---- nodes ------------------------------------------------------------------------------------------

enum { SDX_NO_NODE = -1 };
SDX_API size_t sdx_graph_node_count(const sdx_graph *graph);
// "Conv", "com.microsoft::FusedConv"; "" of a node that was removed.
SDX_API const char *sdx_graph_node_op(const sdx_graph *graph, size_t node);
SDX_API const char *sdx_graph_node_name(const sdx_graph *graph, size_t node);
SDX_API size_t sdx_graph_node_input_count(const sdx_graph *graph, size_t node);
SDX_API size_t sdx_graph_node_output_count(const sdx_graph *graph, size_t node);
SDX_API sdx_ref sdx_graph_node_input(sdx_graph *graph, size_t node, size_t index);
SDX_API sdx_ref sdx_graph_node_output(sdx_graph *graph, size_t node, size_t index);
SDX_API void sdx_graph_node_set_input(sdx_graph *graph, size_t node, size_t index, sdx_ref value);
SDX_API void sdx_graph_node_set_output(sdx_graph *graph, size_t node, size_t index, sdx_ref value);
SDX_API void sdx_graph_node_rename(sdx_graph *graph, size_t node, const char *name);
SDX_API void sdx_graph_node_remove(sdx_graph *graph, size_t node);
// The node that makes a value of this graph, or SDX_NO_NODE.
SDX_API int64_t sdx_graph_producer(sdx_graph *graph, sdx_ref value);
// Graphs that the node holds, in order; NULL past the last.
SDX_API sdx_graph *sdx_graph_node_body(sdx_graph *graph, size_t node, size_t index);
// Attributes; `otherwise` or NULL where there is none of that name and kind.
SDX_API int64_t sdx_graph_node_int(const sdx_graph *graph, size_t node, const char *name, int64_t otherwise);
SDX_API float sdx_graph_node_float(const sdx_graph *graph, size_t node, const char *name, float otherwise);
SDX_API const int64_t *sdx_graph_node_ints(const sdx_graph *graph, size_t node, const char *name, size_t *count);
SDX_API sdx_value *sdx_graph_node_tensor(const sdx_graph *graph, size_t node, const char *name);  // to be released
SDX_API void sdx_graph_node_drop(sdx_graph *graph, size_t node, const char *attribute);
// Attributes are set (sdx_graph_set_int, ...) on this node.
SDX_API void sdx_graph_select(sdx_graph *graph, size_t node);

#ifdef __cplusplus
}
#endif
