// SPDX-License-Identifier: Apache-2.0
// Starting a revision (launch.h).
#include "deploy/launch.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/unpack.h"
#include "support/files.h"
#include "support/json.h"

enum { SAMPLE_BYTES = 64 << 20 };
extern char **environ;

// ---- lists of words ------------------------------------------------------------------------------

void launch_add(json_t *words, const char *word) { json_array_append_new(words, json_string(word)); }

char **launch_words(const json_t *list, fault *f) {
  size_t count = json_array_size(list);
  char **words = calloc(count + 1, sizeof *words);
  for (size_t i = 0; words && i < count; i++)
    if (!(words[i] = strdup(json_string_value(json_array_get(list, i))))) fault_no_memory(f);
  if (!words) fault_no_memory(f);
  return words;
}

void launch_words_free(char **words) {
  for (size_t i = 0; words && words[i]; i++) free(words[i]);
  free(words);
}

void launch_add_origins(json_t *words, const json_t *settings) {
  size_t i;
  json_t *origin;
  json_array_foreach(json_object_get(settings, "cors_origins"), i, origin) {
    launch_add(words, "--cors-origin");
    json_array_append(words, origin);
  }
}

void launch_add_server(json_t *words, const json_t *settings) {
  const char *auth = text_of(settings, "auth");
  // Clients have the new servers to go to: there is no hurry.
  launch_add(words, "--drain-idle-ms");
  launch_add(words, "3000");
  launch_add(words, "--split");
  launch_add(words, SPLIT_FILE);
  if (!strcmp(auth, "key")) launch_add(words, "--keys"), launch_add(words, KEYS_FILE);
  if (!strcmp(auth, "token")) launch_add(words, "--token-key"), launch_add(words, TOKEN_KEY_FILE);
  if (*text_of(settings, "tls_cert")) {
    launch_add(words, "--tls-cert"), launch_add(words, TLS_CERT_FILE);
    launch_add(words, "--tls-key"), launch_add(words, TLS_KEY_FILE);
  }
  launch_add_origins(words, settings);
}

static bool sets(const char *entry, const char *name, size_t size) {
  return !strncmp(entry, name, size) && entry[size] == '=';
}

// Programs and libraries are this machine's: no image, which may come from anywhere, says what the server loads.
static bool of_machine(const char *entry) {
  static const char *const names[] = {"PATH=", "LD_", "GCONV_PATH=", "OPENSSL_"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strncmp(entry, names[i], strlen(names[i]))) return true;
  return false;
}

// This process's, and what the image sets.
static json_t *environment_of(const json_t *of_image) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach((json_t *)of_image, i, one) {
    if (!of_machine(json_string_value(one))) json_array_append(list, one);
  }
  size_t own = json_array_size(list);
  for (char **e = environ; *e; e++) {
    bool there = false;
    for (size_t k = 0; k < own && !there; k++)
      there = sets(json_string_value(json_array_get(list, k)), *e, strcspn(*e, "="));
    if (!there) launch_add(list, *e);
  }
  return list;
}

// ---- a revision ----------------------------------------------------------------------------------

static sdx_status write_sample(launch *l, registry *r, const json_t *asset, const char *folder, fault *f) {
  size_t i, size;
  json_t *file;
  json_array_foreach(json_object_get(asset, "files"), i, file) {
    char *text = registry_read_blob(r, text_of(file, "digest"), SAMPLE_BYTES, &size, f);
    l->sample = text ? path_format("%s/sample-%lld", folder, (long long)l->revision) : NULL;
    if (l->sample) file_replace(AT_FDCWD, l->sample, text, size, 0600, f);
    free(text);
  }
  return f->status;
}

static sdx_status launch_here(launch *l, registry *r, const json_t *asset, const json_t *image, const char *folder,
                              const json_t *settings, fault *f) {
  image_start start;
  if (image_unpack(r, image, folder, &start, f)) return f->status;
  json_t *words = json_array(), *environment = environment_of(start.environment);
  launch_add(words, registry_command(r));
  launch_add(words, "serve");
  launch_add_server(words, settings);
  if (*text_of(asset, "python")) launch_add(words, "--python"), launch_add(words, text_of(asset, "python"));
  json_array_extend(words, start.arguments);
  l->arguments = launch_words(words, f);
  l->environment = launch_words(environment, f);
  l->cpus = json_number_value(json_object_get(asset, "cpu"));
  l->memory_bytes = (uint64_t)(json_number_value(json_object_get(asset, "memory_gb")) * (1 << 30));
  image_start_free(&start);
  json_decref(words);
  json_decref(environment);
  return f->status;
}

static sdx_status fill(launch *l, registry *r, const json_t *asset, const char *path, const json_t *settings,
                       fault *f) {
  json_t *image;
  if (registry_get(r, ASSET_IMAGE, text_of(asset, "image"), &image, f)) return f->status;
  char *folder = path_format("%s/revision-%lld", path, (long long)l->revision);
  bool container = !strcmp(text_of(settings, "target"), "container");
  if (!folder) fault_no_memory(f);
  else if (container) launch_container(l, r, asset, image, path, settings, f);
  else launch_here(l, r, asset, image, folder, settings, f);
  if (!f->status) write_sample(l, r, asset, path, f);
  json_decref(image);
  free(folder);
  return f->status;
}

launch *launch_create(registry *r, const char *name, int64_t revision, const char *path, const json_t *settings,
                      fault *f) {
  launch *l = calloc(1, sizeof *l);
  char *reference = path_format("%s:%lld", name, (long long)revision);
  json_t *asset = NULL;
  if (!l || !reference) fault_no_memory(f);
  else if (!registry_get(r, ASSET_SERVICE, reference, &asset, f)) {
    l->revision = revision;
    fill(l, r, asset, path, settings, f);
  }
  json_decref(asset);
  free(reference);
  if (!f->status) return l;
  launch_destroy(l);
  return NULL;
}

void launch_destroy(launch *l) {
  if (!l) return;
  launch_words_free(l->arguments);
  launch_words_free(l->environment);
  launch_words_free(l->end);
  free(l->sample);
  free(l);
}

void launch_sweep(int folder, const char *path, const json_t *settings) {
  fault ignored = {0};
  int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  for (struct dirent *e; dir && (e = readdir(dir));)
    if (!strncmp(e->d_name, "revision-", 9) || !strncmp(e->d_name, "sample-", 7) || !strcmp(e->d_name, RUN_FOLDER))
      tree_remove(folder, e->d_name, &ignored);
  if (dir) closedir(dir);
  else if (fd >= 0) close(fd);
  if (!strcmp(text_of(settings, "target"), "container")) launch_sweep_containers(path, settings);
}
