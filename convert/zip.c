// SPDX-License-Identifier: Apache-2.0
// Zip archives by their central directory, with sizes beyond 4 GB (zip.h).
#include "convert/zip.h"

#include <stdint.h>

enum { END_SIZE = 22, END64_SIZE = 56, LOCATOR_SIZE = 20, ENTRY_SIZE = 46, LOCAL_SIZE = 30, LONGEST_COMMENT = 65535 };

static uint64_t number(const char *at, size_t bytes) {
  uint64_t n = 0;
  for (size_t i = 0; i < bytes; i++) n |= (uint64_t)(unsigned char)at[i] << 8 * i;
  return n;
}

static bool has_mark(str s, uint64_t at, const char mark[4], size_t size) {
  return at <= s.size && s.size - at >= size && !memcmp(s.at + at, mark, 4);
}

typedef struct directory {
  uint64_t begin, count;
} directory;

static bool find_directory(str s, directory *d) {
  if (s.size < END_SIZE) return false;
  size_t end = s.size - END_SIZE, least = end > LONGEST_COMMENT ? end - LONGEST_COMMENT : 0;
  while (!has_mark(s, end, "PK\5\6", END_SIZE))
    if (end-- == least) return false;
  *d = (directory){number(s.at + end + 16, 4), number(s.at + end + 10, 2)};
  if (end < LOCATOR_SIZE || !has_mark(s, end - LOCATOR_SIZE, "PK\6\7", LOCATOR_SIZE)) return true;
  uint64_t end64 = number(s.at + end - LOCATOR_SIZE + 8, 8);
  if (!has_mark(s, end64, "PK\6\6", END64_SIZE)) return false;
  *d = (directory){number(s.at + end64 + 48, 8), number(s.at + end64 + 32, 8)};
  return true;
}

typedef struct entry {
  uint64_t size, packed_size, local;
} entry;

// What does not fit into 32 bits is in an extra field, in this order.
static bool read_long_numbers(const char *extra, size_t size, entry *e) {
  uint64_t *const numbers[] = {&e->size, &e->packed_size, &e->local};
  size_t at = 0, end = 0;
  for (; at + 4 <= size; at = end) {
    end = at + 4 + (size_t)number(extra + at + 2, 2);
    if (end > size) return false;
    if (number(extra + at, 2) == 1) break;
  }
  for (size_t i = 0, from = at + 4; i < 3; i++) {
    if (*numbers[i] != UINT32_MAX) continue;
    if (at + 4 > size || from + 8 > end) return false;
    *numbers[i] = number(extra + from, 8);
    from += 8;
  }
  return true;
}

// The entry at *at of the directory, which goes on to the next.
static const char *read_entry(str s, uint64_t *at, zip_member *m) {
  static const char ends[] = "the directory of the archive is damaged";
  if (!has_mark(s, *at, "PK\1\2", ENTRY_SIZE)) return ends;
  const char *p = s.at + *at;
  size_t name = (size_t)number(p + 28, 2), extra = (size_t)number(p + 30, 2), comment = (size_t)number(p + 32, 2);
  entry e = {number(p + 24, 4), number(p + 20, 4), number(p + 42, 4)};
  if (s.size - *at - ENTRY_SIZE < name + extra + comment) return ends;
  m->name = (str){p + ENTRY_SIZE, name};
  if (!read_long_numbers(p + ENTRY_SIZE + name, extra, &e)) return ends;
  *at += ENTRY_SIZE + name + extra + comment;
  m->packed = number(p + 10, 2) != 0;
  if (number(p + 8, 2) & 1) return "a member of the archive is encrypted";
  if (!has_mark(s, e.local, "PK\3\4", LOCAL_SIZE)) return "a member of the archive is not where its directory says";
  uint64_t begin = LOCAL_SIZE + number(s.at + e.local + 26, 2) + number(s.at + e.local + 28, 2),
           left = s.size - e.local;
  if (begin > left || e.packed_size > left - begin) return "a member reaches past the end of the archive";
  if (!m->packed) m->bytes = (str){s.at + e.local + begin, (size_t)e.packed_size};
  return NULL;
}

const char *zip_read(str archive, arena *memory, zip *z) {
  directory d;
  *z = (zip){0};
  if (!find_directory(archive, &d)) return "the archive has no directory at its end: is the file whole?";
  if (d.count > archive.size / ENTRY_SIZE) return "the archive says it has more members than it has room for";
  z->members = arena_array(memory, (size_t)d.count + 1, sizeof *z->members);
  if (!z->members) return "not enough memory";
  for (uint64_t at = d.begin; z->count < d.count; z->count++) {
    const char *wrong = read_entry(archive, &at, &z->members[z->count]);
    if (wrong) return wrong;
  }
  return NULL;
}

const zip_member *zip_find(const zip *z, const char *name) {
  for (size_t i = 0; i < z->count; i++) {
    str s = z->members[i].name;
    const char *slash = s.size ? memchr(s.at, '/', s.size) : NULL;
    if (str_is(s, name)) return &z->members[i];
    if (slash && str_is((str){slash + 1, s.size - (size_t)(slash + 1 - s.at)}, name)) return &z->members[i];
  }
  return NULL;
}
