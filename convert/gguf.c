// SPDX-License-Identifier: Apache-2.0
// GGUF: a header of typed metadata and a table of tensors, then their bytes. Only the header is read; tensors are when
// the model is written. What is made of them: llama.h.
#include <math.h>

#include "base/half.h"
#include "base/size.h"
#include "convert/llama.h"

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64, TYPES };
static const size_t type_bytes[TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

typedef struct entry {
  str key;
  uint32_t type, element;  // element: of an array
  uint64_t at, count;      // of the first value; 1 unless it is an array
} entry;

typedef struct gguf {
  conversion *c;
  uint64_t at;
  size_t entry_count;
  entry *entries;
  weights weights;
  const char *architecture;
} gguf;

// ---- reading ------------------------------------------------------------------------------------------

static bool fail(gguf *g, const char *what) {
  const char *place = arena_format(g->c->memory, "byte %llu", (unsigned long long)g->at);
  return !convert_fail(g->c, SDX_INVALID_MODEL, place, "is the file cut short?", "%s", what);
}

static bool have(gguf *g, uint64_t bytes) {
  const source *s = g->c->source;
  if (bytes > s->size - g->at) return fail(g, "the header reaches past the end of the file");
  if (g->at + bytes <= s->loaded || !source_load_head(g->c->source, g->at + bytes, g->c->f)) return true;
  return !convert_fail(g->c, g->c->f->status, NULL, NULL, "%s", g->c->f->message);
}

// The little-endian number at a place that is loaded.
static uint64_t peek(const gguf *g, uint64_t at, size_t bytes) {
  uint64_t n = 0;
  for (size_t i = 0; i < bytes; i++) n |= (uint64_t)(unsigned char)g->c->source->bytes[at + i] << 8 * i;
  return n;
}

static bool take(gguf *g, size_t bytes, uint64_t *n) {
  if (!have(g, bytes)) return false;
  *n = peek(g, g->at, bytes);
  g->at += bytes;
  return true;
}

static bool take_string(gguf *g, str *s) {
  uint64_t size;
  if (!take(g, 8, &size) || !have(g, size)) return false;
  *s = (str){g->c->source->bytes + g->at, (size_t)size};
  g->at += size;
  return true;
}

static bool skip_values(gguf *g, uint32_t type, uint64_t count) {
  str text;
  size_t bytes;
  if (type != STRING) {
    if (!size_mul((size_t)count, type_bytes[type], &bytes)) return fail(g, "a list reaches past the end of the file");
    return have(g, bytes) && (g->at += bytes, true);
  }
  for (uint64_t i = 0; i < count; i++)
    if (!take_string(g, &text)) return false;
  return true;
}

static bool take_entry(gguf *g, entry *e) {
  uint64_t type, element = 0;
  *e = (entry){.count = 1};
  if (!take_string(g, &e->key) || !take(g, 4, &type)) return false;
  if (type == ARRAY && (!take(g, 4, &element) || !take(g, 8, &e->count))) return false;
  if (type >= TYPES || element >= TYPES || element == ARRAY) return fail(g, "metadata of an unknown type");
  e->type = (uint32_t)type, e->element = (uint32_t)element;
  e->at = g->at;
  return skip_values(g, type == ARRAY ? e->element : e->type, e->count);
}

static bool take_tensor(gguf *g, weight *w, uint64_t *offset) {
  uint64_t rank, dims[WEIGHT_RANK] = {0}, type;
  *w = (weight){0};
  if (!take_string(g, &w->name) || !take(g, 4, &rank)) return false;
  if (rank > WEIGHT_RANK) return fail(g, "a tensor has more than 8 dimensions");
  for (size_t i = 0; i < rank; i++) {
    if (!take(g, 8, &dims[i])) return false;
    if (dims[i] > INT64_MAX) return fail(g, "a dimension has no sense");
  }
  for (size_t i = 0; i < rank; i++) w->shape[i] = (int64_t)dims[rank - 1 - i];
  w->rank = (size_t)rank;
  if (!take(g, 4, &type) || !take(g, 8, offset)) return false;
  if (!(w->type = weight_type_ggml(type)))
    return !convert_fail(g->c, SDX_NOT_SUPPORTED, NULL, NULL,
                         "weight '%.*s' is of ggml's type %llu, which is not known", STR_ARG(w->name),
                         (unsigned long long)type);
  return true;
}

// ---- metadata -----------------------------------------------------------------------------------------

static const entry *find(const gguf *g, const char *key) {
  for (size_t i = 0; i < g->entry_count; i++)
    if (str_is(g->entries[i].key, key)) return &g->entries[i];
  return NULL;
}

static double number_at(const gguf *g, uint32_t type, uint64_t at) {
  uint64_t bits = peek(g, at, type_bytes[type]);
  double wide;
  switch (type) {
    case I8:
      return (int8_t)bits;
    case I16:
      return (int16_t)bits;
    case I32:
      return (int32_t)bits;
    case I64:
      return (double)(int64_t)bits;
    case F32:
      return (double)float_from_bits((uint32_t)bits);
    case F64:
      memcpy(&wide, &bits, sizeof wide);
      return wide;
    default:
      return (double)bits;
  }
}

// Of "architecture.key"; of a list its first.
static double number_of(const gguf *g, const char *key, double missing) {
  const entry *e = find(g, arena_format(g->c->memory, "%s.%s", g->architecture, key) ?: "");
  uint32_t type = e ? e->type == ARRAY ? e->element : e->type : STRING;
  return !e || type == STRING || !e->count ? missing : number_at(g, type, e->at);
}

static int64_t integer_of(const gguf *g, const char *key, int64_t missing) {
  double n = number_of(g, key, (double)missing);
  return n >= -1e15 && n <= 1e15 ? (int64_t)n : -1;
}

static str text_at(const gguf *g, uint64_t at) { return (str){g->c->source->bytes + at + 8, (size_t)peek(g, at, 8)}; }

static const char *text_of(const gguf *g, const char *key) {
  const entry *e = find(g, key);
  const char *text = e && e->type == STRING ? str_to_c(g->c->memory, text_at(g, e->at)) : "";
  return text ? text : "";
}

static void put_value(const gguf *g, text *t, uint32_t type, uint64_t at) {
  if (type == STRING) text_json_string(t, text_at(g, at));
  else if (type == BOOL) text_put(t, peek(g, at, 1) ? "true" : "false");
  else if (type == F32) text_json_f32(t, (float)number_at(g, type, at));
  else if (type == F64) text_json_f64(t, number_at(g, type, at));
  else if (type == I8 || type == I16 || type == I32) text_json_i64(t, (int64_t)number_at(g, type, at));
  else if (type == I64) text_json_i64(t, (int64_t)peek(g, at, 8));
  else text_json_u64(t, peek(g, at, type_bytes[type]));
}

static void put_entry(const gguf *g, text *t, const entry *e) {
  if (e->type != ARRAY) {
    put_value(g, t, e->type, e->at);
    return;
  }
  text_put(t, "[");
  uint64_t at = e->at;
  for (uint64_t i = 0; i < e->count; i++) {
    if (i) text_put(t, ",");
    put_value(g, t, e->element, at);
    at += e->element == STRING ? 8 + text_at(g, at).size : type_bytes[e->element];
  }
  text_put(t, "]");
}

// ---- the file -----------------------------------------------------------------------------------------

static bool read_entries(gguf *g, uint64_t count) {
  enum { LEAST_BYTES = 13 };
  if (count > g->c->source->size / LEAST_BYTES) return fail(g, "more metadata than the file has room for");
  g->entries = arena_array(g->c->memory, (size_t)count + 1, sizeof *g->entries);
  if (!g->entries) return !convert_no_memory(g->c);
  for (; g->entry_count < count; g->entry_count++)
    if (!take_entry(g, &g->entries[g->entry_count])) return false;
  return true;
}

static bool read_weights(gguf *g, uint64_t count) {
  enum { LEAST_BYTES = 24, ALIGNMENT = 32 };
  const source *s = g->c->source;
  uint64_t *offsets =
      count <= s->size / LEAST_BYTES ? arena_array(g->c->memory, (size_t)count + 1, sizeof *offsets) : NULL;
  weight *all = offsets ? arena_array(g->c->memory, (size_t)count + 1, sizeof *all) : NULL;
  const entry *e = find(g, "general.alignment");
  uint64_t step = e && e->type == U32 ? peek(g, e->at, 4) : ALIGNMENT;
  if (count > s->size / LEAST_BYTES) return fail(g, "more tensors than the file has room for");
  if (!all || !weights_init(&g->weights, g->c, (size_t)count)) return !convert_no_memory(g->c);
  if (!step || step > INT32_MAX) return fail(g, "general.alignment has no sense");
  for (size_t i = 0; i < count; i++)
    if (!take_tensor(g, &all[i], &offsets[i])) return false;
  uint64_t begin = (g->at + step - 1) / step * step;
  for (size_t i = 0; i < count; i++) {
    bool inside = begin <= s->size && offsets[i] <= s->size - begin;
    uint64_t at = inside ? begin + offsets[i] : s->size;
    all[i].data = s->file < 0 ? (node_data){.bytes = s->bytes + at} : (node_data){.file = s->file, .offset = at};
    if (!weights_add(&g->weights, all[i], all[i].name, s->size - at)) return false;
  }
  return true;
}

static bool read_file(gguf *g, conversion *c) {
  uint64_t magic, version, tensors, entries;
  *g = (gguf){.c = c};
  if (!take(g, 4, &magic) || !take(g, 4, &version)) return false;
  if (magic != 0x46554747) return fail(g, "this is no GGUF file");
  if (version != 2 && version != 3)
    return !convert_fail(c, SDX_NOT_SUPPORTED, NULL, "llama.cpp's gguf_convert_endian.py or a newer file",
                         "version %llu of GGUF, expected 2 or 3 in little endian", (unsigned long long)version);
  if (!take(g, 8, &tensors) || !take(g, 8, &entries)) return false;
  if (!read_entries(g, entries) || !read_weights(g, tensors)) return false;
  g->architecture = text_of(g, "general.architecture");
  const char *name = text_of(g, "general.name");
  convert_made_by(c, "GGUF %llu, %s%s%s", (unsigned long long)version, *g->architecture ? g->architecture : "weights",
                  *name ? ", " : "", name);
  return true;
}

static sdx_status list(conversion *c, text *json) {
  gguf g;
  if (!read_file(&g, c)) return c->f->status;
  text_put(json, "\"metadata\":{");
  for (size_t i = 0; i < g.entry_count; i++) {
    if (i) text_put(json, ",");
    text_json_string(json, g.entries[i].key);
    text_put(json, ":");
    put_entry(&g, json, &g.entries[i]);
  }
  text_put(json, "},");
  weights_list(&g.weights, json);
  return SDX_OK;
}

// ---- the model ----------------------------------------------------------------------------------------

// All that the file says, tokenizer included; texts as they are, the rest as JSON.
static void keep_metadata(const gguf *g) {
  for (size_t i = 0; i < g->entry_count; i++) {
    const entry *e = &g->entries[i];
    const char *key = str_to_c(g->c->memory, e->key);
    text t = {0};
    if (e->type == STRING) text_str(&t, text_at(g, e->at));
    else put_entry(g, &t, e);
    if (!key || t.failed) convert_no_memory(g->c);
    else sdx_builder_add_metadata(g->c->builder, key, t.at ? t.at : "");
    text_deinit(&t);
  }
}

static const float *divisors(gguf *g, const char *name, int64_t rotary) {
  size_t count;
  const weight *w = weights_find(&g->weights, str_from(name));
  const float *all = w && weight_convertible(g->c, w) ? weight_numbers(g->c, w, &count) : NULL;
  if (!all || (int64_t)count == rotary / 2) return all;
  convert_fail(g->c, SDX_INVALID_MODEL, name, NULL, "has %zu numbers, expected %lld", count, (long long)rotary / 2);
  return NULL;
}

static void set_rope(gguf *g, llama *l) {
  const char *key = arena_format(g->c->memory, "%s.rope.scaling.type", g->architecture);
  const char *type = text_of(g, key ? key : "");
  llama_rope *r = &l->rope;
  *r = (llama_rope){.base = number_of(g, "rope.freq_base", 10000),
                    .stretch = number_of(g, "rope.scaling.factor", number_of(g, "rope.scale_linear", 1)),
                    .yarn = !strcmp(type, "yarn"),
                    .fast = number_of(g, "rope.scaling.yarn_beta_fast", 32),
                    .slow = number_of(g, "rope.scaling.yarn_beta_slow", 1),
                    .original = number_of(g, "rope.scaling.original_context_length", (double)l->context),
                    .amplitude = number_of(g, "rope.scaling.attn_factor", 1)};
  if (!strcmp(type, "none") || !strcmp(type, "longrope") || !(r->stretch > 0)) r->stretch = 1;
  if (r->yarn) r->amplitude *= 1 + 0.1 * log(r->stretch);
  r->divisors = divisors(g, "rope_freqs.weight", l->rotary);
  if (weights_find(&g->weights, STR("rope_factors_long.weight"))) {
    bool longer = (double)l->context > r->original;
    r->divisors = divisors(g, longer ? "rope_factors_long.weight" : "rope_factors_short.weight", l->rotary);
    convert_note(g->c, "frequencies are those for %s texts, as for the model's context of %lld",
                 longer ? "long" : "short", (long long)l->context);
  }
  l->local = (llama_rope){.base = number_of(g, "rope.freq_base_swa", 10000), .stretch = 1, .amplitude = 1};
  if (strcmp(l->family->name, "gemma3") != 0) l->local = *r;
}

static void describe(gguf *g, llama *l, int64_t heads) {
  int64_t width = integer_of(g, "embedding_length", 0), each = heads > 0 ? width / heads : 0;
  *l = (llama){.c = g->c,
               .weights = &g->weights,
               .family = l->family,
               .interleaved = l->family->interleaved,
               .layers = integer_of(g, "block_count", 0),
               .width = width,
               .heads = heads,
               .kv_heads = integer_of(g, "attention.head_count_kv", heads),
               .head = integer_of(g, "attention.key_length", each),
               .inner = integer_of(g, "feed_forward_length", 0),
               .context = integer_of(g, "context_length", 0),
               .window = integer_of(g, "attention.sliding_window", 0),
               .window_every = l->family->window_every,
               .epsilon = number_of(g, "attention.layer_norm_rms_epsilon", 1e-5),
               .softcap = number_of(g, "attn_logit_softcapping", 0),
               .final_softcap = number_of(g, "final_logit_softcapping", 0)};
  l->rotary = integer_of(g, "rope.dimension_count", l->head);
  // The largest of the family are scaled by what a head would be wide without a width of its own.
  bool largest = (!strcmp(l->family->name, "gemma2") && l->layers == 46) ||
                 (!strcmp(l->family->name, "gemma3") && l->layers == 62);
  l->scale = 1 / sqrt((double)(largest ? each : l->head));
}

// What the numbers say that no decoder of ours has.
static void refuse(gguf *g, const llama *l) {
  static const char *const lists[] = {"attention.head_count", "attention.head_count_kv", "feed_forward_length"};
  if (number_of(g, "expert_count", 0) > 0)
    convert_fail(g->c, SDX_NOT_SUPPORTED, "expert_count", NULL, "mixtures of experts are not converted");
  if (integer_of(g, "attention.value_length", l->head) != l->head)
    convert_fail(g->c, SDX_NOT_SUPPORTED, "attention.value_length", NULL, "values are not as wide as keys");
  for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
    const char *key = arena_format(g->c->memory, "%s.%s", g->architecture, lists[k]);
    const entry *e = find(g, key ? key : "");
    if (!e || e->type != ARRAY || e->element == STRING) continue;
    for (uint64_t i = 1; i < e->count; i++)
      if (number_at(g, e->element, e->at + i * type_bytes[e->element]) != number_at(g, e->element, e->at)) {
        convert_fail(g->c, SDX_NOT_SUPPORTED, key, NULL, "layer %llu differs from the first", (unsigned long long)i);
        break;
      }
  }
}

static sdx_status convert(conversion *c) {
  gguf g;
  llama l = {0};
  if (!read_file(&g, c)) return c->f->status;
  const entry *parts = find(&g, "split.count");
  if (parts && parts->type == U16 && peek(&g, parts->at, 2) > 1)
    return convert_fail(c, SDX_NOT_SUPPORTED, "split.count", "llama-gguf-split --merge makes one file of them",
                        "the model is in %d files", (int)peek(&g, parts->at, 2));
  l.family = llama_family_of(str_from(g.architecture));
  if (!l.family)
    return convert_fail(c, SDX_NOT_SUPPORTED, "general.architecture",
                        "'sardonyx inspect' lists its weights; llama.cpp runs it",
                        "nets of '%s' are not converted; these are: %s", g.architecture, llama_families(c->memory));
  describe(&g, &l, integer_of(&g, "attention.head_count", 0));
  refuse(&g, &l);
  if (convert_failed(c)) return c->f->status;
  if (l.rotary >= 2) set_rope(&g, &l);
  keep_metadata(&g);
  sdx_builder_describe(c->builder, "graph_name", g.architecture);
  return llama_build(&l);
}

CONVERT_FORMAT(gguf) = {
    .name = "gguf",
    .title = "GGUF",
    .files = "decoders of the LLaMA family in F32, F16, BF16, Q2_K to Q6_K, Q4_0 to Q8_0, IQ4_NL (.gguf)",
    .kinds = CONVERT_KINDS("gguf"),
    .convert = convert,
    .list = list,
};
