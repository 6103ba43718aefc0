// SPDX-License-Identifier: Apache-2.0
// `sardonyx version`.
#include <stdio.h>

#include "cli/cli.h"
#include "sardonyx/sardonyx.h"

static const cli_option options[] = {OPTION_FLAG("json", "machine-readable"), {0}};

static int run(const args *a) {
  if (args_has(a, "json")) printf("{\"name\": \"sardonyx\", \"version\": \"%s\"}\n", sdx_version());
  else printf("sardonyx %s\n", sdx_version());
  return CLI_OK;
}

CLI_COMMAND(version) = {"version", "Print the version", "[--json]", NULL, options, 0, 0, run};
