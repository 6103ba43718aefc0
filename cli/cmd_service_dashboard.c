// SPDX-License-Identifier: Apache-2.0
// `sardonyx service dashboard`: what Grafana and Prometheus need to show and watch servers; the files of
// deploy/monitoring, which travel inside of the command.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/files.h"
#include "support/embedded.h"

static const cli_option options[] = {
    OPTION("output", ARG_TEXT, "FOLDER", "where they go, made if it is not there (default: the current one)",
           .letter = 'o'),
    {0}};

static int run(const args *a) {
  const char *folder = args_text(a, "output", ".");
  why w;
  mkdir(folder, 0777);
  for (const embedded_file *file = embedded_monitoring; file->name; file++) {
    char *path = xformat("%s/%s", folder, file->name);
    bool good = file_write(path, false, file->bytes, file->size, &w);
    if (good) printf("%s\n", path);
    free(path);
    if (!good) return cli_error(CLI_FAILED, "%s: %s", folder, w.text);
  }
  return CLI_OK;
}

CLI_COMMAND(service_dashboard) = {
    "service dashboard",
    "Write a dashboard for Grafana and rules for Prometheus",
    "[-o FOLDER]",
    "sardonyx-dashboard.json is imported in Grafana; sardonyx-rules.yaml is named under rule_files in prometheus.yml.\n"
    "Both read what servers tell under /metrics; docs/operations.md says how Prometheus finds them.\n\n"
    "Example:\n"
    "  sardonyx service dashboard -o monitoring\n",
    options,
    0,
    0,
    run,
};
