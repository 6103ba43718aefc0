// SPDX-License-Identifier: Apache-2.0
// `sardonyx workspace ...`: the folder that holds models, images and services.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/json_table.h"
#include "cli/table.h"
#include "cli/workspace.h"
#include "deploy/service.h"
#include "deploy/transfer.h"

CLI_COMMAND(workspace) =
    CLI_GROUP("workspace", "The folder that holds models and images: create, show, verify, gc",
              "A folder is a workspace when it has a config.json, in itself or in .azureml/; commands find it "
              "from the folder they run in, or one above.\n\n"
              "Examples:\n"
              "  sardonyx workspace create\n"
              "  sardonyx workspace verify\n");

// ---- create --------------------------------------------------------------------------------------

static const cli_option create_options[] = {
    OPTION("name", ARG_TEXT, "NAME", "its name (default: the folder's)", .letter = 'n'),
    OPTION("resource-group", ARG_TEXT, "NAME", "what Azure ML scripts print (default: local)"),
    OPTION("subscription-id", ARG_TEXT, "ID", "what Azure ML scripts print (default: zeros)"),
    OPTION("location", ARG_TEXT, "NAME", "what Azure ML scripts print (default: local)"),
    OPTION_FLAG("json", "machine-readable"),
    {0}};

static int print_workspace(const args *a, registry *r) {
  fault f = {0};
  json_t *facts = registry_describe(r, &f);
  if (!facts) return fault_report(&f);
  if (args_has(a, "json")) {
    json_print(facts);
    return CLI_OK;
  }
  static const char *const keys[] = {"name",   "resource_group", "location", "subscription_id", "folder",
                                     "config", "models",         "images",   "services",        NULL};
  char bytes[32];
  for (const char *const *key = keys; *key; key++) {
    char *text = json_line(json_object_get(facts, *key));
    fact_print(*key, "%s", text);
    free(text);
  }
  fact_print("size", "%s", bytes_describe(json_number_value(json_object_get(facts, "bytes")), bytes));
  json_t *box = json_object_get(facts, "sandbox");
  int landlock = (int)json_integer_value(json_object_get(box, "landlock"));
  bool seccomp = json_is_true(json_object_get(box, "seccomp"));
  if (landlock) fact_print("sandbox", "Landlock %d%s", landlock, seccomp ? ", seccomp" : ", no seccomp");
  else fact_print("sandbox", "no Landlock%s", seccomp ? ", seccomp" : ", no seccomp");
  json_decref(facts);
  return CLI_OK;
}

static int run_create(const args *a) {
  fault f = {0};
  char *config;
  registry *r;
  registry_place place = {.folder = a->word_count ? a->words[0] : NULL,
                          .name = args_text(a, "name", NULL),
                          .resource_group = args_text(a, "resource-group", NULL),
                          .subscription_id = args_text(a, "subscription-id", NULL),
                          .location = args_text(a, "location", NULL)};
  if (registry_create_workspace(&place, &config, &f)) return fault_report(&f);
  int code = registry_open(&(registry_options){.workspace = config}, &r, &f) ? fault_report(&f) : print_workspace(a, r);
  free(config);
  registry_close(r);
  return code;
}

CLI_COMMAND(workspace_create) = {
    "workspace create",
    "Make a folder a workspace",
    "[FOLDER] [options]",
    "Writes FOLDER/.azureml/config.json, which Workspace.from_config() of the Azure ML SDK finds, too.\n\n"
    "Examples:\n"
    "  sardonyx workspace create\n"
    "  sardonyx workspace create digits --name digits --resource-group lab\n",
    create_options,
    0,
    1,
    run_create};

// ---- show ----------------------------------------------------------------------------------------

static const cli_option plain_options[] = {WORKSPACE_OPTIONS, {0}};

static int run_show(const args *a) {
  int code;
  registry *r = workspace_open(a, &code);
  if (r) code = print_workspace(a, r);
  registry_close(r);
  return code;
}

CLI_COMMAND(workspace_show) = {"workspace show",
                               "Show which workspace this is and what it holds",
                               "[options]",
                               "Example:\n"
                               "  sardonyx workspace show --json\n",
                               plain_options,
                               0,
                               0,
                               run_show};

// ---- log -----------------------------------------------------------------------------------------

static const cli_option log_options[] = {
    OPTION("count", ARG_INT, "N", "the last N (default 20)", .max = 10000), WORKSPACE_OPTIONS, {0}};

static int run_log(const args *a) {
  int code;
  fault f = {0};
  json_t *list;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (registry_operations(r, args_int(a, "count", 20), &list, &f)) {
    code = fault_report(&f);
  } else if (args_has(a, "json")) {
    json_print(list);
  } else {
    json_table_print(list, NULL);
    json_decref(list);
  }
  registry_close(r);
  return code;
}

CLI_COMMAND(workspace_log) = {"workspace log",
                              "Show what was done in a workspace",
                              "[options]",
                              "Example:\n"
                              "  sardonyx workspace log --count 100\n",
                              log_options,
                              0,
                              0,
                              run_log};

// ---- verify and gc -------------------------------------------------------------------------------

static const cli_option verify_options[] = {
    OPTION_FLAG("fast", "look at sizes, do not read the files"), WORKSPACE_OPTIONS, {0}};

static void print_report(const json_t *report) {
  const json_t *lost = json_object_get(report, "lost"), *dangling = json_object_get(report, "dangling");
  const char *database = json_string_value(json_object_get(report, "database"));
  char bytes[32];
  printf("%lld files, %s: %zu lost, %zu dangling, database %s\n",
         (long long)json_integer_value(json_object_get(report, "files")),
         bytes_describe(json_number_value(json_object_get(report, "bytes")), bytes), json_array_size(lost),
         json_array_size(dangling), database);
  json_table_print(lost, NULL);
  for (size_t i = 0; i < json_array_size(dangling); i++)
    printf("dangling: %s\n", json_string_value(json_array_get(dangling, i)));
  if (json_array_size(dangling)) cli_hint("'sardonyx workspace gc' removes what belongs to nothing");
}

static int run_verify(const args *a) {
  int code;
  fault f = {0};
  json_t *report;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (registry_verify(r, args_has(a, "fast"), &report, &f)) {
    code = fault_report(&f);
  } else {
    const char *database = json_string_value(json_object_get(report, "database"));
    progress_end();
    if (json_array_size(json_object_get(report, "lost")) || !database || strcmp(database, "ok")) code = CLI_FAILED;
    if (args_has(a, "json")) json_print(json_incref(report));
    else print_report(report);
    json_decref(report);
  }
  registry_close(r);
  return code;
}

CLI_COMMAND(workspace_verify) = {"workspace verify",
                                 "Check every file against its digest, and the database",
                                 "[--fast] [options]",
                                 "Lost: a registered file that is missing or changed; then the exit code is 1. "
                                 "Dangling: what belongs to nothing.\n\n"
                                 "Examples:\n"
                                 "  sardonyx workspace verify\n"
                                 "  sardonyx workspace verify --fast --json\n",
                                 verify_options,
                                 0,
                                 0,
                                 run_verify};

static int run_gc(const args *a) {
  int code;
  fault f = {0};
  json_t *report;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (registry_collect(r, 10000, &report, &f)) {
    code = fault_report(&f);
  } else if (args_has(a, "json")) {
    json_print(report);
  } else {
    char bytes[32];
    printf("removed %lld files, %s\n", (long long)json_integer_value(json_object_get(report, "files")),
           bytes_describe(json_number_value(json_object_get(report, "bytes")), bytes));
    json_decref(report);
  }
  registry_close(r);
  return code;
}

CLI_COMMAND(workspace_gc) = {
    "workspace gc",
    "Remove files that belong to nothing",
    "[options]",
    "What is deleted is removed at once; this finds what a crash left, and waits for those who write.\n\n"
    "Example:\n"
    "  sardonyx workspace gc\n",
    plain_options,
    0,
    0,
    run_gc};

// ---- delete --------------------------------------------------------------------------------------

static const cli_option delete_options[] = {
    OPTION_FLAG("yes", "do it", .letter = 'y'),
    OPTION("workspace", ARG_TEXT, "FOLDER", "which (default: that of this folder)", .letter = 'w'),
    {0}};

// Their supervisors and servers would go on without it. What is on a cluster stays there.
static sdx_status end_services(const char *config, fault *f) {
  registry *r;
  json_t *list = NULL, *one;
  size_t i;
  if (registry_open(&(registry_options){.workspace = config}, &r, f)) return f->status;
  registry_list(r, ASSET_SERVICE, &(registry_filter){.latest = true}, &list, f);
  json_array_foreach(list, i, one) {
    const char *name = json_string_value(json_object_get(one, "name"));
    json_t *settings = NULL;
    if (!f->status && !registry_get_service(r, name, &settings, NULL, f) &&
        strcmp(json_string_value(json_object_get(settings, "target")), "kubernetes") != 0)
      service_delete(r, name, f);
    json_decref(settings);
  }
  json_decref(list);
  registry_close(r);
  return f->status;
}

static int run_delete(const args *a) {
  fault f = {0};
  char *config = registry_find_workspace(args_text(a, "workspace", NULL), &f);
  int code = config ? CLI_OK : fault_report(&f);
  if (config && !args_has(a, "yes"))
    code = cli_error(CLI_USAGE, "workspace delete: all models, images and services of %s would be gone; --yes does it",
                     config);
  else if (config && (end_services(config, &f) || registry_delete_workspace(config, &f))) code = fault_report(&f);
  free(config);
  return code;
}

CLI_COMMAND(workspace_delete) = {"workspace delete",
                                 "Delete a workspace with all that is in it",
                                 "--yes [options]",
                                 "The folder itself and your own files in it stay.\n\n"
                                 "Example:\n"
                                 "  sardonyx workspace delete --yes\n",
                                 delete_options,
                                 0,
                                 0,
                                 run_delete};

// ---- export and import ---------------------------------------------------------------------------

static int run_export(const args *a) {
  int code;
  fault f = {0};
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (transfer_export(r, a->words[0], &f)) code = fault_report(&f);
  progress_end();
  registry_close(r);
  return code;
}

CLI_COMMAND(workspace_export) = {"workspace export",
                                 "Write all models and images as an OCI layout",
                                 "FOLDER|FILE.tar [options]",
                                 "Examples:\n"
                                 "  sardonyx workspace export backup.tar\n"
                                 "  sardonyx workspace import backup.tar --workspace elsewhere\n",
                                 plain_options,
                                 1,
                                 1,
                                 run_export};

static int run_import(const args *a) { return transfer_import_from(a); }
CLI_COMMAND(workspace_import) = {
    "workspace import",
    "Take in the models and images of an OCI layout",
    "FOLDER|FILE.tar [options]",
    "Names and versions are kept where they are free; what is here already stays as it is.\n\n"
    "Example:\n"
    "  sardonyx workspace import backup.tar\n",
    plain_options,
    1,
    1,
    run_import};
