// SPDX-License-Identifier: Apache-2.0
// `sardonyx model ...`: the models of a workspace.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/baseline.h"
#include "cli/engine.h"
#include "cli/files.h"
#include "cli/foreign.h"
#include "cli/workspace.h"
#include "support/files.h"

CLI_COMMAND(model) = CLI_GROUP("model", "Models of a workspace: register, list, show, tag, download, delete",
                               "A model is named NAME (its newest version) or NAME:VERSION.\n\n"
                               "Examples:\n"
                               "  sardonyx model register digits.onnx --name digits --tag stage=test\n"
                               "  sardonyx model list --latest\n"
                               "  sardonyx model show digits\n");

// ---- register ------------------------------------------------------------------------------------

static const cli_option register_options[] = {
    OPTION("name", ARG_TEXT, "NAME", "its name (default: that of the first file or folder, without .onnx)",
           .letter = 'n'),
    WORD_OPTIONS,
    OPTION("framework", ARG_TEXT, "NAME", "Onnx (default); with any other name the files are taken as they are"),
    OPTION("framework-version", ARG_TEXT, "V", "its version"),
    OPTION("main", ARG_TEXT, "FILE", "the model among several .onnx files, as it is registered"),
    OPTION("baseline", ARG_TEXT, "DATA",
           "samples (.csv, .npz, ...) of usual inputs: what 'serve' holds requests against to notice drift"),
    OPTION("request", ARG_TEXT, "ID", "a name for this registration: asked twice, it is done once"),
    WORKSPACE_OPTIONS,
    {0}};

// The one model among the files. NULL: there is none, or several.
static const char *only_model(const char *const *paths) {
  const char *found = NULL;
  for (; *paths; paths++) {
    if (!path_has_suffix(*paths, ".onnx")) continue;
    if (found) return NULL;
    found = *paths;
  }
  return found;
}

// MODEL.baseline.json in that folder, to be registered beside the model. NULL after printing.
static char *make_baseline(const args *a, const char *const *paths, const char *folder, int *code) {
  const char *model = only_model(paths), *data = args_text(a, "baseline", NULL);
  if (!model) {
    *code = cli_error(CLI_USAGE, "--baseline: expected one .onnx file among what is registered");
    cli_hint("of others: 'sardonyx baseline MODEL DATA', and register MODEL.baseline.json beside it");
    return NULL;
  }
  size_t size;
  char *bytes = baseline_of_data(a, model, &data, 1, &size, code), *path = NULL;
  const char *slash = strrchr(model, '/');
  why w;
  if (bytes) path = xformat("%s/%s.baseline.json", folder, slash ? slash + 1 : model);
  if (path && !file_write(path, false, bytes, size, &w)) {
    *code = cli_error(CLI_FAILED, "%s: %s", path, w.text);
    free(path);
    path = NULL;
  }
  free(bytes);
  return path;
}

static int register_files(const args *a, const char *const *paths) {
  int code;
  fault f = {0};
  json_t *asset, *tags = words_of(a, "tag"), *properties = tags ? words_of(a, "property") : NULL;
  registry *r = properties ? workspace_open(a, &code) : NULL;
  if (r) {
    registry_model model = {.name = args_text(a, "name", NULL),
                            .paths = paths,
                            .main = args_text(a, "main", NULL),
                            .description = args_text(a, "description", NULL),
                            .framework = args_text(a, "framework", NULL),
                            .framework_version = args_text(a, "framework-version", NULL),
                            .tags = tags,
                            .properties = properties,
                            .request = args_text(a, "request", NULL)};
    code = registry_register_model(r, &model, &asset, &f) ? fault_report(&f) : asset_print(a, asset);
    for (size_t i = 0; f.status == SDX_NOT_FOUND && i < a->word_count; i++)
      if (access(a->words[i], F_OK)) file_hint(a->words[i]);
  } else if (!properties) {
    code = CLI_USAGE;
  }
  json_decref(tags);
  json_decref(properties);
  registry_close(r);
  return code;
}

// One model of another framework, converted in that folder: the file, and what lies beside it. False: it is none, or
// was not converted, and nothing was said.
static bool convert_one(const char *path, const char *folder, char *made[2]) {
  convert_options options = {0};
  convert_report report;
  char *name = foreign_output_name(path), *slash = strrchr(name, '/');
  char *file = xformat("%s/%s", folder, slash ? slash + 1 : name), *data = xformat("%s.data", file);
  bool good = convert_file(path, file, &options, &report, NULL) == SDX_OK;
  if (good) foreign_print_notes(&report);
  convert_report_free(&report);
  free(name);
  if (good) made[0] = file;
  else free(file);
  if (good && !access(data, F_OK)) made[1] = data;
  else free(data);
  return good;
}

static int run_register(const args *a) {
  int code = CLI_OK;
  for (size_t i = 0; i < a->word_count; i++)
    if (is_standard_stream(a->words[i]))
      return cli_error(CLI_USAGE, "model register: files keep their names, and standard input has none; give a file");
  char folder[] = "/tmp/sardonyx-register-XXXXXX", *made[2] = {0}, *baseline = NULL;
  if (!mkdtemp(folder)) return cli_error(CLI_FAILED, "%s: %m", folder);
  const char **paths = xmalloc((a->word_count + 3) * sizeof *paths);
  size_t count = a->word_count;
  memcpy(paths, a->words, count * sizeof *paths);
  if (count == 1 && !args_has(a, "framework") && !args_has(a, "main") && convert_one(a->words[0], folder, made)) {
    memcpy(paths, made, sizeof made);
    count = made[1] ? 2 : 1;
  }
  paths[count] = NULL;
  if (args_has(a, "baseline") && (baseline = make_baseline(a, paths, folder, &code))) paths[count++] = baseline;
  paths[count] = NULL;
  if (!code) code = register_files(a, paths);
  tree_remove(AT_FDCWD, folder, NULL);
  free(paths);
  free(baseline);
  free(made[0]);
  free(made[1]);
  return code;
}

CLI_COMMAND(model_register) = {
    "model register",
    "Register files as a new version of a model",
    "FILE|FOLDER... [--name NAME] [options]",
    "All files become one unit: the model, external data, labels, whatever a script needs. The model is looked into in "
    "a "
    "sandbox; one that does not load is refused. A single model of another framework is converted first. Versions "
    "count from 1 "
    "and are never given twice.\n\n"
    "Examples:\n"
    "  sardonyx model register model.onnx --name MyONNXmodel --tag onnx --description test\n"
    "  sardonyx model register model.onnx weights.bin labels.txt --name resnet --tag stage=test\n"
    "  sardonyx model register exported/ --name bert --main exported/encoder.onnx\n"
    "  sardonyx model register model.onnx --name iris --baseline train.csv\n"
    "  sardonyx model register forest.ubj --name forest\n"
    "  sardonyx model register forest.pkl --name forest --framework ScikitLearn\n",
    register_options,
    1,
    SIZE_MAX,
    run_register,
};

// ---- what every kind has -------------------------------------------------------------------------

static int run_list(const args *a) { return asset_list(a, ASSET_MODEL); }
CLI_COMMAND(model_list) = {"model list",
                           "List models",
                           "[options]",
                           "Examples:\n"
                           "  sardonyx model list --latest\n"
                           "  sardonyx model list --name digits --tag stage=test --json\n",
                           asset_list_options,
                           0,
                           0,
                           run_list};

static int run_show(const args *a) { return asset_show(a, ASSET_MODEL); }
CLI_COMMAND(model_show) = {"model show",
                           "Show a model: words, inputs, outputs, files",
                           "NAME[:VERSION] [options]",
                           "Examples:\n"
                           "  sardonyx model show digits\n"
                           "  sardonyx model show digits:3 --json\n",
                           asset_show_options,
                           1,
                           1,
                           run_show};

static int run_update(const args *a) { return asset_update(a, ASSET_MODEL); }
CLI_COMMAND(model_update) = {"model update",
                             "Change a model's description, tags and properties",
                             "NAME[:VERSION] [options]",
                             "Tags may change; properties are only added.\n\n"
                             "Examples:\n"
                             "  sardonyx model update digits --description 'trained in March' --tag stage=live\n"
                             "  sardonyx model update digits:2 --remove-tag stage --property trained-by=team-7\n",
                             asset_update_options,
                             1,
                             1,
                             run_update};

static int run_tag(const args *a) { return asset_tag(a, ASSET_MODEL); }
CLI_COMMAND(model_tag) = {"model tag",
                          "Set or remove tags of a model",
                          "NAME[:VERSION] [TAG[=VALUE] ...] [--remove TAG]",
                          "Examples:\n"
                          "  sardonyx model tag digits stage=live reviewed\n"
                          "  sardonyx model tag digits:2 --remove stage\n",
                          asset_tag_options,
                          1,
                          SIZE_MAX,
                          run_tag};

static int run_delete(const args *a) { return asset_delete(a, ASSET_MODEL); }
CLI_COMMAND(model_delete) = {"model delete",
                             "Delete versions of models that no image uses",
                             "NAME[:VERSION]... [options]",
                             "Example:\n"
                             "  sardonyx model delete digits:1 digits:2\n",
                             asset_delete_options,
                             1,
                             SIZE_MAX,
                             run_delete};

// ---- download ------------------------------------------------------------------------------------

static const cli_option download_options[] = {
    OPTION_FLAG("force", "replace files that are there", .letter = 'f'), WORKSPACE_OPTIONS, {0}};

static int run_download(const args *a) {
  int code;
  fault f = {0};
  json_t *asset = NULL;
  const char *folder = a->word_count > 1 ? a->words[1] : ".";
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (!registry_get(r, ASSET_MODEL, a->words[0], &asset, &f))
    registry_download_model(r, json_string_value(json_object_get(asset, "id")), folder, args_has(a, "force"), &f);
  if (f.status) {
    code = fault_report(&f);
  } else {
    size_t i;
    json_t *file, *paths = json_array();
    progress_end();
    json_array_foreach(json_object_get(asset, "files"), i, file) {
      const char *path = json_string_value(json_object_get(file, "path"));
      json_array_append_new(paths, json_sprintf("%s/%s", folder, path));
      if (!args_has(a, "json")) printf("%s/%s\n", folder, path);
    }
    if (args_has(a, "json")) json_print(json_incref(paths));
    json_decref(paths);
  }
  json_decref(asset);
  registry_close(r);
  return code;
}

CLI_COMMAND(model_download) = {"model download",
                               "Copy the files of a model out of the workspace",
                               "NAME[:VERSION] [FOLDER] [options]",
                               "Every byte is checked against the digest it was registered with.\n\n"
                               "Examples:\n"
                               "  sardonyx model download digits\n"
                               "  sardonyx model download digits:2 /tmp/digits --force\n",
                               download_options,
                               1,
                               2,
                               run_download};

// ---- elsewhere -----------------------------------------------------------------------------------

static int run_push(const args *a) { return transfer_push_to(a, ASSET_MODEL); }
CLI_COMMAND(model_push) = {
    "model push",
    "Push a model to an OCI registry",
    "NAME[:VERSION] HOST/REPOSITORY[:TAG] [options]",
    "It becomes an artifact with one layer a file, as ORAS writes them. The tag is the version where none is given.\n\n"
    "Examples:\n"
    "  sardonyx model push digits registry.example.com/models/digits\n"
    "  sardonyx serve oci://registry.example.com/models/digits:1\n",
    transfer_push_options,
    2,
    2,
    run_push};

static int run_pull(const args *a) { return transfer_pull_from(a, ASSET_MODEL); }
CLI_COMMAND(model_pull) = {"model pull",
                           "Pull a model from an OCI registry into the workspace",
                           "HOST/REPOSITORY[:TAG] [options]",
                           "What comes is looked into as when it is registered. Pulled twice, it is here once.\n\n"
                           "Example:\n"
                           "  sardonyx model pull registry.example.com/models/digits:1\n",
                           transfer_pull_options,
                           1,
                           1,
                           run_pull};

static int run_export(const args *a) { return transfer_export_to(a, ASSET_MODEL); }
CLI_COMMAND(model_export) = {"model export",
                             "Write a model as an OCI layout",
                             "NAME[:VERSION] FOLDER|FILE.tar [options]",
                             "Example:\n"
                             "  sardonyx model export digits digits.tar\n",
                             transfer_file_options,
                             2,
                             2,
                             run_export};

static int run_import(const args *a) { return transfer_import_from(a); }
CLI_COMMAND(model_import) = {"model import",
                             "Take in the models and images of an OCI layout",
                             "FOLDER|FILE.tar [options]",
                             "Example:\n"
                             "  sardonyx model import digits.tar\n",
                             transfer_file_options,
                             1,
                             1,
                             run_import};
