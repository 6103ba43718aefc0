// SPDX-License-Identifier: Apache-2.0
// OCI layouts (layout.h).
#include "deploy/layout.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deploy/layer.h"
#include "support/files.h"

enum { MOST_ENTRIES = 200000, PIECE = 1 << 16 };
static const uint64_t most_bytes = (uint64_t)64 << 30;

static const char version_file[] = "{\"imageLayoutVersion\": \"1.0.0\"}";

static json_t *parse_index(const char *bytes, size_t size, const char *path, fault *f) {
  json_error_t error;
  json_t *index = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error);
  if (json_is_array(json_object_get(index, "manifests"))) return index;
  fault_set(f, SDX_INVALID_MODEL, "%s: index.json is not an index%s%s", path, index ? "" : ": ",
            index ? "" : error.text);
  json_decref(index);
  return NULL;
}

// ---- reading a folder --------------------------------------------------------------------------

static sdx_status read_blob(void *context, const char *path, int fd, fault *f) {
  registry_blob blob;
  const char *name = strrchr(path, '/') + 1;
  if (strlen(name) != 64 || strspn(name, "0123456789abcdef") != 64) return SDX_OK;  // not a blob
  if (registry_add_file(context, fd, path, &blob, f)) return f->status;
  return strcmp(digest_hex(blob.digest), name)
             ? fault_set(f, SDX_INVALID_MODEL, "%s: its bytes are not those of its digest", path)
             : SDX_OK;
}

static sdx_status read_folder(registry_change *c, const char *path, int folder, json_t **index, fault *f) {
  size_t size;
  char *bytes = file_load(folder, "index.json", OCI_DOCUMENT_BYTES, &size, f);
  *index = bytes ? parse_index(bytes, size, path, f) : NULL;
  free(bytes);
  int blobs = *index ? openat(folder, "blobs/sha256", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (*index && blobs < 0) fault_errno(f, errno, "blobs/sha256");
  if (blobs >= 0) {
    tree_walk(blobs, "blobs/sha256", MOST_ENTRIES, read_blob, c, f);
    close(blobs);
  }
  return f->status ? fault_place(f, "%s", path) : SDX_OK;
}

// ---- reading an archive ------------------------------------------------------------------------

typedef struct reading {
  struct archive *archive;
  registry_change *change;
  uint64_t left;
  json_t *index;
} reading;

static sdx_status archive_failed(struct archive *a, fault *f) {
  return fault_set(f, SDX_INVALID_MODEL, "%s",
                   archive_error_string(a) ? archive_error_string(a) : "the archive is damaged");
}

static sdx_status take_blob(reading *w, const char *hex, fault *f) {
  registry_upload u;
  registry_blob blob = {0};
  digest_state *d = digest_create();
  char *piece = malloc(PIECE);
  la_ssize_t got = 0;
  if (!d || !piece) fault_no_memory(f);
  else registry_create_blob(w->change, &u, f);
  bool open = !f->status;
  while (!f->status && (got = archive_read_data(w->archive, piece, PIECE)) > 0) {
    digest_add(d, piece, (size_t)got);
    blob.size += (uint64_t)got;
    if ((uint64_t)got > w->left) fault_set(f, SDX_LIMIT_EXCEEDED, "the archive unpacks to more than it may");
    else if (!file_write_all(u.fd, piece, (size_t)got)) fault_errno(f, errno, "cannot keep a blob");
    w->left -= (uint64_t)got;
  }
  if (got < 0) archive_failed(w->archive, f);
  if (open && !f->status) {
    digest_finish(d, blob.digest);
    if (strcmp(digest_hex(blob.digest), hex))
      fault_set(f, SDX_INVALID_MODEL, "blob %s: its bytes are not those of its digest", hex);
  }
  digest_destroy(d);
  free(piece);
  if (open && !f->status) return registry_seal_blob(w->change, &u, &blob, f);
  if (open) registry_drop_blob(w->change, &u);
  return f->status;
}

static sdx_status take_index(reading *w, const char *path, fault *f) {
  char *bytes = malloc(OCI_DOCUMENT_BYTES);
  la_ssize_t got = 0;
  size_t size = 0;
  if (!bytes) return fault_no_memory(f);
  while (size < OCI_DOCUMENT_BYTES &&
         (got = archive_read_data(w->archive, bytes + size, OCI_DOCUMENT_BYTES - size)) > 0)
    size += (size_t)got;
  if (got < 0) archive_failed(w->archive, f);
  else if (size == OCI_DOCUMENT_BYTES) fault_set(f, SDX_LIMIT_EXCEEDED, "its index.json is too large");
  else if (w->index) fault_set(f, SDX_INVALID_MODEL, "it has two index.json");
  else w->index = parse_index(bytes, size, path, f);
  free(bytes);
  return f->status;
}

// Names of the archive never reach the disk: a blob is kept under its digest, all else is passed over.
static sdx_status take_entry(reading *w, struct archive_entry *e, const char *path, fault *f) {
  const char *name = archive_entry_pathname(e);
  if (!name || archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e)) return SDX_OK;
  if (!strncmp(name, "./", 2)) name += 2;
  if (!strcmp(name, "index.json")) return take_index(w, path, f);
  bool blob =
      !strncmp(name, "blobs/sha256/", 13) && strlen(name + 13) == 64 && strspn(name + 13, "0123456789abcdef") == 64;
  return blob ? take_blob(w, name + 13, f) : SDX_OK;
}

static sdx_status read_archive(registry_change *c, const char *path, json_t **index, fault *f) {
  reading w = {.archive = archive_read_new(), .change = c, .left = most_bytes};
  struct archive_entry *e;
  int code = ARCHIVE_OK;
  if (!w.archive) return fault_no_memory(f);
  archive_read_support_filter_all(w.archive);
  archive_read_support_format_tar(w.archive);
  if (archive_read_open_filename(w.archive, path, PIECE) != ARCHIVE_OK) archive_failed(w.archive, f);
  for (size_t count = 0; !f->status && (code = archive_read_next_header(w.archive, &e)) != ARCHIVE_EOF; count++) {
    if (code == ARCHIVE_FATAL || code == ARCHIVE_FAILED) archive_failed(w.archive, f);
    else if (count == MOST_ENTRIES) fault_set(f, SDX_LIMIT_EXCEEDED, "more than %d entries", MOST_ENTRIES);
    else if (code != ARCHIVE_RETRY) take_entry(&w, e, path, f);
  }
  archive_read_free(w.archive);
  if (!f->status && !w.index) {
    fault_set(f, SDX_INVALID_MODEL, "it has no index.json: not an OCI layout");
    fault_hint(f, "'skopeo copy docker-archive:%s oci-archive:new.tar' makes one of what docker saves", path);
  }
  if (f->status) json_decref(w.index);
  else *index = w.index;
  return f->status ? fault_place(f, "%s", path) : SDX_OK;
}

sdx_status layout_read(registry_change *c, const char *path, json_t **index, fault *f) {
  struct stat info;
  *index = NULL;
  if (stat(path, &info)) return fault_errno(f, errno, "%s", path);
  if (S_ISREG(info.st_mode)) return read_archive(c, path, index, f);
  int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return fault_errno(f, errno, "%s", path);
  read_folder(c, path, folder, index, f);
  close(folder);
  return f->status;
}

// ---- writing -----------------------------------------------------------------------------------

// The index entry of a manifest.
static json_t *index_entry(const layout_entry *e) {
  json_t *json = oci_descriptor_json(&e->manifest), *annotations = json_object();
  if (e->ref_name) json_object_set_new(annotations, "org.opencontainers.image.ref.name", json_string(e->ref_name));
  json_object_update(annotations, e->annotations);
  if (json_object_size(annotations)) json_object_set(json, "annotations", annotations);
  json_decref(annotations);
  return json;
}

typedef sdx_status (*write_blob)(void *context, registry *r, const oci_descriptor *d, fault *f);

// Every blob that the manifests name, the manifests last.
static sdx_status each_blob(registry *r, const layout_entry *entries, size_t count, write_blob write, void *context,
                            fault *f) {
  for (size_t i = 0; i < count && !f->status; i++) {
    oci_manifest m;
    size_t size;
    char *bytes = registry_read_blob(r, entries[i].manifest.digest, OCI_DOCUMENT_BYTES, &size, f);
    if (!bytes || oci_parse_manifest(bytes, size, entries[i].manifest.media_type, &m, f)) {
      free(bytes);
      break;
    }
    write(context, r, &m.config, f);
    for (size_t k = 0; k < m.layer_count && !f->status; k++) write(context, r, &m.layers[k], f);
    if (!f->status) write(context, r, &entries[i].manifest, f);
    oci_manifest_free(&m);
    free(bytes);
  }
  return f->status;
}

static sdx_status blob_to_folder(void *context, registry *r, const oci_descriptor *d, fault *f) {
  int folder = *(int *)context;
  uint64_t size = 0;
  struct stat info;
  char *name = path_format("blobs/sha256/%s", digest_hex(d->digest)),
       *other = path_format("blobs/sha256/%s.new", digest_hex(d->digest));
  if (!name || !other) fault_no_memory(f);
  else if (fstatat(folder, name, &info, 0) || (uint64_t)info.st_size != d->size) {
    int from = registry_open_blob(r, d->digest, &size, f), to = -1;
    if (from >= 0) to = openat(folder, other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool good = to >= 0;
    while (good && size) {
      ssize_t done = copy_file_range(from, NULL, to, NULL, size, 0);
      good = done > 0;
      if (good) size -= (uint64_t)done;
    }
    if (from >= 0 && (!good || fsync(to) || renameat(folder, other, folder, name)))
      fault_errno(f, errno, "cannot write a blob");
    if (to >= 0) close(to);
    if (from >= 0) close(from);
  }
  free(name);
  free(other);
  return f->status;
}

// The index of a layout that is there already, without the names that are given anew.
static json_t *old_index(int folder, const layout_entry *entries, size_t count, fault *f) {
  size_t size, i;
  json_t *entry, *index = NULL;
  char *bytes =
      faccessat(folder, "index.json", F_OK, 0) ? NULL : file_load(folder, "index.json", OCI_DOCUMENT_BYTES, &size, f);
  if (bytes) index = parse_index(bytes, size, "the layout that is there", f);
  free(bytes);
  if (!index) return json_pack("{s:i,s:s,s:[]}", "schemaVersion", 2, "mediaType", OCI_INDEX, "manifests");
  json_t *kept = json_array();
  json_array_foreach(json_object_get(index, "manifests"), i, entry) {
    const char *name =
        json_string_value(json_object_get(json_object_get(entry, "annotations"), "org.opencontainers.image.ref.name"));
    const char *digest = json_string_value(json_object_get(entry, "digest"));
    bool replaced = false;
    for (size_t k = 0; k < count; k++)
      replaced |= (name && entries[k].ref_name && !strcmp(name, entries[k].ref_name)) ||
                  (!name && digest && !strcmp(digest, entries[k].manifest.digest));
    if (!replaced) json_array_append(kept, entry);
  }
  json_object_set_new(index, "manifests", kept);
  return index;
}

static sdx_status write_folder(registry *r, const char *path, const layout_entry *entries, size_t count, fault *f) {
  int folder = folder_open(AT_FDCWD, path, 0755, f);
  if (folder < 0) return f->status;
  if (!folder_make_parents(folder, "blobs/sha256/x", 0755, f)) each_blob(r, entries, count, blob_to_folder, &folder, f);
  json_t *index = f->status ? NULL : old_index(folder, entries, count, f);
  for (size_t i = 0; i < count && index; i++)
    json_array_append_new(json_object_get(index, "manifests"), index_entry(&entries[i]));
  char *text = index ? json_dumps(index, JSON_INDENT(2)) : NULL;
  if (!f->status && !text) fault_no_memory(f);
  if (!f->status && !file_replace(folder, "oci-layout", version_file, strlen(version_file), 0644, f))
    file_replace(folder, "index.json", text, strlen(text), 0644, f);
  free(text);
  json_decref(index);
  close(folder);
  return f->status ? fault_place(f, "%s", path) : SDX_OK;
}

typedef struct tape {
  struct archive *archive;
  json_t *written;  // digests
} tape;

static sdx_status tape_entry(tape *t, const char *name, const void *bytes, uint64_t size, int fd, fault *f) {
  struct archive_entry *e = archive_entry_new();
  char *piece = malloc(PIECE);
  if (!e || !piece) fault_no_memory(f);
  else {
    archive_entry_set_pathname(e, name);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_mtime(e, layer_epoch(), 0);
    archive_entry_set_size(e, (la_int64_t)size);
    ssize_t got = 0;
    if (archive_write_header(t->archive, e) != ARCHIVE_OK) archive_failed(t->archive, f);
    if (bytes && archive_write_data(t->archive, bytes, size) != (la_ssize_t)size) archive_failed(t->archive, f);
    while (!bytes && !f->status && (got = read(fd, piece, PIECE)) > 0)
      if (archive_write_data(t->archive, piece, (size_t)got) != got) archive_failed(t->archive, f);
    if (got < 0) fault_errno(f, errno, "%s", name);
  }
  archive_entry_free(e);
  free(piece);
  return f->status;
}

static sdx_status blob_to_tape(void *context, registry *r, const oci_descriptor *d, fault *f) {
  tape *t = context;
  uint64_t size;
  char name[100];
  if (json_object_get(t->written, d->digest)) return SDX_OK;
  json_object_set_new(t->written, d->digest, json_true());
  int fd = registry_open_blob(r, d->digest, &size, f);
  if (fd < 0) return f->status;
  snprintf(name, sizeof name, "blobs/sha256/%s", digest_hex(d->digest));
  tape_entry(t, name, NULL, size, fd, f);
  close(fd);
  return f->status;
}

static json_t *blob_path(const oci_descriptor *d) { return json_sprintf("blobs/sha256/%s", digest_hex(d->digest)); }

// manifest.json, by which docker finds the images of an archive. NULL: failed.
static char *docker_index(registry *r, const layout_entry *entries, size_t count, fault *f) {
  json_t *list = json_array();
  for (size_t i = 0; i < count && !f->status; i++) {
    oci_manifest m;
    size_t size;
    char *bytes = registry_read_blob(r, entries[i].manifest.digest, OCI_DOCUMENT_BYTES, &size, f);
    if (bytes && !oci_parse_manifest(bytes, size, entries[i].manifest.media_type, &m, f)) {
      json_t *layers = json_array();
      for (size_t k = 0; k < m.layer_count; k++) json_array_append_new(layers, blob_path(&m.layers[k]));
      if (strstr(m.config.media_type, "image"))
        json_array_append_new(list,
                              json_pack("{s:o,s:n,s:O}", "Config", blob_path(&m.config), "RepoTags", "Layers", layers));
      json_decref(layers);
      oci_manifest_free(&m);
    }
    free(bytes);
  }
  char *text = f->status ? NULL : json_dumps(list, JSON_COMPACT);
  if (!text) fault_no_memory(f);
  json_decref(list);
  return text;
}

static sdx_status write_archive(registry *r, const char *path, const layout_entry *entries, size_t count, fault *f) {
  tape t = {archive_write_new(), json_object()};
  char *other = path_format("%s.%d.new", path, (int)getpid());
  json_t *index = json_pack("{s:i,s:s,s:[]}", "schemaVersion", 2, "mediaType", OCI_INDEX, "manifests");
  for (size_t i = 0; i < count && index; i++)
    json_array_append_new(json_object_get(index, "manifests"), index_entry(&entries[i]));
  char *text = index ? json_dumps(index, JSON_INDENT(2)) : NULL, *docker = docker_index(r, entries, count, f);
  int fd = other ? open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644) : -1;
  if (!t.archive || !t.written || !other || !text) fault_no_memory(f);
  else if (f->status) fault_place(f, "%s", path);
  else if (fd < 0) fault_errno(f, errno, "%s", path);
  else {
    archive_write_set_format_pax_restricted(t.archive);
    if (archive_write_open_fd(t.archive, fd) != ARCHIVE_OK) archive_failed(t.archive, f);
    if (!f->status && !tape_entry(&t, "oci-layout", version_file, strlen(version_file), -1, f) &&
        !each_blob(r, entries, count, blob_to_tape, &t, f))
      tape_entry(&t, "manifest.json", docker, strlen(docker), -1, f);
    if (!f->status) tape_entry(&t, "index.json", text, strlen(text), -1, f);
    if (archive_write_close(t.archive) != ARCHIVE_OK && !f->status) archive_failed(t.archive, f);
    if (!f->status && (fsync(fd) || rename(other, path))) fault_errno(f, errno, "%s", path);
  }
  if (fd >= 0) close(fd);
  if (fd >= 0 && f->status) unlink(other);
  archive_write_free(t.archive);
  json_decref(t.written);
  json_decref(index);
  free(text);
  free(docker);
  free(other);
  return f->status;
}

sdx_status layout_write(registry *r, const char *path, const layout_entry *entries, size_t count, fault *f) {
  size_t length = strlen(path);
  bool tar = length > 4 && !strcmp(path + length - 4, ".tar");
  return tar ? write_archive(r, path, entries, count, f) : write_folder(r, path, entries, count, f);
}
