// SPDX-License-Identifier: Apache-2.0
// What a source format is made of: its record, the source it reads, the model it builds, the problems it reports.
// Readers that formats share: document.h (JSON, UBJSON), base/wire.h (protobuf), trees.h (decision trees
// to ONNX). README.md shows how to add one.
#pragma once

#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "base/text.h"
#include "convert/convert.h"
#include "convert/source.h"
#include "sardonyx/build.h"

typedef struct conversion {
  source *source;
  sdx_builder *builder;  // fails for good by itself; what it says becomes a problem
  sdx_graph *graph;      // of the builder
  arena *memory;         // until the conversion ends
  const convert_options *options;
  convert_report *report;
  fault *f;
  struct convert_cleanup *cleanups;
} conversion;

struct convert_format {
  const char *name;                      // "xgboost"
  const char *title;                     // "XGBoost"
  const char *files;                     // what it reads, for the list: "JSON (.json), UBJSON (.ubj)"
  const char *const *kinds;              // names of base/file_kind.c that are this format; may be NULL
  bool (*recognise)(const source *s);    // for what no kind tells; may be NULL
  bool chooses_ends;                     // takes a signature or outputs of the options
  bool takes_shape;                      // takes shape and class
  int64_t opset;                         // to be taken unless another is asked for; 0: the newest
  sdx_status (*convert)(conversion *c);  // fills the graph, or reports problems
  // Of files of weights: "metadata":{...},"weights":[{"name","type","shape","bytes"}] without the braces. May be NULL.
  sdx_status (*list)(conversion *c, text *json);
  // The file or folder that is read besides the source: what is converted on the fly is kept by both. NULL: there is
  // none. May be NULL.
  char *(*beside)(const source *s, arena *memory);
  // The operators that are converted, in turn, and what they become; false past the end. May be NULL.
  bool (*operator_at)(size_t index, const char **name, const char **becomes);
  const char *program;  // instead: a Python program of this folder (program.h)
  // Python: def predict(path, inputs) -> dict of outputs; it sees the globals `signature`, "" unless one was asked for,
  // and `outputs`, the names of the model's. May be NULL.
  const char *reference;
};
#define CONVERT_FORMAT(id) const convert_format convert_format_##id
#define CONVERT_KINDS(...) \
  (const char *const[]) { __VA_ARGS__, NULL }

// Converts bytes to a model in memory that nobody keeps: for tests and fuzzing.
sdx_status convert_bytes(const convert_format *format, const void *bytes, size_t size, const convert_options *options,
                         convert_report *report, fault *f);

// Adds a problem and returns its status: return it where nothing more can be read, or go on and look for more.
sdx_status convert_fail(conversion *c, sdx_status status, const char *place, const char *hint, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
sdx_status convert_no_memory(conversion *c);
bool convert_failed(const conversion *c);  // there are problems, or the builder has failed
void convert_note(conversion *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void convert_made_by(conversion *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Calls destroy(context) when the conversion has ended and the model is written. False: no memory, and not called.
bool convert_at_end(conversion *c, void (*destroy)(void *context), void *context);
// Another file that belongs to the source, until the conversion ends; `path` begins in `folder`, or is AT_FDCWD's.
sdx_status convert_read(conversion *c, int folder, const char *path, size_t most, str *bytes);
void convert_progress(conversion *c, uint64_t done, uint64_t total);  // of reading; cheap to call often
// Names of features or classes as JSON in the model's metadata.
void convert_add_names(conversion *c, const char *key, size_t count, const str *names);
