// SPDX-License-Identifier: Apache-2.0
// `sardonyx baseline MODEL DATA...`: what a model's inputs and answers usually are, for `serve` to notice drift.
#include <stdio.h>
#include <stdlib.h>

#include "cli/baseline.h"
#include "cli/engine.h"
#include "cli/files.h"

static const cli_option options[] = {
    OPTION("output", ARG_TEXT, "FILE", "where it goes (default: MODEL.baseline.json, where serve finds it)",
           .letter = 'o'),
    ENGINE_OPTIONS,
    IMAGE_OPTIONS,
    {0}};

static int run(const args *a) {
  int code = CLI_OK;
  size_t size;
  why w;
  char *model = engine_locate(a->words[0]);
  if (!model) return CLI_FAILED;
  char *path = args_has(a, "output") ? xstrdup(args_text(a, "output", NULL)) : xformat("%s.baseline.json", model);
  char *bytes = baseline_of_data(a, model, a->words + 1, a->word_count - 1, &size, &code);
  if (bytes && !file_write(path, false, bytes, size, &w)) code = cli_error(CLI_FAILED, "%s: %s", path, w.text);
  else if (bytes && !is_standard_stream(path)) printf("%s\n", path);
  free(bytes);
  free(path);
  free(model);
  return code;
}

CLI_COMMAND(baseline) = {
    "baseline",
    "Describe usual inputs and answers of a model, so that drift is noticed",
    "MODEL DATA... [-o FILE]",
    "DATA is .csv, .npz or .npy with a row for each sample, a folder of pictures, or what else 'run' takes. The model\n"
    "computes them; for each feature the file says how many values fall into which bin, and no value itself but the\n"
    "bounds of the bins. 'model register --baseline DATA' does the same and keeps it with the model.\n\n"
    "Examples:\n"
    "  sardonyx baseline model.onnx train.csv\n"
    "  sardonyx baseline model.onnx samples.npz -o model.baseline.json\n"
    "  sardonyx serve model.onnx --baseline model.baseline.json\n",
    options,
    2,
    SIZE_MAX,
    run,
};
