// SPDX-License-Identifier: Apache-2.0
// Keras: the file. model.h5 of Keras 1 and 2 (and what 3 still writes of it) is HDF5 with the configuration as an
// attribute; model.keras is a zip archive of the configuration, the weights as HDF5, and vocabularies. Read next:
// keras.h.
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "convert/keras.h"

enum { MOST_MEMBERS = 10000 };

// ---- models -----------------------------------------------------------------------------------------

static void forget_json(void *root) { json_decref(root); }

static sdx_status parse(keras *k, str text, const char *what, json_t **root) {
  json_error_t e;
  *root = json_loadb(text.at, text.size, JSON_ALLOW_NUL, &e);
  if (*root && !convert_at_end(k->c, forget_json, *root)) {
    json_decref(*root);
    return convert_no_memory(k->c);
  }
  if (*root) return SDX_OK;
  return convert_fail(k->c, SDX_INVALID_MODEL, what, NULL, "line %d: %s", e.line, e.text);
}

static sdx_status convert_config(keras *k, str text, str version, keras_store store) {
  json_t *model;
  if (version.size) convert_made_by(k->c, "Keras %.*s", STR_ARG(version));
  k->version = version.size && *version.at >= '1' && *version.at <= '9' ? *version.at - '0' : 1;
  SDX_TRY(parse(k, text, "the model's configuration", &model));
  const char *class_name = keras_class(model);
  if (strcmp(class_name, "Functional") && strcmp(class_name, "Model") && strcmp(class_name, "Sequential"))
    return convert_fail(k->c, SDX_NOT_SUPPORTED, "model",
                        "build it as a functional model: keras.Model(inputs, outputs)",
                        "the class '%s' is Python code that is not in the file", class_name);
  const char *name = keras_text(json_object_get(model, "config"), "name", "");
  if (*name) sdx_builder_describe(k->c->builder, "graph_name", name);
  return keras_emit_whole(k, model, store);
}

static sdx_status fail_hdf5(keras *k) {
  return convert_fail(k->c, SDX_INVALID_MODEL, "HDF5", NULL, "%s", k->h5.message);
}

static sdx_status convert_hdf5(keras *k, const void *bytes, size_t size) {
  keras_store store = {0};
  str *config, *version = &(str){0};
  size_t count;
  k->by_position = true;
  if (!hdf5_open(&k->h5, bytes, size)) return fail_hdf5(k);
  if (!hdf5_texts(&k->h5, k->c->memory, k->h5.root, "model_config", &config, &count) || !count) {
    if (hdf5_failed(&k->h5)) return fail_hdf5(k);
    return convert_fail(k->c, SDX_INVALID_MODEL, "HDF5",
                        "save the model with its configuration: model.save(\"model.keras\")",
                        "there are no more than weights in it: the attribute 'model_config' is absent");
  }
  if (!hdf5_find(&k->h5, k->h5.root, STR("model_weights"), &store.group)) store.group = k->h5.root;
  if (!hdf5_texts(&k->h5, k->c->memory, k->h5.root, "keras_version", &version, &count) || !count)
    if (!hdf5_texts(&k->h5, k->c->memory, store.group, "keras_version", &version, &count) || !count)
      version = &(str){0};
  if (hdf5_failed(&k->h5)) return fail_hdf5(k);
  return convert_config(k, *config, *version, store);
}

// ---- archives ---------------------------------------------------------------------------------------

static sdx_status read_member(keras *k, struct archive *a, const char *path, struct keras_asset *member) {
  conversion *c = k->c;
  size_t room = 0;
  char *bytes = NULL;
  for (ssize_t n = 1; n > 0;) {
    if (member->bytes.size == room) {
      room = room ? 2 * room : 65536;
      char *more = realloc(bytes, room);
      if (!more) return free(bytes), convert_no_memory(c);
      bytes = more;
    }
    n = archive_read_data(a, bytes + member->bytes.size, room - member->bytes.size);
    if (n < 0) {
      free(bytes);
      return convert_fail(c, SDX_INVALID_MODEL, path, NULL, "%s",
                          archive_error_string(a) ? archive_error_string(a) : "the archive is damaged");
    }
    member->bytes.size += (size_t)n;
    if (member->bytes.size > 1100 * c->source->size) {  // more than deflate can pack
      free(bytes);
      return convert_fail(c, SDX_LIMIT_EXCEEDED, path, NULL, "it unpacks to more than its archive can hold");
    }
  }
  member->bytes.at = bytes;
  member->path = str_from(arena_format(c->memory, "%s", path));
  if (convert_at_end(c, free, bytes)) return SDX_OK;
  free(bytes);
  return convert_no_memory(c);
}

static bool is_wanted(const char *path) {
  return !strcmp(path, "config.json") || !strcmp(path, "metadata.json") || !strcmp(path, "model.weights.h5") ||
         !strncmp(path, "assets/", 7);
}

static sdx_status read_members(keras *k, struct archive *a, struct keras_asset *members) {
  struct archive_entry *e;
  sdx_status status = SDX_OK;
  int result = ARCHIVE_OK;
  for (size_t seen = 0; !status && seen < MOST_MEMBERS && (result = archive_read_next_header(a, &e)) == ARCHIVE_OK;
       seen++) {
    const char *path = archive_entry_pathname(e);
    if (path && is_wanted(path) && archive_entry_filetype(e) == AE_IFREG)
      status = read_member(k, a, path, &members[k->asset_count++]);
  }
  if (status || result == ARCHIVE_EOF) return status;
  return convert_fail(k->c, SDX_INVALID_MODEL, k->c->source->path, NULL, "%s",
                      archive_error_string(a) ? archive_error_string(a) : "too many members");
}

static str member_of(const keras *k, const char *path) {
  for (size_t i = 0; i < k->asset_count; i++)
    if (str_is(k->assets[i].path, path)) return k->assets[i].bytes;
  return (str){0};
}

static sdx_status convert_members(keras *k) {
  json_t *metadata;
  str config = member_of(k, "config.json"), weights = member_of(k, "model.weights.h5");
  keras_store store = {0};
  if (!config.size)
    return convert_fail(k->c, SDX_INVALID_MODEL, k->c->source->path, NULL, "the archive has no config.json");
  SDX_TRY(parse(k, member_of(k, "metadata.json"), "metadata.json", &metadata));
  if (weights.size && !hdf5_open(&k->h5, weights.at, weights.size)) return fail_hdf5(k);
  if (!weights.size) convert_note(k->c, "the archive has no weights");
  store.group = k->h5.root;
  return convert_config(k, config, str_from(keras_text(metadata, "keras_version", "")), store);
}

static sdx_status convert_archive(keras *k) {
  source *s = k->c->source;
  struct keras_asset *members = arena_array(k->c->memory, MOST_MEMBERS, sizeof *members);
  struct archive *a = members ? archive_read_new() : NULL;
  if (!a) return convert_no_memory(k->c);
  k->assets = members;
  archive_read_support_format_zip_streamable(a);
  archive_read_support_format_zip_seekable(a);
  sdx_status status = SDX_OK;
  if (archive_read_open_memory(a, s->bytes, (size_t)s->size) == ARCHIVE_OK) status = read_members(k, a, members);
  else status = convert_fail(k->c, SDX_INVALID_MODEL, s->path, NULL, "%s", archive_error_string(a));
  archive_read_free(a);
  return status ? status : convert_members(k);
}

static void progress(void *context, uint64_t done, uint64_t total) { convert_progress(context, done, total); }

static sdx_status convert(conversion *c) {
  keras k = {.c = c, .graph = c->graph};
  str_map_init(&k.constants, c->memory);
  str_map_init(&k.nodes, c->memory);
  SDX_TRY(source_load(c->source, progress, c, c->f));
  if (sdx_builder_opset(c->builder, "") < 13)
    return convert_fail(c, SDX_NOT_SUPPORTED, NULL, "--opset 13 or newer", "Keras' layers need opset 13");
  const source *s = c->source;
  if (s->size > 4 && !memcmp(s->bytes, "PK\3\4", 4)) return convert_archive(&k);
  return convert_hdf5(&k, s->bytes, (size_t)s->size);
}

static const char reference[] =
    "def predict(path, inputs):\n"
    "    import h5py, numpy\n"
    "    old = h5py.is_hdf5(path)\n"
    "    try:\n"
    "        import keras\n"
    "        if old or keras.__version__ < '3': import tf_keras as keras\n"
    "    except ImportError:\n"
    "        import tensorflow.keras as keras\n"
    "    model = keras.models.load_model(path, compile=False)\n"
    "    names = getattr(model, 'input_names', None) or [x.name for x in model.inputs]\n"
    "    given = [inputs[name] for name in names] if all(n in inputs for n in names) else list(inputs.values())\n"
    "    results = model(given if len(given) > 1 else given[0])\n"
    "    results = list(results.values()) if isinstance(results, dict) else results\n"
    "    results = results if isinstance(results, (list, tuple)) else [results]\n"
    "    names = getattr(model, 'output_names', None) or ['output_%d' % i for i in range(len(results))]\n"
    "    found = {}\n"
    "    for name, result in zip(names, results):\n"
    "        n = sum(k == name or k.startswith(name + '_') for k in found)\n"
    "        found[name if name not in found else '%s_%d' % (name, n)] = numpy.asarray(result)\n"
    "    return found\n";

CONVERT_FORMAT(keras) = {
    .name = "keras",
    .title = "Keras",
    .files = "HDF5 of Keras 1 to 3 (.h5, .hdf5), the archive of Keras 3 (.keras)",
    .kinds = CONVERT_KINDS("keras", "hdf5"),
    .convert = convert,
    .reference = reference,
};
