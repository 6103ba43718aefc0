// SPDX-License-Identifier: Apache-2.0
// The table of shared memory regions (regions.h).
#include "server/regions.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHOWN = 60 };
#define SHOWN_ARG(s) (s).size > SHOWN ? SHOWN : (int)(s).size, (s).at

__attribute__((format(printf, 3, 4))) static bool fail(char *why, size_t why_size, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(why, why_size, format, list);
  va_end(list);
  return false;
}

void regions_init(regions *r) {
  *r = (regions){0};
  pthread_mutex_init(&r->lock, NULL);
}

void regions_deinit(regions *r) {
  regions_remove(r, (str){0});
  free(r->list);
  pthread_mutex_destroy(&r->lock);
}

const region *regions_find(const regions *r, str name) {
  for (size_t i = 0; i < r->count; i++)
    if (str_is(name, r->list[i].name)) return &r->list[i];
  return NULL;
}

void regions_remove(regions *r, str name) {
  pthread_mutex_lock(&r->lock);
  for (size_t i = r->count; i-- > 0;) {
    if (name.at && !str_is(name, r->list[i].name)) continue;
    close(r->list[i].fd);
    r->list[i] = r->list[--r->count];
  }
  pthread_mutex_unlock(&r->lock);
}

bool region_name_good(str name) {
  if (!name.size || name.size >= REGION_NAME_BYTES || *name.at == '.' || *name.at == '-') return false;
  for (size_t i = 0; i < name.size; i++)
    if (!isalnum((unsigned char)name.at[i]) && !memchr("_.-", name.at[i], 3)) return false;
  return true;
}

// 0, or the status of a refusal.
static int insert(regions *r, const region *one, char *why, size_t why_size) {
  if (regions_find(r, str_from(one->name))) {
    fail(why, why_size, "region '%.60s' is registered already", one->name);
    return 409;
  }
  if (r->count == REGIONS_MOST) {
    fail(why, why_size, "there are %d regions already, which is the most", REGIONS_MOST);
    return 503;
  }
  if (r->count == r->capacity) {
    size_t capacity = r->capacity ? r->capacity * 2 : 8;
    region *list = realloc(r->list, capacity * sizeof *list);
    if (!list) {
      fail(why, why_size, "memory is exhausted");
      return 503;
    }
    r->list = list;
    r->capacity = capacity;
  }
  r->list[r->count++] = *one;
  return 0;
}

static bool read_words(region *one, str name, str key, char *why, size_t why_size) {
  str object = key.size ? (str){key.at + 1, key.size - 1} : key;
  if (!region_name_good(name))
    return fail(why, why_size, "the name of the region: expected 1 to %d letters, digits, '_', '.' and '-'",
                REGION_NAME_BYTES - 1);
  if (!key.size || *key.at != '/' || !region_name_good(object))
    return fail(why, why_size, "key is '%.*s', expected the name of a shared memory object: '/' and letters",
                SHOWN_ARG(key));
  memcpy(one->name, name.at, name.size);
  memcpy(one->key, key.at, key.size);
  return true;
}

int regions_add(regions *r, str name, str key, int64_t offset, int64_t size, char *why, size_t why_size) {
  region one = {.offset = (uint64_t)offset, .size = (uint64_t)size};
  struct stat s;
  int refused = 400;
  if (!read_words(&one, name, key, why, why_size)) return 400;
  if (offset < 0 || size <= 0) {
    fail(why, why_size, "expected an offset from 0 up and a byte_size from 1 up");
    return 400;
  }
  one.fd = shm_open(one.key, O_RDWR | O_CLOEXEC | O_NONBLOCK, 0);
  if (one.fd < 0) {
    fail(why, why_size, "key '%.60s' cannot be opened: %s", one.key, strerror(errno));
    return 404;
  }
  if (fstat(one.fd, &s) || !S_ISREG(s.st_mode)) {
    fail(why, why_size, "key '%.60s' is no shared memory object", one.key);
  } else if (offset > s.st_size || size > s.st_size - offset) {
    fail(why, why_size, "offset %lld and byte_size %lld reach behind the object's end, %lld", (long long)offset,
         (long long)size, (long long)s.st_size);
  } else {
    pthread_mutex_lock(&r->lock);
    refused = insert(r, &one, why, why_size);
    pthread_mutex_unlock(&r->lock);
  }
  if (refused) close(one.fd);
  return refused;
}

// A descriptor of its own, so that nobody waits for a copy; *at: where the part begins. -1: why.
static int open_part(regions *r, const region_part *p, size_t size, uint64_t *at, char *why, size_t why_size) {
  int fd = -1;
  pthread_mutex_lock(&r->lock);
  const region *one = regions_find(r, p->region);
  if (!one) fail(why, why_size, "there is no region '%.*s'", SHOWN_ARG(p->region));
  else if ((uint64_t)p->offset > one->size || size > one->size - (uint64_t)p->offset)
    fail(why, why_size, "%zu bytes from %lld on reach behind the end of region '%.60s', %llu", size,
         (long long)p->offset, one->name, (unsigned long long)one->size);
  else if ((fd = fcntl(one->fd, F_DUPFD_CLOEXEC, 3)) < 0) fail(why, why_size, "descriptors are exhausted");
  else *at = one->offset + (uint64_t)p->offset;
  pthread_mutex_unlock(&r->lock);
  return fd;
}

bool regions_read(regions *r, const region_part *p, void *to, char *why, size_t why_size) {
  uint64_t at = 0;
  size_t size = (size_t)p->size, done = 0;
  ssize_t got = 1;
  int fd = open_part(r, p, size, &at, why, why_size);
  if (fd < 0) return false;
  while (done < size && (got = pread(fd, (char *)to + done, size - done, (off_t)(at + done))) > 0) done += (size_t)got;
  close(fd);
  return done == size || fail(why, why_size, "the object of region '%.*s' became shorter", SHOWN_ARG(p->region));
}

bool regions_write(regions *r, const region_part *p, const void *from, size_t size, char *why, size_t why_size) {
  uint64_t at = 0;
  size_t done = 0;
  ssize_t put = 1;
  struct stat s;
  int fd = open_part(r, p, size, &at, why, why_size);
  if (fd < 0) return false;
  // What its owner made shorter is not made longer again.
  bool whole = fstat(fd, &s) == 0 && at + size <= (uint64_t)s.st_size;
  while (whole && done < size && (put = pwrite(fd, (const char *)from + done, size - done, (off_t)(at + done))) > 0)
    done += (size_t)put;
  close(fd);
  return (whole && done == size) ||
         fail(why, why_size, "the object of region '%.*s' became shorter", SHOWN_ARG(p->region));
}
