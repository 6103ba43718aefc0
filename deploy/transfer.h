// SPDX-License-Identifier: Apache-2.0
// Images and models from and to where others find them. A place is a reference of an OCI registry
// (HOST/REPOSITORY:TAG), "oci:FOLDER[:TAG]" or "oci-archive:FILE.tar[:TAG]". A model travels as an artifact with one
// layer a file, named by its title, as ORAS does; whoever pulls it looks into it again: what it says of itself is not
// believed.
#pragma once

#include "deploy/layout.h"
#include "deploy/remote.h"

typedef struct transfer_options {
  bool plain_http;
} transfer_options;

// A manifest whose config and layers are in the store.
typedef struct pulled {
  char *bytes, *config;  // documents; free by pulled_free
  size_t size, config_size;
  char media_type[OCI_TEXT], digest[DIGEST_BYTES];
  oci_manifest manifest;
} pulled;
sdx_status transfer_pull(registry *r, registry_change *c, const char *place, const transfer_options *o, pulled *p,
                         fault *f);
void pulled_free(pulled *p);

// Commits what was pulled. name NULL: that of the repository; version 0: the next one. CONFLICT where it is the other
// kind.
sdx_status transfer_commit_image(registry_change *c, const pulled *p, const char *place, const char *name,
                                 int64_t version, json_t **asset, fault *f);
sdx_status transfer_commit_model(registry_change *c, const pulled *p, const char *place, const char *name,
                                 int64_t version, json_t **asset, fault *f);

// An image or a model to a place; *digest: of its manifest there. Without a tag in it, the place gets the version.
sdx_status transfer_push(registry *r, asset_kind kind, const char *reference, const char *place,
                         const transfer_options *o, char digest[DIGEST_BYTES], fault *f);

// All models and images of a workspace as a layout (a folder or FILE.tar), and back: names and versions are kept where
// they are free, what is there already stays. *assets: what came in.
sdx_status transfer_export(registry *r, const char *path, fault *f);
sdx_status transfer_import(registry *r, const char *path, json_t **assets, fault *f);
