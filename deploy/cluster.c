// SPDX-License-Identifier: Apache-2.0
// Services on clusters (cluster.h).
#include "deploy/cluster.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/control.h"
#include "deploy/kubernetes.h"
#include "deploy/transfer.h"
#include "support/files.h"
#include "support/json.h"

// Where the manifests are: with the user, or in the service's folder. free() it.
static char *manifests_of(const registry *r, const char *name, const json_t *settings) {
  if (*text_of(settings, "out")) return strdup(text_of(settings, "out"));
  char *folder = service_folder(r, name), *path = folder ? path_format("%s/manifests", folder) : NULL;
  free(folder);
  return path;
}

static sdx_status push_image(registry *r, const char *name, int64_t revision, const json_t *settings, fault *f) {
  char digest[DIGEST_BYTES];
  json_t *asset = NULL;
  char *reference = path_format("%s:%lld", name, (long long)revision);
  if (!reference) fault_no_memory(f);
  else if (*text_of(settings, "registry") && !registry_get(r, ASSET_SERVICE, reference, &asset, f)) {
    char *place = path_format("%s/%s", text_of(settings, "registry"), text_of(asset, "image"));
    if (!place) fault_no_memory(f);
    else transfer_push(r, ASSET_IMAGE, text_of(asset, "image"), place, &(transfer_options){0}, digest, f);
    free(place);
  }
  json_decref(asset);
  free(reference);
  return f->status;
}

sdx_status cluster_bring(registry *r, const char *name, const json_t *settings, fault *f) {
  fault why = {0};
  int64_t candidate = number_of(settings, "candidate"), revision = number_of(settings, "revision");
  int64_t wanted = candidate ? candidate : revision;
  char *folder = manifests_of(r, name, settings), *parent = folder ? path_format("%s/x", folder) : NULL;
  if (!parent) fault_no_memory(&why);
  else if (!push_image(r, name, wanted, settings, &why) && !folder_make_parents(AT_FDCWD, parent, 0755, &why) &&
           !kubernetes_write(r, name, wanted, folder, &why) && !*text_of(settings, "out"))
    kubernetes_apply(folder, json_is_true(json_object_get(settings, "kserve")), &why);
  json_t *changes =
      why.status ? json_pack("{s:n,s:{s:s,s:s}}", "candidate", "error", "code", "ApplyFailed", "message", why.message)
                 : json_pack("{s:n,s:n,s:I}", "candidate", "error", "revision", (json_int_t)wanted);
  if (!why.status && revision && revision != wanted) json_object_set_new(changes, "previous", json_integer(revision));
  registry_change_service(r, name, changes, NULL, candidate, f);
  json_decref(changes);
  if (why.status && !f->status) *f = why;
  free(folder);
  free(parent);
  return f->status;
}

sdx_status cluster_remove(registry *r, const char *name, const json_t *settings, fault *f) {
  char *folder = manifests_of(r, name, settings);
  if (!folder) return fault_no_memory(f);
  if (!*text_of(settings, "out") && !access(folder, F_OK))
    kubernetes_remove(folder, json_is_true(json_object_get(settings, "kserve")), f);
  free(folder);
  return f->status;
}
