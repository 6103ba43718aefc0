// SPDX-License-Identifier: Apache-2.0
// Writing an optimized model; see optimized.h. Constants go to the file first, then the plan is made, which packs them
// and lets go of the originals: neither the weights nor the model are in memory twice.
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/cpu.h"
#include "base/file_out.h"
#include "run/optimized.h"

// Where a constant's bytes went.
typedef struct placed {
  const void *data;
  uint64_t offset, hash;
} placed;

typedef struct writer {
  file_out file;
  optimized_head head;
  hash data_hash;
  placed *places;  // by address, once all constants are there
  size_t place_count, place_capacity, sorted_count;
  arena memory;  // constants of its own: as long as `places` has their addresses
  error *err;
} writer;

static bool put_data(writer *w, const void *bytes, size_t size) {
  hash_add(&w->data_hash, bytes, size);
  return file_out_put(&w->file, bytes, size);
}

static bool align_data(writer *w) {
  static const char zeros[OPTIMIZED_ALIGNMENT];
  return put_data(w, zeros, (size_t)(-w->file.size % OPTIMIZED_ALIGNMENT));
}

static bool put_constant(void *context, const void *bytes, size_t size) {
  writer *w = context;
  if (w->place_count == w->place_capacity) {
    size_t capacity = w->place_capacity ? 2 * w->place_capacity : 256;
    placed *more = mem_alloc(NULL, capacity * sizeof *more);
    if (!more) {
      error_no_memory(w->err, capacity * sizeof *more);
      return false;
    }
    if (w->place_count) memcpy(more, w->places, w->place_count * sizeof *more);
    mem_free(w->places);
    w->places = more, w->place_capacity = capacity;
  }
  w->places[w->place_count++] = (placed){bytes, w->file.size - OPTIMIZED_DATA_AT, hash_of(w->head.seed, bytes, size)};
  return put_data(w, bytes, size);
}

static int by_address(const void *a, const void *b) {
  const placed *x = a, *y = b;
  return x->data < y->data ? -1 : x->data > y->data;
}

static void sort_places(writer *w) {
  if (w->place_count) qsort(w->places, w->place_count, sizeof *w->places, by_address);
  w->sorted_count = w->place_count;
}

static const placed *find_place(const writer *w, const void *data) {
  return w->sorted_count ? bsearch(&(placed){.data = data}, w->places, w->sorted_count, sizeof *w->places, by_address)
                         : NULL;
}

static bool find_constant(void *context, const void *bytes, uint64_t *offset) {
  const placed *there = find_place(context, bytes);
  if (there) *offset = there->offset;
  return there != NULL;
}

static int by_source(const void *a, const void *b) {
  const pack *x = *(const pack *const *)a, *y = *(const pack *const *)b;
  if (x->source.data != y->source.data) return (uintptr_t)x->source.data < (uintptr_t)y->source.data ? -1 : 1;
  return memcmp(&x->format, &y->format, sizeof x->format);
}

static sdx_status put_packs(writer *w, const pack_cache *cache, text *records) {
  const pack **list = mem_alloc(NULL, (cache->count + 1) * sizeof *list);
  size_t count = 0;
  if (!list) return error_no_memory(w->err, cache->count * sizeof *list);
  for (size_t i = 0; i < cache->bucket_count; i++)
    for (const pack *p = cache->buckets[i]; p; p = p->next) list[count++] = p;
  if (count) qsort(list, count, sizeof *list, by_source);
  bool good = true;
  for (size_t i = 0; i < count && good; i++) {
    const pack *p = list[i];
    const placed *source = find_place(w, p->source.data);
    if (!source) continue;  // of a value that the plan made
    good = align_data(w);
    pack_record r = {.format = p->format,
                     .source = source->offset,
                     .offset = w->file.size - OPTIMIZED_DATA_AT,
                     .bytes = p->bytes,
                     .source_hash = source->hash,
                     .dtype = p->source.dtype,
                     .rank = p->source.rank};
    text_append(records, (const char *)&r, sizeof r);
    text_append(records, (const char *)p->source.dims, p->source.rank * sizeof *p->source.dims);
    good = good && put_data(w, p->data, p->bytes);
  }
  mem_free(list);
  return good ? SDX_OK : w->err->status;
}

static file_part put_part(writer *w, hash *h, const text *t) {
  file_part part = {w->file.size, t->size};
  hash_add(h, t->at, t->size);
  if (t->size) file_out_put(&w->file, t->at, t->size);
  return part;
}

// The parts that are made in memory.
typedef struct texts {
  wire_out model, origin;
  text outputs, packs;
} texts;

static sdx_status put_parts(writer *w, const sdx_session *s, const texts *t) {
  hash h;
  hash_init(&h, w->head.seed);
  w->head.data = (file_part){OPTIMIZED_DATA_AT, w->file.size - OPTIMIZED_DATA_AT};
  w->head.data_hash = hash_end(&w->data_hash);
  w->head.model = put_part(w, &h, &t->model.kept);
  w->head.origin = put_part(w, &h, &t->origin.kept);
  w->head.outputs = put_part(w, &h, &t->outputs);
  w->head.warnings = put_part(w, &h, &s->model->warnings);
  w->head.files = put_part(w, &h, &s->model->external_files);
  file_out_pad(&w->file, OPTIMIZED_ALIGNMENT);
  w->head.packs = put_part(w, &h, &t->packs);
  w->head.parts_hash = hash_end(&h);
  w->head.head_hash = optimized_head_hash(&w->head);
  if (w->err->status != SDX_OK) return w->err->status;
  if (t->model.kept.failed || t->origin.kept.failed || t->outputs.failed || t->packs.failed)
    return error_no_memory(w->err, t->model.kept.size + t->packs.size);
  if (!file_out_put_at_start(&w->file, &w->head, sizeof w->head)) return w->err->status;
  SDX_TRY(file_out_sync(&w->file));
  return file_out_publish(&w->file);
}

// Where passes put another value in an output's place, what the model declares of the output is said of that.
static sdx_status declare_outputs(sdx_session *s, error *err) {
  graph *g = s->main;
  for (uint32_t i = 0; i < s->output_count; i++) {
    const sdx_io *io = &s->outputs[i];
    graph_value *v = &g->values[g->outputs[i]];
    if (!io->has_shape || !v->producer || str_is(v->name, io->name)) continue;
    int64_t *dims = arena_array(g->memory, io->rank, sizeof *dims);
    if (!dims) return error_no_memory(err, io->rank * sizeof *dims);
    for (size_t k = 0; k < io->rank; k++)
      dims[k] = io->shape[k] >= 0 ? io->shape[k] : ~graph_symbol(g, str_from(io->symbols[k]));
    v->declared = (type_info){.kind = TYPE_TENSOR, .dtype = (uint8_t)io->dtype, .rank = (int8_t)io->rank, .dims = dims};
  }
  return SDX_OK;
}

// Constants go to the file, those that are there already do not.
static sdx_status export(writer *w, const model *m, wire_out *out) {
  export_options options = {.external = "data",
                            .external_least = 1,
                            .external_alignment = OPTIMIZED_ALIGNMENT,
                            .external_at = w->file.size - OPTIMIZED_DATA_AT,
                            .put_external = put_constant,
                            .find_external = find_constant,
                            .context = w,
                            .as_prepared = true};
  sdx_status status = onnx_export(m, &options, out);
  sort_places(w);
  return status == SDX_OK || w->err->status ? w->err->status : error_no_memory(w->err, out->size);
}

// Where an upgrade asks for the value of a default, all of them are fixed in the file.
static sdx_status export_origin(writer *w, sdx_session *s, wire_out *out) {
  error refused = {0};
  model before = *s->model;
  sdx_status status = session_bind_origin(s, &w->memory, &before.graph, &refused);
  if (status == SDX_NO_MEMORY) return error_set(w->err, status, "%s", refused.message);
  return status == SDX_OK ? export(w, &before, out) : SDX_OK;
}

static sdx_status write(writer *w, sdx_session *s, texts *t) {
  static const char nothing[OPTIMIZED_DATA_AT];
  plan *p = NULL;
  if (!file_out_put(&w->file, nothing, sizeof nothing)) return w->err->status;
  SDX_TRY(declare_outputs(s, w->err));
  if (s->origin) SDX_TRY(weights_keep(&s->weights, w->err));
  SDX_TRY(export(w, s->model, &t->model));
  if (s->origin) SDX_TRY(export_origin(w, s, &t->origin));
  for (uint32_t i = 0; i < s->output_count; i++)
    text_append(&t->outputs, s->outputs[i].name, strlen(s->outputs[i].name) + 1);
  error unplanned = {0};
  // Shapes that do not fit when free dimensions are 1 leave packs out; what lacks memory or time fails.
  sdx_status status = session_declared_plan(s, &p, &unplanned);
  if (status == SDX_NO_MEMORY || status == SDX_DEADLINE_EXCEEDED)
    return error_set(w->err, status, "%s", unplanned.message);
  if (p) session_plan_bodies(s, p);
  status = put_packs(w, &s->packs, &t->packs);
  plan_release(p);
  if (status != SDX_OK) return status;
  return put_parts(w, s, t);
}

sdx_status optimized_write(sdx_session *s, const char *path, const optimized_source *source, error *err) {
  writer w = {.err = err};
  texts t = {0};
  arena_init(&w.memory, &s->account);
  w.head = (optimized_head){.version = OPTIMIZED_VERSION, .head_bytes = sizeof w.head};
  memcpy(w.head.magic, OPTIMIZED_MAGIC, sizeof w.head.magic);
  snprintf(w.head.library, sizeof w.head.library, "%s", SDX_VERSION);
  snprintf(w.head.tier, sizeof w.head.tier, "%s", cpu_isa_short_name(cpu_isa_limit()));
  if (source) w.head.seed = source->seed, w.head.source = source->source, w.head.settings = source->settings;
  else if (getrandom(&w.head.seed, sizeof w.head.seed, 0) < 0) w.head.seed = (uint64_t)(uintptr_t)s;
  hash_init(&w.data_hash, w.head.seed);
  sdx_status status = file_out_open(&w.file, path, err);
  if (status == SDX_OK) status = write(&w, s, &t);
  file_out_deinit(&w.file);
  wire_out_deinit(&t.model);
  wire_out_deinit(&t.origin);
  text_deinit(&t.outputs);
  text_deinit(&t.packs);
  mem_free(w.places);
  arena_deinit(&w.memory);
  return status;
}

sdx_status sdx_optimize_file(const char *path, const char *target, const sdx_options *options, sdx_session **out) {
  sdx_status status = sdx_session_load_file(path, options, out);
  if (status != SDX_OK) return status;
  if (!target) return error_set(&(*out)->err, SDX_INVALID_ARGUMENT, "no file to write was given");
  return optimized_write(*out, target, NULL, &(*out)->err);
}
