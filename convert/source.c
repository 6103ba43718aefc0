// SPDX-License-Identifier: Apache-2.0
// Sources (source.h).
#include "convert/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/files.h"

enum { PIECE = 1 << 20, FORGET_PIECE = 8 << 20, MOST_FILES = 100000 };

// At most `size` bytes from the file's position on; less only at its end.
static ssize_t read_some(int fd, void *at, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = read(fd, (char *)at + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    done += (size_t)n;
  }
  return (ssize_t)done;
}

static source *create(const char *path) {
  source *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->file = -1;
  if ((s->path = strdup(path))) return s;
  free(s);
  return NULL;
}

sdx_status source_open(const char *path, source **out, fault *f) {
  struct stat info;
  source *s = *out = create(path);
  if (!s) return fault_no_memory(f);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  sdx_status status = SDX_OK;
  if (fd < 0 || fstat(fd, &info)) {
    status = fault_errno(f, errno, "cannot open %s", path);
  } else if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) {
    status = fault_set(f, SDX_INVALID_ARGUMENT, "%s is neither a file nor a folder", path);
  } else if (S_ISDIR(info.st_mode)) {
    s->folder = true;
  } else {
    ssize_t n = read_some(fd, s->head, sizeof s->head);
    s->size = (uint64_t)info.st_size;
    s->head_size = n < 0 ? 0 : (size_t)n;
    if (n < 0) status = fault_errno(f, errno, "cannot read %s", path);
  }
  if (fd >= 0) close(fd);
  if (!status) return SDX_OK;
  source_close(s);
  *out = NULL;
  return status;
}

// Anonymous memory, one byte longer, so that pages can be given back one by one.
static char *reserve(size_t size) {
  int how = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  char *at = size == SIZE_MAX ? MAP_FAILED : mmap(NULL, size + 1, PROT_READ | PROT_WRITE, how, -1, 0);
  return at == MAP_FAILED ? NULL : at;
}

source *source_of_bytes(const void *bytes, size_t size) {
  source *s = create("(bytes)");
  if (!s || !(s->bytes = reserve(size))) {
    source_close(s);
    return NULL;
  }
  s->size = s->loaded = size;
  if (size) memcpy(s->bytes, bytes, size);
  s->head_size = size < sizeof s->head ? size : sizeof s->head;
  memcpy(s->head, s->bytes, s->head_size);
  digest_of(bytes, size, s->digest);
  return s;
}

void source_close(source *s) {
  if (!s) return;
  if (s->bytes) munmap(s->bytes, s->size + 1);
  if (s->file >= 0) close(s->file);
  free(s->path);
  free(s);
}

sdx_status source_load(source *s, void (*progress)(void *, uint64_t, uint64_t), void *context, fault *f) {
  if (s->bytes && s->loaded == s->size) return SDX_OK;
  if (s->folder) return fault_set(f, SDX_INVALID_ARGUMENT, "%s is a folder, expected a file", s->path);
  digest_state *digest = digest_create();
  int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  sdx_status status = SDX_OK;
  if (!s->bytes) s->bytes = reserve((size_t)s->size);
  if (fd < 0) status = fault_errno(f, errno, "cannot open %s", s->path);
  else if (!digest || !s->bytes) status = fault_no_memory(f);
  for (size_t at = 0; !status && at < s->size;) {
    size_t want = s->size - at < PIECE ? (size_t)s->size - at : PIECE;
    ssize_t n = read_some(fd, s->bytes + at, want);
    if (n < 0) status = fault_errno(f, errno, "cannot read %s", s->path);
    else if ((size_t)n < want) status = fault_set(f, SDX_IO_ERROR, "%s shrank while it was read", s->path);
    else digest_add(digest, s->bytes + at, want);
    at += want;
    if (progress && !status) progress(context, at, s->size);
  }
  if (!status) digest_finish(digest, s->digest), s->loaded = (size_t)s->size;
  digest_destroy(digest);
  if (fd >= 0) close(fd);
  return status;
}

sdx_status source_load_head(source *s, uint64_t end, fault *f) {
  if (s->folder) return fault_set(f, SDX_INVALID_ARGUMENT, "%s is a folder, expected a file", s->path);
  if (end > s->size) end = s->size;
  if (!s->bytes && !(s->bytes = reserve((size_t)s->size))) return fault_no_memory(f);
  if (s->file < 0 && s->loaded < s->size && (s->file = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)) < 0)
    return fault_errno(f, errno, "cannot open %s", s->path);
  while (s->loaded < end) {
    size_t want = s->size - s->loaded < PIECE ? (size_t)s->size - s->loaded : PIECE;
    ssize_t n = read_some(s->file, s->bytes + s->loaded, want);
    if (n < 0) return fault_errno(f, errno, "cannot read %s", s->path);
    if ((size_t)n < want) return fault_set(f, SDX_IO_ERROR, "%s shrank while it was read", s->path);
    s->loaded += want;
  }
  return SDX_OK;
}

void source_forget(source *s, size_t end) {
  size_t whole = end / FORGET_PIECE * FORGET_PIECE;
  if (!s->bytes || whole <= s->forgotten) return;
  madvise(s->bytes + s->forgotten, whole - s->forgotten, MADV_DONTNEED);
  s->forgotten = whole;
}

// ---- digests ----------------------------------------------------------------------------------------

static sdx_status digest_file(digest_state *d, const char *path, int fd, fault *f) {
  char *piece = malloc(PIECE);
  ssize_t n = piece ? 1 : 0;
  while (piece && (n = read_some(fd, piece, PIECE)) > 0) digest_add(d, piece, (size_t)n);
  sdx_status status = !piece ? fault_no_memory(f) : n < 0 ? fault_errno(f, errno, "cannot read %s", path) : SDX_OK;
  free(piece);
  return status;
}

// Of each file its name, then its bytes.
static sdx_status digest_entry(void *context, const char *path, int fd, fault *f) {
  digest_add(context, path, strlen(path) + 1);
  return digest_file(context, path, fd, f);
}

sdx_status source_hash(source *s, fault *f) {
  if (*s->digest) return SDX_OK;
  digest_state *d = digest_create();
  int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  sdx_status status = fd < 0 ? fault_errno(f, errno, "cannot open %s", s->path) : d ? SDX_OK : fault_no_memory(f);
  if (!status) status = s->folder ? tree_walk(fd, "", MOST_FILES, digest_entry, d, f) : digest_file(d, s->path, fd, f);
  if (!status) digest_finish(d, s->digest);
  digest_destroy(d);
  if (fd >= 0) close(fd);
  return status;
}
