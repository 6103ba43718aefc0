// SPDX-License-Identifier: Apache-2.0
// safetensors: eight bytes with a length, a JSON table of what lies where, the bytes. A file, or the folder of a model:
// config.json beside model.safetensors or its parts. Decoders of the LLaMA family become models (llama.h); of others
// the weights can be listed.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "convert/llama_config.h"
#include "support/files.h"

enum { MOST_HEADER = 100 << 20, MOST_PARTS = 10000, MOST_INDEX = 100 << 20 };

typedef struct part {
  source *file;
  uint64_t header;  // bytes of the table
} part;

typedef struct safetensors {
  conversion *c;
  const char *folder;
  size_t part_count;
  part *parts;
  bool behind_norms;  // norms behind the blocks, too, which changes what names mean
  weights weights;
  text metadata;  // as JSON, without braces
} safetensors;

static bool fail(safetensors *s, const char *place, const char *message) {
  return !convert_fail(s->c, SDX_INVALID_MODEL, place, "is the file cut short?", "%s", message);
}

// ---- names ----------------------------------------------------------------------------------------------

static const char *const names[][2] = {
    {"model.embed_tokens.", "token_embd."}, {"model.norm.", "output_norm."}, {"lm_head.", "output."}};
static const char *const layer_names[][2] = {{"input_layernorm.", "attn_norm."},
                                             {"self_attn.q_proj.", "attn_q."},
                                             {"self_attn.k_proj.", "attn_k."},
                                             {"self_attn.v_proj.", "attn_v."},
                                             {"self_attn.qkv_proj.", "attn_qkv."},
                                             {"self_attn.o_proj.", "attn_output."},
                                             {"self_attn.q_norm.", "attn_q_norm."},
                                             {"self_attn.k_norm.", "attn_k_norm."},
                                             {"pre_feedforward_layernorm.", "ffn_norm."},
                                             {"post_feedforward_layernorm.", "post_ffw_norm."},
                                             {"mlp.gate_proj.", "ffn_gate."},
                                             {"mlp.up_proj.", "ffn_up."},
                                             {"mlp.gate_up_proj.", "ffn_up."},
                                             {"mlp.down_proj.", "ffn_down."}};

static bool begins(str s, const char *with) { return s.size >= strlen(with) && !memcmp(s.at, with, strlen(with)); }

// The name that llama.h has for it; its own where there is none.
static str key_of(const safetensors *s, str name) {
  static const char layers[] = "model.layers.";
  arena *memory = s->c->memory;
  const char *key = NULL;
  str rest = name;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (begins(name, names[i][0])) {
      size_t n = strlen(names[i][0]);
      key = arena_format(memory, "%s%.*s", names[i][1], (int)(name.size - n), name.at + n);
    }
  if (key || !begins(name, layers)) return key ? str_from(key) : name;
  rest = (str){name.at + sizeof layers - 1, name.size - sizeof layers + 1};
  const char *dot = memchr(rest.at, '.', rest.size);
  if (!dot) return name;
  str number = {rest.at, (size_t)(dot - rest.at)};
  rest = (str){dot + 1, rest.size - number.size - 1};
  if (begins(rest, "post_attention_layernorm."))
    key = arena_format(memory, "blk.%.*s.%s.weight", STR_ARG(number),
                       s->behind_norms ? "post_attention_norm" : "ffn_norm");
  for (size_t i = 0; i < sizeof layer_names / sizeof *layer_names; i++) {
    size_t n = strlen(layer_names[i][0]);
    if (begins(rest, layer_names[i][0]))
      key = arena_format(memory, "blk.%.*s.%s%.*s", STR_ARG(number), layer_names[i][1], (int)(rest.size - n),
                         rest.at + n);
  }
  return key ? str_from(key) : name;
}

// ---- a table ----------------------------------------------------------------------------------------------

static bool read_shape(json *j, weight *w) {
  if (!json_open(j, '[', "a shape")) return false;
  for (bool first = true; json_more(j, '[', &first);) {
    if (w->rank == WEIGHT_RANK) return json_fail_at(j, "more than %d dimensions", WEIGHT_RANK);
    if (!json_i64(j, &w->shape[w->rank++], "a dimension")) return false;
  }
  return !j->failed;
}

static bool read_offsets(json *j, int64_t ends[2]) {
  size_t n = 0;
  if (!json_open(j, '[', "data_offsets")) return false;
  for (bool first = true; json_more(j, '[', &first);)
    if (n == 2) return json_fail_at(j, "more than two offsets");
    else if (!json_i64(j, &ends[n++], "an offset")) return false;
  return !j->failed && (n == 2 || json_fail_at(j, "an offset is missing"));
}

static bool read_weight(safetensors *s, json *j, const part *p, str name) {
  weight w = {.name = name};
  str key, type = {"", 0};
  int64_t ends[2] = {0, 0};
  if (!json_open(j, '{', "a tensor")) return false;
  for (bool first = true; json_more(j, '{', &first);) {
    if (!json_key(j, &key)) return false;
    bool good = str_is(key, "dtype")          ? json_string_read(j, &type, "dtype")
                : str_is(key, "shape")        ? read_shape(j, &w)
                : str_is(key, "data_offsets") ? read_offsets(j, ends)
                                              : json_skip(j);
    if (!good) return false;
  }
  if (j->failed) return false;
  if (!(w.type = weight_type_named(type))) return json_fail_at(j, "type '%.*s' is not known", STR_ARG(type));
  uint64_t begin = 8 + p->header, room = p->file->size - begin;
  if (ends[0] < 0 || ends[1] < ends[0] || (uint64_t)ends[1] > room)
    return json_fail_at(j, "'%.*s' reaches past the end of the file", STR_ARG(name));
  uint64_t at = begin + (uint64_t)ends[0];
  w.data =
      p->file->file < 0 ? (node_data){.bytes = p->file->bytes + at} : (node_data){.file = p->file->file, .offset = at};
  return weights_add(&s->weights, w, key_of(s, name), (uint64_t)(ends[1] - ends[0]));
}

static bool read_metadata(safetensors *s, json *j) {
  str key, value;
  if (!json_open(j, '{', "__metadata__")) return false;
  for (bool first = true; json_more(j, '{', &first);) {
    if (!json_key(j, &key) || !json_string_read(j, &value, "metadata")) return false;
    if (s->metadata.size) text_put(&s->metadata, ",");
    text_json_string(&s->metadata, key);
    text_put(&s->metadata, ":");
    text_json_string(&s->metadata, value);
  }
  return !j->failed;
}

static bool read_table(safetensors *s, const part *p) {
  enum { DEPTH = 8 };
  json j;
  str name;
  json_init(&j, p->file->bytes + 8, (size_t)p->header, DEPTH, SIZE_MAX);
  if (json_open(&j, '{', "the table of tensors"))
    for (bool first = true; json_more(&j, '{', &first);)
      if (!json_key(&j, &name) || !(str_is(name, "__metadata__") ? read_metadata(s, &j) : read_weight(s, &j, p, name)))
        break;
  if (j.failed) return fail(s, p->file->path, j.message);
  return !convert_failed(s->c);
}

// ---- files ------------------------------------------------------------------------------------------------

static bool load_head(safetensors *s, part *p) {
  fault *f = s->c->f;
  if (source_load_head(p->file, 8, f)) return !convert_fail(s->c, f->status, NULL, NULL, "%s", f->message);
  if (p->file->size < 8) return fail(s, p->file->path, "the file is too short for a table");
  for (size_t i = 0; i < 8; i++) p->header |= (uint64_t)(unsigned char)p->file->bytes[i] << 8 * i;
  if (p->header > p->file->size - 8 || p->header > MOST_HEADER)
    return fail(s, p->file->path, "the table reaches past the end of the file");
  if (source_load_head(p->file, 8 + p->header, f)) return !convert_fail(s->c, f->status, NULL, NULL, "%s", f->message);
  return true;
}

static void close_part(void *context) { source_close(context); }

static bool open_part(safetensors *s, str name) {
  conversion *c = s->c;
  const char *path = arena_format(c->memory, "%s/%.*s", s->folder, (int)name.size, name.at);
  part *p = &s->parts[s->part_count];
  fault f = {0};
  if (!path) return !convert_no_memory(c);
  if (source_open(path, &p->file, &f)) return !convert_fail(c, f.status, NULL, NULL, "%s", f.message);
  if (!convert_at_end(c, close_part, p->file)) {
    source_close(p->file);
    return !convert_no_memory(c);
  }
  s->part_count++;
  return load_head(s, p);
}

// The files that an index names: {"weight_map": {"model.norm.weight": "model-00002-of-00003.safetensors", ...}}
static bool open_parts(safetensors *s, str index) {
  enum { DEPTH = 8 };
  json j;
  str key, file;
  str_map seen;
  str_map_init(&seen, s->c->memory);
  json_init(&j, (char *)index.at, index.size, DEPTH, SIZE_MAX);
  json_open(&j, '{', "an index");
  for (bool first = true; json_more(&j, '{', &first) && json_key(&j, &key);) {
    if (!str_is(key, "weight_map")) {
      json_skip(&j);
      continue;
    }
    json_open(&j, '{', "weight_map");
    for (bool one = true; json_more(&j, '{', &one) && json_key(&j, &key) && json_string_read(&j, &file, "a file");) {
      if (str_map_find(&seen, file, &(uint32_t){0})) continue;
      if (memchr(file.at, '/', file.size) || memchr(file.at, 0, file.size) || seen.count == MOST_PARTS)
        return !convert_fail(s->c, SDX_INVALID_MODEL, "model.safetensors.index.json", NULL,
                             "'%.*s' is no file of this folder, or one too many", STR_ARG(file));
      if (!str_map_put(&seen, file, 0)) return !convert_no_memory(s->c);
      if (!open_part(s, file)) return false;
    }
  }
  return !j.failed || fail(s, "model.safetensors.index.json", j.message);
}

static bool is_there(const char *folder, const char *name) {
  char *path = path_format("%s/%s", folder, name);
  bool there = path && !access(path, R_OK);
  free(path);
  return there;
}

static const char *folder_of(const conversion *c) {
  const char *path = c->source->path, *slash = strrchr(path, '/');
  return c->source->folder ? path : slash ? arena_format(c->memory, "%.*s", (int)(slash - path), path) : ".";
}

static bool open_files(safetensors *s) {
  conversion *c = s->c;
  str index;
  s->parts = arena_array(c->memory, MOST_PARTS + 1, sizeof *s->parts);
  if (!s->parts || !(s->folder = folder_of(c))) return !convert_no_memory(c);
  if (!c->source->folder) {
    s->parts[s->part_count++].file = c->source;
    return load_head(s, s->parts);
  }
  if (is_there(s->folder, "model.safetensors")) return open_part(s, STR("model.safetensors"));
  const char *path = arena_format(c->memory, "%s/model.safetensors.index.json", s->folder);
  if (!path) return !convert_no_memory(c);
  return !convert_read(c, AT_FDCWD, path, MOST_INDEX, &index) && open_parts(s, index);
}

static bool read_files(safetensors *s) {
  enum { LEAST_BYTES = 40 };  // of a tensor in the table
  size_t room = 0;
  if (!open_files(s)) return false;
  for (size_t i = 0; i < s->part_count; i++) room += (size_t)s->parts[i].header / LEAST_BYTES + 1;
  if (!weights_init(&s->weights, s->c, room)) return false;
  for (size_t i = 0; i < s->part_count; i++)
    if (!read_table(s, &s->parts[i])) return false;
  return !s->metadata.failed || !convert_no_memory(s->c);
}

static bool recognise(const source *s) {
  return s->folder && is_there(s->path, "config.json") &&
         (is_there(s->path, "model.safetensors") || is_there(s->path, "model.safetensors.index.json"));
}

static char *beside(const source *s, arena *memory) {
  const char *slash = strrchr(s->path, '/');
  if (s->folder) return NULL;
  return arena_format(memory, "%.*sconfig.json", slash ? (int)(slash - s->path + 1) : 0, s->path);
}

static sdx_status list(conversion *c, text *to) {
  safetensors s = {.c = c};
  bool good = read_files(&s);
  convert_made_by(c, "safetensors");
  text_put(to, "\"metadata\":{");
  if (good) text_append(to, s.metadata.at ? s.metadata.at : "", s.metadata.size);
  text_put(to, "},");
  if (good) weights_list(&s.weights, to);
  text_deinit(&s.metadata);
  return c->f->status;
}

static sdx_status build(safetensors *s) {
  conversion *c = s->c;
  llama l = {.c = c, .weights = &s->weights};
  str config = {"", 0};
  const char *path = arena_format(c->memory, "%s/config.json", s->folder);
  if (!path) return convert_no_memory(c);
  if (!c->source->folder && (!strcmp(c->source->path, "(bytes)") || !is_there(s->folder, "config.json"))) {
    if (!read_files(s)) return c->f->status;
    return convert_fail(c, SDX_NOT_SUPPORTED, c->source->path,
                        "give the folder that has the model's config.json; 'sardonyx inspect' lists the weights",
                        "weights alone do not say what is computed with them");
  }
  SDX_TRY(convert_read(c, AT_FDCWD, path, MOST_INDEX, &config));
  SDX_TRY(llama_configure(&l, config));
  s->behind_norms = l.behind_norms;
  convert_made_by(c, "safetensors, %s", l.family->name);
  if (!read_files(s)) return c->f->status;
  sdx_builder_add_metadata(c->builder, "config", config.at);
  sdx_builder_describe(c->builder, "graph_name", l.family->name);
  return llama_build(&l);
}

static sdx_status convert(conversion *c) {
  safetensors s = {.c = c, .folder = folder_of(c)};
  sdx_status status = s.folder ? build(&s) : convert_no_memory(c);
  text_deinit(&s.metadata);
  return status;
}

CONVERT_FORMAT(safetensors) = {
    .name = "safetensors",
    .title = "safetensors",
    .files = "decoders of the LLaMA family: model.safetensors, or its parts, beside config.json (the folder)",
    .kinds = CONVERT_KINDS("safetensors"),
    .recognise = recognise,
    .convert = convert,
    .list = list,
    .beside = beside,
};
