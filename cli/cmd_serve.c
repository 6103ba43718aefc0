// SPDX-License-Identifier: Apache-2.0
// `sardonyx serve MODEL...`: command line of the model server. The limits come from the server's own
// table, so an option, its help and its check are one row there (server/limits.h).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "sardonyx/sardonyx.h"
#include "server/server.h"

static const cli_option options[] = {
    {"host", ARG_TEXT, "ADDRESS", "address to listen on (default 127.0.0.1)", 0, 0, 0},
    {"port", ARG_INT, "N", "port; 0 takes a free one and prints it (default 8080)", 0, 65535, 'p'},
    {"threads", ARG_INT, "N", "threads of one run; 0: all processors (default 0)", 0, 1024, 't'},
    {"option", ARG_TEXT, "NAME=VALUE", "session option, may be repeated", 0, 0, 'o'},
    {"access-log", ARG_FLAG, 0, "one line on stderr for each request", 0, 0, 0},
    {"json-log", ARG_FLAG, 0, "log lines as JSON objects", 0, 0, 0},
    {"pid-file", ARG_TEXT, "FILE", "write the process id there, remove it at the end", 0, 0, 0},
    {"port-file", ARG_TEXT, "FILE", "write the port there once it is open", 0, 0, 0},
#define X(field, flag, standard, lowest, highest, meaning) \
  {flag, ARG_INT, "N", meaning " (default " #standard ")", lowest, highest, 0},
    LIMIT_LIST(X)
#undef X
        {0}};

static const char details[] =
    "A model is named after its file; NAME=PATH gives it another name. The first one answers POST /score,\n"
    "every one POST /v2/models/NAME/infer. Also: GET / /health/live /health/ready /v2 /metrics /swagger.json.\n"
    "SIGTERM stops accepting, answers what was accepted, and ends; a second one ends at once.\n\n"
    "Examples:\n"
    "  sardonyx serve model.onnx\n"
    "  sardonyx serve digits=model.onnx faces=other.onnx --port 0 --workers 4\n"
    "  curl -s localhost:8080/score -H 'Content-Type: application/json' -d '{\"data\": [[0.1, 0.2]]}'\n";

static int set_options(const args *a, sdx_options *o) {
  char threads[24];
  snprintf(threads, sizeof threads, "%lld", (long long)args_int(a, "threads", 0));
  if (sdx_options_set(o, "threads", threads) != SDX_OK) return cli_error(CLI_USAGE, "%s", sdx_options_error(o));
  size_t cursor = 0;
  for (const char *pair; (pair = args_each(a, "option", &cursor));) {
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair) return cli_error(CLI_USAGE, "--option %s: expected NAME=VALUE", pair);
    char *name = xstrdup(pair);
    name[equals - pair] = 0;
    sdx_status status = sdx_options_set(o, name, equals + 1);
    free(name);
    if (status != SDX_OK) return cli_error(CLI_USAGE, "--option %s: %s", pair, sdx_options_error(o));
  }
  return CLI_OK;
}

// "name=path" when what stands before the first '=' can be a name; a path may hold one too.
static server_model split_model(const char *word, char **copy) {
  const char *equals = strchr(word, '=');
  *copy = xstrdup(word);
  if (!equals || equals == word || !model_name_valid((slice){(char *)word, (size_t)(equals - word)}))
    return (server_model){NULL, word};
  (*copy)[equals - word] = 0;
  return (server_model){*copy, equals + 1};
}

static int run(const args *a) {
  server_config config = {.host = args_text(a, "host", "127.0.0.1"),
                          .port = (int)args_int(a, "port", 8080),
                          .access_log = args_has(a, "access-log"),
                          .json_log = args_has(a, "json-log"),
                          .pid_file = args_text(a, "pid-file", NULL),
                          .port_file = args_text(a, "port-file", NULL),
                          .model_count = a->word_count};
  limits_init(&config.limits);
  for (const limit_row *row = limit_rows; row->flag; row++)
    *limit_at(&config.limits, row) = args_int(a, row->flag, row->standard);
  sdx_options *session = sdx_options_create();
  if (!session) return cli_error(CLI_FAILED, "not enough memory");
  int code = set_options(a, session);
  config.options = session;
  server_model *models = xmalloc((a->word_count + 1) * sizeof *models);
  char **copies = xmalloc((a->word_count + 1) * sizeof *copies);
  for (size_t i = 0; i < a->word_count; i++) models[i] = split_model(a->words[i], &copies[i]);
  config.models = models;
  if (!code) code = server_run(&config) ? CLI_FAILED : CLI_OK;
  for (size_t i = 0; i < a->word_count; i++) free(copies[i]);
  free(copies);
  free(models);
  sdx_options_destroy(session);
  return code;
}

CLI_COMMAND(serve) = {"serve", "Serve models over HTTP", "[NAME=]MODEL... [options]", details, options, 1, SIZE_MAX,
                      run};
