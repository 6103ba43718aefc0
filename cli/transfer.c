// SPDX-License-Identifier: Apache-2.0
// Pushing, pulling, exporting and importing models and images (workspace.h): the same for both.
#include "deploy/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/workspace.h"

const cli_option transfer_push_options[] = {TRANSFER_OPTIONS, WORKSPACE_OPTIONS, {0}};
const cli_option transfer_pull_options[] = {
    OPTION("name", ARG_TEXT, "NAME", "its name here (default: the last part of the repository's)", .letter = 'n'),
    TRANSFER_OPTIONS,
    WORKSPACE_OPTIONS,
    {0}};
const cli_option transfer_file_options[] = {WORKSPACE_OPTIONS, {0}};

static const char *id_of(const json_t *asset) { return json_string_value(json_object_get(asset, "id")); }

static int push(const args *a, registry *r, asset_kind kind, const char *place) {
  fault f = {0};
  json_t *asset;
  char digest[DIGEST_BYTES];
  transfer_options o = {.plain_http = args_has(a, "plain-http")};
  if (registry_get(r, kind, a->words[0], &asset, &f)) return fault_report(&f);
  transfer_push(r, kind, id_of(asset), place, &o, digest, &f);
  progress_end();
  if (f.status) fault_report(&f);
  else if (args_has(a, "json"))
    json_print(json_pack("{s:s,s:s,s:s}", "asset", id_of(asset), "place", place, "digest", digest));
  else printf("%s %s -> %s\n%s\n", asset_kind_name(kind), id_of(asset), place, digest);
  json_decref(asset);
  return f.status ? CLI_FAILED : CLI_OK;
}

int transfer_push_to(const args *a, asset_kind kind) {
  int code;
  registry *r = workspace_open(a, &code);
  if (r) code = push(a, r, kind, a->words[1]);
  registry_close(r);
  return code;
}

int transfer_export_to(const args *a, asset_kind kind) {
  int code;
  registry *r = workspace_open(a, &code);
  char *place = xformat("%s:%s", path_has_suffix(a->words[1], ".tar") ? "oci-archive" : "oci", a->words[1]);
  if (r) code = push(a, r, kind, place);
  free(place);
  registry_close(r);
  return code;
}

int transfer_pull_from(const args *a, asset_kind kind) {
  int code;
  fault f = {0};
  json_t *asset = NULL;
  registry_change *c;
  pulled p;
  transfer_options o = {.plain_http = args_has(a, "plain-http")};
  const char *place = a->words[0], *name = args_text(a, "name", NULL);
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (!registry_begin(r, &c, &f)) {
    if (!transfer_pull(r, c, place, &o, &p, &f)) {
      if (kind == ASSET_MODEL) transfer_commit_model(c, &p, place, name, 0, &asset, &f);
      else transfer_commit_image(c, &p, place, name, 0, &asset, &f);
      pulled_free(&p);
    }
    registry_end(c);
  }
  code = f.status ? fault_report(&f) : asset_print(a, asset);
  registry_close(r);
  return code;
}

int transfer_import_from(const args *a) {
  int code;
  fault f = {0};
  json_t *assets, *asset;
  size_t i;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  transfer_import(r, a->words[0], &assets, &f);
  progress_end();
  if (args_has(a, "json")) {
    json_print(json_incref(assets));
  } else {
    json_array_foreach(assets, i, asset)
        printf("%s %s\n", json_string_value(json_object_get(asset, "kind")), id_of(asset));
    if (!f.status && !json_array_size(assets)) printf("nothing that is not here already\n");
  }
  json_decref(assets);
  if (f.status) code = fault_report(&f);
  registry_close(r);
  return code;
}
