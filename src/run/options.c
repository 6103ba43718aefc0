// SPDX-License-Identifier: Apache-2.0
// Options by name; see options.h.
#include "run/options.h"

#include <errno.h>
#include <stdlib.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

static const struct numeric {
  const char *name;
  size_t offset;
  int64_t otherwise, low, high;
} numerics[] = {
#define OPTION(name, otherwise, low, high, meaning) {#name, offsetof(sdx_options, name), otherwise, low, high},
#include "run/options.def"
#undef OPTION
};
enum { NUMERICS = sizeof numerics / sizeof *numerics };

static const struct {
  const char *name;
  size_t offset;
} texts[] = {{"disable_passes", offsetof(sdx_options, disable_passes)},
             {"external_data_dir", offsetof(sdx_options, external_data_dir)},
             {"cache_dir", offsetof(sdx_options, cache_dir)},
             {"overridable_initializers", offsetof(sdx_options, overridable_initializers)}};
enum { TEXTS = sizeof texts / sizeof *texts };

static char **text_at(sdx_options *o, size_t i) { return (char **)((char *)o + texts[i].offset); }

static const char *const precisions[] = {"highest", "high", "medium", NULL};
static const char *const levels[] = {"none", "basic", "all", NULL};

const char *sdx_options_list(void) {
  return
#define OPTION(name, otherwise, low, high, meaning) \
#name "\t" TEXT(otherwise) "\t" TEXT(low) ".." TEXT(high) "\t" meaning "\n"
#include "run/options.def"
#undef OPTION
      "precision\thighest\thighest, high, medium\thow exact matrix products are; highest = at least fp32 FMA\n"
      "optimize\tall\tnone, basic, all\tgraph passes\n"
      "disable_passes\t\tnames, comma-separated\tpasses to leave out\n"
      "external_data_dir\t\tfolder\twhere external data is looked for first\n"
      "cache_dir\t\tfolder\tkeeps models as prepared for this machine, so that the next load maps them\n"
      "overridable_initializers\t\tnames, comma-separated, or *\tinitializers that runs may feed others for, beside "
      "those the model lists as inputs\n"
      "provider\t\tfile, file@1\tshared library of a device that nodes are offered to; again for more; cpu is "
      "built in\n";
}

sdx_options *sdx_options_create(void) {
  sdx_options *o = mem_zalloc(NULL, sizeof *o);
  if (!o) return NULL;
  for (size_t i = 0; i < NUMERICS; i++) *(int64_t *)((char *)o + numerics[i].offset) = numerics[i].otherwise;
  o->optimize = 2;
  arena_init(&o->memory, NULL);
  return o;
}

void sdx_options_destroy(sdx_options *o) {
  if (!o) return;
  arena_deinit(&o->memory);
  mem_free(o);
}

const char *sdx_options_error(const sdx_options *o) { return o->err.message; }
char *sdx_options_error_json(const sdx_options *o) { return error_object(&o->err); }

static sdx_status set_word(sdx_options *o, const char *name, const char *value, const char *const *words, int *out) {
  for (int i = 0; words[i]; i++)
    if (strcmp(words[i], value) == 0) {
      *out = i;
      return SDX_OK;
    }
  return error_at(&o->err, at_option(name), SDX_INVALID_ARGUMENT, "is '%.60s', expected %s, %s or %s", value, words[0],
                  words[1], words[2]);
}

static sdx_status set_text(sdx_options *o, const char *value, char **out) {
  *out = str_to_c(&o->memory, str_from(value));
  return *out ? SDX_OK : error_no_memory(&o->err, strlen(value));
}

static sdx_status add_provider(sdx_options *o, const char *path) {
  size_t bytes = strlen(path) + 1;
  provider_path *p = arena_alloc(&o->memory, sizeof *p + bytes), **end = &o->providers;
  if (bytes == 1) return error_at(&o->err, at_option("provider"), SDX_INVALID_ARGUMENT, "has an empty path");
  if (!p) return error_no_memory(&o->err, bytes);
  p->next = NULL;
  memcpy(p->path, path, bytes);
  while (*end) end = &(*end)->next;
  *end = p;
  return SDX_OK;
}

static sdx_status set_number(sdx_options *o, const struct numeric *n, const char *value) {
  char *end;
  errno = 0;
  long long number = strtoll(value, &end, 10);
  if (errno || end == value || *end)
    return error_at(&o->err, at_option(n->name), SDX_INVALID_ARGUMENT, "is '%.60s', expected a whole number", value);
  if (number < n->low || number > n->high)
    return error_at(&o->err, at_option(n->name), SDX_INVALID_ARGUMENT, "is %lld, expected %lld to %lld", number,
                    (long long)n->low, (long long)n->high);
  *(int64_t *)((char *)o + n->offset) = number;
  return SDX_OK;
}

sdx_status sdx_options_set(sdx_options *o, const char *name, const char *value) {
  error_clear(&o->err);
  if (!name || !value) return error_set(&o->err, SDX_INVALID_ARGUMENT, "an option needs a name and a value");
  if (strcmp(name, "precision") == 0) return set_word(o, name, value, precisions, &o->precision);
  if (strcmp(name, "optimize") == 0) return set_word(o, name, value, levels, &o->optimize);
  for (size_t i = 0; i < TEXTS; i++)
    if (strcmp(name, texts[i].name) == 0) return set_text(o, value, text_at(o, i));
  if (strcmp(name, "provider") == 0) return add_provider(o, value);
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(name));
  for (size_t i = 0; i < NUMERICS; i++) {
    if (strcmp(numerics[i].name, name) == 0) return set_number(o, &numerics[i], value);
    str_nearest_offer(&nearest, str_from(numerics[i].name));
  }
  static const char *const others[] = {"precision", "optimize", "provider"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) str_nearest_offer(&nearest, str_from(others[i]));
  for (size_t i = 0; i < TEXTS; i++) str_nearest_offer(&nearest, str_from(texts[i].name));
  char hint[128];
  error_at(&o->err, at_option(name), SDX_INVALID_ARGUMENT, "does not exist");
  error_code(&o->err, "unknown-option");
  error_hint(&o->err, "%s", str_nearest_hint(&nearest, hint, sizeof hint));
  return SDX_INVALID_ARGUMENT;
}

sdx_status sdx_options_set_dim(sdx_options *o, const char *symbol, int64_t value) {
  error_clear(&o->err);
  if (!symbol || value < 0)
    return error_at(&o->err, part_named(PART_DIMENSION, str_from(symbol)), SDX_INVALID_ARGUMENT,
                    "is %lld, expected a size", (long long)value);
  size_t bytes = strlen(symbol) + 1;
  dim_override *d = arena_alloc(&o->memory, sizeof *d + bytes);
  if (!d) return error_no_memory(&o->err, bytes);
  *d = (dim_override){.next = o->dims, .value = value};
  memcpy(d->symbol, symbol, bytes);
  o->dims = d;
  return SDX_OK;
}

sdx_status sdx_options_add_op(sdx_options *o, const sdx_custom_op *op) {
  error_clear(&o->err);
  if (op && op->size != sizeof *op)
    return error_set(
        &o->err, SDX_INVALID_ARGUMENT,
        "the custom operator's size is %zu, this library (%s) expects %zu: set it to sizeof(sdx_custom_op), "
        "and build with this library's header",
        op->size, SDX_VERSION, sizeof *op);
  if (!op || !op->name || !op->name[0] || !op->domain || !op->compute)
    return error_set(&o->err, SDX_INVALID_ARGUMENT, "a custom operator needs a domain, a name and compute");
  const op_def *built_in = op_find(str_from(op->domain), str_from(op->name));
  if (built_in && !(built_in->flags & OP_BY_CALLER))
    return error_set(&o->err, SDX_INVALID_ARGUMENT,
                     "operator %s of domain '%s' is built in; choose another name or domain", op->name, op->domain);
  sdx_custom_op *list = arena_array(&o->memory, o->op_count + 1, sizeof *list);
  if (!list) return error_no_memory(&o->err, sizeof *list);
  if (o->op_count) memcpy(list, o->ops, o->op_count * sizeof *list);
  sdx_custom_op *c = &list[o->op_count];
  *c = *op;
  c->name = str_to_c(&o->memory, str_from(op->name));
  c->domain = str_to_c(&o->memory, str_from(op->domain));
  if (!c->name || !c->domain) return error_no_memory(&o->err, strlen(op->name));
  o->ops = list;
  o->op_count++;
  return SDX_OK;
}

sdx_options *options_copy(const sdx_options *from) {
  sdx_options *o = sdx_options_create();
  if (!o || !from) return o;
  arena own = o->memory;
  *o = *from;
  o->memory = own;
  for (size_t i = 0; i < TEXTS; i++) *text_at(o, i) = NULL;
  o->dims = NULL;
  o->providers = NULL;
  o->ops = NULL;
  o->op_count = 0;
  error_clear(&o->err);
  bool ok = true;
  for (size_t i = 0; i < TEXTS && ok; i++) {
    const char *text = *text_at((sdx_options *)from, i);
    ok = !text || set_text(o, text, text_at(o, i)) == SDX_OK;
  }
  for (const dim_override *d = from->dims; d && ok; d = d->next)
    ok = sdx_options_set_dim(o, d->symbol, d->value) == SDX_OK;
  for (const provider_path *p = from->providers; p && ok; p = p->next) ok = add_provider(o, p->path) == SDX_OK;
  for (size_t i = 0; i < from->op_count && ok; i++) ok = sdx_options_add_op(o, &from->ops[i]) == SDX_OK;
  if (ok) return o;
  sdx_options_destroy(o);
  return NULL;
}
