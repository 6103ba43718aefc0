// SPDX-License-Identifier: Apache-2.0
// Models of other frameworks to ONNX: what the tools call. A source format is one file that ends in a
// CONVERT_FORMAT record (format.h); cmake/convert.cmake finds them. Read next: format.h, convert.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file_kind.h"
#include "support/fault.h"

typedef struct convert_format convert_format;
extern const convert_format *const convert_formats[];  // generated, ends with NULL

// What stands in the way: an unsupported layer, a wrong number. All that were found, in the order of the file.
typedef struct convert_problem {
  sdx_status status;
  char *place, *message, *hint;  // "tree 3, node 7"; place and hint may be ""
} convert_problem;

typedef struct convert_report {
  const convert_format *format;  // NULL: not recognised as one of ours
  const file_kind *kind;         // what the first bytes say; may be NULL
  char *made_by;                 // "XGBoost 2.1.0", as far as the file tells; or NULL
  char digest[80];               // of the source: "sha256:..."
  convert_problem *problems;
  size_t problem_count;
  char **notes;  // what the user should know about the result
  size_t note_count;
  char *proof;  // JSON, where the result was compared
} convert_report;
void convert_report_free(convert_report *r);

typedef struct convert_options {
  int64_t opset;           // of the result; 0: the newest
  const char *format;      // by name; NULL: recognised
  const char *signature;   // of a TensorFlow SavedModel; NULL: the one that is served
  const char *outputs;     // of a graph without signatures: names of its values, "a,b:1"; NULL: what nobody reads
  const char *shape;       // of the inputs of a PyTorch model, "Nx3x224x224,Nx16:int64"
  const char *class_name;  // "module:Class" of a PyTorch state dict
  const char *python;      // the user's, for formats that only a program can read; NULL: python3
  bool run_code;           // loading such a file may run its code in that Python
  // Asked once the model is written to a file for trial, before it gets its name; what is appended to proof (JSON) is
  // kept with the model. Anything but SDX_OK ends the conversion. May be NULL.
  sdx_status (*prove)(void *context, const char *model, const char *source, const convert_report *r, char **proof,
                      fault *f);
  void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);  // may be NULL
  void *context;
} convert_options;

// Writes the model to `target`, wholly or not at all. On failure the fault is about the first problem; the report, to
// be freed either way, has all.
sdx_status convert_file(const char *path, const char *target, const convert_options *options, convert_report *report,
                        fault *f);
// The file to load for `path`, to be freed: itself if it is ONNX or unknown, else what it was converted to, kept in the
// user's cache by the hash of its content. NULL on failure. A source that only its framework can read is refused.
char *convert_for_use(const char *path, const convert_options *options, convert_report *report, fault *f);

// What lies in a file of weights, as JSON, to be released with sdx_string_free; *is false, and nothing is given, where
// it is no such file.
char *convert_list_weights(const char *path, bool *is, convert_report *report, fault *f);

bool convert_format_takes(const convert_format *format, const file_kind *kind);
// What a format says of itself, for lists.
const char *convert_format_name(const convert_format *format);
const char *convert_format_title(const convert_format *format);
const char *convert_format_files(const convert_format *format);
bool convert_format_operator(const convert_format *format, size_t index, const char **name, const char **becomes);
// Python that predicts with the framework: def predict(path, inputs) -> dict of outputs. NULL: there is none.
const char *convert_format_reference(const convert_format *format);
