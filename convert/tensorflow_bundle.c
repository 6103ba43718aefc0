// SPDX-License-Identifier: Apache-2.0
// A checkpoint as TensorFlow writes it: PREFIX.index is a sorted table of blocks (the format of LevelDB) from names to
// where the tensor lies, PREFIX.data-00000-of-00001 and so on hold the bytes, which are read when the model is written.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "convert/tensorflow_proto.h"
#include "support/files.h"

enum { FOOTER = 48, TRAILER = 5, MOST_SHARDS = 4096, LONGEST_KEY = 4096 };

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

static bool damaged(tf_bundle *b, size_t at, const char *what) {
  char place[TF_PLACE];
  snprintf(place, sizeof place, "%.200s.index", b->prefix);
  return !convert_fail(b->t->c, SDX_INVALID_MODEL, place, NULL, "byte %zu: %s", at, what);
}

// ---- the table --------------------------------------------------------------------------------------

static bool read_varint(wire *w, uint64_t *n) {
  *n = 0;
  for (unsigned shift = 0; shift < 64 && w->at < w->end; shift += 7) {
    unsigned char byte = w->file[w->at++];
    *n |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return true;
  }
  return false;
}

// The entries of the block that a handle points to, without its list of restarts.
static bool open_block(tf_bundle *b, wire *handle, wire *block) {
  uint64_t at, size, all = b->index->size;
  if (!read_varint(handle, &at) || !read_varint(handle, &size) || at > all || size > all - at ||
      all - at - size < TRAILER || size < 4)
    return damaged(b, handle->at, "a block reaches past the end");
  const unsigned char *bytes = handle->file + at + size;
  if (bytes[0])
    return !convert_fail(b->t->c, SDX_NOT_SUPPORTED, b->prefix, "save the checkpoint uncompressed",
                         "its index is compressed");
  uint64_t restarts =
      (uint64_t)bytes[-4] | (uint64_t)bytes[-3] << 8 | (uint64_t)bytes[-2] << 16 | (uint64_t)bytes[-1] << 24;
  if (restarts > (size - 4) / 4) return damaged(b, at, "a block has more restarts than bytes");
  *block = (wire){handle->file, at, at + size - 4 - 4 * restarts};
  return true;
}

// One entry; its key shares its beginning with that of the entry before.
static bool next_entry(tf_bundle *b, wire *block, char *key, size_t *key_size, wire *value) {
  uint64_t shared, own, size;
  size_t at = block->at;
  if (!read_varint(block, &shared) || !read_varint(block, &own) || !read_varint(block, &size) || shared > *key_size ||
      own > LONGEST_KEY - shared || own > block->end - block->at || size > block->end - block->at - own)
    return damaged(b, at, "an entry reaches past the end of its block");
  memcpy(key + shared, block->file + block->at, own);
  *key_size = shared + own;
  block->at += own;
  *value = (wire){block->file, block->at, block->at + size};
  block->at += size;
  return true;
}

static bool keep(tf_bundle *b, str key, wire value) {
  arena *memory = b->t->c->memory;
  if (b->count == b->capacity) {
    size_t capacity = b->capacity ? 2 * b->capacity : 64;
    wire *more = arena_array(memory, capacity, sizeof *more);
    if (!more) return !convert_no_memory(b->t->c);
    if (b->count) memcpy(more, b->values, b->count * sizeof *more);
    b->values = more, b->capacity = capacity;
  }
  char *copy = arena_copy(memory, key.at, key.size + 1);
  if (!copy || !str_map_put(&b->keys, (str){copy, key.size}, (uint32_t)b->count)) return !convert_no_memory(b->t->c);
  b->values[b->count++] = value;
  return true;
}

static bool read_block(tf_bundle *b, wire block) {
  char key[LONGEST_KEY + 1] = {0};
  size_t size = 0;
  wire value;
  while (block.at < block.end) {
    if (!next_entry(b, &block, key, &size, &value)) return false;
    if (!keep(b, (str){key, size}, value)) return false;
  }
  return true;
}

static bool read_table(tf_bundle *b) {
  static const unsigned char magic[] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};
  size_t size = (size_t)b->index->size, key_size = 0;
  wire all = wire_of(b->index->bytes, size), skipped, block, handle;
  char key[LONGEST_KEY + 1];
  if (size < FOOTER || memcmp(b->index->bytes + size - 8, magic, 8) != 0)
    return damaged(b, size < 8 ? 0 : size - 8, "this is no index of a checkpoint");
  all.at = size - FOOTER;
  skipped = all;
  uint64_t n;
  if (!read_varint(&skipped, &n) || !read_varint(&skipped, &n)) return damaged(b, all.at, "the footer is damaged");
  if (!open_block(b, &skipped, &block)) return false;
  while (block.at < block.end) {
    wire inner;
    if (!next_entry(b, &block, key, &key_size, &handle) || !open_block(b, &handle, &inner) || !read_block(b, inner))
      return false;
  }
  return true;
}

static bool read_header(tf_bundle *b) {
  uint32_t at;
  wire_counts counts;
  wire_field f;
  if (!str_map_find(&b->keys, STR(""), &at)) return damaged(b, 0, "there is no header");
  wire header = b->values[at];
  if (!tf_open(b->t, header, &header_schema, &counts)) return false;
  while (wire_next(&header, &header_schema, &f)) {
    if (f.slot == HEADER_SHARDS) b->shard_count = (size_t)f.value;
    if (f.slot == HEADER_ENDIANNESS && f.value)
      return !convert_fail(b->t->c, SDX_NOT_SUPPORTED, b->prefix, NULL, "its numbers are big endian");
  }
  if (b->shard_count < 1 || b->shard_count > MOST_SHARDS) return damaged(b, 0, "the number of shards is absurd");
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
  return read_table(b) && read_header(b);
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
