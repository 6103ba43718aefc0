// SPDX-License-Identifier: Apache-2.0
// The documents of OCI (image-spec 1.1; Docker's schema 2 is read, too): references, descriptors, manifests, indexes.
// They come from registries and archives of strangers: sizes, digests, media types and names are checked here, so that
// the rest may rely on them.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "support/digest.h"
#include "support/fault.h"

#define OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define OCI_LAYER_TAR "application/vnd.oci.image.layer.v1.tar"
#define OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"
#define MODEL_ARTIFACT "application/vnd.sardonyx.model.v1"
#define MODEL_CONFIG "application/vnd.sardonyx.model.config.v1+json"

enum { OCI_DOCUMENT_BYTES = 4 << 20, OCI_TEXT = 256, OCI_MOST_LAYERS = 1000 };

// HOST[:PORT]/REPOSITORY[:TAG][@DIGEST], with or without oci:// or docker:// in front. Without a host it is Docker
// Hub's.
typedef struct oci_reference {
  char host[OCI_TEXT], repository[OCI_TEXT];
  char tag[129];              // "" if there is none
  char digest[DIGEST_BYTES];  // "" if there is none
} oci_reference;
sdx_status oci_parse_reference(const char *text, oci_reference *r, fault *f);

typedef struct oci_descriptor {
  char media_type[OCI_TEXT];
  char digest[DIGEST_BYTES];
  uint64_t size;
  char title[OCI_TEXT];  // annotation org.opencontainers.image.title: a path beneath, or ""
} oci_descriptor;

typedef struct oci_manifest {
  oci_descriptor config;
  oci_descriptor *layers;
  size_t layer_count;
  char artifact_type[OCI_TEXT];  // "" for images
  json_t *annotations;           // an object
} oci_manifest;
// `media_type`: what the sender called it, or NULL. Layers of an image must be of a type that is known here.
sdx_status oci_parse_manifest(const char *bytes, size_t size, const char *media_type, oci_manifest *m, fault *f);
void oci_manifest_free(oci_manifest *m);
bool oci_is_index(const char *bytes, size_t size, const char *media_type);
// The manifest of this machine's platform, or the one named by the annotation org.opencontainers.image.ref.name, or the
// only one. `ref_name` NULL: by platform. An index in an index is refused.
sdx_status oci_find_in_index(const char *bytes, size_t size, const char *ref_name, oci_descriptor *found, fault *f);

const char *oci_architecture(void);  // of this machine, as OCI spells it
// {"mediaType", "digest", "size"}, and the title where there is one.
json_t *oci_descriptor_json(const oci_descriptor *d);
