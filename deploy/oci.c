// SPDX-License-Identifier: Apache-2.0
// Reading OCI's documents (oci.h).
#include "deploy/oci.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "registry/registry.h"
#include "support/files.h"
#include "support/json.h"

const char *oci_architecture(void) {
  static struct utsname name;
  if (!name.machine[0] && uname(&name)) return "amd64";
  if (!strcmp(name.machine, "x86_64")) return "amd64";
  return !strcmp(name.machine, "aarch64") ? "arm64" : name.machine;
}

// ---- references --------------------------------------------------------------------------------

static bool all_of(const char *text, size_t length, const char *extra) {
  for (size_t i = 0; i < length; i++)
    if (!islower((unsigned char)text[i]) && !isdigit((unsigned char)text[i]) && !strchr(extra, text[i])) return false;
  return length > 0;
}

// Parts of lower-case letters and digits, with '.', '_' and '-' inside.
static bool repository_valid(const char *name) {
  for (;;) {
    size_t part = strcspn(name, "/");
    if (!all_of(name, part, "._-") || strchr("._-", name[0]) || strchr("._-", name[part - 1])) return false;
    if (!name[part]) return true;
    name += part + 1;
  }
}

static bool tag_valid(const char *tag) {
  size_t length = strlen(tag);
  for (size_t i = 0; i < length; i++)
    if (!isalnum((unsigned char)tag[i]) && !strchr("._-", tag[i])) return false;
  return length && length <= 128 && tag[0] != '.' && tag[0] != '-';
}

static bool host_valid(const char *host) {
  for (const char *c = host; *c; c++)
    if (!isalnum((unsigned char)*c) && !strchr(".-:[]", *c)) return false;
  return *host && *host != ':' && *host != '-';
}

static sdx_status bad_reference(const char *text, const char *what, fault *f) {
  fault_set(f, SDX_INVALID_ARGUMENT, "'%.200s': %s", text, what);
  return fault_hint(f, "HOST[:PORT]/REPOSITORY[:TAG], e.g. registry.example.com/models/digits:1");
}

sdx_status oci_parse_reference(const char *text, oci_reference *r, fault *f) {
  const char *at = text;
  *r = (oci_reference){0};
  if (!strncmp(at, "oci://", 6)) at += 6;
  else if (!strncmp(at, "docker://", 9)) at += 9;
  char copy[2 * OCI_TEXT];
  if ((size_t)snprintf(copy, sizeof copy, "%s", at) >= sizeof copy) return bad_reference(text, "it is too long", f);
  char *digest = strchr(copy, '@');
  if (digest) {
    *digest++ = 0;
    if (!digest_valid(digest)) return bad_reference(text, "what follows '@' is not a SHA-256 digest", f);
    memcpy(r->digest, digest, DIGEST_BYTES);
  }
  char *slash = strchr(copy, '/'), *repository = copy;
  size_t first = slash ? (size_t)(slash - copy) : 0;
  bool has_host = slash && (memchr(copy, '.', first) || memchr(copy, ':', first) || !strncmp(copy, "localhost/", 10));
  if (has_host) {
    *slash = 0;
    repository = slash + 1;
  }
  char *tag = strrchr(repository, ':');
  if (tag) *tag++ = 0;
  snprintf(r->host, sizeof r->host, "%.255s", has_host ? copy : "docker.io");
  snprintf(r->tag, sizeof r->tag, "%.128s", tag ? tag : "");
  int length = snprintf(r->repository, sizeof r->repository, "%s%s",
                        !has_host && !strchr(repository, '/') ? "library/" : "", repository);
  if (!host_valid(r->host)) return bad_reference(text, "the host is not one", f);
  if (length >= OCI_TEXT || !repository_valid(r->repository))
    return bad_reference(text, "a repository is made of lower-case letters, digits, '.', '_', '-' and '/'", f);
  if (tag && (strlen(tag) > 128 || !tag_valid(tag)))
    return bad_reference(text, "a tag is made of letters, digits, '.', '_' and '-'", f);
  return SDX_OK;
}

// ---- descriptors -------------------------------------------------------------------------------

static sdx_status bad_document(fault *f, const char *what, const char *found) {
  return fault_set(f, SDX_INVALID_MODEL, "%s%s%.120s", what, *found ? ": " : "", found);
}

static sdx_status read_descriptor(const json_t *json, oci_descriptor *d, fault *f) {
  const char *digest = text_of(json, "digest"), *type = text_of(json, "mediaType"),
             *title = text_of(json_object_get(json, "annotations"), "org.opencontainers.image.title");
  json_int_t size = number_of(json, "size");
  if (!digest_valid(digest)) return bad_document(f, "a descriptor's digest is not a SHA-256 one", digest);
  if (!json_is_integer(json_object_get(json, "size")) || size < 0 || (uint64_t)size > REGISTRY_BLOB_BYTES)
    return bad_document(f, "a descriptor's size is missing or out of range", digest);
  if (!*type || strlen(type) >= OCI_TEXT) return bad_document(f, "a descriptor has no media type", digest);
  if (*title && (strlen(title) >= OCI_TEXT || !path_beneath(title)))
    return bad_document(f, "a descriptor's title cannot be a path", title);
  *d = (oci_descriptor){.size = (uint64_t)size};
  memcpy(d->digest, digest, DIGEST_BYTES);
  snprintf(d->media_type, sizeof d->media_type, "%s", type);
  snprintf(d->title, sizeof d->title, "%s", title);
  return SDX_OK;
}

json_t *oci_descriptor_json(const oci_descriptor *d) {
  json_t *json =
      json_pack("{s:s,s:s,s:I}", "mediaType", d->media_type, "digest", d->digest, "size", (json_int_t)d->size);
  if (d->title[0])
    json_object_set_new(json, "annotations", json_pack("{s:s}", "org.opencontainers.image.title", d->title));
  return json;
}

static json_t *load(const char *bytes, size_t size, const char *what, fault *f) {
  json_error_t error;
  json_t *json = size <= OCI_DOCUMENT_BYTES ? json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error) : NULL;
  if (size > OCI_DOCUMENT_BYTES)
    fault_set(f, SDX_LIMIT_EXCEEDED, "the %s has %zu bytes; at most %d are read", what, size, OCI_DOCUMENT_BYTES);
  else if (!json) fault_set(f, SDX_INVALID_MODEL, "the %s is not JSON: line %d: %s", what, error.line, error.text);
  else if (!json_is_object(json)) bad_document(f, "a JSON object is expected", what);
  if (!f->status) return json;
  json_decref(json);
  return NULL;
}

// ---- manifests ---------------------------------------------------------------------------------

static bool is_manifest_type(const char *type) {
  return !strcmp(type, OCI_MANIFEST) || !strcmp(type, "application/vnd.docker.distribution.manifest.v2+json");
}

static bool is_index_type(const char *type) {
  return !strcmp(type, OCI_INDEX) || !strcmp(type, "application/vnd.docker.distribution.manifest.list.v2+json");
}

// Docker's layer types become OCI's; false for what is not a layer.
static bool normalise_layer(oci_descriptor *d) {
  const char *same = NULL;
  if (!strcmp(d->media_type, "application/vnd.docker.image.rootfs.diff.tar.gzip")) same = OCI_LAYER_GZIP;
  else if (!strcmp(d->media_type, "application/vnd.docker.image.rootfs.diff.tar")) same = OCI_LAYER_TAR;
  else if (!strcmp(d->media_type, "application/vnd.docker.image.rootfs.diff.tar.zstd")) same = OCI_LAYER_ZSTD;
  if (same) snprintf(d->media_type, sizeof d->media_type, "%s", same);
  return !strcmp(d->media_type, OCI_LAYER_TAR) || !strcmp(d->media_type, OCI_LAYER_GZIP) ||
         !strcmp(d->media_type, OCI_LAYER_ZSTD);
}

static sdx_status read_layers(const json_t *list, oci_manifest *m, fault *f) {
  size_t count = json_array_size(list);
  if (!json_is_array(list) || count > OCI_MOST_LAYERS)
    return fault_set(f, SDX_INVALID_MODEL, "a manifest has a list of at most %d layers", OCI_MOST_LAYERS);
  m->layers = calloc(count + 1, sizeof *m->layers);
  if (!m->layers) return fault_no_memory(f);
  for (size_t i = 0; i < count; i++) {
    oci_descriptor *d = &m->layers[i];
    if (read_descriptor(json_array_get(list, i), d, f)) return fault_place(f, "layer %zu", i);
    if (!m->artifact_type[0] && !normalise_layer(d))
      return bad_document(f, "a layer of an unknown kind", d->media_type);
  }
  m->layer_count = count;
  return SDX_OK;
}

sdx_status oci_parse_manifest(const char *bytes, size_t size, const char *media_type, oci_manifest *m, fault *f) {
  *m = (oci_manifest){0};
  json_t *json = load(bytes, size, "manifest", f);
  const char *type = text_of(json, "mediaType");
  if (!*type && media_type) type = media_type;
  if (json && number_of(json, "schemaVersion") != 2) bad_document(f, "the manifest is not of schema version 2", "");
  else if (json && *type && !is_manifest_type(type)) bad_document(f, "this is not a manifest", type);
  if (!f->status && !read_descriptor(json_object_get(json, "config"), &m->config, f)) {
    const char *artifact = text_of(json, "artifactType");
    if (!*artifact && strncmp(m->config.media_type, "application/vnd.oci.image.config", 32) &&
        strncmp(m->config.media_type, "application/vnd.docker.container.image", 38))
      artifact = m->config.media_type;  // how artifacts were told apart before 1.1
    snprintf(m->artifact_type, sizeof m->artifact_type, "%.255s", artifact);
    m->annotations = json_incref(json_object_get(json, "annotations"));
    read_layers(json_object_get(json, "layers"), m, f);
  } else if (f->status) {
    fault_place(f, "manifest");
  }
  json_decref(json);
  if (f->status) oci_manifest_free(m);
  return f->status;
}

void oci_manifest_free(oci_manifest *m) {
  free(m->layers);
  json_decref(m->annotations);
  *m = (oci_manifest){0};
}

// ---- indexes -----------------------------------------------------------------------------------

bool oci_is_index(const char *bytes, size_t size, const char *media_type) {
  fault ignored = {0};
  json_t *json = load(bytes, size, "index", &ignored);
  const char *type = text_of(json, "mediaType");
  bool is = *type ? is_index_type(type)
                  : (media_type && is_index_type(media_type)) || json_is_array(json_object_get(json, "manifests"));
  json_decref(json);
  return is;
}

static bool fits(const json_t *entry, const char *ref_name) {
  if (ref_name) {
    const char *name = text_of(json_object_get(entry, "annotations"), "org.opencontainers.image.ref.name");
    return !strcmp(name, ref_name);
  }
  const json_t *platform = json_object_get(entry, "platform");
  return !strcmp(text_of(platform, "os"), "linux") && !strcmp(text_of(platform, "architecture"), oci_architecture());
}

sdx_status oci_find_in_index(const char *bytes, size_t size, const char *ref_name, oci_descriptor *found, fault *f) {
  json_t *json = load(bytes, size, "index", f);
  const json_t *list = json_object_get(json, "manifests"), *entry = NULL;
  if (json && !json_is_array(list)) bad_document(f, "the index has no list of manifests", "");
  for (size_t i = 0; i < json_array_size(list) && !entry; i++)
    if (fits(json_array_get(list, i), ref_name)) entry = json_array_get(list, i);
  if (!entry && json_array_size(list) == 1 && (!ref_name || !*ref_name)) entry = json_array_get(list, 0);
  if (!f->status && !entry) {
    if (ref_name) fault_set(f, SDX_NOT_FOUND, "there is no image '%.150s' among %zu", ref_name, json_array_size(list));
    else
      fault_set(f, SDX_NOT_FOUND, "there is no image for linux/%s among %zu", oci_architecture(),
                json_array_size(list));
  }
  if (!f->status && !read_descriptor(entry, found, f) && !is_manifest_type(found->media_type))
    bad_document(f, "the index names something that is not a manifest", found->media_type);
  json_decref(json);
  return f->status;
}
