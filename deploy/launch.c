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

enum { SAMPLE_BYTES = 64 << 20 };
extern char **environ;

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

// ---- lists of words ------------------------------------------------------------------------------

static void add(json_t *list, const char *word) { json_array_append_new(list, json_string(word)); }

static char **words_of(const json_t *list, fault *f) {
  size_t count = json_array_size(list);
  char **words = calloc(count + 1, sizeof *words);
  for (size_t i = 0; words && i < count; i++)
    if (!(words[i] = strdup(json_string_value(json_array_get(list, i))))) fault_no_memory(f);
  if (!words) fault_no_memory(f);
  return words;
}

static void words_free(char **words) {
  for (size_t i = 0; words && words[i]; i++) free(words[i]);
  free(words);
}

static bool sets(const char *entry, const char *name, size_t size) {
  return !strncmp(entry, name, size) && entry[size] == '=';
}

// This process's, and what the image sets; but programs are this machine's.
static json_t *environment_of(const json_t *of_image) {
  json_t *list = json_array(), *one;
  size_t i;
  json_array_foreach((json_t *)of_image, i, one) {
    if (!sets(json_string_value(one), "PATH", 4)) json_array_append(list, one);
  }
  size_t own = json_array_size(list);
  for (char **e = environ; *e; e++) {
    bool there = false;
    for (size_t k = 0; k < own && !there; k++)
      there = sets(json_string_value(json_array_get(list, k)), *e, strcspn(*e, "="));
    if (!there) add(list, *e);
  }
  return list;
}

// ---- a revision ----------------------------------------------------------------------------------

static sdx_status write_sample(launch *l, registry *r, const json_t *asset, const char *folder, fault *f) {
  size_t i, size;
  json_t *file;
  json_array_foreach(json_object_get(asset, "files"), i, file) {
    char *text = registry_read_blob(r, text_of(file, "digest"), SAMPLE_BYTES, &size, f);
    l->sample = text ? path_format("%s/sample", folder) : NULL;
    if (l->sample) file_replace(AT_FDCWD, l->sample, text, size, 0600, f);
    free(text);
  }
  return f->status;
}

static sdx_status fill(launch *l, registry *r, const json_t *asset, const char *path, const char *auth, fault *f) {
  image_start start = {0};
  json_t *image = NULL, *words = json_array(), *environment = NULL;
  char *folder = path_format("%s/revision-%lld", path, (long long)l->revision);
  if (!folder) fault_no_memory(f);
  else if (!registry_get(r, ASSET_IMAGE, text_of(asset, "image"), &image, f) &&
           !image_unpack(r, image, folder, &start, f) && !write_sample(l, r, asset, folder, f)) {
    add(words, registry_command(r));
    add(words, "serve");
    // Clients have the new servers to go to: there is no hurry.
    add(words, "--drain-idle-ms"), add(words, "3000");
    if (!strcmp(auth, "key")) add(words, "--keys"), add(words, KEYS_FILE);
    if (!strcmp(auth, "token")) add(words, "--token-key"), add(words, TOKEN_KEY_FILE);
    if (*text_of(asset, "python")) add(words, "--python"), add(words, text_of(asset, "python"));
    json_array_extend(words, start.arguments);
    environment = environment_of(start.environment);
    l->arguments = words_of(words, f);
    l->environment = words_of(environment, f);
  }
  image_start_free(&start);
  json_decref(image);
  json_decref(words);
  json_decref(environment);
  free(folder);
  return f->status;
}

launch *launch_create(registry *r, const char *name, int64_t revision, const char *path, const char *auth, fault *f) {
  launch *l = calloc(1, sizeof *l);
  char *reference = path_format("%s:%lld", name, (long long)revision);
  json_t *asset = NULL;
  if (!l || !reference) fault_no_memory(f);
  else if (!registry_get(r, ASSET_SERVICE, reference, &asset, f)) {
    l->revision = revision;
    fill(l, r, asset, path, auth, f);
  }
  json_decref(asset);
  free(reference);
  if (!f->status) return l;
  launch_destroy(l);
  return NULL;
}

void launch_destroy(launch *l) {
  if (!l) return;
  words_free(l->arguments);
  words_free(l->environment);
  free(l->sample);
  free(l);
}

void launch_sweep(int folder) {
  fault ignored = {0};
  int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  for (struct dirent *e; dir && (e = readdir(dir));) {
    size_t size = strlen(e->d_name);
    if (!strncmp(e->d_name, "revision-", 9) || (size > 5 && !strcmp(e->d_name + size - 5, ".sock")))
      tree_remove(folder, e->d_name, &ignored);
  }
  if (dir) closedir(dir);
  else if (fd >= 0) close(fd);
}
