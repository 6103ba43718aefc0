// SPDX-License-Identifier: Apache-2.0
// `sardonyx check`: every problem of a model at once, each with its place and a hint.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/files.h"
#include "cli/foreign.h"
#include "cli/table.h"

static const cli_option options[] = {ENGINE_OPTIONS, OPTION_FLAG("json", "machine-readable"), {0}};

static const char *field(const json_t *problem, const char *name) {
  const char *text = json_string_value(json_object_get(problem, name));
  return text ? text : "";
}

static bool is_error(const json_t *problem) { return !strcmp(field(problem, "severity"), "error"); }

static void print_problem(const json_t *p) {
  printf("  %s%-7s%s %s%s%s\n          %s\n", ink_on(stdout, is_error(p) ? INK_RED : INK_YELLOW), field(p, "severity"),
         ink_off(stdout), field(p, "code"), *field(p, "place") ? "  at " : "", field(p, "place"), field(p, "message"));
  if (*field(p, "hint"))
    printf("          %shint: %s%s\n", ink_on(stdout, INK_GREEN), field(p, "hint"), ink_off(stdout));
}

static int run(const args *a) {
  int code;
  sdx_options *engine = engine_options(a, &code);
  if (!engine) return code;
  json_t *all = json_array();
  size_t errors = 0, warnings = 0, place;
  why w;
  code = CLI_OK;
  for (size_t i = 0; i < a->word_count && !code; i++) {
    json_t *problems = json_array(), *problem;
    char *path = file_reopenable(a->words[i], &w), *onnx = path ? foreign_to_onnx(path, problems) : NULL;
    if (onnx) {
      json_decref(problems);
      problems = engine_json(sdx_check_file(onnx, engine), a->words[i]);
      free(onnx);
    }
    if (!path) {
      json_decref(problems);
      problems = NULL;
      cli_error(CLI_FAILED, "%s", w.text);
    }
    free(path);
    if (!problems) code = CLI_FAILED;
    if (problems && !args_has(a, "json")) {
      printf("%s%s%s%s\n", ink_on(stdout, INK_BOLD), a->words[i], ink_off(stdout),
             json_array_size(problems) ? "" : "  no problems");
    }
    json_array_foreach(problems, place, problem) {
      if (is_error(problem)) errors++;
      else warnings++;
      if (!args_has(a, "json")) print_problem(problem);
    }
    json_array_append_new(all, json_pack("{s:s,s:o?}", "file", a->words[i], "problems", problems));
  }
  if (args_has(a, "json")) json_print(json_incref(all));
  else if (!code)
    printf("%zu error%s, %zu warning%s\n", errors, errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
  json_decref(all);
  sdx_options_destroy(engine);
  return code ? code : errors ? CLI_FAILED : CLI_OK;
}

CLI_COMMAND(check) = {
    "check",
    "List every problem of a model, with place and hint",
    "MODEL... [options]",
    "Exits with 1 when there is an error; warnings do not count.\n\n"
    "Examples:\n"
    "  sardonyx check model.onnx\n"
    "  sardonyx check *.onnx --json\n"
    "  gunzip -c model.onnx.gz | sardonyx check -\n",
    options,
    1,
    SIZE_MAX,
    run,
};
