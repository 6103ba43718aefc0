// SPDX-License-Identifier: Apache-2.0
// Revisions in containers (launch.h): podman or docker runs the image, and its server fetches the listening socket from
// the supervisor, so the container needs no network of its own, and updates go as they do without. It gets no
// capability, a file system it cannot write, and limits; its user is who runs the supervisor, which is nobody special
// where podman runs without root.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "deploy/launch.h"
#include "deploy/transfer.h"
#include "deploy/unpack.h"
#include "support/files.h"
#include "support/json.h"
#include "support/process.h"

enum { LOAD_MS = 600000, END_MS = 30000, ANSWER_BYTES = 1 << 16 };

// The words of the engine: a program and options that stand in front of its commands.
static json_t *engine_of(const json_t *settings) {
  json_t *words = json_array();
  const char *at = text_of(settings, "engine");
  if (!*at) at = "podman";
  while (*(at += strspn(at, " "))) {
    size_t size = strcspn(at, " ");
    json_array_append_new(words, json_stringn(at, size));
    at += size;
  }
  return words;
}

static bool by_docker(const json_t *settings) { return strstr(text_of(settings, "engine"), "docker") != NULL; }

// Podman waits for a while before it kills, unless it is told.
static const char *force_of(const json_t *settings) { return by_docker(settings) ? "-f" : "-ft0"; }

// Runs the engine with more words (ended by NULL). What it said; free() it. NULL: failed.
static char *ask_engine(const json_t *settings, const char *const *more, unsigned timeout_ms, fault *f) {
  json_t *words = engine_of(settings);
  process_output o = {0};
  char *said = NULL;
  for (; *more; more++) launch_add(words, *more);
  char **arguments = launch_words(words, f);
  program p = {.arguments = (const char *const *)arguments, .pass = -1};
  if (!f->status && !process_run(p, NULL, 0, ANSWER_BYTES, timeout_ms, &o, f)) {
    if (o.code == 0) said = strndup(o.out, strcspn(o.out, "\n"));
    else fault_set(f, SDX_CONFLICT, "%s: %.600s", arguments[0], o.late ? "it takes too long" : o.err);
  }
  process_output_free(&o);
  launch_words_free(arguments);
  json_decref(words);
  return said;
}

// Hands the image to the engine by way of an archive. Its id there, which is the digest of its config; free() it.
static char *load_image(registry *r, const json_t *image, const char *path, const json_t *settings, fault *f) {
  fault ignored = {0};
  char digest[DIGEST_BYTES], *id = NULL, *said = NULL;
  char *archive = path_format("%s/revision-image.tar", path),
       *place = archive ? path_format("oci-archive:%s", archive) : NULL;
  const char *const load[] = {"load", "--quiet", "--input", archive, NULL};
  if (!place) fault_no_memory(f);
  else if (!transfer_push(r, ASSET_IMAGE, text_of(image, "id"), place, &(transfer_options){0}, digest, f))
    said = ask_engine(settings, load, LOAD_MS, f);
  json_t *file;
  size_t i;
  json_array_foreach(json_object_get(image, "files"), i, file) {
    if (said && !strcmp(text_of(file, "path"), "config")) id = strdup(digest_hex(text_of(file, "digest")));
  }
  if (archive) tree_remove(AT_FDCWD, archive, &ignored);
  free(said);
  free(archive);
  free(place);
  return id;
}

// ---- the words of `run` --------------------------------------------------------------------------

// Containers of a service are told from those of others by where its folder is.
static char *stem_of(const char *path) {
  char digest[DIGEST_BYTES];
  const char *slash = strrchr(path, '/');
  if (!digest_of(path, strlen(path), digest)) return NULL;
  return path_format("sardonyx-%.8s-%s", digest_hex(digest), slash ? slash + 1 : path);
}

static void add_text(json_t *words, const char *option, char *text) {
  launch_add(words, option);
  launch_add(words, text ? text : "");
  free(text);
}

// At most those of this process: an engine without root cannot raise them, and its defaults may be above.
static void add_rlimit(json_t *words, const char *name, int resource, unsigned long long enough) {
  struct rlimit now;
  if (getrlimit((__rlimit_resource_t)resource, &now)) return;
  unsigned long long most = now.rlim_max < enough ? now.rlim_max : enough;
  add_text(words, "--ulimit", path_format("%s=%llu:%llu", name, most, most));
}

static void add_limits(json_t *words, const json_t *asset) {
  double cpu = json_number_value(json_object_get(asset, "cpu")),
         memory = json_number_value(json_object_get(asset, "memory_gb"));
  if (cpu > 0) add_text(words, "--cpus", path_format("%g", cpu));
  if (memory > 0) add_text(words, "--memory", path_format("%lldm", (long long)(memory * 1024)));
  add_rlimit(words, "nofile", RLIMIT_NOFILE, 65536);
  add_rlimit(words, "nproc", RLIMIT_NPROC, 4096);
}

static json_t *run_words(const json_t *asset, const char *path, const char *stem, const json_t *settings) {
  static const char *const fixed[] = {"--network=none",
                                      "--cap-drop=all",
                                      "--read-only",
                                      "--tmpfs=/tmp",
                                      "--log-driver=none",
                                      "--workdir=/run/sardonyx",
                                      "--security-opt=no-new-privileges",
                                      NULL};
  json_t *words = engine_of(settings);
  launch_add(words, "run");
  launch_add(words, "--rm");
  add_text(words, "--name", path_format("%s-" REPLICA_MARK, stem));
  add_text(words, "--label", path_format("io.sardonyx.service=%s", stem));
  for (const char *const *word = fixed; *word; word++) launch_add(words, *word);
  // The folder is this user's: root of a container is, where podman runs without root; docker's is root.
  bool docker = by_docker(settings);
  add_text(words, "--user", path_format("%u:%u", docker ? geteuid() : 0, docker ? getegid() : 0));
  add_limits(words, asset);
  add_text(words, "--volume", path_format("%s/" RUN_FOLDER ":/run/sardonyx", path));
  return words;
}

sdx_status launch_container(launch *l, registry *r, const json_t *asset, const json_t *image, const char *path,
                            const json_t *settings, fault *f) {
  image_start start;
  if (image_read_start(r, image, &start, f)) return f->status;
  char *stem = stem_of(path), *id = stem ? load_image(r, image, path, settings, f) : NULL;
  if (id) {
    json_t *words = run_words(asset, path, stem, settings), *end = engine_of(settings);
    launch_add(words, id);
    launch_add_server(words, settings);
    launch_add(words, "--listen-from");
    launch_add(words, DOOR_FILE);
    json_array_extend(words, start.arguments);
    l->fetches = true;
    launch_add(end, "rm");
    add_text(end, force_of(settings), path_format("%s-" REPLICA_MARK, stem));
    l->arguments = launch_words(words, f);
    l->end = launch_words(end, f);
    json_decref(words);
    json_decref(end);
  } else if (!stem) {
    fault_no_memory(f);
  }
  image_start_free(&start);
  free(stem);
  free(id);
  return f->status;
}

void launch_sweep_containers(const char *path, const json_t *settings) {
  fault ignored = {0};
  char *stem = stem_of(path), *filter = stem ? path_format("label=io.sardonyx.service=%s", stem) : NULL, *id = NULL;
  const char *const list[] = {"ps", "--all", "--quiet", "--filter", filter, NULL};
  while (filter && (id = ask_engine(settings, list, END_MS, &ignored)) && *id) {
    const char *const end[] = {"rm", force_of(settings), id, NULL};
    free(ask_engine(settings, end, END_MS, &ignored));
    free(id);
    if (ignored.status) id = NULL;
    if (ignored.status) break;
  }
  free(id);
  free(stem);
  free(filter);
}
