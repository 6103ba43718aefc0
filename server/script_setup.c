// SPDX-License-Identifier: Apache-2.0
// Paths and names for workers of a script (script_setup.h). In an image the models lie in azureml-models/NAME/VERSION
// beside the script; elsewhere they are the files that the command line names.
#include "server/script_setup.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script/worker.h"
#include "support/files.h"

extern char **environ;

enum { LISTED_MODELS = 10000 };

// ---- lists of strings ----------------------------------------------------------------------------

static size_t list_size(char **list) {
  size_t count = 0;
  while (list && list[count]) count++;
  return count;
}

// Takes the text over; NULL counts as exhausted memory.
static sdx_status list_add(char ***list, char *text, fault *f) {
  size_t count = list_size(*list);
  char **longer = text ? realloc(*list, (count + 2) * sizeof *longer) : NULL;
  if (!longer) {
    free(text);
    return fault_no_memory(f);
  }
  longer[count] = text;
  longer[count + 1] = NULL;
  *list = longer;
  return SDX_OK;
}

static void list_free(char **list) {
  for (size_t i = 0; list && list[i]; i++) free(list[i]);
  free(list);
}

static char *folder_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return path_format("%.*s", slash && slash > path ? (int)(slash - path) : 1, slash ? path : ".");
}

// ---- models --------------------------------------------------------------------------------------

static sdx_status add_model(script_setup *s, const char *name, int64_t version, const char *path, fault *f) {
  json_t *model = json_pack("{s:s,s:I,s:s}", "name", name, "version", (json_int_t)version, "path", path);
  if (!model || json_array_append_new(json_object_get(s->start, "models"), model)) return fault_no_memory(f);
  return SDX_OK;
}

static int is_entry(const struct dirent *e) { return e->d_name[0] != '.'; }

// A registered model is its only file, or the folder of its files.
static sdx_status add_version(script_setup *s, const char *name, const char *version, const char *folder, fault *f) {
  struct dirent **files;
  int count = scandir(folder, &files, is_entry, alphasort);
  if (count < 0) return SDX_OK;  // not a folder: not a version
  char *path = count == 1 ? path_format("%s/%s", folder, files[0]->d_name) : path_format("%s", folder);
  for (int i = 0; i < count; i++) free(files[i]);
  free(files);
  if (!path) return fault_no_memory(f);
  add_model(s, name, atoll(version), path, f);
  free(path);
  return f->status;
}

typedef sdx_status (*folder_visit)(script_setup *s, const char *outer, const char *name, const char *path, fault *f);

static sdx_status each_entry(script_setup *s, const char *outer, const char *folder, folder_visit visit, fault *f) {
  struct dirent **entries;
  int count = scandir(folder, &entries, is_entry, alphasort);
  for (int i = 0; i < count; i++) {
    char *path = path_format("%s/%s", folder, entries[i]->d_name);
    if (!path) fault_no_memory(f);
    else if (!f->status && i < LISTED_MODELS) visit(s, outer, entries[i]->d_name, path, f);
    free(path);
    free(entries[i]);
  }
  if (count >= 0) free(entries);
  return f->status;
}

static sdx_status visit_name(script_setup *s, const char *outer, const char *name, const char *path, fault *f) {
  (void)outer;
  return each_entry(s, name, path, add_version, f);
}

static bool has_model(const script_setup *s, const char *name, int64_t version) {
  size_t i;
  json_t *model;
  json_array_foreach(json_object_get(s->start, "models"), i, model) {
    if (!strcmp(json_string_value(json_object_get(model, "name")), name) &&
        json_integer_value(json_object_get(model, "version")) == version)
      return true;
  }
  return false;
}

static sdx_status add_served(script_setup *s, const models *t, fault *f) {
  const model_list *all = models_list(t);
  for (size_t i = 0; i < all->count && !f->status; i++) {
    const model_entry *e = all->at[i];
    if (has_model(s, e->name, e->number)) continue;
    char *path = realpath(e->path, NULL);
    if (!path) return fault_set(f, SDX_NOT_FOUND, "%s: no such file", e->path);
    if (!add_model(s, e->name, e->number, path, f)) list_add(&s->read, folder_of(path), f);
    free(path);
  }
  return f->status;
}

// ---- environment ---------------------------------------------------------------------------------

// What the server has, so that a container's variables reach the script; the worker's own come first.
static sdx_status inherit(script_setup *s, fault *f) {
  for (char **e = environ; *e && !f->status; e++)
    if (!script_sets(*e)) list_add(&s->environment, path_format("%s", *e), f);
  return f->status;
}

// Where the script looks for its models: the folder of the only one, or the one that holds them all.
static sdx_status name_models(script_setup *s, const char *folder, fault *f) {
  const json_t *list = json_object_get(s->start, "models");
  if (getenv("AZUREML_MODEL_DIR") || !json_array_size(list)) return SDX_OK;
  char *all = path_format("%s/azureml-models", folder);
  if (!all) return fault_no_memory(f);
  if (json_array_size(list) > 1 && !access(all, R_OK)) {
    list_add(&s->environment, path_format("AZUREML_MODEL_DIR=%s", all), f);
  } else {
    char *one = folder_of(json_string_value(json_object_get(json_array_get(list, 0), "path")));
    list_add(&s->environment, path_format("AZUREML_MODEL_DIR=%s", one ? one : ""), f);
    free(one);
  }
  free(all);
  return f->status;
}

static sdx_status name_script(script_setup *s, const char *path, fault *f) {
  if (getenv("AZUREML_ENTRY_SCRIPT")) return SDX_OK;
  return list_add(&s->environment, path_format("AZUREML_ENTRY_SCRIPT=%s", strrchr(path, '/') + 1), f);
}

// Modules of the user's own. The worker runs isolated, so PYTHONPATH is passed on as what it is.
static sdx_status add_modules(script_setup *s, fault *f) {
  const char *at = getenv("PYTHONPATH");
  while (at && *at && !f->status) {
    size_t size = strcspn(at, ":");
    char *path = path_format("%.*s", (int)size, at);
    if (!path) return fault_no_memory(f);
    if (*path == '/') {
      json_array_append_new(json_object_get(s->start, "paths"), json_string(path));
      list_add(&s->read, path, f);
    } else {
      free(path);
    }
    at += size + (at[size] == ':');
  }
  return f->status;
}

// ---- all of it -----------------------------------------------------------------------------------

static sdx_status fill(script_setup *s, const server_config *config, const models *t, const char *path, fault *f) {
  char *folder = folder_of(path), *all = folder ? path_format("%s/azureml-models", folder) : NULL;
  s->start = json_pack("{s:s,s:s,s:s,s:[],s:[]}", "type", "start", "script", path, "folder", folder ? folder : "",
                       "paths", "models");
  if (!all || !s->start) fault_no_memory(f);
  else if (!list_add(&s->read, path_format("%s", folder), f) && !each_entry(s, "", all, visit_name, f) &&
           !add_served(s, t, f) && !inherit(s, f) && !name_models(s, folder, f) && !name_script(s, path, f))
    add_modules(s, f);
  // The SDK's collector is on, and sends its rows to us.
  if (config->collect && !f->status) list_add(&s->environment, path_format("AML_MODEL_DC_STORAGE_ENABLED=true"), f);
  for (size_t i = 0; i < config->script.read_count && !f->status; i++) {
    char *read = realpath(config->script.read[i], NULL);
    if (read) list_add(&s->read, read, f);
    else fault_set(f, SDX_NOT_FOUND, "--script-read %s: no such file or folder", config->script.read[i]);
  }
  free(all);
  free(folder);
  return f->status;
}

sdx_status script_setup_init(script_setup *s, const server_config *config, const models *t, fault *f) {
  *s = (script_setup){0};
  char *path = realpath(config->script.path, NULL);
  char command[4096];
  ssize_t size = readlink("/proc/self/exe", command, sizeof command - 1);
  command[size < 0 ? 0 : size] = 0;
  if (!path) fault_set(f, SDX_NOT_FOUND, "%s: no such file", config->script.path);
  else if ((s->programs = script_programs(command, f)) && (s->python = script_python(config->script.python, f)))
    fill(s, config, t, path, f);
  free(path);
  return f->status;
}

void script_setup_deinit(script_setup *s) {
  json_decref(s->python);
  json_decref(s->start);
  free(s->programs);
  list_free(s->read);
  list_free(s->environment);
}
