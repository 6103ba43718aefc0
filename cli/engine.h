// SPDX-License-Identifier: Apache-2.0
// What every sub-command that opens a model shares: its options, loading with helpful errors, inputs
// from the command line.
#pragma once

#include <jansson.h>

#include "cli/cli.h"
#include "cli/io.h"
#include "sardonyx/sardonyx.h"

#define ENGINE_OPTIONS                                                                                           \
  OPTION("threads", ARG_INT, "N", "threads; 0 = all this process may use (default)", .max = 256, .letter = 't'), \
      OPTION("precision", ARG_TEXT, "P", "matrix products: highest (default), high, medium"),                    \
      OPTION("dim", ARG_TEXT, "NAME=N", "fix a free dimension of the inputs, e.g. batch=4"),                     \
      OPTION("provider", ARG_TEXT, "FILE", "offer nodes to the device of this shared library; again for more"),  \
      OPTION("option", ARG_TEXT, "K=V", "an engine option; '--option list' names all")

#define IMAGE_OPTIONS                                                                                            \
  OPTION("image-scale", ARG_NUMBER, "X", "pixels times X (default 1/255; 1 for integer inputs)", .min = -1e9,    \
         .max = 1e9),                                                                                            \
      OPTION("image-mean", ARG_TEXT, "M,..", "then minus M, one number or one per channel"),                     \
      OPTION("image-std", ARG_TEXT, "S,..", "then divided by S, one number or one per channel"),                 \
      OPTION("image-invert", ARG_FLAG, NULL, "swap black and white first"),                                      \
      OPTION("fit", ARG_TEXT, "MODE", "a picture of another size: stretch (default), letterbox, crop, or none"), \
      OPTION("layout", ARG_TEXT, "L", "nchw or nhwc, where the input's shape does not tell")

// NULL after printing what is wrong (and `*code` = CLI_USAGE). `--option list` prints the list and
// gives NULL with `*code` = CLI_OK.
sdx_options *engine_options(const args *a, int *code);
// The ONNX file for MODEL on a command line; NULL after printing. free() it.
char *engine_locate(const char *model);
// Loads with the options of the command line. NULL after printing; *code says how to exit.
sdx_session *engine_load(const args *a, const char *path, int *code);
// The same without graph passes and without repeating the warnings.
sdx_session *engine_load_unoptimised(const args *a, const char *path, int *code);
// As the file has it, to be looked at: sdx_session_read_file.
sdx_session *engine_read(const args *a, const char *path, int *code);

void engine_note_warnings(const sdx_session *session);  // a note each
// The message of a failed load, with hints; gives CLI_FAILED.
int engine_report_load(const args *a, const char *path, const sdx_session *session, sdx_status status);

// Says why a run failed; with --json the fields go to stdout: {"error", "details"}. Returns CLI_FAILED.
int engine_run_failed(const args *a, const sdx_run *run);

// Hints at the file of the same folder whose name is nearest to one that is not there.
void file_hint(const char *path);

// Values for the inputs of a session from words ("x.npy", "name=x.npy", "name=[1,2]") and --random.
// inputs[i] is set for each of sdx_session_feed_count that got one; the others stay NULL. False after printing.
bool engine_inputs(const args *a, const sdx_session *session, const char *const *words, size_t count,
                   sdx_value **inputs, int *code);

// Random numbers for the inputs that are still NULL; `batch` rows where the first dimension is free.
bool engine_random_inputs(const sdx_session *session, sdx_value **inputs, int64_t batch, uint64_t seed);

// Engine JSON parsed; NULL after printing. Frees `text` with sdx_string_free.
json_t *engine_json(char *text, const char *what);
void json_print(json_t *json);  // indented to stdout; takes the reference
