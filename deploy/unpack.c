// SPDX-License-Identifier: Apache-2.0
// Unpacking (unpack.h). Only regular files beneath two folders of the image are taken; the rest is the system of the
// image, whose place this machine takes.
#include "deploy/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/application.h"
#include "deploy/oci.h"
#include "deploy/runtime.h"
#include "support/files.h"
#include "support/json.h"

enum { PIECE = 1 << 16, MOST_ENTRIES = 1000000 };

// ---- what is started -----------------------------------------------------------------------------

static json_t *document_of(registry *r, const json_t *image, const char *path, fault *f) {
  size_t i, size;
  json_t *file, *document = NULL;
  json_array_foreach(json_object_get(image, "files"), i, file) {
    if (strcmp(text_of(file, "path"), path)) continue;
    char *text = registry_read_blob(r, text_of(file, "digest"), OCI_DOCUMENT_BYTES, &size, f);
    document = text ? json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL) : NULL;
    free(text);
  }
  if (!document) fault_set(f, SDX_INVALID_MODEL, "image %s: its %s cannot be read", text_of(image, "id"), path);
  return document;
}

static bool is_listening(const char *word) { return !strcmp(word, "--host") || !strcmp(word, "--port"); }

// The words of its command, but for where it listens.
static void take_words(const json_t *command, image_start *start) {
  for (size_t i = 0; i < json_array_size(command); i++) {
    const char *word = json_string_value(json_array_get(command, i));
    if (!word) continue;
    if (!is_listening(word)) json_array_append_new(start->arguments, json_string(word));
    else i++;
  }
}

sdx_status image_read_start(registry *r, const json_t *image, image_start *start, fault *f) {
  json_t *config = document_of(r, image, "config", f);
  const json_t *run = json_object_get(config, "config"), *entry = json_object_get(run, "Entrypoint");
  const char *program = json_string_value(json_array_get(entry, 0)),
             *serve = json_string_value(json_array_get(entry, 1));
  *start = (image_start){.arguments = json_array(), .environment = json_array()};
  if (config && (!program || strcmp(program, RUNTIME_PROGRAM) || !serve || strcmp(serve, "serve"))) {
    fault_set(f, SDX_NOT_SUPPORTED, "image %s was not built by 'sardonyx image build'", text_of(image, "id"));
    fault_hint(f, "podman and Kubernetes run any image: push it with 'sardonyx image push'");
  }
  if (!f->status) {
    take_words(json_object_get(run, "Cmd"), start);
    json_array_extend(start->environment, json_object_get(run, "Env"));
  }
  json_decref(config);
  if (f->status) image_start_free(start);
  return f->status;
}

void image_start_free(image_start *start) {
  json_decref(start->arguments);
  json_decref(start->environment);
  *start = (image_start){0};
}

// Where its script and its models lie, and nowhere else.
static bool inside(const char *path) {
  static const char folder[] = "/" APPLICATION_FOLDER "/";
  return !strncmp(path, folder, sizeof folder - 1) && path_beneath(path + 1);
}

// Here the server is this machine's and runs as who started it: of an image, which may come from anywhere, it takes the
// script, which has its sandbox, and models, and nothing that would make it run or read something else.
static sdx_status check_start(const image_start *start, const char *image, fault *f) {
  const char *odd = NULL;
  size_t i;
  json_t *one;
  json_array_foreach(start->arguments, i, one) {
    const char *word = json_string_value(one), *path = strchr(word, '=');
    bool script = !strcmp(word, "--script");
    if (script) path = json_string_value(json_array_get(start->arguments, ++i));
    else if (path && *word != '-') path++;
    else path = NULL;
    if (!odd && !(path && inside(path))) odd = word;
  }
  if (!odd) return SDX_OK;
  fault_set(f, SDX_NOT_SUPPORTED,
            "image %s: its command has '%.100s', which a service outside of a container does not take", image, odd);
  return fault_hint(f, "--target container runs it as it is");
}

// ---- unpacking -----------------------------------------------------------------------------------

typedef struct unpacking {
  registry *r;
  int folder;
  const char *image;
} unpacking;

// Where an entry of a layer goes, or NULL.
static const char *place_of(const char *path) {
  static const char *const taken[] = {APPLICATION_FOLDER "/", PACKAGES_FOLDER "/"};
  if (!strncmp(path, "./", 2)) path += 2;
  for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
    if (!strncmp(path, taken[i], strlen(taken[i])) && path_beneath(path)) return path;
  return NULL;
}

static sdx_status write_entry(const unpacking *u, struct archive *a, const char *path, mode_t mode, fault *f) {
  if (folder_make_parents(u->folder, path, 0700, f)) return f->status;
  unlinkat(u->folder, path, 0);  // of a layer below
  int fd = openat(u->folder, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode & 0100 ? 0700 : 0600);
  if (fd < 0) return fault_errno(f, errno, "cannot write %s", path);
  if (archive_read_data_into_fd(a, fd) != ARCHIVE_OK)
    fault_set(f, SDX_IO_ERROR, "image %s: %s: %s", u->image, path, archive_error_string(a));
  close(fd);
  return f->status;
}

static sdx_status unpack_layer(const unpacking *u, const char *digest, fault *f) {
  uint64_t size;
  struct archive_entry *e;
  int fd = registry_open_blob(u->r, digest, &size, f), code = ARCHIVE_OK;
  if (fd < 0) return f->status;
  struct archive *a = archive_read_new();
  archive_read_support_filter_all(a);
  archive_read_support_format_tar(a);
  code = archive_read_open_fd(a, fd, PIECE);
  for (size_t count = 0; code == ARCHIVE_OK && !f->status && count < MOST_ENTRIES; count++) {
    code = archive_read_next_header(a, &e);
    const char *path = code == ARCHIVE_OK && archive_entry_filetype(e) == AE_IFREG ? archive_entry_pathname(e) : NULL;
    path = path ? place_of(path) : NULL;
    if (path) write_entry(u, a, path, archive_entry_perm(e), f);
  }
  if (code != ARCHIVE_OK && code != ARCHIVE_EOF)
    fault_set(f, SDX_IO_ERROR, "image %s: a layer cannot be read: %s", u->image, archive_error_string(a));
  archive_read_free(a);
  close(fd);
  return f->status;
}

// In the order of the manifest: of two files the later one counts.
static sdx_status unpack_layers(const unpacking *u, const json_t *image, fault *f) {
  json_t *manifest = document_of(u->r, image, "manifest", f), *layer;
  size_t i;
  json_array_foreach(json_object_get(manifest, "layers"), i, layer) {
    if (!f->status) unpack_layer(u, text_of(layer, "digest"), f);
  }
  json_decref(manifest);
  return f->status;
}

// "/var/azureml-app" in a word becomes where that lies now.
static json_t *moved(const json_t *words, const char *path) {
  json_t *all = json_array(), *word;
  size_t i;
  json_array_foreach((json_t *)words, i, word) {
    const char *text = json_string_value(word), *inside = text ? strstr(text, "/" APPLICATION_FOLDER) : NULL;
    if (inside) json_array_append_new(all, json_sprintf("%.*s%s%s", (int)(inside - text), text, path, inside));
    else if (text) json_array_append(all, word);
  }
  return all;
}

static void move_start(image_start *start, const char *path) {
  json_t *arguments = moved(start->arguments, path), *environment = moved(start->environment, path);
  image_start_free(start);
  *start = (image_start){.arguments = arguments, .environment = environment};
  json_array_append_new(environment, json_sprintf("PYTHONPATH=%s/" PACKAGES_FOLDER, path));
}

sdx_status image_unpack(registry *r, const json_t *image, const char *path, image_start *start, fault *f) {
  fault ignored = {0};
  if (image_read_start(r, image, start, f)) return f->status;
  if (check_start(start, text_of(image, "id"), f)) {
    image_start_free(start);
    return f->status;
  }
  tree_remove(AT_FDCWD, path, &ignored);
  unpacking u = {.r = r, .folder = folder_open(AT_FDCWD, path, 0700, f), .image = text_of(image, "id")};
  if (u.folder >= 0) {
    unpack_layers(&u, image, f);
    close(u.folder);
  }
  if (f->status) image_start_free(start);
  else move_start(start, path);
  return f->status;
}
