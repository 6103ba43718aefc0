// SPDX-License-Identifier: Apache-2.0
// `sardonyx selftest`: compares every kernel variant this machine can run with the portable
// reference on random arguments. The engine finds the variants by itself and prints the lines.
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "sardonyx/sardonyx.h"

static const cli_option options[] = {
    OPTION("filter", ARG_TEXT, "FAMILY", "only this kernel family"),
    OPTION("rounds", ARG_INT, "N", "random cases per variant (default 100)", .min = 1, .max = 1e6),
    OPTION_FLAG("bench", "also time each variant"),
    {0},
};

static int run(const args *a) {
  const char *what = a->word_count ? a->words[0] : "all";
  if (strcmp(what, "kernels") && strcmp(what, "all"))
    return cli_error(CLI_USAGE, "selftest %s: expected kernels or all", what);
  int failed =
      sdx_selftest_kernels(args_text(a, "filter", NULL), (unsigned)args_int(a, "rounds", 100), args_has(a, "bench"));
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
