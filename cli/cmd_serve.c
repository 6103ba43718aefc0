// SPDX-License-Identifier: Apache-2.0
// `sardonyx serve MODEL...`: command line of the model server. The limits come from the server's own
// table, so an option, its help and its check are one row there (server/limits.h).
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/labels.h"
#include "cli/locate.h"
#include "server/server.h"
#include "support/sockets.h"

static const cli_option options[] = {
    OPTION("host", ARG_TEXT, "ADDRESS",
           "name or address to listen on, all addresses of a name; may be repeated "
           "(default 127.0.0.1)"),
    OPTION("port", ARG_INT, "N", "port; 0 takes a free one and prints it (default 8080)", .max = 65535, .letter = 'p'),
    ENGINE_OPTIONS,
    OPTION("repository", ARG_TEXT, "DIR",
           "a folder of models, NAME/VERSION/model.onnx with NAME/config.pbtxt or without; watched for changes"),
    OPTION("pin", ARG_TEXT, "NAME",
           "load this model at the start and keep it, whatever --memory-limit-bytes is; may be repeated"),
    OPTION("state", ARG_TEXT, "IN=OUT",
           "this output is the state that the next request of a sequence is fed as that input; may be repeated"),
    OPTION("script", ARG_TEXT, "FILE",
           "a score.py with init() and run() that answers /score, run by Python in a sandbox"),
    OPTION("python", ARG_TEXT, "PROGRAM", "the Python that runs the script (default python3)"),
    OPTION("script-read", ARG_TEXT, "PATH",
           "what the script may read beside its folder and its models; may be repeated"),
    OPTION_FLAG("script-network", "the script may use the network"),
    OPTION("unix", ARG_TEXT, "PATH", "listen on a Unix socket; on TCP, too, if --host or --port is given"),
    OPTION("listen-fd", ARG_INT, "N",
           "an inherited socket that listens, shared with other processes; accepted from after SIGUSR1, with --unix",
           .min = 3, .max = 1048576),
    OPTION("listen-from", ARG_TEXT, "PATH",
           "the same for a socket that is handed over by who listens at this Unix socket, be it out of a container"),
    OPTION("tls-cert", ARG_TEXT, "FILE", "certificate chain (PEM): HTTPS; read again on SIGHUP and when it changes"),
    OPTION("tls-key", ARG_TEXT, "FILE", "its private key (PEM)"),
    OPTION("keys", ARG_TEXT, "FILE",
           "one or two keys, one a line: clients send 'Authorization: Bearer KEY'; read again on SIGHUP"),
    OPTION("token-key", ARG_TEXT, "FILE",
           "take tokens, too: JSON Web Tokens (HS256) signed with the key in this file; read again on SIGHUP"),
    OPTION("split", ARG_TEXT, "FILE",
           "send a share of the requests to another server's Unix socket: OWN OTHER PERCENT, then sockets, one a line; "
           "read again on SIGHUP"),
    OPTION("cors-origin", ARG_TEXT, "ORIGIN",
           "let pages of this origin call, as https://example.com, or of any: *; may be repeated"),
    OPTION("trusted-proxy", ARG_TEXT, "CIDR",
           "believe Forwarded and X-Forwarded-For of these addresses, or 'unix'; "
           "may be repeated"),
    OPTION("labels", ARG_TEXT, "[NAME=]FILE",
           "what the classes of a model are called, for /ui and its description: lines or JSON (default: the model's "
           "metadata, or labels.txt beside it); without NAME those of the first; may be repeated"),
    OPTION_FLAG("no-ui", "no pages for people: /ui and /docs are not there"),
    OPTION_FLAG("access-log", "one line on stderr for each request"),
    OPTION_FLAG("json-log", "log lines as JSON objects"),
    OPTION("baseline", ARG_TEXT, "[NAME=]FILE",
           "hold what a model is asked and answers against this baseline ('sardonyx baseline'); may be repeated "
           "(default: MODEL.baseline.json beside it, if it is there)"),
    OPTION("collect", ARG_TEXT, "FOLDER",
           "keep what models are given and answer as CSV, a file a day: "
           "FOLDER/modeldata/.../MODEL/VERSION/inputs/..."),
    OPTION("collect-sample", ARG_NUMBER, "SHARE", "of the requests (default 1)", .min = 0, .max = 1),
    OPTION("collect-redact", ARG_TEXT, "NAME", "without the values of this input, output or column; may be repeated"),
    OPTION("collect-as", ARG_TEXT, "PATH",
           "SUBSCRIPTION/GROUP/WORKSPACE/SERVICE in the path of the files (default: 'default' each)"),
    OPTION("alert-webhook", ARG_TEXT, "URL", "send alerts there, as JSON by POST"),
    OPTION("otlp", ARG_TEXT, "URL",
           "send spans of the requests to this collector, by OTLP/HTTP: http://localhost:4318"),
    OPTION("otlp-sample", ARG_NUMBER, "SHARE",
           "of the traces that begin here; a client that names one decides itself (default 1)", .min = 0, .max = 1),
    OPTION("pid-file", ARG_TEXT, "FILE", "write the process id there, remove it at the end"),
    OPTION("port-file", ARG_TEXT, "FILE", "write the port there once it is open"),
#define X(field, flag, standard, lowest, highest, meaning) \
  OPTION(flag, ARG_INT, "N", meaning " (default " #standard ")", .min = lowest, .max = highest),
    LIMIT_LIST(X)
#undef X
        {0}};

static const char details[] =
    "A model is named after its file, in letters and digits of any script; NAME=PATH gives it another name, "
    "NAME:2=PATH a version. Beside paths there are "
    "registry:NAME[:VERSION]\n"
    "(of the workspace) and oci://HOST/REPOSITORY[:TAG] (of an OCI registry). The first one answers POST /score,\n"
    "every one POST /v2/models/NAME/infer. Also: GET / /health/live /health/ready /v2 /metrics /swagger.json.\n"
    "For people there are pages: /ui (try a model, see how it does, read the log), /docs (how to call it).\n"
    "SIGTERM stops accepting, answers what was accepted, and ends; a second one ends at once.\n\n"
    "Examples:\n"
    "  sardonyx serve model.onnx\n"
    "  sardonyx serve digits=model.onnx faces=other.onnx --port 0 --workers 4\n"
    "  sardonyx serve digits=model.onnx --script score.py\n"
    "  sardonyx serve --repository models/ --memory-limit-bytes 268435456\n"
    "  sardonyx serve oci://registry.example.com/models/digits:1\n"
    "  curl localhost:8080/score -H 'Content-Type: application/json' \\\n"
    "    -d '{\"data\": [[0.1, 0.2]]}'\n";

// "name=path" or "name:2=path" when what stands before the first '=' can be a name; a path may hold one too.
static bool find_model(const char *word, server_model *m) {
  const char *equals = strchr(word, '='), *colon = equals ? memchr(word, ':', (size_t)(equals - word)) : NULL;
  char name[MODEL_NAME_BYTES];
  bool named = equals && model_name_read((str){word, (size_t)((colon ? colon : equals) - word)}, name);
  char *its_own;
  m->path = model_locate(named ? equals + 1 : word, &its_own);
  m->name = named ? xformat("%.*s", (int)(equals - word), word) : its_own;
  if (named) free(its_own);
  return m->path != NULL;
}

static int check_url(const args *a, const char *option) {
  const char *url = args_text(a, option, NULL);
  if (!url || !strncmp(url, "http://", 7) || !strncmp(url, "https://", 8)) return CLI_OK;
  return cli_error(CLI_USAGE, "--%s %.200s: expected http:// or https://, a host, and perhaps a path", option, url);
}

// The name in front of the first '=', normalized; false: there is none, and the whole word is a path.
static bool split_name(const char *word, char name[MODEL_NAME_BYTES], const char **path) {
  const char *equals = strchr(word, '=');
  bool named = equals && model_name_read((str){word, (size_t)(equals - word)}, name);
  *path = named ? equals + 1 : word;
  return named;
}

static void free_labels(const server_labels *list, size_t count) {
  for (size_t i = 0; i < count; i++) {
    labels_free((class_labels *)list[i].classes);
    free((class_labels *)list[i].classes);
    free((char *)list[i].name);
  }
  free((server_labels *)list);
}

// NULL: said what is wrong.
static const server_labels *take_labels(const args *a, size_t *count, int *code) {
  size_t cursor = 0;
  const char *word, *path;
  char name[MODEL_NAME_BYTES];
  why w;
  server_labels *list = xmalloc((a->found_count + 1) * sizeof *list);
  while ((word = args_each(a, "labels", &cursor)) != NULL) {
    class_labels *classes = xmalloc(sizeof *classes);
    bool named = split_name(word, name, &path), good = labels_load(classes, path, &w);
    list[(*count)++] = (server_labels){named ? xformat("%s", name) : NULL, classes};
    if (good) continue;
    *code = cli_error(CLI_FAILED, "%s", w.text);
    free_labels(list, *count);
    return NULL;
  }
  return list;
}

static const char **take_all(const args *a, const char *option, size_t *count) {
  size_t cursor = 0;
  const char **list = xmalloc((a->found_count + 1) * sizeof *list), *word;
  while ((word = args_each(a, option, &cursor)) != NULL) list[(*count)++] = word;
  return list;
}

// Options that may be repeated, as lists of their words; what they own is `taken`.
enum { LISTS = 7 };
static void take_lists(const args *a, server_config *config, const char **taken[LISTS]) {
  const struct {
    const char *option;
    const char *const **list;
    size_t *count;
  } lists[LISTS] = {{"host", &config->hosts, &config->host_count},
                    {"script-read", &config->script.read, &config->script.read_count},
                    {"baseline", &config->baselines, &config->baseline_count},
                    {"pin", &config->pins, &config->pin_count},
                    {"cors-origin", &config->origins, &config->origin_count},
                    {"collect-redact", &config->redact, &config->redact_count},
                    {"state", &config->states, &config->state_count}};
  for (size_t i = 0; i < LISTS; i++) *lists[i].list = taken[i] = take_all(a, lists[i].option, lists[i].count);
  if (!config->host_count && (!config->unix_path || args_has(a, "port"))) taken[0][config->host_count++] = "127.0.0.1";
}

// NULL: said what is wrong.
static network *take_proxies(const args *a, size_t *count, int *code) {
  size_t cursor = 0;
  const char *word;
  network *list = xmalloc((a->found_count + 1) * sizeof *list);
  while ((word = args_each(a, "trusted-proxy", &cursor)) != NULL) {
    if (network_parse(&list[*count], str_from(word))) {
      ++*count;
      continue;
    }
    *code = cli_error(CLI_USAGE, "--trusted-proxy %s: expected an address, a network as 10.0.0.0/8, or unix", word);
    free(list);
    return NULL;
  }
  return list;
}

static int run(const args *a) {
  server_config config = {.port = (int)args_int(a, "port", 8080),
                          .access_log = args_has(a, "access-log"),
                          .json_log = args_has(a, "json-log"),
                          .otlp = args_text(a, "otlp", NULL),
                          .collect = args_text(a, "collect", NULL),
                          .collect_as = args_text(a, "collect-as", NULL),
                          .collect_share = args_number(a, "collect-sample", 1),
                          .alert_webhook = args_text(a, "alert-webhook", NULL),
                          .otlp_share = args_number(a, "otlp-sample", 1),
                          .no_ui = args_has(a, "no-ui"),
                          .unix_path = args_text(a, "unix", NULL),
                          .shared_fd = (int)args_int(a, "listen-fd", 0),
                          .certificate = args_text(a, "tls-cert", NULL),
                          .key = args_text(a, "tls-key", NULL),
                          .keys = args_text(a, "keys", NULL),
                          .split = args_text(a, "split", NULL),
                          .token_key = args_text(a, "token-key", NULL),
                          .repository = args_text(a, "repository", NULL),
                          .pid_file = args_text(a, "pid-file", NULL),
                          .port_file = args_text(a, "port-file", NULL),
                          .model_count = a->word_count,
                          .script = {.path = args_text(a, "script", NULL),
                                     .python = args_text(a, "python", NULL),
                                     .network = args_has(a, "script-network")}};
  if (!a->word_count && !config.script.path && !config.repository)
    return cli_error(CLI_USAGE,
                     "serve needs a MODEL, --repository DIR or --script FILE; 'sardonyx help serve' shows examples");
  limits_init(&config.limits);
  for (const limit_row *row = limit_rows; row->flag; row++)
    *limit_at(&config.limits, row) = args_int(a, row->flag, row->standard);
  const char *door = args_text(a, "listen-from", NULL);
  if ((config.shared_fd || door) && !config.unix_path)
    return cli_error(CLI_USAGE,
                     "--listen-fd and --listen-from need --unix PATH, where the server answers before it is "
                     "released");
  fault f = {0};
  if (door && (config.shared_fd = socket_fetch(door, &f)) < 0) return cli_error(CLI_FAILED, "%s", f.message);
  if (!config.certificate != !config.key) return cli_error(CLI_USAGE, "--tls-cert and --tls-key need each other");
  int code = check_url(a, "otlp");
  if (!code) code = check_url(a, "alert-webhook");
  if (code) return code;
  sdx_options *session = engine_options(a, &code);
  if (!session) return code;
  config.options = session;
  server_model *models = xmalloc((a->word_count + 1) * sizeof *models);
  memset(models, 0, (a->word_count + 1) * sizeof *models);
  bool found = true;
  for (size_t i = 0; i < a->word_count && found; i++) found = find_model(a->words[i], &models[i]);
  config.models = models;
  const char **taken[LISTS];
  take_lists(a, &config, taken);
  for (size_t i = 0; i < config.state_count && found; i++)
    if (!strchr(config.states[i], '='))
      found = !cli_error(CLI_USAGE, "--state %s: expected INPUT=OUTPUT", config.states[i]);
  config.trusted_proxies.at = take_proxies(a, &config.trusted_proxies.count, &code);
  if (config.trusted_proxies.at) config.labels = take_labels(a, &config.label_count, &code);
  if (config.labels) code = !found || server_run(&config) ? CLI_FAILED : CLI_OK;
  if (config.labels) free_labels(config.labels, config.label_count);
  free(config.trusted_proxies.at);
  for (size_t i = 0; i < LISTS; i++) free(taken[i]);
  for (size_t i = 0; i < a->word_count; i++) {
    free((char *)models[i].name);
    free((char *)models[i].path);
  }
  free(models);
  sdx_options_destroy(session);
  return code;
}

CLI_COMMAND(serve) = {"serve", "Serve models over HTTP", "[NAME=]MODEL... [options]", details, options, 0, SIZE_MAX,
                      run};
