// SPDX-License-Identifier: Apache-2.0
// A checkpoint as TensorFlow writes it: PREFIX.index is a sorted table (sstable.h) from names to where the tensor lies,
// PREFIX.data-00000-of-00001 and so on hold the bytes, which are read when the model is written.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "convert/sstable.h"
#include "convert/tensorflow_proto.h"
#include "support/files.h"

enum { MOST_SHARDS = 4096 };

#define BUNDLE_HEADER(F) F(HEADER_SHARDS, 1, INT, "num_shards") F(HEADER_ENDIANNESS, 2, INT, "endianness")
#define BUNDLE_ENTRY(F)               \
  F(ENTRY_DTYPE, 1, INT, "dtype")     \
  F(ENTRY_SHAPE, 2, MESSAGE, "shape") \
  F(ENTRY_SHARD, 3, INT, "shard_id")  \
  F(ENTRY_OFFSET, 4, INT, "offset")   \
  F(ENTRY_SIZE, 5, INT, "size")       \
  F(ENTRY_SLICES, 7, MESSAGE_LIST, "slices")
enum { BUNDLE_HEADER(WIRE_SLOT) };
enum { BUNDLE_ENTRY(WIRE_SLOT) };
WIRE_SCHEMA(static const, header_schema, BUNDLE_HEADER, "BundleHeaderProto")
WIRE_SCHEMA(static const, entry_schema, BUNDLE_ENTRY, "BundleEntryProto")

typedef struct shard {
  int file;
  uint64_t size;
} shard;

struct tf_bundle {
  tf *t;
  const char *prefix;
  source *index;
  str_map keys;  // to values
  wire *values;
  size_t count, capacity;
  shard *shards;  // -1: not opened yet
  size_t shard_count;
};

static bool fail(tf_bundle *b, sdx_status status, const char *hint, const char *what) {
  char place[TF_PLACE];
  snprintf(place, sizeof place, "%.200s.index", b->prefix);
  return !convert_fail(b->t->c, status, place, hint, "%s", what);
}

// ---- the index --------------------------------------------------------------------------------------

static sdx_status keep(void *context, str key, str value) {
  tf_bundle *b = context;
  arena *memory = b->t->c->memory;
  if (b->count == b->capacity) {
    size_t capacity = b->capacity ? 2 * b->capacity : 64;
    wire *more = arena_array(memory, capacity, sizeof *more);
    if (!more) return SDX_NO_MEMORY;
    if (b->count) memcpy(more, b->values, b->count * sizeof *more);
    b->values = more, b->capacity = capacity;
  }
  char *copy = str_to_c(memory, key);
  if (!copy || !str_map_put(&b->keys, (str){copy, key.size}, (uint32_t)b->count)) return SDX_NO_MEMORY;
  b->values[b->count++] = wire_of(value.at, value.size);
  return SDX_OK;
}

static bool read_index(tf_bundle *b) {
  error err = {0};
  sdx_status status = sstable_read((str){b->index->bytes, (size_t)b->index->size}, keep, b, &err);
  if (!status) return true;
  if (!err.status) return !convert_no_memory(b->t->c);
  return fail(b, status, status == SDX_NOT_SUPPORTED ? "save the checkpoint uncompressed" : NULL, err.message);
}

static bool read_header(tf_bundle *b) {
  uint32_t at;
  wire_counts counts;
  wire_field f;
  if (!str_map_find(&b->keys, STR(""), &at)) return fail(b, SDX_INVALID_MODEL, NULL, "there is no header");
  wire header = b->values[at];
  if (!tf_open(b->t, header, &header_schema, &counts)) return false;
  while (wire_next(&header, &header_schema, &f)) {
    if (f.slot == HEADER_SHARDS) b->shard_count = (size_t)f.value;
    if (f.slot == HEADER_ENDIANNESS && f.value)
      return !convert_fail(b->t->c, SDX_NOT_SUPPORTED, b->prefix, NULL, "its numbers are big endian");
  }
  if (b->shard_count < 1 || b->shard_count > MOST_SHARDS)
    return fail(b, SDX_INVALID_MODEL, NULL, "the number of shards is absurd");
  b->shards = arena_array(b->t->c->memory, b->shard_count, sizeof *b->shards);
  if (!b->shards) return !convert_no_memory(b->t->c);
  for (size_t i = 0; i < b->shard_count; i++) b->shards[i].file = -1;
  return true;
}

static void close_bundle(void *context) {
  tf_bundle *b = context;
  for (size_t i = 0; b->shards && i < b->shard_count; i++)
    if (b->shards[i].file >= 0) close(b->shards[i].file);
  source_close(b->index);
}

bool tf_bundle_open(tf *t, const char *prefix) {
  conversion *c = t->c;
  tf_bundle *b = arena_array(c->memory, 1, sizeof *b);
  char *path = arena_format(c->memory, "%s.index", prefix);
  fault f = {0};
  if (!b || !path) return !convert_no_memory(c);
  *b = (tf_bundle){.t = t, .prefix = prefix};
  str_map_init(&b->keys, c->memory);
  if (source_open(path, &b->index, &f) || source_load(b->index, NULL, NULL, &f)) {
    source_close(b->index);
    return !convert_fail(c, f.status, NULL, "variables lie beside the graph: give the whole folder", "%s", f.message);
  }
  if (!convert_at_end(c, close_bundle, b)) {
    close_bundle(b);
    return !convert_no_memory(c);
  }
  t->bundle = b;
  return read_index(b) && read_header(b);
}

// ---- tensors ----------------------------------------------------------------------------------------

static bool open_shard(tf_bundle *b, size_t index) {
  shard *s = &b->shards[index];
  struct stat info;
  if (s->file >= 0) return true;
  char *path = arena_format(b->t->c->memory, "%s.data-%05zu-of-%05zu", b->prefix, index, b->shard_count);
  if (!path) return !convert_no_memory(b->t->c);
  s->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (s->file < 0 || fstat(s->file, &info) || !S_ISREG(info.st_mode))
    return !convert_fail(b->t->c, SDX_NOT_FOUND, path, "variables lie beside the graph: give the whole folder",
                         "cannot open it: %s", s->file < 0 ? strerror(errno) : "it is no file");
  s->size = (uint64_t)info.st_size;
  return true;
}

bool tf_bundle_value(tf *t, str key, tf_value *value) {
  tf_bundle *b = t->bundle;
  uint32_t index;
  wire_counts counts;
  wire_field f;
  uint64_t at = 0, size = 0, shard_id = 0;
  size_t count, bytes, element;
  if (!b || !str_map_find(&b->keys, key, &index)) return false;
  wire entry = b->values[index];
  *value = (tf_value){.what = TF_TENSOR};
  if (!tf_open(t, entry, &entry_schema, &counts)) return false;
  for (wire w = entry; wire_next(&w, &entry_schema, &f);) {
    if (f.slot == ENTRY_DTYPE) value->dtype = tf_dtype((int64_t)f.value);
    if (f.slot == ENTRY_SHARD) shard_id = f.value;
    if (f.slot == ENTRY_OFFSET) at = f.value;
    if (f.slot == ENTRY_SIZE) size = f.value;
    if (f.slot == ENTRY_SHAPE && !tf_read_shape(t, f.body, &value->rank, value->shape)) return false;
  }
  element = tf_element_bytes(value->dtype);
  if (!element || counts.of[ENTRY_SLICES])
    return !convert_fail(t->c, SDX_NOT_SUPPORTED, "checkpoint", NULL, "'%.*s' is of texts, or kept in slices",
                         STR_ARG(key));
  if (value->rank < 0 || !size_product(value->shape, (size_t)value->rank, &count) ||
      !size_mul(count, element, &bytes) || bytes != size || shard_id >= b->shard_count)
    return !convert_fail(t->c, SDX_INVALID_MODEL, "checkpoint", NULL,
                         "'%.*s' has %llu bytes, which do not fit its shape", STR_ARG(key), (unsigned long long)size);
  if (!open_shard(b, (size_t)shard_id)) return false;
  if (at > b->shards[shard_id].size || size > b->shards[shard_id].size - at)
    return !convert_fail(t->c, SDX_INVALID_MODEL, "checkpoint", NULL, "'%.*s' reaches past the end of its file",
                         STR_ARG(key));
  node_data *data = arena_array(t->c->memory, 1, sizeof *data);
  if (!data) return !convert_no_memory(t->c);
  *data = (node_data){.file = b->shards[shard_id].file, .offset = at};
  value->data = data;
  value->size = (size_t)size;
  return true;
}
