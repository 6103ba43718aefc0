// SPDX-License-Identifier: Apache-2.0
// Any bytes as what a registry, a login file or an environment file may hold: manifest, index, reference, challenge,
// credentials, packages. Each parser ends in a result that keeps its promises, or in a message. The first byte chooses.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/auth.h"
#include "deploy/conda.h"
#include "deploy/environment.h"
#include "deploy/oci.h"
#include "deploy/remote.h"
#include "support/files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
  if (!holds) abort();
}

static void check_descriptor(const oci_descriptor *d) {
  need(digest_valid(d->digest) && d->media_type[0] && (!d->title[0] || path_beneath(d->title)));
}

static void manifest(const char *bytes, size_t size, fault *f) {
  oci_manifest m;
  if (oci_parse_manifest(bytes, size, NULL, &m, f)) {
    need(f->message[0] && !m.layers && !m.annotations);
    return;
  }
  check_descriptor(&m.config);
  need(m.layer_count <= OCI_MOST_LAYERS);
  for (size_t i = 0; i < m.layer_count; i++) {
    check_descriptor(&m.layers[i]);
    json_t *again = oci_descriptor_json(&m.layers[i]);
    need(again != NULL);
    json_decref(again);
  }
  oci_manifest_free(&m);
}

static void index_of(const char *bytes, size_t size, fault *f) {
  oci_descriptor d;
  const char *names[] = {NULL, "", "a:1"};
  oci_is_index(bytes, size, NULL);
  for (size_t i = 0; i < 3; i++) {
    *f = (fault){0};
    if (oci_find_in_index(bytes, size, names[i], &d, f)) need(f->message[0]);
    else check_descriptor(&d);
  }
}

static void reference(const char *text, fault *f) {
  oci_reference r;
  if (oci_parse_reference(text, &r, f)) {
    need(f->message[0]);
    return;
  }
  need(r.host[0] && r.repository[0] && !strstr(r.repository, "..//") && !strchr(r.host, '/') &&
       !strpbrk(r.tag, "/ \n"));
  need(!r.digest[0] || digest_valid(r.digest));
}

static void credentials(const char *bytes, size_t size, fault *f) {
  auth a;
  bool found = auth_parse(bytes, size, "docker.io", "library/x", &a, f);
  found |= auth_parse(bytes, size, "localhost:5000", "team/x", &a, f);
  need(!found || !f->status || f->message[0]);
  need(!strpbrk(a.helper, "/. \n"));
}

static void environment(const char *bytes, size_t size, fault *f) {
  json_t *all = conda_parse(bytes, size, f), *names = environment_names(all);
  need(!all == (f->status != SDX_OK) && (all || f->message[0]) && (!all || json_is_array(names)));
  json_decref(names);
  json_decref(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (!size) return 0;
  char *text = malloc(size);
  if (!text) return 0;
  memcpy(text, data + 1, size - 1);
  text[size - 1] = 0;
  fault f = {0};
  challenge c;
  switch (*data) {
    case 'm':
      manifest(text, size - 1, &f);
      break;
    case 'i':
      index_of(text, size - 1, &f);
      break;
    case 'r':
      reference(text, &f);
      break;
    case 'c':
      if (remote_parse_challenge(text, &c) && !c.basic) need(c.realm[0]);
      break;
    case 'y':
      environment(text, size - 1, &f);
      break;
    default:
      credentials(text, size - 1, &f);
  }
  free(text);
  return 0;
}
