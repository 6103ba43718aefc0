// SPDX-License-Identifier: Apache-2.0
// Sorted tables (sstable.h). A table is read in the time of its bytes: its blocks lie one after the other, as they are
// written, and names may not be longer together than a multiple of it.
#include "convert/sstable.h"

#include <string.h>

enum { FOOTER = 48, TRAILER = 5, LONGEST_KEY = 4096, MOST_SHARING = 64 };

// A stretch of the table.
typedef struct block {
  const unsigned char *bytes;
  uint64_t at, end;
} block;

typedef struct reader {
  const unsigned char *bytes;
  uint64_t size, key_bytes;
  error *err;
} reader;

typedef struct key {
  char text[LONGEST_KEY];
  size_t size;
} key;

static sdx_status damaged(const reader *r, uint64_t at, const char *what) {
  return error_set(r->err, SDX_INVALID_MODEL, "byte %llu: %s", (unsigned long long)at, what);
}

static bool read_varint(block *b, uint64_t *n) {
  *n = 0;
  for (unsigned shift = 0; shift < 64 && b->at < b->end; shift += 7) {
    unsigned char byte = b->bytes[b->at++];
    *n |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) return true;
  }
  return false;
}

// The entries of the block that a handle points to, without its list of restarts.
static sdx_status open_block(const reader *r, block *handle, block *b) {
  uint64_t at, size;
  if (!read_varint(handle, &at) || !read_varint(handle, &size) || at > r->size || size > r->size - at ||
      r->size - at - size < TRAILER || size < 4)
    return damaged(r, handle->at, "a block reaches past the end");
  const unsigned char *end = r->bytes + at + size;
  if (*end)
    return error_set(r->err, SDX_NOT_SUPPORTED, "byte %llu: a block is compressed", (unsigned long long)(at + size));
  uint64_t restarts = (uint64_t)end[-4] | (uint64_t)end[-3] << 8 | (uint64_t)end[-2] << 16 | (uint64_t)end[-1] << 24;
  if (restarts > (size - 4) / 4) return damaged(r, at, "a block has more restarts than bytes");
  *b = (block){r->bytes, at, at + size - 4 - 4 * restarts};
  return SDX_OK;
}

// One entry; its key begins as that of the entry before.
static sdx_status next_entry(reader *r, block *b, key *k, block *value) {
  uint64_t shared, own, size, at = b->at;
  if (!read_varint(b, &shared) || !read_varint(b, &own) || !read_varint(b, &size) || shared > k->size ||
      own > LONGEST_KEY - shared || own > b->end - b->at || size > b->end - b->at - own)
    return damaged(r, at, "an entry reaches past the end of its block");
  memcpy(k->text + shared, b->bytes + b->at, own);
  k->size = shared + own;
  b->at += own;
  *value = (block){b->bytes, b->at, b->at + size};
  b->at += size;
  r->key_bytes += k->size;
  return r->key_bytes / MOST_SHARING <= r->size ? SDX_OK : damaged(r, at, "names are absurdly long");
}

static sdx_status read_block(reader *r, block b, sstable_entry *take, void *context) {
  key k = {.size = 0};
  block value;
  while (b.at < b.end) {
    SDX_TRY(next_entry(r, &b, &k, &value));
    SDX_TRY(take(context, (str){k.text, k.size}, (str){(const char *)b.bytes + value.at, value.end - value.at}));
  }
  return SDX_OK;
}

sdx_status sstable_read(str table, sstable_entry *take, void *context, error *err) {
  static const unsigned char magic[] = {0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb};
  reader r = {(const unsigned char *)table.at, table.size, 0, err};
  key k = {.size = 0};
  if (table.size < FOOTER || memcmp(table.at + table.size - sizeof magic, magic, sizeof magic) != 0)
    return damaged(&r, table.size < sizeof magic ? 0 : table.size - sizeof magic, "this is no sorted table");
  block footer = {r.bytes, r.size - FOOTER, r.size}, index, handle, b;
  uint64_t unused, read = 0;
  if (!read_varint(&footer, &unused) || !read_varint(&footer, &unused))
    return damaged(&r, r.size - FOOTER, "the footer is damaged");
  SDX_TRY(open_block(&r, &footer, &index));
  while (index.at < index.end) {
    SDX_TRY(next_entry(&r, &index, &k, &handle));
    SDX_TRY(open_block(&r, &handle, &b));
    if (b.at < read) return damaged(&r, b.at, "blocks overlap");
    SDX_TRY(read_block(&r, b, take, context));
    read = b.end;
  }
  return SDX_OK;
}
