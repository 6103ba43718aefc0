// SPDX-License-Identifier: Apache-2.0
// What a file is, told from its first bytes: models of other frameworks, archives, what a failed download leaves. The
// engine says it of files that are no ONNX models, the tools decide by it what to do.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// A model of another framework's: `sardonyx convert` converts it or tells how. A stand-in: it lies where the file
// itself should, left by a download.
typedef struct file_kind {
  const char *name;    // "pickle"
  const char *what;    // "a Python pickle", to be read after "it looks like"
  const char *advice;  // what to do; "" where that is clear
  enum { FILE_OTHER, FILE_MODEL, FILE_STAND_IN } role;
} file_kind;

enum { FILE_KIND_HEAD = 65536 };  // more bytes tell no more

// NULL: nothing that is known; it may be an ONNX model.
const file_kind *file_kind_of(const void *bytes, size_t size);
const file_kind *file_kind_at(size_t index);  // all of them in turn; NULL past the end
