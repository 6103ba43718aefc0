// SPDX-License-Identifier: Apache-2.0
// `sardonyx service ...`: models in operation. What they do is in deploy/service.h; here is what is said about it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/engine.h"
#include "cli/files.h"
#include "cli/json_table.h"
#include "cli/table.h"
#include "cli/workspace.h"
#include "deploy/service.h"
#include "deploy/supervisor.h"
#include "deploy/systemd.h"
#include "support/json.h"

enum { LOG_LINES = 100, LONGEST_WAIT_S = 86400 };

CLI_COMMAND(service) =
    CLI_GROUP("service", "Models in operation: deploy, update, roll back, scale, keys, logs",
              "A service keeps an image running under an address. It outlives the command and the shell.\n\n"
              "Examples:\n"
              "  sardonyx service deploy digits --model digits --auth key --wait\n"
              "  sardonyx service run digits request.json\n"
              "  sardonyx service update digits --model digits:2 --wait\n"
              "  sardonyx service rollback digits\n");

// ---- printing ------------------------------------------------------------------------------------

static void print_service(const json_t *service) {
  const json_t *error = json_object_get(service, "error");
  char *tags = json_line(json_object_get(service, "tags"));
  fact_print("service", "%s", text_of(service, "name"));
  fact_print("state", "%s", text_of(service, "state"));
  fact_print("target", "%s", text_of(service, "target"));
  fact_print("image", "%s", text_of(service, "image"));
  fact_print("description", "%s", text_of(service, "description"));
  fact_print("tags", "%s", tags);
  if (json_object_get(service, "trial"))
    fact_print("trial", "revision %lld with %lld %% of the requests", (long long)number_of(service, "trial"),
               (long long)number_of(service, "percent"));
  fact_print("auth", "%s", text_of(service, "auth"));
  fact_print("scoring_uri", "%s", text_of(service, "scoring_uri"));
  fact_print("swagger_uri", "%s", text_of(service, "swagger_uri"));
  if (error) fact_print("error", "%s", text_of(error, "message"));
  fact_print("trouble", "%s", text_of(service, "trouble"));
  free(tags);
}

static int code_of(const json_t *service) {
  return json_object_get(service, "error") || !strcmp(text_of(service, "state"), "Unhealthy") ? CLI_FAILED : CLI_OK;
}

// Takes the service. One that did not come up is printed with why, and with the end of its log.
static int report(const args *a, registry *r, json_t *service) {
  int code = code_of(service);
  progress_end();
  if (code) json_object_set_new(service, "log", service_log(r, text_of(service, "name"), LOG_LINES));
  if (args_has(a, "json")) {
    json_print(service);
    return code;
  }
  const json_t *log = json_object_get(service, "log");
  for (size_t i = 0; i < json_array_size(log); i++) fprintf(stderr, "%s\n", json_string_value(json_array_get(log, i)));
  print_service(service);
  if (code) {
    const char *message = text_of(json_object_get(service, "error"), "message");
    if (!*message) message = text_of(service, "trouble");
    cli_error(code, "%s: %s", text_of(service, "name"), *message ? message : "nobody supervises it");
    if (!*message) cli_hint("'sardonyx service start %s' starts what does", text_of(service, "name"));
  }
  json_decref(service);
  return code;
}

// After something was changed: waits if that is asked for, then tells how the service is.
static int finish(const args *a, registry *r, const char *name) {
  fault f = {0};
  json_t *service;
  unsigned seconds = args_has(a, "wait") ? (unsigned)args_int(a, "timeout", 600) : 0;
  if (seconds ? service_wait(r, name, seconds, &service, &f) : service_show(r, name, &service, &f))
    return fault_report(&f);
  if (!seconds || strcmp(text_of(service, "state"), "Transitioning")) return report(a, r, service);
  json_decref(service);
  return cli_error(CLI_FAILED, "service '%s' is still under way after %u s", name, seconds);
}

// Opens the workspace, does one thing to the service of the first word, tells how that is.
typedef sdx_status (*service_action)(const args *a, registry *r, const char *name, fault *f);

static int act(const args *a, service_action action) {
  int code;
  fault f = {0};
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  code = action(a, r, a->words[0], &f) ? fault_report(&f) : finish(a, r, a->words[0]);
  registry_close(r);
  return code;
}

#define WAIT_OPTIONS                                              \
  OPTION_FLAG("wait", "wait until it is in force or has failed"), \
      OPTION("timeout", ARG_INT, "SECONDS", "the longest wait (default 600)", .min = 1, .max = LONGEST_WAIT_S)

// ---- deploy and update ---------------------------------------------------------------------------

#define REVISION_OPTIONS                                                                                               \
  OPTION("image", ARG_TEXT, "NAME[:VERSION]", "the image to run", .letter = 'i'),                                      \
      OPTION("model", ARG_TEXT, "NAME[:VERSION]", "instead: build an image of this model; may be given several times", \
             .letter = 'm'),                                                                                           \
      OPTION("script", ARG_TEXT, "FILE", "score.py of that image", .letter = 's'),                                     \
      OPTION("file", ARG_TEXT, "PATH", "a file or folder beside the script; may be given several times"),              \
      OPTION("conda", ARG_TEXT, "FILE", "environment of the script (myenv.yml)"),                                      \
      OPTION("python", ARG_TEXT, "EXE", "the Python that runs the script (default: python3)"),                         \
      OPTION("auth", ARG_TEXT, "HOW", "who may call: key, token, none (default none)"),                                \
      OPTION("cpu", ARG_NUMBER, "N", "processors a replica may use", .min = 0, .max = 1024),                           \
      OPTION("memory", ARG_NUMBER, "GB", "memory a replica may use", .min = 0, .max = 65536),                          \
      OPTION("replicas", ARG_INT, "N", "server processes (default 1)", .min = 1, .max = 32, .letter = 'r'),            \
      OPTION("sample", ARG_TEXT, "FILE",                                                                               \
             "a request that must be answered before clients come to a new revision (default: sample.json of the "     \
             "model)"),                                                                                                \
      WORD_OPTIONS, WAIT_OPTIONS, WORKSPACE_OPTIONS

static const cli_option deploy_options[] = {
    OPTION("target", ARG_TEXT, "WHERE", "local (default), container, kubernetes"),
    OPTION("engine", ARG_TEXT, "COMMAND", "for containers: podman (default), with options in front of its commands"),
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
  static const char *const running[] = {"image",    "model",  "auth",   "cpu",    "memory",
                                        "replicas", "sample", "python", "traffic"};
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
  if (!model && (args_has(a, "script") || args_has(a, "conda") || args_has(a, "file")))
    return cli_error(CLI_USAGE, "--script, --conda and --file belong to --model");
  return CLI_OK;
}

// Of a folder that need not be there yet: commands in other folders find it, too.
static char *absolute(const char *path) {
  char *here = *path == '/' ? NULL : getcwd(NULL, 0), *whole = here ? xformat("%s/%s", here, path) : xstrdup(path);
  free(here);
  return whole;
}

static int revise_service(const args *a, bool must, revise action) {
  int code = check_words(a, must);
  if (code) return code;
  fault f = {0};
  json_t *words = asset_changes(a);
  char *out = args_has(a, "out") ? absolute(args_text(a, "out", NULL)) : NULL;
  const char *const *models = each_of(a, "model"), *const *files = each_of(a, "file");
  service_spec spec = {.name = a->words[0],
                       .image = args_text(a, "image", NULL),
                       .build = {.models = models,
                                 .script = args_text(a, "script", NULL),
                                 .files = files,
                                 .conda = args_text(a, "conda", NULL),
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
  if (r) code = action(r, &spec, &f) ? fault_report(&f) : finish(a, r, spec.name);
  else code = CLI_FAILED;
  registry_close(r);
  free(out);
  free((void *)models);
  free((void *)files);
  json_decref(words);
  return code;
}

static int run_deploy(const args *a) { return revise_service(a, true, service_deploy); }
CLI_COMMAND(service_deploy) = {
    "service deploy",
    "Put an image or a model into operation",
    "NAME --image NAME|--model NAME [options]",
    "Here it runs under a supervisor that outlives the command and starts it again when it ends. With --wait the "
    "command "
    "ends when the service answers; if it does not come up, with the exception, its line, the last lines of the log, "
    "and "
    "exit code 1.\n\n"
    "Examples:\n"
    "  sardonyx service deploy digits --model digits --wait\n"
    "  sardonyx service deploy digits --image digits:3 --auth key --replicas 2 --port 8080 --wait\n"
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
  return about_words(a) ? act(a, update_words) : revise_service(a, false, service_update);
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

// ---- rollback, scale, start, stop, delete --------------------------------------------------------

static const cli_option rollback_options[] = {
    OPTION("to", ARG_INT, "REVISION", "the revision (default: the one before)", .min = 1, .max = INT32_MAX),
    WAIT_OPTIONS,
    WORKSPACE_OPTIONS,
    {0}};

static sdx_status roll_back(const args *a, registry *r, const char *name, fault *f) {
  return service_rollback(r, name, args_int(a, "to", 0), f);
}
static int run_rollback(const args *a) { return act(a, roll_back); }
CLI_COMMAND(service_rollback) = {"service rollback",
                                 "Bring an earlier revision back into force",
                                 "NAME [options]",
                                 "Examples:\n"
                                 "  sardonyx service rollback digits --wait\n"
                                 "  sardonyx service rollback digits --to 3 --wait\n",
                                 rollback_options,
                                 1,
                                 1,
                                 run_rollback};

static const cli_option plain_options[] = {WAIT_OPTIONS, WORKSPACE_OPTIONS, {0}};

static sdx_status scale(const args *a, registry *r, const char *name, fault *f) {
  int64_t replicas;
  if (!args_parse_int(a->words[1], &replicas) || replicas < 1)
    return fault_set(f, SDX_INVALID_ARGUMENT, "'%.100s': expected a number of replicas from 1 up", a->words[1]);
  return service_scale(r, name, replicas, f);
}
static int run_scale(const args *a) { return act(a, scale); }
CLI_COMMAND(service_scale) = {"service scale",
                              "Change the number of server processes",
                              "NAME REPLICAS [options]",
                              "Example:\n"
                              "  sardonyx service scale digits 4 --wait\n",
                              plain_options,
                              2,
                              2,
                              run_scale};

static sdx_status set_traffic(const args *a, registry *r, const char *name, fault *f) {
  int64_t percent;
  if (!args_parse_int(a->words[1], &percent) || percent < 0 || percent > 100)
    return fault_set(f, SDX_INVALID_ARGUMENT, "'%.100s': expected a percentage from 0 to 100", a->words[1]);
  return service_traffic(r, name, percent, f);
}
static int run_traffic(const args *a) { return act(a, set_traffic); }
CLI_COMMAND(service_traffic) = {
    "service traffic",
    "Change the share of a revision on trial",
    "NAME PERCENT [options]",
    "'service update --traffic PERCENT' starts a trial. At 100 it comes into force, at 0 it ends. "
    "A client that sends the header 'azureml-model-deployment: REVISION' gets that one of the two.\n\n"
    "Examples:\n"
    "  sardonyx service update digits --model digits:2 --traffic 10 --wait\n"
    "  sardonyx service traffic digits 50\n"
    "  sardonyx service traffic digits 100 --wait\n",
    plain_options,
    2,
    2,
    run_traffic};

static sdx_status start(const args *a, registry *r, const char *name, fault *f) { return service_start(r, name, f); }
static int run_start(const args *a) { return act(a, start); }
CLI_COMMAND(service_start) = {"service start",
                              "Start a service that was stopped, or whose supervisor has ended",
                              "NAME [options]",
                              "Example:\n"
                              "  sardonyx service start digits --wait\n",
                              plain_options,
                              1,
                              1,
                              run_start};

static const cli_option stop_options[] = {WORKSPACE_OPTIONS, {0}};

static sdx_status stop(const args *a, registry *r, const char *name, fault *f) { return service_stop(r, name, f); }
static int run_stop(const args *a) { return act(a, stop); }
CLI_COMMAND(service_stop) = {"service stop",
                             "Stop a service once what it accepted is answered",
                             "NAME [options]",
                             "Example:\n"
                             "  sardonyx service stop digits\n",
                             stop_options,
                             1,
                             1,
                             run_stop};

static int run_delete(const args *a) {
  int code;
  fault f = {0};
  registry *r = workspace_open(a, &code);
  json_t *deleted = json_array();
  for (size_t i = 0; r && i < a->word_count && !code; i++) {
    if (service_delete(r, a->words[i], &f)) code = fault_report(&f);
    else json_array_append_new(deleted, json_string(a->words[i]));
  }
  if (r && args_has(a, "json")) json_print(json_incref(deleted));
  for (size_t i = 0; !args_has(a, "json") && i < json_array_size(deleted); i++)
    printf("deleted %s\n", json_string_value(json_array_get(deleted, i)));
  json_decref(deleted);
  registry_close(r);
  return code;
}
CLI_COMMAND(service_delete) = {"service delete",
                               "Stop services and forget them with all their revisions",
                               "NAME... [options]",
                               "Example:\n"
                               "  sardonyx service delete digits\n",
                               stop_options,
                               1,
                               SIZE_MAX,
                               run_delete};

// ---- list, show, logs ----------------------------------------------------------------------------

static const cli_option list_options[] = {
    OPTION("tag", ARG_TEXT, "KEY[=VALUE]", "with this tag only; may be given several times", .letter = 't'),
    OPTION("property", ARG_TEXT, "KEY[=VALUE]", "with this property only; may be given several times"),
    WORKSPACE_OPTIONS,
    {0}};

static void print_rows(const json_t *list) {
  size_t i;
  json_t *one;
  table *t = table_create("name<|state<|target<|image<|scoring_uri<");
  json_array_foreach((json_t *)list, i, one) {
    table_cell(t, "%s", text_of(one, "name"));
    table_cell(t, "%s", text_of(one, "state"));
    table_cell(t, "%s", text_of(one, "target"));
    table_cell(t, "%s", text_of(one, "image"));
    table_cell(t, "%s", text_of(one, "scoring_uri"));
  }
  table_print(t);
  table_destroy(t);
}

static int run_list(const args *a) {
  int code;
  fault f = {0};
  json_t *assets = NULL, *list = json_array(), *one;
  size_t i;
  registry *r = workspace_open(a, &code);
  registry_filter filter = {.tags = each_of(a, "tag"), .properties = each_of(a, "property"), .latest = true};
  if (r && !registry_list(r, ASSET_SERVICE, &filter, &assets, &f)) {
    json_array_foreach(assets, i, one) {
      json_t *service = NULL;
      if (!f.status && !service_show(r, text_of(one, "name"), &service, &f)) json_array_append_new(list, service);
    }
  }
  if (f.status) code = fault_report(&f);
  else if (r && args_has(a, "json")) json_print(json_incref(list));
  else if (r && json_array_size(list)) print_rows(list);
  else if (r) printf("no services\n");
  free((void *)filter.tags);
  free((void *)filter.properties);
  json_decref(assets);
  json_decref(list);
  registry_close(r);
  return code;
}
CLI_COMMAND(service_list) = {"service list",
                             "List services and how they are",
                             "[options]",
                             "Example:\n"
                             "  sardonyx service list --tag stage=live\n",
                             list_options,
                             0,
                             0,
                             run_list};

static int run_show(const args *a) {
  int code;
  fault f = {0};
  json_t *service;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (args_has(a, "wait")) {
    code = finish(a, r, a->words[0]);
  } else if (service_show(r, a->words[0], &service, &f)) {
    code = fault_report(&f);
  } else if (args_has(a, "json")) {
    json_print(service);
  } else {
    print_service(service);
    putchar('\n');
    json_table_print(json_object_get(service, "revisions"), NULL);
    json_decref(service);
  }
  registry_close(r);
  return code;
}
CLI_COMMAND(service_show) = {"service show",
                             "Show a service: state, addresses, revisions",
                             "NAME [options]",
                             "Examples:\n"
                             "  sardonyx service show digits --json\n"
                             "  sardonyx service show digits --wait\n",
                             plain_options,
                             1,
                             1,
                             run_show};

static const cli_option logs_options[] = {
    OPTION("lines", ARG_INT, "N", "the last N (default 100)", .min = 1, .max = 1000000, .letter = 'n'),
    WORKSPACE_OPTIONS,
    {0}};

static int run_logs(const args *a) {
  int code;
  fault f = {0};
  json_t *service;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (service_show(r, a->words[0], &service, &f)) {
    code = fault_report(&f);
  } else {
    json_t *log = service_log(r, a->words[0], (size_t)args_int(a, "lines", LOG_LINES));
    json_decref(service);
    if (args_has(a, "json")) json_print(json_incref(log));
    for (size_t i = 0; !args_has(a, "json") && i < json_array_size(log); i++)
      printf("%s\n", json_string_value(json_array_get(log, i)));
    json_decref(log);
  }
  registry_close(r);
  return code;
}
CLI_COMMAND(service_logs) = {"service logs",
                             "Print the end of a service's log",
                             "NAME [options]",
                             "Lines begin with the time, then REVISION.PROCESS.\n\n"
                             "Example:\n"
                             "  sardonyx service logs digits --lines 20\n",
                             logs_options,
                             1,
                             1,
                             run_logs};

// ---- keys, run, supervise ------------------------------------------------------------------------

static const cli_option keys_options[] = {
    OPTION("regenerate", ARG_TEXT, "WHICH", "make primary or secondary anew; the old one is refused at once"),
    OPTION("key", ARG_TEXT, "KEY", "with --regenerate: this key instead of a random one"),
    WORKSPACE_OPTIONS,
    {0}};

static int run_keys(const args *a) {
  int code;
  fault f = {0};
  json_t *keys;
  const char *which = args_text(a, "regenerate", NULL);
  service_key slot = !which ? SERVICE_KEEP : !strcmp(which, "primary") ? SERVICE_PRIMARY : SERVICE_SECONDARY;
  if (which && slot == SERVICE_SECONDARY && strcmp(which, "secondary") != 0)
    return cli_error(CLI_USAGE, "--regenerate %s: expected primary or secondary", which);
  if (!which && args_has(a, "key")) return cli_error(CLI_USAGE, "--key belongs to --regenerate");
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (service_keys(r, a->words[0], slot, args_text(a, "key", NULL), &keys, &f)) {
    code = fault_report(&f);
  } else if (args_has(a, "json")) {
    json_print(keys);
  } else {
    fact_print("primary", "%s", text_of(keys, "primary"));
    fact_print("secondary", "%s", text_of(keys, "secondary"));
    json_decref(keys);
  }
  registry_close(r);
  return code;
}
CLI_COMMAND(service_keys) = {
    "service keys",
    "Show the keys of a service, or make one anew",
    "NAME [options]",
    "Clients send one of them as 'Authorization: Bearer KEY'. There are two, so that one can be "
    "replaced while the other is in use.\n\n"
    "Examples:\n"
    "  sardonyx service keys digits\n"
    "  sardonyx service keys digits --regenerate primary\n",
    keys_options,
    1,
    1,
    run_keys};

static const cli_option token_options[] = {
    OPTION("minutes", ARG_INT, "N", "how long it is good for (default 60)", .min = 1, .max = 525600),
    WORKSPACE_OPTIONS,
    {0}};

static int run_token(const args *a) {
  int code;
  fault f = {0};
  json_t *token;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (service_token(r, a->words[0], args_int(a, "minutes", 60) * 60, &token, &f)) {
    code = fault_report(&f);
  } else if (args_has(a, "json")) {
    json_print(token);
  } else {
    printf("%s\n", text_of(token, "token"));
    json_decref(token);
  }
  registry_close(r);
  return code;
}
CLI_COMMAND(service_token) = {
    "service token",
    "Make a token for a service that was deployed with --auth token",
    "NAME [options]",
    "Clients send it as 'Authorization: Bearer TOKEN' until it ends. It is a JSON Web Token that servers check by "
    "themselves.\n\n"
    "Example:\n"
    "  curl -H \"Authorization: Bearer $(sardonyx service token digits)\" ...\n",
    token_options,
    1,
    1,
    run_token};

// ---- systemd -------------------------------------------------------------------------------------

static int run_unit(const args *a) {
  int code;
  fault f = {0};
  bool user = args_has(a, "user");
  json_t *service = NULL;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (service_show(r, a->words[0], &service, &f)) {
    code = fault_report(&f);
  } else {
    char *text = systemd_unit(r, a->words[0], user, &f), *path = NULL;
    if (text && !args_has(a, "install")) fputs(text, stdout);
    else if (text && (path = systemd_install(a->words[0], text, user, &f)))
      printf("%s\n  systemctl%s daemon-reload && systemctl%s enable sardonyx-%s\n", path, user ? " --user" : "",
             user ? " --user" : "", a->words[0]);
    else code = fault_report(&f);
    free(text);
    free(path);
  }
  json_decref(service);
  registry_close(r);
  return code;
}

static const cli_option unit_options[] = {
    OPTION_FLAG("install", "write it to where systemd looks, and say what enables it"),
    OPTION_FLAG("user", "for systemd of this user, not of the machine"),
    OPTION("workspace", ARG_TEXT, "FOLDER", "folder or config.json (default: found from the current folder up)",
           .letter = 'w'),
    {0}};
CLI_COMMAND(service_unit) = {"service unit",
                             "Print or install a systemd unit that starts a service with the machine",
                             "NAME [options]",
                             "Examples:\n"
                             "  sardonyx service unit digits | sudo tee /etc/systemd/system/sardonyx-digits.service\n"
                             "  sardonyx service unit digits --install --user\n",
                             unit_options,
                             1,
                             1,
                             run_unit};

static int print_answer(const args *a, json_t *answer) {
  long long status = number_of(answer, "status");
  if (args_has(a, "json")) json_print(json_incref(answer));
  else printf("%s\n", text_of(answer, "body"));
  json_decref(answer);
  if (status / 100 == 2) return CLI_OK;
  return cli_error(CLI_FAILED, "the service answers with status %lld", status);
}

static int run_run(const args *a) {
  int code;
  fault f = {0};
  why w;
  json_t *answer;
  size_t size;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  char *body = file_read(a->words[1], &size, &w);
  if (!body) code = cli_error(CLI_FAILED, "%s", w.text);
  else if (service_call(r, a->words[0], body, size, &answer, &f)) code = fault_report(&f);
  else code = print_answer(a, answer);
  free(body);
  registry_close(r);
  return code;
}
CLI_COMMAND(service_run) = {"service run",
                            "Send a request to a service, with its key",
                            "NAME FILE [options]",
                            "FILE holds the body of the request; - is standard input.\n\n"
                            "Examples:\n"
                            "  sardonyx service run digits request.json\n"
                            "  echo '{\"data\": [[1, 2, 3]]}' | sardonyx service run digits -\n",
                            stop_options,
                            2,
                            2,
                            run_run};

static int run_supervise(const args *a) {
  fault f = {0};
  registry_options options = {.workspace = args_text(a, "workspace", NULL)};
  return supervisor_run(&options, a->words[0], &f) ? fault_report(&f) : CLI_OK;
}
static const cli_option supervise_options[] = {
    OPTION("workspace", ARG_TEXT, "FOLDER", "folder or config.json (default: found from the current folder up)",
           .letter = 'w'),
    {0}};
CLI_COMMAND(service_supervise) = {
    "service supervise",
    "Keep a service running, in the foreground",
    "NAME [options]",
    "What 'service deploy' starts by itself, for systemd and others who start processes.\n\n"
    "Example:\n"
    "  sardonyx service supervise digits --workspace /srv/models\n",
    supervise_options,
    1,
    1,
    run_supervise};
