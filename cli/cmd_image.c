// SPDX-License-Identifier: Apache-2.0
// `sardonyx image ...`: container images of a workspace, built without a daemon.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/workspace.h"
#include "deploy/build.h"

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

static int build(const args *a, registry *r, build_spec *spec) {
  fault f = {0};
  json_t *asset, *model = NULL;
  if (!spec->name && spec->models[0] && !registry_get(r, ASSET_MODEL, spec->models[0], &model, &f))
    spec->name = json_string_value(json_object_get(model, "name"));
  if (!f.status) build_image(r, spec, &asset, &f);
  json_decref(model);
  return f.status ? fault_report(&f) : asset_print(a, asset);
}

static int run_build(const args *a) {
  int code = CLI_USAGE;
  json_t *tags = words_of(a, "tag"), *properties = words_of(a, "property"), *labels = words_of(a, "label");
  build_spec spec = {.name = args_text(a, "name", NULL),
                     .models = each_of(a, "model"),
                     .base = args_text(a, "base", NULL),
                     .description = args_text(a, "description", NULL),
                     .tags = tags,
                     .properties = properties,
                     .labels = labels,
                     .port = (int)args_int(a, "port", 0),
                     .transfer.plain_http = args_has(a, "plain-http")};
  registry *r = NULL;
  if (tags && properties && labels && read_compression(a, &spec.compression)) {
    if (!spec.models[0]) cli_error(CLI_USAGE, "image build: no model; --model NAME names one");
    else r = workspace_open(a, &code);
  }
  if (r) code = build(a, r, &spec);
  free((void *)spec.models);
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
    "Examples:\n"
    "  sardonyx image build --model digits\n"
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
