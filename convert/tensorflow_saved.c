// SPDX-License-Identifier: Apache-2.0
// A SavedModel: saved_model.pb has one graph a set of tags, of which the one for serving is taken; its signatures name
// inputs and outputs. variables/ has a checkpoint, assets/ the files of tables.
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "convert/tensorflow_proto.h"
#include "support/files.h"

enum { MOST_SIGNATURES = 256, MOST_ENDS = 4096 };

typedef struct signature {
  str key;
  wire body;
} signature;

bool tf_is_saved_model(const source *s) {
  struct stat info;
  char *path = s->folder ? path_format("%s/saved_model.pb", s->path) : NULL;
  bool found = path && !stat(path, &info) && S_ISREG(info.st_mode);
  free(path);
  const file_kind *kind = s->folder ? NULL : file_kind_of(s->head, s->head_size);
  return found || (kind && !strcmp(kind->name, "tensorflow"));
}

// ---- the file ---------------------------------------------------------------------------------------

static void close_source(void *context) { source_close(context); }

// The bytes of saved_model.pb; the folder it lies in is noted.
static bool load(tf *t, wire *bytes) {
  conversion *c = t->c;
  source *s = c->source;
  if (!s->folder) {
    const char *slash = strrchr(s->path, '/');
    t->folder = slash ? arena_format(c->memory, "%.*s", (int)(slash - s->path), s->path) : ".";
    if (source_load(s, NULL, NULL, c->f)) return false;
  } else {
    t->folder = s->path;
    char *path = arena_format(c->memory, "%s/saved_model.pb", s->path);
    if (!path) return !convert_no_memory(c);
    if (source_open(path, &s, c->f)) return false;
    if (!convert_at_end(c, close_source, s)) {
      source_close(s);
      return !convert_no_memory(c);
    }
    if (source_load(s, NULL, NULL, c->f)) return false;
  }
  *bytes = wire_of(s->bytes, (size_t)s->size);
  return t->folder || !convert_no_memory(c);
}

// Whether a graph is the one for serving.
static bool serves(tf *t, wire meta, str *version) {
  wire_counts counts;
  wire_field f, g;
  bool found = false;
  while (wire_next(&meta, &tf_proto_meta, &f)) {
    if (f.slot != META_INFO || !tf_open(t, f.body, &tf_proto_meta_info, &counts)) continue;
    while (wire_next(&f.body, &tf_proto_meta_info, &g)) {
      if (g.slot == META_TAG && str_is(wire_str(&g), "serve")) found = true;
      if (g.slot == META_VERSION) *version = wire_str(&g);
    }
  }
  return found;
}

static bool choose_graph(tf *t, wire saved, wire *meta) {
  wire_counts counts;
  wire_field f;
  str version = {0};
  bool found = false;
  if (!tf_open(t, saved, &tf_proto_saved, &counts)) return false;
  while (!found && wire_next(&saved, &tf_proto_saved, &f)) {
    if (f.slot != SAVED_META) continue;
    if (!tf_open(t, f.body, &tf_proto_meta, &counts)) return false;
    *meta = f.body;
    found = serves(t, *meta, &version);
  }
  convert_made_by(t->c, "TensorFlow%s%.*s", version.size ? " " : "", STR_ARG(version));
  return meta->file || !convert_fail(t->c, SDX_INVALID_MODEL, "saved_model.pb", NULL, "it has no graph");
}

// ---- signatures -------------------------------------------------------------------------------------

static bool read_end(tf *t, wire entry, tf_served *end) {
  wire_counts counts;
  wire_field f, g;
  if (!tf_open(t, entry, &tf_proto_entry, &counts)) return false;
  while (wire_next(&entry, &tf_proto_entry, &f)) {
    if (f.slot == ENTRY_KEY) {
      end->name = wire_str(&f);
    } else {
      if (!tf_open(t, f.body, &tf_proto_info, &counts)) return false;
      while (wire_next(&f.body, &tf_proto_info, &g))
        if (g.slot == INFO_NAME) end->value = wire_str(&g);
    }
  }
  return end->value.size ||
         !convert_fail(t->c, SDX_NOT_SUPPORTED, "signature", NULL,
                       "'%.*s' is no plain tensor (sparse ones are not converted)", STR_ARG(end->name));
}

// By their names, as TensorFlow gives them.
static void sort(size_t count, tf_served *ends) {
  for (size_t i = 1; i < count; i++)
    for (size_t j = i; j; j--) {
      str a = ends[j - 1].name, b = ends[j].name;
      size_t shorter = a.size < b.size ? a.size : b.size;
      int order = memcmp(a.at, b.at, shorter);
      if (order < 0 || (!order && a.size <= b.size)) break;
      tf_served swapped = ends[j];
      ends[j] = ends[j - 1], ends[j - 1] = swapped;
    }
}

static bool read_signature(tf *t, wire body, tf_interface *io) {
  wire_counts counts;
  wire_field f;
  if (!tf_open(t, body, &tf_proto_served, &counts)) return false;
  size_t in = counts.of[SERVED_INPUT], out = counts.of[SERVED_OUTPUT];
  if (in > MOST_ENDS || out > MOST_ENDS || !out)
    return !convert_fail(t->c, SDX_INVALID_MODEL, "signature", NULL, "it has %zu inputs and %zu outputs", in, out);
  io->in = arena_array(t->c->memory, in + 1, sizeof *io->in);
  io->out = arena_array(t->c->memory, out + 1, sizeof *io->out);
  if (!io->in || !io->out) return !convert_no_memory(t->c);
  while (wire_next(&body, &tf_proto_served, &f)) {
    if (f.slot == SERVED_INPUT && !read_end(t, f.body, &io->in[io->in_count++])) return false;
    if (f.slot == SERVED_OUTPUT && !read_end(t, f.body, &io->out[io->out_count++])) return false;
  }
  sort(io->in_count, io->in);
  sort(io->out_count, io->out);
  return true;
}

static size_t list_signatures(tf *t, wire meta, signature *list) {
  wire_counts counts;
  wire_field f, g;
  size_t count = 0;
  while (count < MOST_SIGNATURES && wire_next(&meta, &tf_proto_meta, &f)) {
    if (f.slot != META_SERVED || !tf_open(t, f.body, &tf_proto_entry, &counts)) continue;
    signature one = {0};
    while (wire_next(&f.body, &tf_proto_entry, &g)) {
      if (g.slot == ENTRY_KEY) one.key = wire_str(&g);
      else one.body = g.body;
    }
    if (one.body.file && !str_is(one.key, "__saved_model_init_op")) list[count++] = one;
  }
  return count;
}

// The one that was asked for, that is served without asking, or the only one.
static bool choose_signature(tf *t, wire meta, tf_interface *io) {
  signature all[MOST_SIGNATURES];
  size_t count = list_signatures(t, meta, all), found = count;
  const char *wanted = t->c->options->signature;
  text names = {0};
  for (size_t i = 0; i < count; i++) {
    text_put(&names, i ? ", " : "");
    text_str(&names, all[i].key);
    if (str_is(all[i].key, wanted ? wanted : "serving_default")) found = i;
  }
  if (found == count && count == 1 && !wanted) found = 0;
  bool good = found < count;
  if (!good)
    convert_fail(t->c, SDX_INVALID_ARGUMENT, "saved_model.pb",
                 count ? "--signature NAME chooses one" : "export it with a signature",
                 wanted ? "there is no signature '%s' among: %s" : "which of its signatures is meant? %s%s",
                 wanted ? wanted : "", names.at ? names.at : "none");
  text_deinit(&names);
  if (good && count > 1 && !wanted)
    convert_note(t->c, "of %zu signatures '%.*s' is converted; --signature takes another", count,
                 STR_ARG(all[found].key));
  return good && read_signature(t, all[found].body, io);
}

// ---- assets -----------------------------------------------------------------------------------------

static bool read_asset(tf *t, wire message, tf_asset *asset) {
  wire_counts counts;
  wire_field f, g;
  if (!tf_open(t, message, &tf_proto_asset, &counts)) return false;
  while (wire_next(&message, &tf_proto_asset, &f)) {
    if (f.slot == ASSET_FILE) {
      asset->file = wire_str(&f);
    } else {
      if (!tf_open(t, f.body, &tf_proto_info, &counts)) return false;
      while (wire_next(&f.body, &tf_proto_info, &g))
        if (g.slot == INFO_NAME) asset->value = wire_str(&g);
    }
  }
  return true;
}

static bool read_graph_and_assets(tf *t, wire meta) {
  wire_counts counts;
  wire_field f;
  bool found = false;
  if (!tf_open(t, meta, &tf_proto_meta, &counts)) return false;
  tf_asset *assets = arena_array(t->c->memory, counts.of[META_ASSET] + 1, sizeof *assets);
  if (!assets) return !convert_no_memory(t->c);
  while (wire_next(&meta, &tf_proto_meta, &f)) {
    if (f.slot == META_GRAPH) {
      found = true;
      if (!tf_read_graph(t, f.body)) return false;
    }
    if (f.slot == META_ASSET && !read_asset(t, f.body, &assets[t->asset_count++])) return false;
  }
  t->assets = assets;
  return found || !convert_fail(t->c, SDX_INVALID_MODEL, "saved_model.pb", NULL, "it has no graph");
}

bool tf_open_saved_model(tf *t, tf_interface *io) {
  wire saved, meta = {0};
  struct stat info;
  if (!load(t, &saved) || !choose_graph(t, saved, &meta) || !read_graph_and_assets(t, meta) ||
      !choose_signature(t, meta, io))
    return false;
  char *prefix = arena_format(t->c->memory, "%s/variables/variables", t->folder);
  char *index = arena_format(t->c->memory, "%s/variables/variables.index", t->folder);
  if (!prefix || !index) return !convert_no_memory(t->c);
  return stat(index, &info) || tf_bundle_open(t, prefix);  // a model may have none
}

// A MetaGraph that a Saver left beside its checkpoint: PREFIX.meta.
bool tf_open_meta_graph(tf *t) {
  source *s = t->c->source;
  if (source_load(s, NULL, NULL, t->c->f)) return false;
  char *prefix = arena_format(t->c->memory, "%.*s", (int)(strlen(s->path) - strlen(".meta")), s->path);
  str version = {0};
  wire meta = wire_of(s->bytes, (size_t)s->size);
  if (!prefix) return !convert_no_memory(t->c);
  if (!read_graph_and_assets(t, meta)) return false;
  serves(t, meta, &version);
  convert_made_by(t->c, "TensorFlow%s%.*s", version.size ? " " : "", STR_ARG(version));
  return tf_bundle_open(t, prefix);
}
