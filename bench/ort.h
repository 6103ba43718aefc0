// SPDX-License-Identifier: Apache-2.0
// The few calls of ONNX Runtime's C library that the comparisons need, by slot of its function table
// (the order of the table is its ABI). The library is loaded at run time; nothing of it is linked.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct ort ort;
// Loads libonnxruntime from $ORT_LIBRARY or from the installed PyPI wheel. NULL: not there; `why` says so.
ort *ort_load(const char **why);
typedef struct ort_session ort_session;
// From a file, or from bytes where path is NULL. Its threads do not spin between runs.
ort_session *ort_session_load(ort *o, const char *path, const void *bytes, size_t size, int threads);
void ort_session_free(ort_session *s);
// Tensors bound once; run repeats with the same memory. dtype: ONNX's number. An output without data: the rival
// makes its own.
typedef struct ort_io {
  const char *name;
  int dtype;
  const int64_t *shape;
  size_t rank;
  void *data;
  size_t bytes;
} ort_io;
// 0 = done, else a message was printed.
int ort_bind(ort_session *s, const ort_io *inputs, size_t input_count, const ort_io *outputs, size_t output_count);
int ort_run(ort_session *s);
