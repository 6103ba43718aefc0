// SPDX-License-Identifier: Apache-2.0
// Files that appear whole; see file_out.h.
#include "base/file_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20, MOST_TRIES = 100 };

static sdx_status fail_errno(error *err, const char *what, const char *path) {
  int error = errno;
  char text[64];
  return error_set(err, error == ENOSPC || error == EDQUOT ? SDX_NO_SPACE : SDX_IO_ERROR, "cannot %s '%.300s': %s",
                   what, path, strerror_r(error, text, sizeof text));
}

static sdx_status open_folder(file_out *f, const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = f->temporary;  // its room, before it is needed
  snprintf(folder, strlen(path) + 2, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
  f->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (f->folder < 0) return fail_errno(f->err, "create a file in", folder);
  *f->temporary = 0;  // nothing to unlink yet
  return SDX_OK;
}

sdx_status file_out_open(file_out *f, const char *path, error *err) {
  static atomic_uint counter;
  size_t room = strlen(path) + 40;
  *f = (file_out){.fd = -1, .folder = -1, .err = err};
  f->name = mem_alloc(NULL, room);
  f->temporary = mem_alloc(NULL, room);
  f->buffer = mem_alloc(NULL, BUFFER_BYTES);
  if (!f->name || !f->temporary || !f->buffer) return error_no_memory(err, BUFFER_BYTES);
  memcpy(f->name, path, strlen(path) + 1);
  SDX_TRY(open_folder(f, path));
  for (int i = 0; i < MOST_TRIES && (i == 0 || (f->fd < 0 && errno == EEXIST)); i++) {  // left behind by who had our id
    snprintf(f->temporary, room, "%s.%d-%u.new", path, (int)getpid(), atomic_fetch_add(&counter, 1));
    f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  }
  if (f->fd >= 0) return SDX_OK;
  sdx_status status = fail_errno(err, "create", f->temporary);
  *f->temporary = 0;
  return status;
}

static bool write_all(int fd, const char *at, size_t size) {
  while (size) {
    ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

static bool flush(file_out *f) {
  if (!write_all(f->fd, f->buffer, f->used)) {
    fail_errno(f->err, "write", f->name);
    return false;
  }
  f->used = 0;
  return true;
}

bool file_out_put(file_out *f, const void *bytes, size_t size) {
  for (const char *at = bytes; size;) {
    size_t n = size < BUFFER_BYTES - f->used ? size : BUFFER_BYTES - f->used;
    memcpy(f->buffer + f->used, at, n);
    f->used += n;
    f->size += n;
    at += n;
    size -= n;
    if (f->used == BUFFER_BYTES && !flush(f)) return false;
  }
  return true;
}

bool file_out_pad(file_out *f, size_t alignment) {
  static const char zeros[4096];
  return file_out_put(f, zeros, (size_t)(-f->size % alignment));
}

bool file_out_put_at_start(file_out *f, const void *bytes, size_t size) {
  if (!flush(f)) return false;
  if (lseek(f->fd, 0, SEEK_SET) == 0 && write_all(f->fd, bytes, size) && lseek(f->fd, 0, SEEK_END) >= 0) return true;
  fail_errno(f->err, "write", f->name);
  return false;
}

sdx_status file_out_sync(file_out *f) {
  if (!flush(f)) return f->err->status;
  int synced = fsync(f->fd);
  if (synced) fail_errno(f->err, "sync", f->name);
  if (close(f->fd) && !synced) synced = -1, fail_errno(f->err, "close", f->name);
  f->fd = -1;
  return synced ? f->err->status : SDX_OK;
}

sdx_status file_out_publish(file_out *f) {
  if (rename(f->temporary, f->name)) return fail_errno(f->err, "rename to", f->name);
  *f->temporary = 0;
  return fsync(f->folder) ? fail_errno(f->err, "sync the folder of", f->name) : SDX_OK;
}

void file_out_deinit(file_out *f) {
  if (f->fd >= 0 && f->name) close(f->fd);
  if (f->folder >= 0 && f->buffer && *f->temporary) unlink(f->temporary);  // a folder is open: all rooms are there
  if (f->folder >= 0 && f->name) close(f->folder);
  mem_free(f->name);
  mem_free(f->temporary);
  mem_free(f->buffer);
  *f = (file_out){.fd = -1, .folder = -1};
}
