// SPDX-License-Identifier: Apache-2.0
// A repository of an OCI registry (distribution-spec 1.1): manifests and blobs in both directions. Digests are checked
// as bytes pass; what broke off goes on where it stopped; a busy registry is asked again, a few times and ever later.
#pragma once

#include "deploy/oci.h"
#include "registry/registry.h"

typedef struct remote remote;

// `plain_http`: without TLS; hosts of this machine are always spoken to so. Credentials: auth.h.
sdx_status remote_open(registry *r, const oci_reference *reference, bool plain_http, remote **m, fault *f);
void remote_close(remote *m);

// Of a tag or a digest; the bytes are the caller's (free).
sdx_status remote_get_manifest(remote *m, const char *tag_or_digest, char **bytes, size_t *size,
                               char media_type[OCI_TEXT], char digest[DIGEST_BYTES], fault *f);
sdx_status remote_put_manifest(remote *m, const char *tag, const char *bytes, size_t size, const char *media_type,
                               fault *f);
// Into the store, if it is not there.
sdx_status remote_get_blob(remote *m, registry_change *c, const oci_descriptor *d, fault *f);
// From the store, if the registry does not have it. *sent: whether it had not.
sdx_status remote_put_blob(remote *m, const oci_descriptor *d, bool *sent, fault *f);

// What a WWW-Authenticate header asks for.
typedef struct challenge {
  bool basic;  // else a bearer token
  char realm[1024], service[256], scope[512];
} challenge;
bool remote_parse_challenge(const char *header, challenge *c);
