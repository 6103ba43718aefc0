// SPDX-License-Identifier: Apache-2.0
// Files that appear whole; see file_out.h.
#include "base/file_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER_BYTES = 1 << 20, MOST_TRIES = 100, NAME_ROOM = 40 };

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

enum { LINK_BYTES = 40 };
static const char *link_of(const file_out *f, char *room) {
  snprintf(room, LINK_BYTES, "/proc/self/fd/%d", f->fd);
  return room;
}

// A file without a name goes with its process, however that ends. Not every file system makes them, and giving one a
// name takes /proc.
static bool open_nameless(file_out *f) {
  char room[LINK_BYTES];
  f->fd = openat(f->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
  if (f->fd >= 0 && access(link_of(f, room), F_OK) == 0) return true;
  if (f->fd >= 0) close(f->fd);
  f->fd = -1;
  return false;
}

// Calls `make` with names beside the file's own until it makes one: some may be left behind by who had our id.
static bool take_name(file_out *f, bool (*make)(file_out *f)) {
  static atomic_uint counter;
  for (int i = 0; i < MOST_TRIES && (i == 0 || errno == EEXIST); i++) {
    snprintf(f->temporary, strlen(f->name) + NAME_ROOM, "%s.%d-%u.new", f->name, (int)getpid(),
             atomic_fetch_add(&counter, 1));
    if (make(f)) return true;
  }
  fail_errno(f->err, "create", f->temporary);
  *f->temporary = 0;
  return false;
}

static bool open_named(file_out *f) {
  f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  return f->fd >= 0;
}

static bool give_name(const file_out *f, const char *name) {
  char room[LINK_BYTES];
  return linkat(AT_FDCWD, link_of(f, room), AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
}

static bool link_nameless(file_out *f) { return give_name(f, f->temporary); }

sdx_status file_out_open(file_out *f, const char *path, error *err) {
  size_t room = strlen(path) + NAME_ROOM;
  struct stat there;
  *f = (file_out){.fd = -1, .folder = -1, .err = err};
  if (!stat(path, &there) && !S_ISREG(there.st_mode))
    return error_at(err, at_file(str_from(path)), SDX_INVALID_ARGUMENT,
                    "is %s, whose place no file may take; expected the name of a file",
                    S_ISDIR(there.st_mode) ? "a folder" : "a device or a pipe");
  f->name = mem_alloc(NULL, room);
  f->temporary = mem_alloc(NULL, room);
  f->buffer = mem_alloc(NULL, BUFFER_BYTES);
  if (!f->name || !f->temporary || !f->buffer) return error_no_memory(err, BUFFER_BYTES);
  memcpy(f->name, path, strlen(path) + 1);
  SDX_TRY(open_folder(f, path));
  return open_nameless(f) || take_name(f, open_named) ? SDX_OK : err->status;
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
  return fsync(f->fd) ? fail_errno(f->err, "sync", f->name) : SDX_OK;
}

sdx_status file_out_publish(file_out *f) {
  if (*f->temporary || !give_name(f, f->name)) {  // there is a file of that name, whose place it takes
    if (!*f->temporary && !take_name(f, link_nameless)) return f->err->status;
    if (rename(f->temporary, f->name)) return fail_errno(f->err, "rename to", f->name);
    *f->temporary = 0;
  }
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
