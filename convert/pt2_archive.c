// SPDX-License-Identifier: Apache-2.0
// The archive of an exported program: a graph as JSON and weights. Until PyTorch 2.7 it is
// serialized_exported_program.json beside what torch.save wrote; then models/model.json and data/weights, with the same
// or with a list of raw files. Read next: pt2.h.
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "convert/pt2.h"

enum { MOST_JSON = 1 << 28 };

sdx_dtype pt2_dtype(int64_t scalar_type) {
  static const sdx_dtype types[] = {
      [1] = SDX_UINT8,   [2] = SDX_INT8,  [3] = SDX_INT16,  [4] = SDX_INT32, [5] = SDX_INT64,
      [6] = SDX_FLOAT16, [7] = SDX_FLOAT, [8] = SDX_DOUBLE, [12] = SDX_BOOL, [13] = SDX_BFLOAT16};
  return scalar_type > 0 && scalar_type < (int64_t)(sizeof types / sizeof *types) ? types[scalar_type] : SDX_UNDEFINED;
}

// ---- weights ----------------------------------------------------------------------------------------

static bool add_weight(pt2 *p, str name, const stored_tensor *t) {
  pt2_weights *w = &p->weights;
  if (w->count == w->room) {
    size_t room = w->room ? 2 * w->room : 64;
    stored_tensor *more = arena_array(p->c->memory, room, sizeof *more);
    if (!more) return !convert_no_memory(p->c);
    if (w->count) memcpy(more, w->tensors, w->count * sizeof *more);
    w->tensors = more;
    w->room = room;
  }
  w->tensors[w->count] = *t;
  return str_map_put(&w->names, name, (uint32_t)w->count++) || !convert_no_memory(p->c);
}

// What torch.save wrote.
static bool add_pickled(pt2 *p, const char *file, str bytes) {
  pickle_tensors all;
  char wrong[200];
  if (!pickle_read_tensors(bytes, p->c->memory, &all, wrong))
    return !convert_fail(p->c, SDX_INVALID_MODEL, file, NULL, "%s", wrong);
  for (size_t i = 0; i < all.count; i++)
    if (!add_weight(p, all.entries[i].name, &all.entries[i].tensor)) return false;
  return true;
}

static const zip_member *member(pt2 *p, const zip *z, const char *name) {
  const zip_member *m = zip_find(z, name);
  if (!m || !m->packed) return m;
  convert_fail(p->c, SDX_NOT_SUPPORTED, name, "torch.export.save writes its members unpacked: save it again",
               "this member of the archive is packed");
  return NULL;
}

static bool read_sizes(const json_t *list, size_t *rank, int64_t *to) {
  *rank = json_array_size(list);
  for (size_t i = 0; i < *rank && i < NET_RANK; i++) {
    const json_t *number = json_object_get(json_array_get(list, i), "as_int");
    if (!json_is_integer(number)) return false;
    to[i] = json_integer_value(number);
  }
  return *rank <= NET_RANK;
}

// One raw file of numbers, as a row of the list describes it.
static bool add_raw(pt2 *p, const zip *z, const char *folder, const char *name, const json_t *row) {
  const json_t *meta = json_object_get(row, "tensor_meta");
  char path[300];
  stored_tensor t = {.dtype = pt2_dtype(number_of(meta, "dtype"))};
  size_t strides;
  snprintf(path, sizeof path, "%s%s", folder, text_of(row, "path_name"));
  const zip_member *m = member(p, z, path);
  if (!m)
    return convert_failed(p->c)
               ? false
               : !convert_fail(p->c, SDX_INVALID_MODEL, path, NULL,
                               "the archive has no such member, which the weight '%.100s' is in", name);
  if (json_is_true(json_object_get(row, "use_pickle"))) return add_pickled(p, path, m->bytes);
  if (!t.dtype || !read_sizes(json_object_get(meta, "sizes"), &t.rank, t.shape) ||
      !read_sizes(json_object_get(meta, "strides"), &strides, t.stride) || strides != t.rank)
    return !convert_fail(p->c, SDX_NOT_SUPPORTED, path, NULL,
                         "the weight '%.100s' is of a type or shape that is not converted", name);
  const char *wrong = stored_tensor_check(m->bytes, number_of(json_object_get(meta, "storage_offset"), "as_int"), &t);
  if (wrong) return !convert_fail(p->c, SDX_INVALID_MODEL, path, NULL, "the weight '%.100s': %s", name, wrong);
  char *kept = arena_format(p->c->memory, "%s", name);
  return kept ? add_weight(p, str_from(kept), &t) : !convert_no_memory(p->c);
}

static void release(void *root) { json_decref(root); }

static json_t *parse(pt2 *p, const char *file, str bytes) {
  json_error_t wrong;
  if (bytes.size > MOST_JSON)
    return convert_fail(p->c, SDX_LIMIT_EXCEEDED, file, NULL, "%zu bytes, at most %d are read", bytes.size, MOST_JSON),
           NULL;
  json_t *root = json_loadb(bytes.at, bytes.size, 0, &wrong);
  if (!root || !json_is_object(root)) {
    convert_fail(p->c, SDX_INVALID_MODEL, file, NULL, "no JSON object: %s", root ? "something else" : wrong.text);
    json_decref(root);
    return NULL;
  }
  if (convert_at_end(p->c, release, root)) return root;
  json_decref(root);
  return convert_no_memory(p->c), NULL;
}

// data/weights or data/constants.
static bool add_folder(pt2 *p, const zip *z, const char *folder, const char *list) {
  char path[100];
  snprintf(path, sizeof path, "%s%s", folder, list);
  const zip_member *m = member(p, z, path);
  if (m) {
    const char *name;
    json_t *row, *root = parse(p, path, m->bytes);
    json_object_foreach(json_object_get(root, "config"), name, row) {
      if (!add_raw(p, z, folder, name, row)) return false;
    }
  } else {
    snprintf(path, sizeof path, "%smodel.pt", folder);
    if ((m = member(p, z, path)) && !add_pickled(p, path, m->bytes)) return false;
  }
  return !convert_failed(p->c);
}

// ---- the archive ------------------------------------------------------------------------------------

static const zip_member *first_of(pt2 *p, const zip *z, const char *const *names, const char **found) {
  for (; *names; names++) {
    const zip_member *m = member(p, z, *names);
    *found = *names;
    if (m || convert_failed(p->c)) return m;
  }
  return NULL;
}

bool pt2_open(pt2 *p) {
  static const char *const programs[] = {"models/model.json", "serialized_exported_program.json", NULL};
  static const char *const pickled[] = {"serialized_state_dict.pt", "serialized_state_dict.json",
                                        "serialized_constants.pt", "serialized_constants.json"};
  conversion *c = p->c;
  zip z;
  const char *name, *wrong = zip_read((str){c->source->bytes, (size_t)c->source->size}, c->memory, &z);
  str_map_init(&p->weights.names, c->memory);
  if (wrong) return !convert_fail(c, SDX_INVALID_MODEL, c->source->path, NULL, "%s", wrong);
  const zip_member *m = first_of(p, &z, programs, &name);
  if (!m && !convert_failed(c))
    convert_fail(c, SDX_NOT_SUPPORTED, c->source->path, "torch.export.save(torch.export.export(...), FILE) writes one",
                 "the archive holds no exported program named 'model'");
  if (!m || !(p->root = parse(p, name, m->bytes))) return false;
  p->program = p->root;
  if (strcmp(name, *programs) == 0)
    return add_folder(p, &z, "data/weights/", "model_weights_config.json") &&
           add_folder(p, &z, "data/constants/", "model_constants_config.json");
  for (size_t i = 0; i < sizeof pickled / sizeof *pickled; i++)
    if ((m = member(p, &z, pickled[i])) && m->bytes.size > 4 && !memcmp(m->bytes.at, "PK", 2) &&
        !add_pickled(p, pickled[i], m->bytes))
      return false;
  return !convert_failed(c);
}
