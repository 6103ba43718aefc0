// SPDX-License-Identifier: Apache-2.0
// `sardonyx hello`.
#include <stdio.h>

#include "cli/cli.h"

static const cli_option options[] = {{0}};

static int run(const args *a) {
  printf("hello from a command\n");
  return CLI_OK;
}

CLI_COMMAND(hello) = {"hello", "Greet", "", NULL, options, 0, 0, run};
