// SPDX-License-Identifier: Apache-2.0
// TensorProto and SparseTensorProto <-> tensor. Whatever the file claims, memory is asked for by the
// bytes that are there: raw_data is used in place where its alignment allows.
#pragma once

#include "base/text.h"
#include "base/wire.h"
#include "graph/graph.h"
#include "onnx/external.h"

typedef struct tensor_reader {
  arena *memory;  // dims, and data that cannot stay in the file
  size_t max_rank;
  external_gate *gate;  // NULL: external data is refused
  size_t dense_left;    // bytes that the dense forms of sparse tensors may still take; see dense_room
  // Bytes of the file whose content was copied and that nobody will look at again; NULL: not wanted.
  void (*spent)(void *context, const void *at, size_t bytes);
  void *context;
} tensor_reader;

// The message must hold a complete tensor. `name` may be NULL.
sdx_status tensor_proto_read(tensor_reader *r, wire message, tensor *out, str *name, error *err);
// A few bytes can stand for any number of zeros: a file's sparse tensors may take so much when dense.
enum { DENSE_FREE_BYTES = 16 << 20, DENSE_TIMES_FILE = 64 };
size_t dense_room(size_t file_bytes);
// values [n], indices [n] (linear) or [n, rank], ascending, unique and inside dims: all checked.
sdx_status sparse_proto_read(tensor_reader *r, wire message, sparse_tensor *out, str *name, error *err);
// The same tensor with its zeros, in arena memory.
sdx_status sparse_to_dense(tensor_reader *r, const sparse_tensor *s, tensor *out, error *err);

bool is_float6(const tensor *t);  // packed in files, a byte each in memory
// Content of a TensorProto; head: everything but the data.
void tensor_proto_write(wire_out *out, const tensor *t, str name);
void tensor_proto_write_head(wire_out *out, const tensor *t, str name);
