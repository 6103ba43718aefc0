// SPDX-License-Identifier: Apache-2.0
// config.json: what says that a folder is a workspace. Found and read as the Azure ML SDK does, so that a file that was
// downloaded for it serves here, too.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/handle.h"
#include "support/files.h"

enum { CONFIG_BYTES = 65536, FIELD_BYTES = 260 };

static const char no_subscription[] = "00000000-0000-0000-0000-000000000000";

// ---- reading -----------------------------------------------------------------------------------

static sdx_status check_field(const char *key, const char *text, fault *f) {
  size_t length = strlen(text);
  bool good = length && length <= FIELD_BYTES;
  for (size_t i = 0; i < length; i++) good = good && (unsigned char)text[i] >= 0x20 && text[i] != 0x7f;
  return good ? SDX_OK
              : fault_set(f, SDX_INVALID_ARGUMENT, "%s is expected to be 1 to %d printable characters", key,
                          FIELD_BYTES);
}

// The three names out of "/subscriptions/S/resourceGroups/G/providers/P/workspaces/W", which older files have.
static json_t *from_scope(const char *scope, fault *f) {
  const char *part[9];
  size_t length[9], count = 0;
  for (const char *at = scope; count < 9; at++) {
    part[count] = at;
    length[count] = strcspn(at, "/");
    at += length[count++];
    if (!*at) break;
  }
  json_t *config = count < 9 ? NULL
                             : json_pack("{s:s%,s:s%,s:s%}", "subscription_id", part[2], length[2], "resource_group",
                                         part[4], length[4], "workspace_name", part[8], length[8]);
  if (!config)
    fault_set(f, SDX_INVALID_ARGUMENT,
              "Scope is expected to read /subscriptions/S/resourceGroups/G/providers/P/workspaces/W");
  return config;
}

json_t *registry_parse_config(const char *text, size_t size, fault *f) {
  static const char *const keys[] = {"subscription_id", "resource_group", "workspace_name", "location"};
  json_error_t error;
  json_t *file = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error), *config = NULL;
  const char *scope = json_string_value(json_object_get(file, "Scope"));
  if (!file) {
    fault_set(f, SDX_INVALID_ARGUMENT, "not JSON: line %d: %s", error.line, error.text);
  } else if (scope && *scope) {
    config = from_scope(scope, f);
  } else {
    config = json_object();
    for (size_t i = 0; i < 4; i++)
      if (json_object_get(file, keys[i])) json_object_set(config, keys[i], json_object_get(file, keys[i]));
  }
  if (config && !json_object_get(config, "location")) json_object_set_new(config, "location", json_string("local"));
  for (size_t i = 0; i < 4 && config && !f->status; i++) {
    const char *value = json_string_value(json_object_get(config, keys[i]));
    if (value) check_field(keys[i], value, f);
    else fault_set(f, SDX_INVALID_ARGUMENT, "%s is missing or not a string", keys[i]);
  }
  json_decref(file);
  if (!f->status) return config;
  json_decref(config);
  return NULL;
}

// ---- finding -----------------------------------------------------------------------------------

static bool is_file(const char *path) {
  struct stat info;
  return !stat(path, &info) && S_ISREG(info.st_mode);
}

// `inside` in the folder or in one above it.
static char *find_upwards(const char *folder, const char *inside) {
  char *at = strdup(folder);
  while (at) {
    char *path = path_format("%s/%s", strcmp(at, "/") ? at : "", inside);
    if (!path || is_file(path)) {
      free(at);
      return path;
    }
    free(path);
    char *slash = strrchr(at, '/');
    if (!strcmp(at, "/") || !slash) break;
    slash[slash == at] = 0;
  }
  free(at);
  return NULL;
}

char *registry_find_workspace(const char *start, fault *f) {
  static const char *const places[] = {".azureml/config.json",    ".azureml/project.json", "aml_config/config.json",
                                       "aml_config/project.json", "config.json",           "project.json"};
  char *from = realpath(start ? start : ".", NULL), *found = NULL;
  if (!from) {
    fault_errno(f, errno, "workspace %s", start ? start : ".");
    return NULL;
  }
  if (is_file(from)) return from;
  for (size_t i = 0; i < sizeof places / sizeof *places && !found; i++) found = find_upwards(from, places[i]);
  if (!found) {
    fault_set(f, SDX_NOT_FOUND, "%s is not in a workspace: no config.json there or in a folder above it", from);
    fault_hint(f, "'sardonyx workspace create' makes one; --workspace FOLDER names another");
  }
  free(from);
  return found;
}

char *workspace_folder(const char *config) {
  char *folder = strdup(config), *slash = folder ? strrchr(folder, '/') : NULL;
  if (!slash) return folder;
  *slash = 0;
  slash = strrchr(folder, '/');
  if (slash && (!strcmp(slash, "/.azureml") || !strcmp(slash, "/aml_config"))) *slash = 0;
  return folder;
}

json_t *workspace_read(const char *config, fault *f) {
  size_t size = 0;
  char *text = file_load(AT_FDCWD, config, CONFIG_BYTES, &size, f);
  json_t *read = text ? registry_parse_config(text, size, f) : NULL;
  if (text && !read) {
    fault_place(f, "%s", config);
    fault_hint(f, "a workspace's config.json names subscription_id, resource_group and workspace_name");
  }
  free(text);
  return read;
}

// ---- making ------------------------------------------------------------------------------------

static sdx_status write_config(int folder, const char *where, const json_t *config, fault *f) {
  char *text = json_dumps(config, JSON_INDENT(2));
  int inner = text ? folder_open(folder, ".azureml", 0755, f) : -1;
  if (!text) fault_no_memory(f);
  if (inner >= 0 && !faccessat(inner, "config.json", F_OK, 0)) {
    fault_set(f, SDX_CONFLICT, "%s is a workspace already", where);
    fault_hint(f, "'sardonyx workspace show --workspace %s' shows it", where);
  }
  if (inner >= 0 && !f->status) file_replace(inner, "config.json", text, strlen(text), 0644, f);
  if (!f->status) folder_sync(folder, f);
  if (inner >= 0) close(inner);
  free(text);
  return f->status;
}

sdx_status registry_create_workspace(const registry_place *place, char **config, fault *f) {
  const char *folder = place->folder ? place->folder : ".";
  *config = NULL;
  int fd = folder_open(AT_FDCWD, folder, 0755, f);
  if (fd < 0) return f->status;
  char *path = realpath(folder, NULL), *slash = path ? strrchr(path, '/') : NULL;
  const char *name = place->name ? place->name : slash ? slash + 1 : "";
  if (!path) {
    fault_errno(f, errno, "%s", folder);
  } else if (!name_valid(name)) {
    fault_set(f, SDX_INVALID_ARGUMENT, "'%s' cannot name a workspace: letters, digits, '.', '_' and '-' can", name);
    fault_hint(f, "--name gives it another name than the folder's");
  } else {
    json_t *content = json_pack("{s:s,s:s,s:s,s:s}", "subscription_id",
                                place->subscription_id ? place->subscription_id : no_subscription, "resource_group",
                                place->resource_group ? place->resource_group : "local", "workspace_name", name,
                                "location", place->location ? place->location : "local");
    char *text = content ? json_dumps(content, 0) : NULL;
    json_t *checked = text ? registry_parse_config(text, strlen(text), f) : NULL;
    if (!text) fault_set(f, SDX_INVALID_ARGUMENT, "the names of a workspace are expected to be UTF-8");
    if (checked) write_config(fd, path, checked, f);
    json_decref(content);
    json_decref(checked);
    free(text);
  }
  if (!f->status) *config = path_format("%s/.azureml/config.json", path);
  free(path);
  close(fd);
  return f->status;
}
