// SPDX-License-Identifier: Apache-2.0
// Models of other frameworks where a command wants an ONNX file: converted on the way, with progress and problems told.
#pragma once

#include <jansson.h>

#include "cli/cli.h"
#include "convert/convert.h"

// The file to load for a model's path, to be freed: the path itself, or what it was converted to. NULL after printing,
// or after appending to `problems` (if it is not NULL) in the form of sdx_check_file.
char *foreign_to_onnx(const char *path, json_t *problems);

// MODEL with .onnx instead of its ending, to be freed: where its conversion goes, what it is called after.
char *foreign_output_name(const char *path);

// Progress on a terminal, once something takes long. report is for convert_options.
typedef struct foreign_progress {
  uint64_t started_ns, shown_ns;
  bool shown;
} foreign_progress;
void foreign_report_progress(void *context, const char *what, uint64_t done, uint64_t total);
void foreign_end_progress(foreign_progress *p);

void foreign_print_problems(const char *path, const convert_report *r, const fault *f);
void foreign_print_notes(const convert_report *r);
