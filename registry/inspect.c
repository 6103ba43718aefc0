// SPDX-License-Identifier: Apache-2.0
// Looking into a model that nobody vouches for: `sardonyx inspect` in a sandbox that reads the model's own files and
// nothing else, with bounds on memory, time and what it may say.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/handle.h"
#include "support/files.h"
#include "support/process.h"

enum { CPU_SECONDS = 120, WALL_MS = 180000, MOST_SAID = 16 << 20, MOST_PATHS = 24 };
static const uint64_t base_memory = (uint64_t)2 << 30;

char *inspect_command(const char *given) {
  if (given) return strdup(given);
  char *self = realpath("/proc/self/exe", NULL);
  const char *slash = self ? strrchr(self, '/') : NULL;
  if (slash && !strcmp(slash, "/sardonyx")) return self;
  free(self);
  self = program_find("sardonyx");
  return self ? self : strdup("sardonyx");
}

// Whether the command, which says errors as JSON too, misses a file of the model's.
static bool misses_a_file(const process_output *o) {
  json_t *said = json_loadb(o->out, o->out_size, 0, NULL);
  const json_t *details = json_object_get(said, "details");
  const char *code = json_string_value(json_object_get(details, "code"));
  bool misses = code && !strcmp(code, "missing-file");
  json_decref(said);
  return misses;
}

// The command's message becomes the fault's: "sardonyx: error: ..." and "  hint: ...".
static void take_message(const process_output *o, const char *path, fault *f) {
  static const char begin[] = "error: ", hint_begin[] = "  hint: ";
  const char *at = strstr(o->err, begin), *hint = strstr(o->err, hint_begin);
  if (o->late || o->killed == SIGXCPU || o->killed == SIGKILL)
    fault_set(f, SDX_LIMIT_EXCEEDED, "%s: looking into it takes too long or too much memory", path);
  else if (o->excess) fault_set(f, SDX_LIMIT_EXCEEDED, "%s: its description is longer than %d bytes", path, MOST_SAID);
  else if (o->killed) fault_set(f, SDX_INTERNAL, "%s: looking into it ended with signal %d", path, o->killed);
  else if (at)
    fault_set(f, SDX_INVALID_MODEL, "%.*s", (int)strcspn(at + sizeof begin - 1, "\n"), at + sizeof begin - 1);
  else fault_set(f, SDX_INTERNAL, "%s: looking into it failed: %.300s", path, o->err);
  if (hint) hint += sizeof hint_begin - 1;
  if (hint && strncmp(hint, "'sardonyx check", 15)) fault_hint(f, "%.*s", (int)strcspn(hint, "\n"), hint);
  else if (misses_a_file(o))
    fault_hint(f,
               "register the model together with the files that hold its weights: the whole folder, or each by name");
}

static json_t *summarise(const json_t *said) {
  const json_t *summary = json_object_get(said, "summary"), *metadata = json_object_get(summary, "metadata");
  json_t *opsets = json_object(), *value;
  const char *key;
  json_object_foreach((json_t *)metadata, key, value) {
    if (!strncmp(key, "opset:", 6)) json_object_set(opsets, key + 6, value);
  }
  return json_pack("{s:O,s:O,s:o,s:O*,s:O*,s:O*}", "inputs", json_object_get(summary, "inputs"), "outputs",
                   json_object_get(summary, "outputs"), "opsets", opsets, "producer",
                   json_object_get(metadata, "producer_name"), "weight_bytes", json_object_get(summary, "weight_bytes"),
                   "peak_bytes", json_object_get(json_object_get(said, "memory"), "predicted_peak_bytes"));
}

json_t *inspect_model(registry *r, const char *folder, const char *path, fault *f) {
  const char *read[MOST_PATHS] = {folder}, *run[MOST_PATHS] = {r->command};
  for (size_t i = 0; sandbox_system_read[i]; i++) read[i + 1] = sandbox_system_read[i];
  for (size_t i = 0; sandbox_system_run[i]; i++) run[i + 1] = sandbox_system_run[i];
  sandbox box = {.read = read, .run = run, .cpu_seconds = CPU_SECONDS, .file_bytes = 1, .open_files = 64};
  char *full = path_format("%s/%s", folder, path);
  struct stat info = {0};
  if (full) stat(full, &info);
  free(full);
  box.memory_bytes = base_memory + 8 * (uint64_t)info.st_size;
  const char *arguments[] = {r->command, "inspect", "--json", "--threads=1", "--option=allow_hard_links=1",
                             "--",       path,      NULL};
  // A sanitized build looks for leaks by tracing itself, which is not allowed there.
  const char *environment[] = {"LANG=C.UTF-8", "NO_COLOR=1", "ASAN_OPTIONS=detect_leaks=0", NULL};
  program p = {.arguments = arguments, .environment = environment, .folder = folder, .box = &box, .pass = -1};
  process_output o;
  if (process_run(p, NULL, 0, MOST_SAID, WALL_MS, &o, f)) return NULL;
  json_t *said = o.code == 0 ? json_loadb(o.out, o.out_size, 0, NULL) : NULL;
  json_t *summary = said ? summarise(said) : NULL;
  if (!summary) take_message(&o, path, f);
  json_decref(said);
  process_output_free(&o);
  return summary;
}
