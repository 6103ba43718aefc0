// SPDX-License-Identifier: Apache-2.0
// `sardonyx selftest`: compares every kernel variant this machine can run with the portable
// reference on random arguments. The engine finds the variants by itself and prints the lines.
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"

static const cli_option options[] = {
    OPTION("filter", ARG_TEXT, "FAMILY", "only this kernel family"),
    OPTION("rounds", ARG_INT, "N", "random cases per variant (default 100)", .min = 1, .max = 1e6),
    OPTION_FLAG("bench", "also time each variant"),
    {0},
};

static bool family_exists(const char *family) {
  json_t *all = engine_json(sdx_describe_kernels(), "kernels"), *kernels = json_object_get(all, "kernels"), *row;
  size_t i;
  bool found = false;
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(family));
  json_array_foreach(kernels, i, row) {
    const char *name = json_string_value(json_object_get(row, "family"));
    str_nearest_offer(&nearest, str_from(name));
    found = found || !strcmp(name, family);
  }
  if (!found) cli_error(CLI_USAGE, "--filter %s: there is no such kernel family", family);
  if (!found && nearest.best.at) cli_hint("did you mean %s?", nearest.best.at);
  else if (!found) cli_hint("'sardonyx kernels' lists them");
  json_decref(all);
  return found;
}

static int run(const args *a) {
  const char *what = a->word_count ? a->words[0] : "all";
  if (strcmp(what, "kernels") && strcmp(what, "all"))
    return cli_error(CLI_USAGE, "selftest %s: expected kernels or all", what);
  const char *family = args_text(a, "filter", NULL);
  if (family && !family_exists(family)) return CLI_USAGE;
  int failed = sdx_selftest_kernels(family, (unsigned)args_int(a, "rounds", 100), args_has(a, "bench"));
  return failed ? CLI_FAILED : CLI_OK;
}

CLI_COMMAND(selftest) = {
    "selftest",
    "Check this machine's kernels against the portable reference",
    "[kernels|all] [options]",
    "Examples:\n  sardonyx selftest\n  sardonyx selftest kernels --filter gemm_f32 --rounds 1000 --bench\n",
    options,
    0,
    1,
    run,
};
