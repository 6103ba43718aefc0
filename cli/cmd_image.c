// SPDX-License-Identifier: Apache-2.0
// `sardonyx image ...`: container images of a workspace, built without a daemon.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/table.h"
#include "cli/workspace.h"
#include "deploy/build.h"
#include "support/json.h"

CLI_COMMAND(image) =
    CLI_GROUP("image", "Container images of a workspace: build, list, push, pull, export, delete",
              "Images are OCI images, made without a container engine: podman, docker, Kubernetes run them.\n\n"
              "Examples:\n"
              "  sardonyx image build --name digits --model digits\n"
              "  sardonyx image push digits registry.example.com/team/digits\n"
              "  sardonyx image export digits digits.tar && podman load -i digits.tar\n");

// ---- build ---------------------------------------------------------------------------------------

static const cli_option build_options[] = {
    OPTION("name", ARG_TEXT, "NAME", "name of the image (default: the first model's)", .letter = 'n'),
    OPTION("model", ARG_TEXT, "NAME[:VERSION]",
           "a model it serves, the first also at /score; may be given several times", .letter = 'm'),
    OPTION("script", ARG_TEXT, "FILE",
           "score.py with init() and run(raw_data), which answers instead of the server by itself", .letter = 's'),
    OPTION("file", ARG_TEXT, "PATH", "a file or folder to lie beside the script; may be given several times"),
    OPTION("conda", ARG_TEXT, "FILE", "environment of the script (myenv.yml)"),
    OPTION("env", ARG_TEXT, "NAME=VALUE", "a variable of its environment; may be given several times", .letter = 'e'),
    OPTION("python", ARG_TEXT, "EXE", "the Python of the image and of the dry run (default: python3)"),
    OPTION("sample", ARG_TEXT, "FILE", "request body for the dry run (default: made from the model's inputs)"),
    OPTION("seconds", ARG_INT, "N", "for each of import, init() and run() in the dry run (default 30)", .min = 1,
           .max = 3600),
    OPTION_FLAG("network", "let the script use the network in the dry run"),
    OPTION_FLAG("dry-run", "only try the script, build nothing"),
    OPTION_FLAG("no-dry-run", "build without trying the script"),
    OPTION_FLAG("strict", "build nothing where the dry run finds errors"),
    OPTION("base", ARG_TEXT, "PLACE",
           "base image: HOST/REPOSITORY:TAG, oci:FOLDER, oci-archive:FILE or none (default)"),
    OPTION("label", ARG_TEXT, "KEY=VALUE", "a label in the image; may be given several times", .letter = 'l'),
    OPTION("port", ARG_INT, "N", "port it listens on (default 5001)", .min = 1, .max = 65535, .letter = 'p'),
    OPTION("compression", ARG_TEXT, "HOW", "of layers: gzip (default), zstd, none"),
    WORD_OPTIONS,
    TRANSFER_OPTIONS,
    WORKSPACE_OPTIONS,
    {0}};

static bool read_compression(const args *a, layer_compression *how) {
  static const char *const names[] = {"gzip", "zstd", "none"};
  const char *given = args_text(a, "compression", "gzip");
  for (int i = 0; i < 3; i++)
    if (!strcmp(given, names[i])) {
      *how = (layer_compression)i;
      return true;
    }
  cli_error(CLI_USAGE, "--compression %s: expected gzip, zstd or none", given);
  return false;
}

static void print_finding(const char *script, const json_t *finding) {
  const char *severity = text_of(finding, "severity"), *hint = text_of(finding, "hint");
  ink colour = !strcmp(severity, "error") ? INK_RED : !strcmp(severity, "warning") ? INK_YELLOW : INK_DIM;
  long long line = number_of(finding, "line");
  if (line) printf("%s:%lld: ", script, line);
  else printf("%s: ", script);
  printf("%s%s%s: %s\n", ink_on(stdout, colour), severity, ink_off(stdout), text_of(finding, "message"));
  if (*hint) printf("  %shint:%s %s\n", ink_on(stdout, INK_GREEN), ink_off(stdout), hint);
}

// What the dry run saw, for people.
static void print_report(const char *script, const json_t *report) {
  const json_t *findings = json_object_get(report, "findings"), *answer = json_object_get(report, "answer");
  size_t i;
  json_t *one;
  progress_end();
  json_array_foreach((json_t *)findings, i, one) print_finding(script, one);
  json_array_foreach(json_object_get(report, "notes"), i, one) printf("note: %s\n", json_string_value(one));
  if (json_is_object(answer))
    printf("%s: run(sample) answers %lld%s: %.200s\n", script, (long long)number_of(answer, "status"),
           json_is_true(json_object_get(report, "repaired")) ? " once it is put right" : "", text_of(answer, "body"));
  if (findings && !json_array_size(findings)) printf("%s: nothing to complain about\n", script);
}

static int build(const args *a, registry *r, build_spec *spec) {
  fault f = {0};
  json_t *asset = NULL, *report = NULL, *model = NULL;
  bool only_try = args_has(a, "dry-run");
  if (!spec->name && spec->models[0] && !registry_get(r, ASSET_MODEL, spec->models[0], &model, &f))
    spec->name = text_of(model, "name");
  if (!f.status && only_try) build_dryrun(r, spec, &report, &f);
  else if (!f.status) build_image(r, spec, &asset, &report, &f);
  int errors = (int)number_of(report, "errors");
  if (args_has(a, "json")) {
    if (asset && report) json_object_set(asset, "dry_run", report);
    if (asset || report) json_print(json_incref(asset ? asset : report));
  } else if (report) {
    print_report(spec->script, report);
  }
  int code = f.status ? fault_report(&f) : only_try && errors ? CLI_FAILED : CLI_OK;
  if (!f.status && asset && !args_has(a, "json")) asset_print(a, json_incref(asset));
  json_decref(asset);
  json_decref(report);
  json_decref(model);
  return code;
}

static int run_build(const args *a) {
  int code = CLI_USAGE;
  json_t *tags = words_of(a, "tag"), *properties = words_of(a, "property"), *labels = words_of(a, "label");
  build_spec spec = {.name = args_text(a, "name", NULL),
                     .models = each_of(a, "model"),
                     .base = args_text(a, "base", NULL),
                     .script = args_text(a, "script", NULL),
                     .files = each_of(a, "file"),
                     .conda = args_text(a, "conda", NULL),
                     .variables = each_of(a, "env"),
                     .skip_dryrun = args_has(a, "no-dry-run"),
                     .strict = args_has(a, "strict"),
                     .dryrun = {.python = args_text(a, "python", NULL),
                                .sample = args_text(a, "sample", NULL),
                                .seconds = (unsigned)args_int(a, "seconds", 0),
                                .network = args_has(a, "network")},
                     .description = args_text(a, "description", NULL),
                     .tags = tags,
                     .properties = properties,
                     .labels = labels,
                     .port = (int)args_int(a, "port", 0),
                     .transfer.plain_http = args_has(a, "plain-http")};
  registry *r = NULL;
  if (tags && properties && labels && read_compression(a, &spec.compression)) {
    if (!spec.models[0]) cli_error(CLI_USAGE, "image build: no model; --model NAME names one");
    else if (!spec.script && (args_has(a, "dry-run") || args_has(a, "conda") || spec.files[0] || spec.variables[0]))
      cli_error(CLI_USAGE,
                "image build: --dry-run, --conda, --env and --file are about a script; --script FILE names it");
    else r = workspace_open(a, &code);
  }
  if (r) code = build(a, r, &spec);
  free((void *)spec.models);
  free((void *)spec.files);
  free((void *)spec.variables);
  json_decref(tags);
  json_decref(properties);
  json_decref(labels);
  registry_close(r);
  return code;
}

CLI_COMMAND(image_build) = {
    "image build",
    "Build an image that serves models",
    "--model NAME[:VERSION] [options]",
    "The server, the shared libraries it needs, and the models; nothing else unless --base says so. The same inputs "
    "give "
    "the same bytes (SOURCE_DATE_EPOCH sets the time in them); layers that are there are not made again.\n\n"
    "With a script: also this machine's Python (unless there is a base) and the packages of --conda, those that are "
    "installed here as they are, others by pip. Before, init() and run(sample) are tried in a sandbox; what would go "
    "wrong "
    "is said with line and hint. 'onnxruntime' and 'azureml-core' are provided by Sardonyx.\n\n"
    "Examples:\n"
    "  sardonyx image build --model digits\n"
    "  sardonyx image build --model digits --script score.py --conda myenv.yml\n"
    "  sardonyx image build --model digits --script score.py --dry-run\n"
    "  sardonyx image build --name vision --model digits:2 --model faces --label team=vision\n"
    "  sardonyx image build --model digits --base registry.example.com/debian:12-slim --compression zstd\n",
    build_options,
    0,
    0,
    run_build};

// ---- what every kind has -------------------------------------------------------------------------

static int run_list(const args *a) { return asset_list(a, ASSET_IMAGE); }
CLI_COMMAND(image_list) = {"image list",
                           "List images",
                           "[options]",
                           "Example:\n"
                           "  sardonyx image list --latest\n",
                           asset_list_options,
                           0,
                           0,
                           run_list};

static int run_show(const args *a) { return asset_show(a, ASSET_IMAGE); }
CLI_COMMAND(image_show) = {"image show",
                           "Show an image: words, models, layers",
                           "NAME[:VERSION] [options]",
                           "Example:\n"
                           "  sardonyx image show digits --json\n",
                           asset_show_options,
                           1,
                           1,
                           run_show};

static int run_update(const args *a) { return asset_update(a, ASSET_IMAGE); }
CLI_COMMAND(image_update) = {"image update",
                             "Change an image's description, tags and properties",
                             "NAME[:VERSION] [options]",
                             "Example:\n"
                             "  sardonyx image update digits --tag stage=live\n",
                             asset_update_options,
                             1,
                             1,
                             run_update};

static int run_tag(const args *a) { return asset_tag(a, ASSET_IMAGE); }
CLI_COMMAND(image_tag) = {"image tag",
                          "Set or remove tags of an image",
                          "NAME[:VERSION] [TAG[=VALUE] ...] [--remove TAG]",
                          "Example:\n"
                          "  sardonyx image tag digits stage=live\n",
                          asset_tag_options,
                          1,
                          SIZE_MAX,
                          run_tag};

static int run_delete(const args *a) { return asset_delete(a, ASSET_IMAGE); }
CLI_COMMAND(image_delete) = {"image delete",
                             "Delete images that no service uses",
                             "NAME[:VERSION]... [options]",
                             "Example:\n"
                             "  sardonyx image delete digits:1\n",
                             asset_delete_options,
                             1,
                             SIZE_MAX,
                             run_delete};

// ---- elsewhere -----------------------------------------------------------------------------------

static int run_push(const args *a) { return transfer_push_to(a, ASSET_IMAGE); }
CLI_COMMAND(image_push) = {"image push",
                           "Push an image to an OCI registry",
                           "NAME[:VERSION] HOST/REPOSITORY[:TAG] [options]",
                           "The tag is the version where none is given. Who you are is read from what 'podman login' "
                           "or 'docker login' wrote.\n\n"
                           "Examples:\n"
                           "  sardonyx image push digits registry.example.com/team/digits\n"
                           "  sardonyx image push digits:2 localhost:5000/digits:live\n",
                           transfer_push_options,
                           2,
                           2,
                           run_push};

static int run_pull(const args *a) { return transfer_pull_from(a, ASSET_IMAGE); }
CLI_COMMAND(image_pull) = {"image pull",
                           "Pull an image into the workspace",
                           "HOST/REPOSITORY[:TAG] [options]",
                           "Also from a folder or file: oci:FOLDER[:TAG], oci-archive:FILE.tar[:TAG].\n\n"
                           "Example:\n"
                           "  sardonyx image pull registry.example.com/team/digits:2 --name digits\n",
                           transfer_pull_options,
                           1,
                           1,
                           run_pull};

static int run_export(const args *a) { return transfer_export_to(a, ASSET_IMAGE); }
CLI_COMMAND(image_export) = {"image export",
                             "Write an image as an OCI layout",
                             "NAME[:VERSION] FOLDER|FILE.tar [options]",
                             "Examples:\n"
                             "  sardonyx image export digits digits.tar && podman load -i digits.tar\n"
                             "  sardonyx image export digits layout && skopeo inspect oci:layout:digits:1\n",
                             transfer_file_options,
                             2,
                             2,
                             run_export};

static int run_import(const args *a) { return transfer_import_from(a); }
CLI_COMMAND(image_import) = {"image import",
                             "Take in the images and models of an OCI layout",
                             "FOLDER|FILE.tar [options]",
                             "Example:\n"
                             "  sardonyx image import digits.tar\n",
                             transfer_file_options,
                             1,
                             1,
                             run_import};
