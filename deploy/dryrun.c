// SPDX-License-Identifier: Apache-2.0
// The dry run (dryrun.h).
#include "deploy/dryrun.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/application.h"
#include "script/worker.h"
#include "support/files.h"
#include "support/json.h"

enum { STANDARD_SECONDS = 30, MOST_LINES = 1000, SAMPLE_BYTES = 64 << 20, START_MS = 30000, MOST_FILES = 10000 };

// ---- the application's folder ------------------------------------------------------------------

static sdx_status copy_file(void *context, const char *path, int fd, fault *f) {
  int folder = *(int *)context;
  char piece[65536];
  ssize_t got = 0;
  if (folder_make_parents(folder, path, 0700, f)) return f->status;
  int to = openat(folder, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool good = to >= 0;
  while (good && (got = read(fd, piece, sizeof piece)) > 0) good = file_write_all(to, piece, (size_t)got);
  if (!good || got < 0) fault_errno(f, errno, "cannot copy %s", path);
  if (to >= 0) close(to);
  return f->status;
}

static sdx_status copy_in(int folder, const char *from, fault *f) {
  int fd = open(from, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  const char *slash = strrchr(from, '/'), *name = slash ? slash + 1 : from;
  if (fd < 0) return fault_errno(f, errno, "%s", from);
  if (!path_beneath(name)) fault_set(f, SDX_INVALID_ARGUMENT, "'%s' does not end in the name of a file", from);
  else tree_walk(fd, name, MOST_FILES, copy_file, &folder, f);
  close(fd);
  return f->status;
}

static sdx_status fill_application(const char *path, const dryrun_spec *spec, fault *f) {
  int folder = folder_open(AT_FDCWD, path, 0700, f);
  if (folder < 0) return f->status;
  for (const char *const *file = spec->files; file && *file && !f->status; file++) copy_in(folder, *file, f);
  if (!f->status) copy_in(folder, spec->script, f);
  close(folder);
  return f->status;
}

// ---- what the worker is told -------------------------------------------------------------------

// The models as the worker knows them: [{name, version, path, inputs}].
static json_t *describe_models(registry *r, const json_t *assets, fault *f) {
  json_t *list = json_array(), *asset;
  size_t i;
  json_array_foreach((json_t *)assets, i, asset) {
    char *path = NULL;
    if (f->status || registry_model_path(r, text_of(asset, "id"), &path, f)) break;
    json_array_append_new(
        list, json_pack("{s:s,s:O,s:s,s:O*}", "name", text_of(asset, "name"), "version",
                        json_object_get(asset, "version"), "path", path, "inputs", json_object_get(asset, "inputs")));
    free(path);
  }
  return list;
}

static json_t *registered_names(registry *r, fault *f) {
  json_t *all, *names = json_array(), *asset;
  size_t i;
  registry_filter latest = {.latest = true};
  if (registry_list(r, ASSET_MODEL, &latest, &all, f)) return names;
  json_array_foreach(all, i, asset) json_array_append(names, json_object_get(asset, "name"));
  json_decref(all);
  return names;
}

static sdx_status send_start(registry *r, script_worker *w, const dryrun_spec *spec, const char *folder,
                             const json_t *models, fault *f) {
  char *script = path_format("%s/%s", folder, application_entry(spec->script)), *sample = NULL;
  size_t size = 0;
  json_t *names = registered_names(r, f);
  json_t *head = script ? json_pack("{s:s,s:s,s:s,s:O,s:O,s:O?,s:i}", "type", "check", "script", script, "folder",
                                    folder, "models", models, "registered", names, "packages", spec->packages,
                                    "seconds", spec->seconds ? spec->seconds : STANDARD_SECONDS)
                        : NULL;
  if (!head) fault_no_memory(f);
  if (spec->sample && !f->status) sample = file_load(AT_FDCWD, spec->sample, SAMPLE_BYTES, &size, f);
  json_t *second = json_pack("{s:s}", "type", "sample");
  if (!f->status && !script_send(w, head, NULL, 0, f)) script_send(w, second, sample, size, f);
  json_decref(second);
  json_decref(head);
  json_decref(names);
  free(sample);
  free(script);
  return f->status;
}

// ---- what it says ------------------------------------------------------------------------------

static bool finding_good(const json_t *finding) {
  static const char *const texts[] = {"severity", "code", "message", "hint", "phase"};
  for (size_t i = 0; i < 5; i++)
    if (!json_is_string(json_object_get(finding, texts[i]))) return false;
  return json_is_integer(json_object_get(finding, "line"));
}

static json_t *make_finding(const char *code, const char *message, const char *hint) {
  return json_pack("{s:s,s:s,s:i,s:s,s:s,s:s}", "severity", "error", "code", code, "line", 0, "phase", "run", "message",
                   message, "hint", hint);
}

// The report out of the worker's frames. A worker that dies or hangs is reported, not believed.
static json_t *gather(script_worker *w, int timeout_ms, fault *f) {
  json_t *log = json_array(), *report = NULL;
  while (!report && !f->status) {
    json_t *head;
    char *body;
    size_t size;
    fault lost = {0};
    if (script_receive(w, timeout_ms, &head, &body, &size, &lost)) {
      report = json_pack("{s:[o],s:n}", "findings",
                         make_finding(lost.status == SDX_DEADLINE_EXCEEDED ? "time" : "crash", lost.message, lost.hint),
                         "answer");
      break;
    }
    const char *type = text_of(head, "type"), *text = text_of(head, "text");
    if (!strcmp(type, "log") && json_array_size(log) < MOST_LINES) json_array_append_new(log, json_string(text));
    else if (!strcmp(type, "report")) report = json_incref(head);
    json_decref(head);
    free(body);
  }
  json_t *kept = json_array(), *finding;
  size_t i, errors = 0;
  json_array_foreach(json_object_get(report, "findings"), i, finding) {
    if (!finding_good(finding)) continue;
    json_array_append(kept, finding);
    errors += !strcmp(text_of(finding, "severity"), "error");
  }
  json_object_set_new(report, "findings", kept);
  json_object_set_new(report, "errors", json_integer((json_int_t)errors));
  json_object_set_new(report, "log", log);
  json_object_del(report, "type");
  return report;
}

// ---- all of it ---------------------------------------------------------------------------------

// What the image will set, with the models where they are now; what was asked for comes first, and so it counts.
static json_t *variables_of(const dryrun_spec *spec, const char *model_folder) {
  json_t *list = json_array();
  json_array_extend(list, (json_t *)spec->variables);
  json_array_append_new(list, json_sprintf("AZUREML_ENTRY_SCRIPT=%s", application_entry(spec->script)));
  json_array_append_new(list, json_sprintf("AZUREML_MODEL_DIR=%s", model_folder ? model_folder : ""));
  return list;
}

// Ended by NULL; the texts stay those of the list. free() it.
static const char **texts_of(const json_t *list) {
  const char **texts = calloc(json_array_size(list) + 1, sizeof *texts);
  for (size_t i = 0; texts && i < json_array_size(list); i++) texts[i] = json_string_value(json_array_get(list, i));
  return texts;
}

static json_t *execute(registry *r, const dryrun_spec *spec, const char *folder, const char *scratch, fault *f) {
  json_t *python = script_python(spec->python, f), *models = python ? describe_models(r, spec->models, f) : NULL;
  char *programs = f->status ? NULL : script_programs(registry_command(r), f);
  char *model_folder = NULL;
  script_worker *w;
  json_t *report = NULL;
  // One model: its own folder; several: that of all, as in the image.
  if (!f->status && json_array_size(spec->models) == 1)
    registry_model_folder(r, text_of(json_array_get(spec->models, 0), "id"), &model_folder, f);
  else if (!f->status) model_folder = path_format("%s/models", registry_store(r));
  if (!f->status && !model_folder) fault_no_memory(f);
  char *models_folder = path_format("%s/models", registry_store(r));
  json_t *variables = variables_of(spec, model_folder);
  const char *read[] = {folder, models_folder, NULL}, **environment = texts_of(variables);
  if (!environment) fault_no_memory(f);
  script_options o = {.python = python,
                      .programs = programs,
                      .read = read,
                      .scratch = scratch,
                      .environment = environment,
                      .network = spec->network,
                      .memory_bytes = spec->memory_bytes,
                      .log = -1};
  unsigned seconds = spec->seconds ? spec->seconds : STANDARD_SECONDS;
  if (!f->status && !script_start(&o, &w, f)) {
    // Import, init() and up to six runs, each with its own alarm; what does not heed it is killed.
    if (!send_start(r, w, spec, folder, models, f)) report = gather(w, (int)(START_MS + seconds * 8 * 1000), f);
    script_stop(w);
  }
  json_decref(python);
  json_decref(models);
  free(programs);
  free(model_folder);
  free(models_folder);
  free(environment);
  json_decref(variables);
  return report;
}

sdx_status dryrun(registry *r, const dryrun_spec *spec, json_t **report, fault *f) {
  registry_change *c;
  *report = NULL;
  if (registry_begin(r, &c, f)) return f->status;
  char *folder = path_format("%s/app", registry_change_path(c)),
       *scratch = path_format("%s/scratch", registry_change_path(c));
  registry_progress(r, "trying the script", 0, 0);
  if (!folder || !scratch) {
    fault_no_memory(f);
  } else if (!fill_application(folder, spec, f)) {
    int fd = folder_open(AT_FDCWD, scratch, 0700, f);
    if (fd >= 0) close(fd);
    if (!f->status) *report = execute(r, spec, folder, scratch, f);
  }
  registry_end(c);
  free(folder);
  free(scratch);
  return f->status;
}
