// SPDX-License-Identifier: Apache-2.0
// Loading an optimized model; see optimized.h for its parts and for what is trusted.
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cpu.h"
#include "run/optimized.h"

uint64_t optimized_head_hash(const optimized_head *h) {
  return hash_of(h->seed, h, offsetof(optimized_head, head_hash));
}

bool optimized_is(const sdx_session *s) {
  char first[sizeof OPTIMIZED_MAGIC - 1];
  if (s->size < sizeof first) return false;
  if (s->bytes) memcpy(first, s->bytes, sizeof first);
  else if (pread(s->source, first, sizeof first, 0) != sizeof first) return false;
  return memcmp(first, OPTIMIZED_MAGIC, sizeof first) == 0;
}

// ---- head -------------------------------------------------------------------------------------------

static sdx_status hinted(error *err) {
  error_hint(err, "make it again of its source: sardonyx optimize MODEL -o FILE");
  return err->status;
}

static sdx_status damaged(error *err, const char *what) {
  error_set(err, SDX_INVALID_MODEL, "the optimized model is damaged: %s", what);
  return hinted(err);
}

static sdx_status check_maker(const optimized_head *h, error *err) {
  const char *tier = cpu_isa_short_name(cpu_isa_limit());
  if (strncmp(h->library, SDX_VERSION, sizeof h->library) != 0)
    error_set(err, SDX_NOT_SUPPORTED, "the optimized model was made by version '%.24s', this is version " SDX_VERSION,
              h->library);
  else if (strncmp(h->tier, tier, sizeof h->tier) != 0)
    error_set(err, SDX_NOT_SUPPORTED,
              "the optimized model was made for kernels of '%.24s', this machine runs those of '%s'", h->tier, tier);
  else return SDX_OK;
  return hinted(err);
}

static bool part_is_inside(file_part p, size_t size) { return p.offset <= size && p.size <= size - p.offset; }

static sdx_status read_head(const sdx_session *s, optimized_head *h, error *err) {
  if (s->size < sizeof *h) return damaged(err, "it ends in its head");
  memcpy(h, s->bytes, sizeof *h);
  if (h->version != OPTIMIZED_VERSION || h->head_bytes != sizeof *h) {
    error_set(err, SDX_NOT_SUPPORTED, "the optimized model has form %u, this version reads form %d", h->version,
              OPTIMIZED_VERSION);
    return hinted(err);
  }
  if (h->head_hash != optimized_head_hash(h)) return damaged(err, "its head does not have the hash that it says");
  SDX_TRY(check_maker(h, err));
  const file_part parts[] = {h->data, h->model, h->origin, h->outputs, h->warnings, h->files, h->packs};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (!part_is_inside(parts[i], s->size))
      return damaged(err, "a part lies outside of the file, which may be cut off");
  return SDX_OK;
}

// ---- parts ------------------------------------------------------------------------------------------

// Parts in memory of our own: what was checked cannot change any more.
typedef struct parts {
  optimized_head head;
  str model, origin, outputs, warnings, files, packs;
} parts;

static sdx_status copy_part(sdx_session *s, file_part part, hash *h, str *out) {
  out->size = part.size;
  out->at = arena_copy(&s->memory, (const char *)s->bytes + part.offset, part.size);
  if (!out->at) return error_no_memory(&s->err, part.size);
  hash_add(h, out->at, out->size);
  return SDX_OK;
}

static sdx_status read_parts(sdx_session *s, parts *p) {
  hash h;
  SDX_TRY(read_head(s, &p->head, &s->err));
  hash_init(&h, p->head.seed);
  SDX_TRY(copy_part(s, p->head.model, &h, &p->model));
  SDX_TRY(copy_part(s, p->head.origin, &h, &p->origin));
  SDX_TRY(copy_part(s, p->head.outputs, &h, &p->outputs));
  SDX_TRY(copy_part(s, p->head.warnings, &h, &p->warnings));
  SDX_TRY(copy_part(s, p->head.files, &h, &p->files));
  SDX_TRY(copy_part(s, p->head.packs, &h, &p->packs));
  if (hash_end(&h) != p->head.parts_hash)
    return damaged(&s->err, "model and packs do not have the hash that the head says");
  return SDX_OK;
}

// ---- packs ------------------------------------------------------------------------------------------

typedef struct pack_place {
  pack_record record;
  tensor source;
  const char *data;
} pack_place;

// The next record of the table, checked against the data; dimensions are copied to be aligned.
static sdx_status next_pack(arena *memory, str *table, str data, pack_place *p, error *err) {
  pack_record *r = &p->record;
  if (table->size < sizeof *r) return damaged(err, "the table of packs ends in a record");
  memcpy(r, table->at, sizeof *r);
  table->at += sizeof *r, table->size -= sizeof *r;
  size_t dims_bytes = r->rank * sizeof(int64_t);
  if (r->rank > TENSOR_MAX_RANK || table->size < dims_bytes) return damaged(err, "a pack has no such dimensions");
  const int64_t *dims = arena_copy(memory, table->at, dims_bytes);
  if (!dims) return error_no_memory(err, dims_bytes);
  table->at += dims_bytes, table->size -= dims_bytes;
  if (r->dtype >= SDX_DTYPE_COUNT || tensor_init(&p->source, (sdx_dtype)r->dtype, r->rank, dims, NULL) != SDX_OK)
    return damaged(err, "a pack is of no tensor");
  if (!part_is_inside((file_part){r->source, p->source.bytes}, data.size) ||
      !part_is_inside((file_part){r->offset, r->bytes}, data.size))
    return damaged(err, "a pack or its source lies outside of the data");
  p->source.data = (void *)(data.at + r->source);
  p->data = data.at + r->offset;
  return SDX_OK;
}

static str data_of(const sdx_session *s, const optimized_head *h) {
  return (str){(const char *)s->bytes + h->data.offset, h->data.size};
}

static sdx_status add_packs(sdx_session *s, const parts *p) {
  str table = p->packs;
  pack_place place;
  while (table.size) {
    SDX_TRY(next_pack(&s->memory, &table, data_of(s, &p->head), &place, &s->err));
    const pack_record *r = &place.record;
    if ((uintptr_t)place.data % OPTIMIZED_ALIGNMENT) continue;  // bytes of a caller may lie anywhere: packed anew
    if (!pack_cache_put(&s->packs, &place.source, &r->format, place.data, r->bytes))
      return error_no_memory(&s->err, sizeof(pack));
  }
  return SDX_OK;
}

// ---- the session ------------------------------------------------------------------------------------

static sdx_status map_source(sdx_session *s) {
  if (s->bytes) return SDX_OK;
  void *map = mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, s->source, 0);
  if (map == MAP_FAILED) return session_fetch(s);
  s->bytes = map;
  s->bytes_kind = BYTES_MAPPED;
  return SDX_OK;
}

// The warnings are those of the first load: this one sees a graph that was repaired.
static sdx_status keep_warnings(sdx_session *s, str warnings) {
  text *t = &s->model->warnings;
  t->size = 0;
  if (t->at) *t->at = 0;
  text_str(t, warnings);
  return t->failed ? error_no_memory(&s->err, warnings.size) : SDX_OK;
}

static sdx_status name_outputs(sdx_session *s, str names) {
  for (uint32_t i = 0; i < s->output_count; i++) {
    const char *end = names.size ? memchr(names.at, 0, names.size) : NULL;
    if (!end) return damaged(&s->err, "it has fewer names than outputs");
    s->outputs[i].name = names.at;
    names.size -= (size_t)(end + 1 - names.at);
    names.at = end + 1;
  }
  return names.size ? damaged(&s->err, "it has more names than outputs") : SDX_OK;
}

static sdx_status read_origin(sdx_session *s, str bytes, const import_options *import) {
  const graph *main = s->model->graph;
  if (!bytes.size) return SDX_OK;
  SDX_TRY(onnx_import(bytes.at, bytes.size, import, NULL, &s->origin_model, &s->err));
  s->origin = s->origin_model->graph;
  if (s->origin->input_count != main->input_count || s->origin->output_count != main->output_count)
    return damaged(&s->err, "before and after passes it has other inputs or outputs");
  return SDX_OK;
}

sdx_status optimized_load(sdx_session *s, optimized_accept accept, void *context) {
  parts p;
  SDX_TRY(map_source(s));
  SDX_TRY(read_parts(s, &p));
  if (accept) SDX_TRY(accept(context, &p.head, p.files, &s->err));
  if (s->source >= 0) close(s->source);  // the map is enough: its pages come back by themselves
  s->source = -1;
  import_options import = session_import_options(s);
  str data = data_of(s, &p.head);
  import.region = data.at, import.region_bytes = data.size;
  import.as_prepared = true, import.spent = NULL, import.overridable = NULL;
  SDX_TRY(onnx_import(p.model.at, p.model.size, &import, NULL, &s->model, &s->err));
  SDX_TRY(read_origin(s, p.origin, &import));
  SDX_TRY(session_bind(s, NULL, 0, !accept));
  SDX_TRY(name_outputs(s, p.outputs));
  SDX_TRY(keep_warnings(s, p.warnings));
  SDX_TRY(session_list_weights(s));
  return add_packs(s, &p);
}

sdx_status optimized_verify(sdx_session *s, error *err) {
  optimized_head h;
  SDX_TRY(read_head(s, &h, err));
  str data = data_of(s, &h), table = {(const char *)s->bytes + h.packs.offset, h.packs.size};
  if (hash_of(h.seed, data.at, data.size) != h.data_hash)
    return damaged(err, "weights and packs do not have the hash that the head says");
  pack_place place;
  while (table.size) {
    SDX_TRY(next_pack(&s->memory, &table, data, &place, err));
    if (hash_of(h.seed, place.source.data, place.source.bytes) != place.record.source_hash)
      return damaged(err, "a pack is not of the weights beside it");
  }
  return SDX_OK;
}
