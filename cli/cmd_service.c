// SPDX-License-Identifier: Apache-2.0
// `sardonyx service ...`: models in operation. Here are `deploy` and `update`, whose options become one record; what is
// done with it is in deploy/service.h. Read next: cmd_service_state.c (from rollback to logs), cmd_service_call.c
// (keys, token, run), cmd_service_supervise.c.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/service.h"
#include "cli/workspace.h"
#include "deploy/service.h"
#include "support/json.h"

CLI_COMMAND(service) =
    CLI_GROUP("service", "Models in operation: deploy, update, roll back, scale, keys, logs",
              "A service keeps an image running under an address. It outlives the command and the shell.\n\n"
              "Examples:\n"
              "  sardonyx service deploy digits --model digits --auth key --wait\n"
              "  sardonyx service run digits request.json\n"
              "  sardonyx service update digits --model digits:2 --wait\n"
              "  sardonyx service rollback digits\n");

#define REVISION_OPTIONS                                                                                           \
  OPTION("image", ARG_TEXT, "NAME[:VERSION]", "the image to run", .letter = 'i'),                                  \
      OPTION("model", ARG_TEXT, "NAME[:VERSION]|FILE.onnx",                                                        \
             "instead: build an image of this model, a file is registered first; may be given several times",      \
             .letter = 'm'),                                                                                       \
      OPTION("script", ARG_TEXT, "FILE", "score.py of that image", .letter = 's'),                                 \
      OPTION("file", ARG_TEXT, "PATH", "a file or folder beside the script; may be given several times"),          \
      OPTION("conda", ARG_TEXT, "FILE", "environment of the script (myenv.yml)"),                                  \
      OPTION("env", ARG_TEXT, "NAME=VALUE", "a variable of its environment; may be given several times",           \
             .letter = 'e'),                                                                                       \
      OPTION("python", ARG_TEXT, "EXE", "the Python that runs the script (default: python3)"),                     \
      OPTION("auth", ARG_TEXT, "HOW", "who may call: key, token, none (default none)"),                            \
      OPTION("tls-cert", ARG_TEXT, "FILE", "certificate chain (PEM): HTTPS; taken again when the file changes"),   \
      OPTION("tls-key", ARG_TEXT, "FILE", "its private key (PEM)"),                                                \
      OPTION("cors-origin", ARG_TEXT, "ORIGIN",                                                                    \
             "let pages of this origin call, or of any: *; may be given several times"),                           \
      OPTION("cpu", ARG_NUMBER, "N", "processors a replica may use", .min = 0, .max = 1024),                       \
      OPTION("memory", ARG_NUMBER, "GB", "memory a replica may use", .min = 0, .max = 65536),                      \
      OPTION("replicas", ARG_INT, "N", "server processes (default 1)", .min = 1, .max = 32, .letter = 'r'),        \
      OPTION("sample", ARG_TEXT, "FILE",                                                                           \
             "a request that must be answered before clients come to a new revision (default: sample.json of the " \
             "model)"),                                                                                            \
      WORD_OPTIONS, WAIT_OPTIONS, WORKSPACE_OPTIONS

static const cli_option deploy_options[] = {
    OPTION("target", ARG_TEXT, "WHERE", "local (default), container, kubernetes"),
    OPTION("engine", ARG_TEXT, "COMMAND",
           "for containers: podman (default) or docker, with options in front of its commands"),
    OPTION("out", ARG_TEXT, "FOLDER", "for Kubernetes: write the manifests there, do not apply them"),
    OPTION("namespace", ARG_TEXT, "NAME", "for Kubernetes (default: default)"),
    OPTION("registry", ARG_TEXT, "HOST/NAME", "for Kubernetes: push the image there first"),
    OPTION_FLAG("kserve", "for Kubernetes: as an InferenceService of KServe"),
    OPTION("max-replicas", ARG_INT, "N", "for Kubernetes: where scaling ends (default 10)", .min = 1, .max = 10000),
    OPTION("host", ARG_TEXT, "ADDRESS", "name or address to listen on (default 127.0.0.1)"),
    OPTION("port", ARG_INT, "N", "port (default: a free one, kept from then on)", .min = 1, .max = 65535,
           .letter = 'p'),
    OPTION("start-seconds", ARG_INT, "N", "time for a revision to become ready (default 300)", .min = 1, .max = 86400),
    REVISION_OPTIONS,
    {0}};

static const cli_option update_options[] = {
    OPTION("traffic", ARG_INT, "PERCENT",
           "send it this share of the requests only: a trial beside the revision in force", .min = 1, .max = 100),
    REVISION_OPTIONS,
    OPTION("remove-tag", ARG_TEXT, "KEY", "a tag to remove; may be given several times"),
    {0}};

// Whether only what is said of the service is to change, and nothing that runs.
static bool about_words(const args *a) {
  static const char *const running[] = {"image",   "model",    "script",  "file",       "conda",  "env",
                                        "auth",    "cpu",      "memory",  "replicas",   "sample", "python",
                                        "traffic", "tls-cert", "tls-key", "cors-origin"};
  for (size_t i = 0; i < sizeof running / sizeof *running; i++)
    if (args_has(a, running[i])) return false;
  return args_has(a, "tag") || args_has(a, "remove-tag") || args_has(a, "property") || args_has(a, "description");
}

typedef sdx_status (*revise)(registry *r, const service_spec *spec, fault *f);

static int check_words(const args *a, bool must) {
  bool image = args_has(a, "image"), model = args_has(a, "model");
  if (image && (model || args_has(a, "script")))
    return cli_error(CLI_USAGE, "--image names what is built; --model and --script say what to build");
  if (must && !image && !model) return cli_error(CLI_USAGE, "what is to be run? --image NAME or --model NAME says it");
  if (!model && args_has(a, "script")) return cli_error(CLI_USAGE, "--script belongs to --model");
  if (!args_has(a, "script") && (args_has(a, "conda") || args_has(a, "env") || args_has(a, "file")))
    return cli_error(CLI_USAGE, "--conda, --env and --file belong to --script");
  return CLI_OK;
}

// Of what need not be there yet: commands in other folders find it, too. NULL stays NULL.
static char *absolute(const char *path) {
  if (!path) return NULL;
  char *here = *path == '/' ? NULL : getcwd(NULL, 0), *whole = here ? xformat("%s/%s", here, path) : xstrdup(path);
  free(here);
  return whole;
}

static int revise_service(const args *a, bool must, revise action) {
  int code = check_words(a, must);
  if (code) return code;
  fault f = {0};
  json_t *words = asset_changes(a);
  char *out = absolute(args_text(a, "out", NULL)), *certificate = absolute(args_text(a, "tls-cert", NULL)),
       *key = absolute(args_text(a, "tls-key", NULL));
  const char *const *models = NULL, *const *files = each_of(a, "file"), *const *variables = each_of(a, "env"),
                    *const *origins = each_of(a, "cors-origin");
  json_t *ids = json_array();
  service_spec spec = {.name = a->words[0],
                       .image = args_text(a, "image", NULL),
                       .build = {.script = args_text(a, "script", NULL),
                                 .files = files,
                                 .conda = args_text(a, "conda", NULL),
                                 .variables = variables,
                                 .dryrun.python = args_text(a, "python", NULL)},
                       .target = args_text(a, "target", NULL),
                       .engine = args_text(a, "engine", NULL),
                       .space = args_text(a, "namespace", NULL),
                       .registry = args_text(a, "registry", NULL),
                       .out = out,
                       .kserve = args_has(a, "kserve"),
                       .max_replicas = (int)args_int(a, "max-replicas", 0),
                       .auth = args_text(a, "auth", NULL),
                       .host = args_text(a, "host", NULL),
                       .tls_cert = certificate,
                       .tls_key = key,
                       .origins = *origins ? origins : NULL,
                       .port = (int)args_int(a, "port", 0),
                       .replicas = (int)args_int(a, "replicas", 0),
                       .cpu = args_number(a, "cpu", 0),
                       .memory_gb = args_number(a, "memory", 0),
                       .percent = (int)args_int(a, "traffic", 0),
                       .sample = args_text(a, "sample", NULL),
                       .start_seconds = (unsigned)args_int(a, "start-seconds", 0),
                       .description = args_text(a, "description", NULL),
                       .tags = json_object_get(words, "tags"),
                       .properties = json_object_get(words, "properties")};
  registry *r = words ? workspace_open(a, &code) : NULL;
  if (r) spec.build.models = models = models_of(a, r, ids);
  if (models) code = action(r, &spec, &f) ? fault_report(&f) : service_finish(a, r, spec.name);
  else code = CLI_FAILED;
  registry_close(r);
  free(out);
  free(certificate);
  free(key);
  free((void *)origins);
  free((void *)models);
  free((void *)files);
  free((void *)variables);
  json_decref(words);
  json_decref(ids);
  return code;
}

static int run_deploy(const args *a) { return revise_service(a, true, service_deploy); }
CLI_COMMAND(service_deploy) = {
    "service deploy",
    "Put an image or a model into operation",
    "NAME --image NAME|--model NAME|FILE.onnx [options]",
    "Here it runs under a supervisor that outlives the command and starts it again when it ends. With --wait the "
    "command "
    "ends when the service answers; if it does not come up, with the exception, its line, the last lines of the log, "
    "and "
    "exit code 1.\n\n"
    "Examples:\n"
    "  sardonyx service deploy digits --model digits --wait\n"
    "  sardonyx service deploy digits --model digits.onnx --wait\n"
    "  sardonyx service deploy digits --image digits:3 --auth key --replicas 2 --port 8080 --wait\n"
    "  sardonyx service deploy digits --model digits --host 0.0.0.0 --tls-cert fullchain.pem --tls-key privkey.pem\n"
    "  sardonyx service deploy faces --model faces --script score.py --conda myenv.yml --wait --json\n"
    "  sardonyx service deploy digits --image digits --target container --cpu 1 --memory 0.5 --wait\n"
    "  sardonyx service deploy digits --image digits --target kubernetes --out manifests\n",
    deploy_options,
    1,
    1,
    run_deploy};

// Of the revision in force; of the newest where there is none.
static sdx_status update_words(const args *a, registry *r, const char *name, fault *f) {
  json_t *changes = asset_changes(a), *service = NULL, *asset = NULL;
  if (!changes) return fault_set(f, SDX_INVALID_ARGUMENT, "service '%s' stays as it is", name);
  if (!service_show(r, name, &service, f)) {
    long long revision = number_of(service, "revision");
    char *reference = revision ? xformat("%s:%lld", name, revision) : xstrdup(name);
    registry_update(r, ASSET_SERVICE, reference, changes, &asset, f);
    free(reference);
  }
  json_decref(changes);
  json_decref(service);
  json_decref(asset);
  return f->status;
}

static int run_update(const args *a) {
  return about_words(a) ? service_act(a, update_words) : revise_service(a, false, service_update);
}
CLI_COMMAND(service_update) = {
    "service update",
    "Bring another image or model into force, without a failed request",
    "NAME [--image NAME|--model NAME] [options]",
    "The new revision is started beside the old one and gets the sample; once it has answered, it takes all clients, "
    "and the old "
    "one ends when its last request is answered. If it does not come up, the old one stays. Where only tags, "
    "properties and the description are given, nothing is started.\n\n"
    "Examples:\n"
    "  sardonyx service update digits --tag stage=live\n"
    "  sardonyx service update digits --model digits:2 --wait\n"
    "  sardonyx service update digits --image digits --sample request.json --wait\n",
    update_options,
    1,
    1,
    run_update};
