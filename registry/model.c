// SPDX-License-Identifier: Apache-2.0
// Registering a model: files and folders become blobs, the model among them is looked into, one row makes it a version.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/links.h"
#include "registry/handle.h"
#include "support/files.h"

enum { MOST_FILES = 10000, MOST_NAMED = 100, MOST_ROOTS = 16 };

typedef struct gathering {
  registry_change *change;
  registry_file *files;
  size_t count;
  folder_id roots[MOST_ROOTS];  // links may end in these folders and beneath them
  size_t root_count;
} gathering;

static bool is_onnx(const char *path) {
  size_t length = strlen(path);
  return length > 5 && !strcasecmp(path + length - 5, ".onnx");
}

// Kubernetes keeps what the links of a mounted folder point to in the folder itself, beneath names that begin so.
static bool is_bookkeeping(const char *path) { return strstr(path, "/.."); }

static sdx_status take_file(void *context, const char *path, int fd, fault *f) {
  gathering *g = context;
  if (is_bookkeeping(path)) return SDX_OK;
  registry_file *more = realloc(g->files, (g->count + 1) * sizeof *more);
  char *copy = strdup(path);
  if (more) g->files = more;
  if (!more || !copy) {
    free(copy);
    return fault_no_memory(f);
  }
  registry_file *file = &g->files[g->count++];
  *file = (registry_file){.path = copy, .media_type = is_onnx(path) ? ONNX_MEDIA_TYPE : "application/octet-stream"};
  return registry_add_file(g->change, fd, path, &file->blob, f);
}

// The last part of a path; of "." and the like, that of the folder it stands for.
static char *base_name(const char *path) {
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  size_t begin = length;
  while (begin && path[begin - 1] != '/') begin--;
  char *name = strndup(path + begin, length - begin);
  if (!name || (strcmp(name, ".") && strcmp(name, "..") && strcmp(name, "/") && *name)) return name;
  free(name);
  char *real = realpath(path, NULL);
  name = real ? strdup(strrchr(real, '/') + 1) : NULL;
  free(real);
  return name;
}

// ---- folders with links: caches that keep files under their digests, mounts that are switched by a link -----------
// As when a model is loaded, a link may end in the folder that was named and where the links of its models end.

static void add_root(gathering *g, int folder) {
  if (g->root_count < MOST_ROOTS && links_folder_id(folder, &g->roots[g->root_count])) g->root_count++;
}

static int find_root(void *context, int folder, const char *name, const char *path, fault *f) {
  link_seen link;
  int lies_in, fd = is_onnx(name) ? links_open(folder, name, NULL, 0, &link, &lies_in) : -1;
  if (fd < 0) return -1;
  add_root(context, lies_in);
  close(lies_in);
  close(fd);
  return -1;
}

static sdx_status pass_over(void *context, const char *path, int fd, fault *f) { return SDX_OK; }

static int follow(void *context, int folder, const char *name, const char *path, fault *f) {
  gathering *g = context;
  link_seen link;
  if (is_bookkeeping(path)) return -1;
  int fd = links_open(folder, name, g->roots, g->root_count, &link, NULL);
  if (fd < 0 && errno == EXDEV) {
    fault_set(f, SDX_FORBIDDEN, "%s is a link that leads to '%.200s', out of the folder and of those its models lie in",
              path, link.target);
    fault_hint(f, "'cp -rL' copies a folder with what its links point to");
  } else if (fd < 0) {
    fault_errno(f, errno, "cannot open %s, a link to '%.200s'", path, link.target);
  }
  return fd;
}

static sdx_status gather_path(gathering *g, int fd, const char *name, fault *f) {
  g->root_count = 0;
  add_root(g, fd);
  if (!tree_walk_links(fd, name, MOST_FILES, pass_over, find_root, g, f))
    tree_walk_links(fd, name, MOST_FILES, take_file, follow, g, f);
  return f->status;
}

static sdx_status gather(gathering *g, const char *const *paths, fault *f) {
  for (; *paths && !f->status; paths++) {
    char *name = base_name(*paths);
    int fd = open(*paths, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) fault_errno(f, errno, "%s", *paths);
    else if (!name) fault_no_memory(f);
    else if (!path_beneath(name)) fault_set(f, SDX_INVALID_ARGUMENT, "'%.200s' cannot be the name of a file", name);
    else if (gather_path(g, fd, name, f) && !strstr(f->message, name)) fault_place(f, "%s", *paths);
    if (fd >= 0) close(fd);
    free(name);
  }
  if (!f->status && !g->count) fault_set(f, SDX_INVALID_ARGUMENT, "there are no files in it");
  for (size_t i = 0; i < g->count && !f->status; i++)
    for (size_t k = 0; k < i && !f->status; k++)
      if (!strcmp(g->files[i].path, g->files[k].path))
        fault_set(f, SDX_INVALID_ARGUMENT, "two files would both be named %s", g->files[i].path);
  return f->status;
}

// ---- the model among the files -----------------------------------------------------------------

static sdx_status no_main(const gathering *g, const char *wanted, fault *f) {
  const char *names[MOST_NAMED], *near = NULL;
  size_t count = 0;
  for (size_t i = 0; i < g->count && count < MOST_NAMED; i++)
    if (is_onnx(g->files[i].path)) names[count++] = g->files[i].path;
  if (wanted) {
    fault_set(f, SDX_NOT_FOUND, "there is no file '%s' among those to register", wanted);
    near = name_closest(wanted, names, count);
  } else {
    fault_set(f, SDX_INVALID_ARGUMENT, "there are %zu ONNX models among the files: which one is it?", count);
  }
  if (near || count) fault_hint(f, "--main %s", near ? near : names[0]);
  return f->status;
}

// The file to look into: NULL with a clear fault where there is none to look for.
static const char *find_main(const gathering *g, const registry_model *model, fault *f) {
  const char *found = NULL;
  size_t count = 0;
  if (model->framework && strcasecmp(model->framework, "onnx") != 0) return NULL;
  for (size_t i = 0; i < g->count; i++) {
    if (model->main && !strcmp(g->files[i].path, model->main)) return model->main;
    if (!is_onnx(g->files[i].path)) continue;
    found = g->files[i].path;
    count++;
  }
  if (model->main || count > 1) {
    no_main(g, model->main, f);
    return NULL;
  }
  if (found || g->count == 1) return found ? found : g->files[0].path;
  fault_set(f, SDX_INVALID_MODEL, "none of the %zu files is an ONNX model (.onnx)", g->count);
  fault_hint(f, "--framework TensorFlow (or another name) registers files as they are");
  return NULL;
}

// Looks into every ONNX file, as each may be what a script opens; the main one's inputs and outputs are the model's.
static json_t *look(registry *r, const gathering *g, const char *main, fault *f) {
  char *path = path_format("%s/look", registry_change_path(g->change));
  int folder = path ? folder_open(change_folder(g->change), "look", 0700, f) : -1;
  json_t *summary = NULL;
  if (!path) fault_no_memory(f);
  if (folder >= 0 && !tree_link(r, g->files, g->count, folder, f))
    for (size_t i = 0; i < g->count && !f->status; i++) {
      bool is_main = !strcmp(g->files[i].path, main);
      if (!is_main && !is_onnx(g->files[i].path)) continue;
      registry_progress(r, g->files[i].path, 0, 0);
      json_t *said = inspect_model(r, path, g->files[i].path, f);
      if (is_main) summary = said;
      else json_decref(said);
    }
  if (folder >= 0) close(folder);
  fault ignored = {0};
  tree_remove(change_folder(g->change), "look", &ignored);
  free(path);
  if (!f->status) return summary;
  json_decref(summary);
  return NULL;
}

static json_t *describe(registry *r, const gathering *g, const registry_model *model, fault *f) {
  const char *main = find_main(g, model, f);
  json_t *detail = f->status ? NULL : main ? look(r, g, main, f) : json_object();
  if (!detail) {
    if (f->status == SDX_INVALID_MODEL && !model->framework && main && !is_onnx(main))
      fault_hint(f, "--framework TensorFlow (or another name) registers a file as it is");
    return NULL;
  }
  if (main) json_object_set_new(detail, "main", json_string(main));
  json_object_set_new(detail, "framework", json_string(model->framework ? model->framework : "Onnx"));
  if (model->framework_version) json_object_set_new(detail, "framework_version", json_string(model->framework_version));
  return detail;
}

static char *name_of(const registry_model *model) {
  char *name = model->name ? strdup(model->name) : base_name(*model->paths);
  if (name && !model->name && is_onnx(name)) name[strlen(name) - 5] = 0;
  return name;
}

sdx_status registry_commit_model(registry_change *c, const registry_model *model, const registry_file *files,
                                 size_t count, json_t **asset, fault *f) {
  gathering g = {.change = c, .files = (registry_file *)files, .count = count};
  json_t *detail = describe(change_registry(c), &g, model, f);
  *asset = NULL;
  if (!detail) return f->status;
  registry_draft draft = {.kind = ASSET_MODEL,
                          .name = model->name,
                          .version = model->version,
                          .description = model->description,
                          .tags = model->tags,
                          .properties = model->properties,
                          .detail = detail,
                          .request = model->request,
                          .files = files,
                          .file_count = count};
  registry_commit(c, &draft, asset, f);
  json_decref(detail);
  return f->status;
}

sdx_status registry_register_model(registry *r, const registry_model *model, json_t **asset, fault *f) {
  gathering g = {0};
  char *name = name_of(model);
  registry_model named = *model;
  named.name = name;
  *asset = NULL;
  if (!name) {
    fault_no_memory(f);
  } else if (!name_valid(name)) {  // before a byte is copied
    fault_set(f, SDX_INVALID_ARGUMENT, "'%.200s' cannot name a model", name);
    fault_hint(f, "letters, digits, '.', '_' and '-', at most %d of them", NAME_BYTES);
  } else if (!registry_begin(r, &g.change, f)) {
    if (!gather(&g, model->paths, f)) registry_commit_model(g.change, &named, g.files, g.count, asset, f);
  }
  for (size_t i = 0; i < g.count; i++) free((char *)g.files[i].path);
  free(g.files);
  free(name);
  registry_end(g.change);
  return f->status;
}
