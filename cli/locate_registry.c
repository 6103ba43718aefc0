// SPDX-License-Identifier: Apache-2.0
// Models of the workspace and of OCI registries as MODEL on a command line (locate.h). What is pulled stays in a
// workspace of its own, ~/.cache/sardonyx, and is checked against its digests each time.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/locate.h"
#include "cli/workspace.h"
#include "deploy/transfer.h"
#include "support/files.h"

static char *path_of(registry *r, const json_t *asset, char **name, fault *f) {
  const char *id = json_string_value(json_object_get(asset, "id")),
             *main = json_string_value(json_object_get(asset, "main"));
  char *folder = NULL, *path = NULL;
  if (!main) fault_set(f, SDX_CONFLICT, "model %s is not an ONNX model", id);
  else if (!registry_model_folder(r, id, &folder, f)) path = xformat("%s/%s", folder, main);
  if (path) *name = xstrdup(json_string_value(json_object_get(asset, "name")));
  free(folder);
  return path;
}

static char *find_registered(const char *word, char **name) {
  fault f = {0};
  registry *r;
  json_t *asset = NULL;
  char *path = NULL;
  if (!registry_open(&(registry_options){0}, &r, &f) &&
      !registry_get(r, ASSET_MODEL, word + strlen("registry:"), &asset, &f))
    path = path_of(r, asset, name, &f);
  json_decref(asset);
  registry_close(r);
  if (!path) fault_report(&f);
  return path;
}

MODEL_SCHEME(registry) = {"registry:", find_registered};

static registry *open_cache(fault *f) {
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  char *folder = cache && *cache ? xformat("%s/sardonyx", cache) : xformat("%s/.cache/sardonyx", home ? home : "");
  char *config = xformat("%s/.azureml/config.json", folder), *made = NULL;
  registry *r = NULL;
  if (access(config, F_OK)) {
    folder_make_parents(AT_FDCWD, folder, 0700, f);
    fault made_by_another = {0};
    if (!f->status &&
        registry_create_workspace(&(registry_place){.folder = folder, .name = "cache"}, &made, &made_by_another) &&
        access(config, F_OK))
      *f = made_by_another;
  }
  if (!f->status) registry_open(&(registry_options){.workspace = config}, &r, f);
  free(folder);
  free(config);
  free(made);
  return r;
}

static char *find_remote(const char *word, char **name) {
  fault f = {0};
  registry_change *c;
  pulled p;
  json_t *asset = NULL;
  char *path = NULL;
  registry *r = open_cache(&f);
  if (r && !registry_begin(r, &c, &f)) {
    if (!transfer_pull(r, c, word, &(transfer_options){0}, &p, &f)) {
      transfer_commit_model(c, &p, word, NULL, 0, &asset, &f);
      pulled_free(&p);
    }
    registry_end(c);
  }
  if (asset) path = path_of(r, asset, name, &f);
  json_decref(asset);
  registry_close(r);
  if (!path) fault_report(&f);
  return path;
}

MODEL_SCHEME(oci) = {"oci://", find_remote};
