// SPDX-License-Identifier: Apache-2.0
// Sardonyx: build an ONNX model and save it. For converters and generators; nothing here runs anything.
//
//   sdx_builder *b = sdx_builder_create(0);
//   sdx_graph *g = sdx_builder_graph(b);
//   sdx_io in = {.name = "x", .dtype = SDX_FLOAT, .has_shape = true, .rank = 2};
//   in.shape = (int64_t[]){-1, 4};
//   in.symbols = (const char *[]){"N", NULL};
//   sdx_ref x = sdx_graph_add_input(g, &in);
//   static float data[4 * 3];
//   sdx_value *weights = sdx_tensor_borrow(SDX_FLOAT, 2, (int64_t[]){4, 3}, data, NULL, NULL);
//   sdx_ref w = sdx_graph_add_initializer(g, "w", weights);
//   sdx_ref y = sdx_graph_add_node(g, "Gemm", "dense", SDX_REFS(x, w));
//   sdx_graph_set_float(g, "alpha", 0.5f);  // of the node added last
//   sdx_graph_add_output(g, y, &(sdx_io){.name = "y", .dtype = SDX_FLOAT});
//   if (sdx_builder_save(b, "model.onnx")) return puts(sdx_builder_error(b));
//   sdx_builder_destroy(b);
//
// The first failure stays with the builder and everything after it does nothing and gives 0, so a program may build
// to the end and look once, when it saves. What is added is checked as it comes: names, scopes, operators, their
// versions, attributes and arities. Texts, lists and shapes are copied; the bytes of tensors are not. A builder and
// its graphs belong to one thread at a time.
#pragma once

#include "sardonyx/sardonyx.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct sdx_builder sdx_builder;  // a model being made
typedef struct sdx_graph sdx_graph;      // its graph or a body of one of its nodes; belongs to the builder
typedef uint32_t sdx_ref;                // a value of the model. 0: none, an optional input that is left out

// opset: of ai.onnx, 7 or newer; 0 is the newest. Other standard domains get the version of the same release, as does
// the IR version. NULL when memory is exhausted.
SDX_API sdx_builder *sdx_builder_create(int64_t opset);
SDX_API void sdx_builder_destroy(sdx_builder *builder);
SDX_API sdx_status sdx_builder_status(const sdx_builder *builder);
SDX_API const char *sdx_builder_error(const sdx_builder *builder);  // "" if nothing failed
// Version of a domain ("" = ai.onnx); 0: the model does not import it. Nodes import what they need: sdx_builder_import
// is for domains that are nobody's standard, or for another version.
SDX_API int64_t sdx_builder_opset(const sdx_builder *builder, const char *domain);
SDX_API void sdx_builder_import(sdx_builder *builder, const char *domain, int64_t version);
// key: producer_name producer_version domain description graph_name graph_description model_version.
SDX_API void sdx_builder_describe(sdx_builder *builder, const char *key, const char *value);
SDX_API void sdx_builder_add_metadata(sdx_builder *builder, const char *key, const char *value);  // replaces its key
// The builder fails with this message, unless it failed before. Returns status.
SDX_API sdx_status sdx_builder_fail(sdx_builder *builder, sdx_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

SDX_API sdx_graph *sdx_builder_graph(sdx_builder *builder);
// A body for If, Loop, Scan and the like; it may read all values of its parents. It becomes part of the model with
// sdx_graph_set_graph.
SDX_API sdx_graph *sdx_graph_create(sdx_graph *parent);

// Of io count: name, dtype (or type, where it is no tensor), has_shape, rank, shape, symbols. Without dtype and type
// the type is left open, which only bodies may.
SDX_API sdx_ref sdx_graph_add_input(sdx_graph *graph, const sdx_io *io);
// The value gets the name of the output, through an Identity if it has to keep another.
SDX_API void sdx_graph_add_output(sdx_graph *graph, sdx_ref value, const sdx_io *io);
// A constant; the reference to the tensor passes over to the builder, and its bytes must not change before the model is
// saved. NULL (what a constructor gives without memory) is an error of the builder.
SDX_API sdx_ref sdx_graph_add_initializer(sdx_graph *graph, const char *name, sdx_value *tensor);
// A constant whose bytes are asked for when the model is written, so that large weights need not be in memory together.
// `fill` is called once for each time the model is saved; anything but SDX_OK ends that.
typedef sdx_status (*sdx_fill)(void *context, void *bytes, size_t size);
SDX_API sdx_ref sdx_graph_add_filled(sdx_graph *graph, const char *name, sdx_dtype dtype, size_t rank,
                                     const int64_t *shape, sdx_fill fill, void *context);
// Small ones: a list of int64, and a scalar of any type of number.
SDX_API sdx_ref sdx_graph_add_ints(sdx_graph *graph, size_t count, const int64_t *ints);
SDX_API sdx_ref sdx_graph_add_scalar(sdx_graph *graph, sdx_dtype dtype, double number);

// Adds a node; returns its first output. op: "Conv" or "com.microsoft::FusedConv". name may be NULL. Inputs are values
// of this graph and of those around it.
SDX_API sdx_ref sdx_graph_add_node(sdx_graph *graph, const char *op, const char *name, size_t count,
                                   const sdx_ref *inputs);
#define SDX_REFS(...) \
  sizeof((sdx_ref[]){__VA_ARGS__}) / sizeof(sdx_ref), (sdx_ref[]) { __VA_ARGS__ }
SDX_API sdx_ref sdx_graph_add_node_output(sdx_graph *graph);  // one more of the node added last
// Attributes of the node added last. A tensor's reference passes over.
SDX_API void sdx_graph_set_int(sdx_graph *graph, const char *name, int64_t value);
SDX_API void sdx_graph_set_float(sdx_graph *graph, const char *name, float value);
SDX_API void sdx_graph_set_string(sdx_graph *graph, const char *name, const char *text);
SDX_API void sdx_graph_set_ints(sdx_graph *graph, const char *name, size_t count, const int64_t *ints);
SDX_API void sdx_graph_set_floats(sdx_graph *graph, const char *name, size_t count, const float *floats);
SDX_API void sdx_graph_set_strings(sdx_graph *graph, const char *name, size_t count, const char *const *texts);
SDX_API void sdx_graph_set_tensor(sdx_graph *graph, const char *name, sdx_value *tensor);
SDX_API void sdx_graph_set_graph(sdx_graph *graph, const char *name, sdx_graph *body);
// As set_ints, but not copied: for lists that are as large as the model. They must last until the builder's end.
SDX_API void sdx_graph_lend_ints(sdx_graph *graph, const char *name, size_t count, const int64_t *ints);

// The name of a value, and the value of a name in this graph or around it (0: none).
SDX_API const char *sdx_graph_name(const sdx_graph *graph, sdx_ref value);
SDX_API sdx_ref sdx_graph_find(sdx_graph *graph, const char *name);
SDX_API void sdx_graph_rename(sdx_graph *graph, sdx_ref value, const char *name);  // a taken name gets a number

// Writes to another name, syncs, renames: the file is there wholly or not at all. Above 2 GB the weights go to a file
// beside it, PATH.data. report (may be NULL) hears of the progress now and then, in bytes.
SDX_API sdx_status sdx_builder_save(sdx_builder *builder, const char *path);
SDX_API void sdx_builder_on_progress(sdx_builder *builder, void (*report)(void *context, uint64_t done, uint64_t total),
                                     void *context);
// The model as bytes, to be released with sdx_string_free; NULL on failure.
SDX_API char *sdx_builder_bytes(sdx_builder *builder, size_t *size);

#ifdef __cplusplus
}
#endif
