// SPDX-License-Identifier: Apache-2.0
// `sardonyx serve MODEL...`: command line of the model server. The limits come from the server's own
// table, so an option, its help and its check are one row there (server/limits.h).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/locate.h"
#include "server/server.h"

static const cli_option options[] = {
    OPTION("host", ARG_TEXT, "ADDRESS", "address to listen on (default 127.0.0.1)"),
    OPTION("port", ARG_INT, "N", "port; 0 takes a free one and prints it (default 8080)", .max = 65535, .letter = 'p'),
    ENGINE_OPTIONS,
    OPTION_FLAG("access-log", "one line on stderr for each request"),
    OPTION_FLAG("json-log", "log lines as JSON objects"),
    OPTION("pid-file", ARG_TEXT, "FILE", "write the process id there, remove it at the end"),
    OPTION("port-file", ARG_TEXT, "FILE", "write the port there once it is open"),
#define X(field, flag, standard, lowest, highest, meaning) \
  OPTION(flag, ARG_INT, "N", meaning " (default " #standard ")", .min = lowest, .max = highest),
    LIMIT_LIST(X)
#undef X
        {0}};

static const char details[] =
    "A model is named after its file; NAME=PATH gives it another name. Beside paths there are registry:NAME[:VERSION]\n"
    "(of the workspace) and oci://HOST/REPOSITORY[:TAG] (of an OCI registry). The first one answers POST /score,\n"
    "every one POST /v2/models/NAME/infer. Also: GET / /health/live /health/ready /v2 /metrics /swagger.json.\n"
    "SIGTERM stops accepting, answers what was accepted, and ends; a second one ends at once.\n\n"
    "Examples:\n"
    "  sardonyx serve model.onnx\n"
    "  sardonyx serve digits=model.onnx faces=other.onnx --port 0 --workers 4\n"
    "  sardonyx serve oci://registry.example.com/models/digits:1\n"
    "  curl localhost:8080/score -H 'Content-Type: application/json' \\\n"
    "    -d '{\"data\": [[0.1, 0.2]]}'\n";

// "name=path" when what stands before the first '=' can be a name; a path may hold one too.
static bool find_model(const char *word, server_model *m) {
  const char *equals = strchr(word, '=');
  bool named = equals && equals > word && model_name_valid((str){(char *)word, (size_t)(equals - word)});
  char *its_own;
  m->path = model_locate(named ? equals + 1 : word, &its_own);
  m->name = named ? xformat("%.*s", (int)(equals - word), word) : its_own;
  if (named) free(its_own);
  return m->path != NULL;
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
  int code;
  sdx_options *session = engine_options(a, &code);
  if (!session) return code;
  config.options = session;
  server_model *models = xmalloc((a->word_count + 1) * sizeof *models);
  bool found = true;
  for (size_t i = 0; i < a->word_count && found; i++) found = find_model(a->words[i], &models[i]);
  config.models = models;
  code = !found || server_run(&config) ? CLI_FAILED : CLI_OK;
  for (size_t i = 0; i < a->word_count; i++) {
    free((char *)models[i].name);
    free((char *)models[i].path);
  }
  free(models);
  sdx_options_destroy(session);
  return code;
}

CLI_COMMAND(serve) = {"serve", "Serve models over HTTP", "[NAME=]MODEL... [options]", details, options, 1, SIZE_MAX,
                      run};
