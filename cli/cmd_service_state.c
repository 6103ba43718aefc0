// SPDX-License-Identifier: Apache-2.0
// `sardonyx service rollback|scale|traffic|start|stop|delete|list|show|logs`: services that are there, changed and
// looked at. Read next: deploy/service.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/json_table.h"
#include "cli/service.h"
#include "cli/table.h"
#include "cli/workspace.h"
#include "deploy/service.h"
#include "support/json.h"

// ---- rollback, scale, start, stop, delete --------------------------------------------------------

static const cli_option rollback_options[] = {
    OPTION("to", ARG_INT, "REVISION", "the revision (default: the one before)", .min = 1, .max = INT32_MAX),
    WAIT_OPTIONS,
    WORKSPACE_OPTIONS,
    {0}};

static sdx_status roll_back(const args *a, registry *r, const char *name, fault *f) {
  return service_rollback(r, name, args_int(a, "to", 0), f);
}
static int run_rollback(const args *a) { return service_act(a, roll_back); }
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
static int run_scale(const args *a) { return service_act(a, scale); }
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
static int run_traffic(const args *a) { return service_act(a, set_traffic); }
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
static int run_start(const args *a) { return service_act(a, start); }
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
static int run_stop(const args *a) { return service_act(a, stop); }
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
    code = service_finish(a, r, a->words[0]);
  } else if (service_show(r, a->words[0], &service, &f)) {
    code = fault_report(&f);
  } else if (args_has(a, "json")) {
    json_print(service);
  } else {
    service_print(service);
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
    OPTION("follow", ARG_FLAG, NULL, "and then what comes, until interrupted", .letter = 'f'),
    WORKSPACE_OPTIONS,
    {0}};

static bool print_bytes(void *context, const char *bytes, size_t size) {
  bool good = fwrite(bytes, 1, size, stdout) == size;
  return !fflush(stdout) && good;
}

static int run_logs(const args *a) {
  int code;
  fault f = {0};
  json_t *service;
  if (args_has(a, "follow") && args_has(a, "json"))
    return cli_error(CLI_USAGE, "service logs: --json is one list, which --follow never ends");
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (service_show(r, a->words[0], &service, &f)) {
    code = fault_report(&f);
  } else {
    json_t *log = service_log(r, a->words[0], (size_t)args_int(a, "lines", SERVICE_LOG_LINES));
    json_decref(service);
    if (args_has(a, "json")) json_print(json_incref(log));
    for (size_t i = 0; !args_has(a, "json") && i < json_array_size(log); i++)
      printf("%s\n", json_string_value(json_array_get(log, i)));
    json_decref(log);
    fflush(stdout);
    if (args_has(a, "follow") && service_follow(r, a->words[0], print_bytes, NULL, &f)) code = fault_report(&f);
  }
  registry_close(r);
  return code;
}
CLI_COMMAND(service_logs) = {"service logs",
                             "Print the end of a service's log",
                             "NAME [options]",
                             "Lines begin with the time, then REVISION.PROCESS.\n\n"
                             "Example:\n"
                             "  sardonyx service logs digits --lines 20\n"
                             "  sardonyx service logs digits --follow\n",
                             logs_options,
                             1,
                             1,
                             run_logs};
