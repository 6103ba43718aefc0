// SPDX-License-Identifier: Apache-2.0
// Finds models and their reference data (test_sets.h). The walk keeps its own queue, follows no
// symbolic links to folders, and visits in natural order (set_2 before set_10).
#include "cli/test_sets.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/files.h"

typedef struct names {
  char **at;
  size_t count;
} names;

static void names_add(names *n, char *name) {
  n->at = xrealloc(n->at, (n->count + 1) * sizeof *n->at);
  n->at[n->count++] = name;
}

static void names_free(names *n) {
  for (size_t i = 0; i < n->count; i++) free(n->at[i]);
  free(n->at);
}

// What a folder holds, each sorted naturally.
typedef struct listing {
  names folders, models, inputs, outputs, arrays;  // full paths
} listing;

static int visible(const struct dirent *e) { return e->d_name[0] != '.'; }

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

// `model`: a file that is one, whatever its ending; may be NULL.
static bool list_folder(const char *folder, const char *model, listing *l) {
  struct dirent **entries;
  int count = scandir(folder, &entries, visible, versionsort);
  *l = (listing){0};
  if (count < 0) return false;
  for (int i = 0; i < count; i++) {
    const char *name = entries[i]->d_name;
    size_t end = strlen(folder);
    char *path = xformat("%s%s%s", folder, end && folder[end - 1] == '/' ? "" : "/", name);
    struct stat info;
    names *to = NULL;
    if (!lstat(path, &info) && S_ISDIR(info.st_mode)) to = &l->folders;
    else if (stat(path, &info) || !S_ISREG(info.st_mode)) to = NULL;
    else if (path_has_suffix(name, ".onnx") || (model && !strcmp(name, model))) to = &l->models;
    else if (path_has_suffix(name, ".npz"))
      to = strstr(name, "test_data") || !strcmp(name, "io.npz") ? &l->arrays : NULL;
    else if (path_has_suffix(name, ".pb") && strstr(name, "input")) to = &l->inputs;
    else if (path_has_suffix(name, ".pb") && strstr(name, "output")) to = &l->outputs;
    if (to) names_add(to, path);
    else free(path);
    free(entries[i]);
  }
  free(entries);
  return true;
}

static void listing_free(listing *l) {
  names_free(&l->folders);
  names_free(&l->models);
  names_free(&l->inputs);
  names_free(&l->outputs);
  names_free(&l->arrays);
}

static bool is_set(const listing *l) { return l->outputs.count && !l->models.count; }

static test_set *add_set(test_plan *p, const char *path, set_kind kind, names *inputs, names *outputs) {
  test_set *s = xmalloc(sizeof *s);
  *s = (test_set){.path = xstrdup(path), .kind = kind};
  if (inputs) {  // moves the paths
    s->inputs = inputs->at;
    s->input_count = inputs->count;
    s->outputs = outputs->at;
    s->output_count = outputs->count;
    *inputs = *outputs = (names){0};
  }
  p->sets = xrealloc(p->sets, (p->set_count + 1) * sizeof *p->sets);
  return p->sets[p->set_count++] = s;
}

// Of a file's name, without its ending.
static size_t stem_length(const char *name) {
  const char *dot = strrchr(name, '.');
  return dot ? (size_t)(dot - name) : strlen(name);
}

// Whether a .npz belongs to this model: its name begins with the model's, or with no model's.
static bool npz_fits(const char *npz, const char *model, const names *models) {
  const char *name = base_name(npz), *mine = base_name(model);
  size_t length = stem_length(mine);
  if (!strncmp(name, mine, length) && name[length] == '_') return true;
  for (size_t i = 0; i < models->count; i++) {
    const char *other = base_name(models->at[i]);
    length = stem_length(other);
    if (!strncmp(name, other, length) && name[length] == '_') return false;
  }
  return true;
}

static void add_unit(test_plan *p, const char *model, const char *folder, size_t first, size_t last,
                     const names *models) {
  test_unit u = {.model = model ? xstrdup(model) : NULL, .folder = xstrdup(folder), .alone = models->count == 1};
  u.sets = xmalloc((last - first) * sizeof *u.sets + 1);
  for (size_t i = first; i < last; i++)
    if (!model || p->sets[i]->kind != SET_NPZ || npz_fits(p->sets[i]->path, model, models))
      u.sets[u.set_count++] = p->sets[i];
  p->units = xrealloc(p->units, (p->unit_count + 1) * sizeof *p->units);
  p->units[p->unit_count++] = u;
}

// The sets of a folder: its set folders and .npz files. `walk` gets the other folders.
static void collect_sets(test_plan *p, listing *l, names *walk) {
  for (size_t i = 0; i < l->folders.count; i++) {
    listing inner;
    if (list_folder(l->folders.at[i], NULL, &inner) && is_set(&inner))
      add_set(p, l->folders.at[i], SET_PB, &inner.inputs, &inner.outputs);
    else names_add(walk, xstrdup(l->folders.at[i]));
    listing_free(&inner);
  }
  for (size_t i = 0; i < l->arrays.count; i++) add_set(p, l->arrays.at[i], SET_NPZ, NULL, NULL);
}

// Models of the folder above, when that one was walked too.
static void models_above(const char *folder, const char *root, names *models) {
  const char *slash = strrchr(folder, '/');
  if (!slash || !strcmp(folder, root)) return;
  char *above = xformat("%.*s", (int)(slash - folder), folder);
  listing l;
  if (strlen(above) >= strlen(root) && list_folder(above, NULL, &l)) {
    *models = l.models;
    l.models = (names){0};
    listing_free(&l);
  }
  free(above);
}

static void visit(test_plan *p, const char *folder, const char *root, const char *only, names *walk) {
  listing l;
  if (!list_folder(folder, only, &l)) return;
  size_t first = p->set_count;
  collect_sets(p, &l, walk);
  names models = l.models, above = {0};
  if (p->set_count > first && !models.count) models_above(folder, root, &above);
  if (!models.count) models = above;
  if (p->set_count == first) {
    p->models_without_sets += l.models.count;
  } else {
    for (size_t i = 0; i < models.count; i++)
      if (!only || !strcmp(base_name(models.at[i]), only))
        add_unit(p, models.at[i], folder, first, p->set_count, &models);
    if (!models.count) add_unit(p, NULL, folder, first, p->set_count, &models);
  }
  names_free(&above);
  listing_free(&l);
}

bool test_plan_add(test_plan *p, const char *path) {
  struct stat info;
  if (is_standard_stream(path)) {
    cli_error(CLI_FAILED, "standard input has no reference data beside it; give a file or a folder");
    return false;
  }
  if (stat(path, &info)) {
    cli_error(CLI_FAILED, "%s: %s", path, strerror(errno));
    return false;
  }
  char *root = xstrdup(path);
  const char *only = NULL;
  if (!S_ISDIR(info.st_mode)) {  // one model: the sets of its folder
    only = base_name(path);
    free(root);
    root = only == path ? xstrdup(".") : xformat("%.*s", (int)(only - path - 1), path);
  }
  while (strlen(root) > 1 && root[strlen(root) - 1] == '/') root[strlen(root) - 1] = 0;
  names queue = {0};
  names_add(&queue, root);
  for (size_t i = 0; i < queue.count; i++) {
    names walk = {0};
    visit(p, queue.at[i], root, only, &walk);
    for (size_t k = 0; k < walk.count && !only; k++) names_add(&queue, xstrdup(walk.at[k]));
    names_free(&walk);
  }
  names_free(&queue);
  return true;
}

void test_plan_free(test_plan *p) {
  for (size_t i = 0; i < p->unit_count; i++) {
    free(p->units[i].model);
    free(p->units[i].folder);
    free(p->units[i].sets);
  }
  for (size_t i = 0; i < p->set_count; i++) {
    names_free(&(names){p->sets[i]->inputs, p->sets[i]->input_count});
    names_free(&(names){p->sets[i]->outputs, p->sets[i]->output_count});
    free(p->sets[i]->path);
    free(p->sets[i]);
  }
  free(p->units);
  free(p->sets);
}
