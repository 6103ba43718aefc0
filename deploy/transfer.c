// SPDX-License-Identifier: Apache-2.0
// Images and models from and to elsewhere (transfer.h).
#include "deploy/transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/image.h"
#include "support/files.h"
#include "support/json.h"

// ---- places ------------------------------------------------------------------------------------

typedef struct place {
  bool layout;
  char *path;        // of a layout
  const char *name;  // in a layout; NULL: the only one
  char text[OCI_TEXT * 2];
  oci_reference reference;
} place;

static sdx_status parse_place(const char *text, place *p, fault *f) {
  *p = (place){0};
  const char *path = !strncmp(text, "oci:", 4) && strncmp(text, "oci://", 6) ? text + 4 : NULL;
  if (!strncmp(text, "oci-archive:", 12)) path = text + 12;
  p->layout = path != NULL;
  if (!path) return oci_parse_reference(text, &p->reference, f);
  p->path = strdup(path);
  if (!p->path) return fault_no_memory(f);
  char *slash = strrchr(p->path, '/'), *colon = strchr(slash ? slash : p->path, ':');
  if (colon) {
    *colon = 0;
    p->name = colon + 1;
  }
  return *p->path ? SDX_OK : fault_set(f, SDX_INVALID_ARGUMENT, "'%.150s' names no file or folder", text);
}

// ---- pulling -----------------------------------------------------------------------------------

void pulled_free(pulled *p) {
  free(p->bytes);
  free(p->config);
  oci_manifest_free(&p->manifest);
  *p = (pulled){0};
}

static sdx_status take_document(registry *r, const oci_descriptor *d, pulled *p, fault *f) {
  p->bytes = registry_read_blob(r, d->digest, OCI_DOCUMENT_BYTES, &p->size, f);
  snprintf(p->media_type, sizeof p->media_type, "%s", d->media_type);
  memcpy(p->digest, d->digest, DIGEST_BYTES);
  return f->status;
}

static sdx_status pull_layout(registry *r, registry_change *c, const place *from, pulled *p, fault *f) {
  json_t *index;
  oci_descriptor d;
  if (layout_read(c, from->path, &index, f)) return f->status;
  char *text = json_dumps(index, 0);
  if (!text) fault_no_memory(f);
  else if (!oci_find_in_index(text, strlen(text), from->name ? from->name : "", &d, f)) take_document(r, &d, p, f);
  free(text);
  json_decref(index);
  if (!f->status) oci_parse_manifest(p->bytes, p->size, p->media_type, &p->manifest, f);
  return f->status;
}

// The manifest, by way of an index where the reference names one.
static sdx_status pull_manifest(remote *m, const oci_reference *ref, pulled *p, fault *f) {
  oci_descriptor d;
  const char *what = ref->digest[0] ? ref->digest : ref->tag[0] ? ref->tag : "latest";
  if (remote_get_manifest(m, what, &p->bytes, &p->size, p->media_type, p->digest, f)) return f->status;
  if (oci_is_index(p->bytes, p->size, p->media_type)) {
    if (oci_find_in_index(p->bytes, p->size, NULL, &d, f)) return f->status;
    free(p->bytes);
    if (remote_get_manifest(m, d.digest, &p->bytes, &p->size, p->media_type, p->digest, f)) return f->status;
  }
  return oci_parse_manifest(p->bytes, p->size, p->media_type, &p->manifest, f);
}

static sdx_status pull_remote(registry *r, registry_change *c, const place *from, bool plain, pulled *p, fault *f) {
  remote *m;
  registry_blob blob;
  if (remote_open(r, &from->reference, plain, &m, f)) return f->status;
  if (!pull_manifest(m, &from->reference, p, f) && !registry_add_bytes(c, p->bytes, p->size, &blob, f))
    remote_get_blob(m, c, &p->manifest.config, f);
  for (size_t i = 0; i < p->manifest.layer_count && !f->status; i++) remote_get_blob(m, c, &p->manifest.layers[i], f);
  remote_close(m);
  return f->status;
}

// Everything the manifest names is there, in the size it says.
static sdx_status check_blobs(registry *r, const pulled *p, fault *f) {
  for (size_t i = 0; i <= p->manifest.layer_count && !f->status; i++) {
    const oci_descriptor *d = i ? &p->manifest.layers[i - 1] : &p->manifest.config;
    uint64_t size;
    int fd = registry_open_blob(r, d->digest, &size, f);
    if (fd >= 0) close(fd);
    if (fd >= 0 && size != d->size)
      fault_set(f, SDX_INVALID_MODEL, "%s has %llu bytes, its descriptor says %llu", d->digest,
                (unsigned long long)size, (unsigned long long)d->size);
  }
  return f->status;
}

sdx_status transfer_pull(registry *r, registry_change *c, const char *text, const transfer_options *o, pulled *p,
                         fault *f) {
  place from;
  *p = (pulled){0};
  registry_expect_garbage(c);  // indexes, and what a layout holds beside
  if (!parse_place(text, &from, f)) {
    if (from.layout) pull_layout(r, c, &from, p, f);
    else pull_remote(r, c, &from, o->plain_http, p, f);
  }
  free(from.path);
  if (!f->status && !check_blobs(r, p, f))
    p->config = registry_read_blob(r, p->manifest.config.digest, OCI_DOCUMENT_BYTES, &p->config_size, f);
  if (f->status) pulled_free(p);
  return f->status;
}

// ---- committing what was pulled ----------------------------------------------------------------

// The last part of a repository or path, as far as it can be a name.
static void name_from(const char *text, char name[NAME_BYTES + 1]) {
  place p;
  fault ignored = {0};
  const char *whole = parse_place(text, &p, &ignored) ? "" : p.layout ? p.path : p.reference.repository;
  const char *slash = strrchr(whole, '/');
  snprintf(name, NAME_BYTES + 1, "%.*s", NAME_BYTES, slash ? slash + 1 : whole);
  size_t length = strlen(name);
  if (length > 4 && !strcmp(name + length - 4, ".tar")) name[length - 4] = 0;
  free(p.path);
}

sdx_status transfer_commit_image(registry_change *c, const pulled *p, const char *from, const char *name,
                                 int64_t version, json_t **asset, fault *f) {
  char other[NAME_BYTES + 1];
  json_t *config = json_loadb(p->config, p->config_size, 0, NULL);
  *asset = NULL;
  name_from(from, other);
  if (p->manifest.artifact_type[0]) {
    fault_set(f, SDX_CONFLICT, "%s is not an image: %s", from, p->manifest.artifact_type);
    if (!strcmp(p->manifest.artifact_type, MODEL_ARTIFACT)) fault_hint(f, "sardonyx model pull %s", from);
  } else if (!json_is_array(json_object_get(json_object_get(config, "rootfs"), "diff_ids"))) {
    fault_set(f, SDX_INVALID_MODEL, "%s: the image's config says nothing of its layers", from);
  } else {
    image_parts parts = {
        .config = p->manifest.config, .layers = p->manifest.layers, .layer_count = p->manifest.layer_count};
    parts.manifest = (oci_descriptor){.size = p->size};
    memcpy(parts.manifest.digest, p->digest, DIGEST_BYTES);
    snprintf(parts.manifest.media_type, OCI_TEXT, "%s", *p->media_type ? p->media_type : OCI_MANIFEST);
    json_t *detail = json_pack("{s:s,s:s,s:s}", "reference", from, "os", text_of(config, "os"), "architecture",
                               text_of(config, "architecture"));
    registry_draft draft = {.kind = ASSET_IMAGE, .name = name ? name : other, .version = version, .detail = detail};
    image_commit(c, &parts, draft, asset, f);
    json_decref(detail);
  }
  json_decref(config);
  return f->status;
}

sdx_status transfer_commit_model(registry_change *c, const pulled *p, const char *from, const char *name,
                                 int64_t version, json_t **asset, fault *f) {
  char other[NAME_BYTES + 1], request[OCI_TEXT];
  *asset = NULL;
  if (!p->manifest.artifact_type[0]) {
    fault_set(f, SDX_CONFLICT, "%s is not a model but an image", from);
    return fault_hint(f, "sardonyx image pull %s", from);
  }
  name_from(from, other);
  registry_file *files = calloc(p->manifest.layer_count + 1, sizeof *files);
  if (!files) return fault_no_memory(f);
  for (size_t i = 0; i < p->manifest.layer_count && !f->status; i++) {
    const oci_descriptor *d = &p->manifest.layers[i];
    files[i] = (registry_file){.path = d->title, .media_type = d->media_type, .blob.size = d->size};
    memcpy(files[i].blob.digest, d->digest, DIGEST_BYTES);
    if (!d->title[0]) fault_set(f, SDX_INVALID_MODEL, "%s: a file of the artifact has no name", from);
    for (size_t k = 0; k < i && !f->status; k++)
      if (!strcmp(files[k].path, d->title))
        fault_set(f, SDX_INVALID_MODEL, "%s: two files are named %s", from, d->title);
  }
  json_t *config = json_loadb(p->config, p->config_size, 0, NULL);
  const char *main = text_of(config, "main"), *framework = text_of(config, "framework"),
             *framework_version = text_of(config, "framework_version");
  snprintf(request, sizeof request, "%s@%s", name ? name : other, p->digest);
  registry_model model = {.name = name ? name : other,
                          .main = *main ? main : NULL,
                          .description = text_of(config, "description"),
                          .framework = *framework ? framework : NULL,
                          .framework_version = *framework_version ? framework_version : NULL,
                          .version = version,
                          .tags = json_object_get(config, "tags"),
                          .properties = json_object_get(config, "properties"),
                          .request = request};
  if (!f->status) registry_commit_model(c, &model, files, p->manifest.layer_count, asset, f);
  json_decref(config);
  free(files);
  return f->status;
}

// ---- pushing -----------------------------------------------------------------------------------

static json_t *model_config(const json_t *asset) {
  static const char *const keys[] = {"name",      "version",           "description", "tags",   "properties",
                                     "framework", "framework_version", "main",        "inputs", "outputs",
                                     "created"};
  json_t *config = json_object();
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (json_object_get(asset, keys[i])) json_object_set(config, keys[i], json_object_get(asset, keys[i]));
  return config;
}

static json_t *model_layers(const json_t *asset) {
  json_t *layers = json_array(), *file;
  size_t i;
  json_array_foreach(json_object_get(asset, "files"), i, file) {
    oci_descriptor d = {.size = (uint64_t)number_of(file, "size")};
    snprintf(d.media_type, sizeof d.media_type, "%.255s", text_of(file, "media_type"));
    snprintf(d.digest, sizeof d.digest, "%.71s", text_of(file, "digest"));
    snprintf(d.title, sizeof d.title, "%.255s", text_of(file, "path"));
    json_array_append_new(layers, oci_descriptor_json(&d));
  }
  return layers;
}

static sdx_status add_json(registry_change *c, const json_t *json, const char *media_type, oci_descriptor *d,
                           fault *f) {
  registry_blob blob;
  char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
  if (!text) return fault_no_memory(f);
  if (!registry_add_bytes(c, text, strlen(text), &blob, f)) {
    *d = (oci_descriptor){.size = blob.size};
    memcpy(d->digest, blob.digest, DIGEST_BYTES);
    snprintf(d->media_type, sizeof d->media_type, "%s", media_type);
  }
  free(text);
  return f->status;
}

// The documents of a model as an artifact: the same for the same model, wherever it is pushed to.
static sdx_status model_manifest(registry_change *c, const json_t *asset, oci_descriptor *manifest, fault *f) {
  oci_descriptor config_descriptor;
  json_t *config = model_config(asset);
  if (!add_json(c, config, MODEL_CONFIG, &config_descriptor, f)) {
    json_t *json = json_pack("{s:i,s:s,s:s,s:o,s:o,s:{s:s,s:s,s:s}}", "schemaVersion", 2, "mediaType", OCI_MANIFEST,
                             "artifactType", MODEL_ARTIFACT, "config", oci_descriptor_json(&config_descriptor),
                             "layers", model_layers(asset), "annotations", "org.opencontainers.image.title",
                             text_of(asset, "name"), "org.opencontainers.image.created", text_of(asset, "created"),
                             "org.opencontainers.image.description", text_of(asset, "description"));
    add_json(c, json, OCI_MANIFEST, manifest, f);
    json_decref(json);
  }
  json_decref(config);
  return f->status;
}

static sdx_status manifest_of(registry_change *c, const json_t *asset, oci_descriptor *manifest, fault *f) {
  if (!strcmp(text_of(asset, "kind"), "model")) return model_manifest(c, asset, manifest, f);
  *manifest = (oci_descriptor){0};
  json_t *file;
  size_t i;
  json_array_foreach(json_object_get(asset, "files"), i, file) {
    if (strcmp(text_of(file, "path"), "manifest")) continue;
    snprintf(manifest->digest, DIGEST_BYTES, "%.71s", text_of(file, "digest"));
    snprintf(manifest->media_type, OCI_TEXT, "%.255s", text_of(file, "media_type"));
    manifest->size = (uint64_t)number_of(file, "size");
  }
  return manifest->digest[0] ? SDX_OK : fault_set(f, SDX_INTERNAL, "image %s has no manifest", text_of(asset, "id"));
}

static sdx_status push_remote(registry *r, const place *to, const char *version, const oci_descriptor *manifest,
                              const transfer_options *o, fault *f) {
  remote *m;
  oci_manifest read = {0};
  size_t size;
  bool sent;
  const char *tag = to->reference.tag[0] ? to->reference.tag : version;
  char *bytes = registry_read_blob(r, manifest->digest, OCI_DOCUMENT_BYTES, &size, f);
  if (!bytes) return f->status;
  if (!remote_open(r, &to->reference, o->plain_http, &m, f)) {
    oci_parse_manifest(bytes, size, manifest->media_type, &read, f);
    for (size_t i = 0; i < read.layer_count && !f->status; i++) remote_put_blob(m, &read.layers[i], &sent, f);
    if (!f->status && !remote_put_blob(m, &read.config, &sent, f))
      remote_put_manifest(m, tag, bytes, size, manifest->media_type, f);
    remote_close(m);
  }
  oci_manifest_free(&read);
  free(bytes);
  return f->status;
}

sdx_status transfer_push(registry *r, asset_kind kind, const char *reference, const char *text,
                         const transfer_options *o, char digest[DIGEST_BYTES], fault *f) {
  json_t *asset;
  registry_change *c;
  place to;
  oci_descriptor manifest;
  if (parse_place(text, &to, f) || registry_get(r, kind, reference, &asset, f)) {
    free(to.path);
    return f->status;
  }
  if (!registry_begin(r, &c, f)) {
    if (!manifest_of(c, asset, &manifest, f)) {
      char version[24];
      snprintf(version, sizeof version, "%lld", (long long)number_of(asset, "version"));
      layout_entry entry = {.ref_name = to.name ? to.name : text_of(asset, "id"), .manifest = manifest};
      memcpy(digest, manifest.digest, DIGEST_BYTES);
      if (to.layout) layout_write(r, to.path, &entry, 1, f);
      else push_remote(r, &to, version, &manifest, o, f);
    }
    registry_end(c);
  }
  json_decref(asset);
  free(to.path);
  return f->status;
}

// ---- everything --------------------------------------------------------------------------------

static json_t *list_all(registry *r, fault *f) {
  json_t *all = json_array(), *some;
  for (asset_kind kind = ASSET_MODEL; kind <= ASSET_IMAGE && !f->status; kind++)
    if (!registry_list(r, kind, NULL, &some, f)) {
      json_array_extend(all, some);
      json_decref(some);
    }
  return all;
}

sdx_status transfer_export(registry *r, const char *path, fault *f) {
  registry_change *c;
  json_t *all = list_all(r, f), *asset;
  layout_entry *entries = calloc(json_array_size(all) + 1, sizeof *entries);
  size_t i;
  if (!entries) fault_no_memory(f);
  if (!f->status && !registry_begin(r, &c, f)) {
    json_array_foreach(all, i, asset) {
      if (f->status) break;
      entries[i].ref_name = text_of(asset, "id");
      manifest_of(c, asset, &entries[i].manifest, f);
    }
    if (!f->status) layout_write(r, path, entries, json_array_size(all), f);
    registry_end(c);
  }
  free(entries);
  json_decref(all);
  return f->status;
}

static bool same_files(const json_t *asset, const pulled *p) {
  const json_t *files = json_object_get(asset, "files");
  if (!strcmp(text_of(asset, "kind"), "image")) return !strcmp(text_of(asset, "digest"), p->digest);
  if (json_array_size(files) != p->manifest.layer_count) return false;
  for (size_t i = 0; i < p->manifest.layer_count; i++) {
    const json_t *file = json_array_get(files, i);
    if (strcmp(text_of(file, "path"), p->manifest.layers[i].title) ||
        strcmp(text_of(file, "digest"), p->manifest.layers[i].digest))
      return false;
  }
  return true;
}

// Under the name and version it had, where those are free; what is there already stays. *asset NULL: was there.
static sdx_status import_one(registry *r, registry_change *c, const pulled *p, const char *ref_name, const char *path,
                             json_t **asset, fault *f) {
  bool model = p->manifest.artifact_type[0];
  asset_kind kind = model ? ASSET_MODEL : ASSET_IMAGE;
  char name[NAME_BYTES + 1];
  size_t length = strcspn(ref_name, ":");
  snprintf(name, sizeof name, "%.*s", length < NAME_BYTES ? (int)length : NAME_BYTES, ref_name);
  int64_t version = ref_name[length] ? strtoll(ref_name + length + 1, NULL, 10) : 0;
  fault none = {0}, taken = {0};
  json_t *there = NULL;
  *asset = NULL;
  if (version > 0 && !registry_get(r, kind, ref_name, &there, &none) && same_files(there, p)) {
    json_decref(there);
    return SDX_OK;
  }
  if (there) version = 0;
  json_decref(there);
  const char *wanted = name_valid(name) ? name : NULL;
  for (int turn = 0; turn < 2; turn++) {
    taken = (fault){0};
    sdx_status status = model ? transfer_commit_model(c, p, path, wanted, version > 0 ? version : 0, asset, &taken)
                              : transfer_commit_image(c, p, path, wanted, version > 0 ? version : 0, asset, &taken);
    if (status != SDX_CONFLICT || version <= 0) break;
    version = 0;  // given before, and deleted
  }
  *f = taken;
  return f->status;
}

sdx_status transfer_import(registry *r, const char *path, json_t **assets, fault *f) {
  registry_change *c;
  json_t *index = NULL, *entry, *asset;
  size_t i;
  *assets = json_array();
  if (registry_begin(r, &c, f)) return f->status;
  registry_expect_garbage(c);
  layout_read(c, path, &index, f);
  json_array_foreach(json_object_get(index, "manifests"), i, entry) {
    oci_descriptor d;
    pulled p = {0};
    json_t *one = json_pack("{s:i,s:[O]}", "schemaVersion", 2, "manifests", entry);
    char *text = one ? json_dumps(one, 0) : NULL;
    const char *ref_name = text_of(json_object_get(entry, "annotations"), "org.opencontainers.image.ref.name");
    if (!text) fault_no_memory(f);
    else if (!oci_find_in_index(text, strlen(text), "", &d, f) && !take_document(r, &d, &p, f) &&
             !oci_parse_manifest(p.bytes, p.size, p.media_type, &p.manifest, f) && !check_blobs(r, &p, f)) {
      p.config = registry_read_blob(r, p.manifest.config.digest, OCI_DOCUMENT_BYTES, &p.config_size, f);
      if (p.config && !import_one(r, c, &p, ref_name, path, &asset, f) && asset) json_array_append_new(*assets, asset);
    }
    pulled_free(&p);
    free(text);
    json_decref(one);
    if (f->status) break;
  }
  json_decref(index);
  registry_end(c);
  return f->status;
}
