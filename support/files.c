// SPDX-License-Identifier: Apache-2.0
// Files and folders (files.h).
#include "support/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEEPEST = 64 };  // folders in folders

char *path_format(const char *format, ...) {
  char *text = NULL;
  va_list list;
  va_start(list, format);
  if (vasprintf(&text, format, list) < 0) text = NULL;
  va_end(list);
  return text;
}

bool path_beneath(const char *path) {
  for (const char *c = path; *c; c++)
    if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\\') return false;
  for (;;) {
    size_t part = strcspn(path, "/");
    if (part == 0 || part > 255 || (part <= 2 && !strncmp(path, "..", part))) return false;
    if (!path[part]) return true;
    path += part + 1;
  }
}

char *file_load(int folder, const char *path, size_t most, size_t *size, fault *f) {
  struct stat info;
  int fd = openat(folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat(fd, &info)) {
    fault_errno(f, errno, "cannot open %s", path);
  } else if (!S_ISREG(info.st_mode)) {
    fault_set(f, SDX_INVALID_ARGUMENT, "%s is not a regular file", path);
  } else if ((uint64_t)info.st_size > most) {
    fault_set(f, SDX_LIMIT_EXCEEDED, "%s has %lld bytes, at most %zu are read", path, (long long)info.st_size, most);
  } else {
    size_t room = (size_t)info.st_size, at = 0;
    char *bytes = malloc(room + 1);
    ssize_t got = 1;
    while (bytes && at < room && (got = read(fd, bytes + at, room - at)) > 0) at += (size_t)got;
    if (!bytes) fault_no_memory(f);
    else if (got < 0) fault_errno(f, errno, "cannot read %s", path);
    close(fd);
    if (bytes && got >= 0) {
      bytes[at] = 0;
      *size = at;
      return bytes;
    }
    free(bytes);
    return NULL;
  }
  if (fd >= 0) close(fd);
  return NULL;
}

bool file_write_all(int fd, const void *bytes, size_t size) {
  const char *at = bytes;
  while (size) {
    ssize_t done = write(fd, at, size > (1u << 30) ? 1u << 30 : size);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    at += done;
    size -= (size_t)done;
  }
  return true;
}

sdx_status file_replace(int folder, const char *name, const void *bytes, size_t size, mode_t mode, fault *f) {
  char *other = path_format("%s.%d.new", name, (int)getpid());
  if (!other) return fault_no_memory(f);
  int fd = openat(folder, other, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, mode);
  bool good = fd >= 0 && !fchmod(fd, mode) && file_write_all(fd, bytes, size) && !fsync(fd);
  int error = errno;
  if (fd >= 0 && close(fd) && good) good = false, error = errno;
  if (good && renameat(folder, other, folder, name)) good = false, error = errno;
  if (!good && fd >= 0) unlinkat(folder, other, 0);
  free(other);
  return good ? folder_sync(folder, f) : fault_errno(f, error, "cannot write %s", name);
}

int folder_open(int parent, const char *path, mode_t mode, fault *f) {
  int fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT && mode) {
    if (mkdirat(parent, path, mode) && errno != EEXIST) {
      fault_errno(f, errno, "cannot make the folder %s", path);
      return -1;
    }
    fd = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fchmod(fd, mode)) {
      fault_errno(f, errno, "cannot set the mode of %s", path);
      close(fd);
      return -1;
    }
  }
  if (fd < 0) fault_errno(f, errno, "cannot open the folder %s", path);
  return fd;
}

sdx_status folder_make_parents(int folder, const char *path, mode_t mode, fault *f) {
  for (const char *slash = path; (slash = strchr(slash, '/')); slash++) {
    if (slash == path) continue;
    char *part = path_format("%.*s", (int)(slash - path), path);
    if (!part) return fault_no_memory(f);
    bool made = !mkdirat(folder, part, mode) || errno == EEXIST;
    if (!made) fault_errno(f, errno, "cannot make the folder %s", part);
    free(part);
    if (!made) return f->status;
  }
  return SDX_OK;
}

sdx_status folder_sync(int folder, fault *f) {
  int fd = folder == AT_FDCWD ? open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : folder;
  bool good = fd >= 0 && !fsync(fd);
  if (!good) fault_errno(f, errno, "cannot sync a folder");
  if (folder == AT_FDCWD && fd >= 0) close(fd);
  return good ? SDX_OK : f->status;
}

// ---- trees -----------------------------------------------------------------------------------

static int by_bytes(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int not_dots(const struct dirent *e) { return strcmp(e->d_name, ".") && strcmp(e->d_name, ".."); }

static sdx_status remove_at(int parent, const char *name, int depth, fault *f) {
  if (!unlinkat(parent, name, 0) || errno == ENOENT) return SDX_OK;
  if (errno != EISDIR && errno != EPERM) return fault_errno(f, errno, "cannot remove %s", name);
  if (depth > DEEPEST) return fault_set(f, SDX_LIMIT_EXCEEDED, "%s: more than %d folders deep", name, DEEPEST);
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fault_errno(f, errno, "cannot remove %s", name);
  struct dirent **list;
  int count = scandirat(fd, ".", &list, not_dots, NULL);
  sdx_status status = count < 0 ? fault_errno(f, errno, "cannot read the folder %s", name) : SDX_OK;
  for (int i = 0; i < count; i++) {
    if (!status) status = remove_at(fd, list[i]->d_name, depth + 1, f);
    free(list[i]);
  }
  if (count >= 0) free(list);
  close(fd);
  if (!status && unlinkat(parent, name, AT_REMOVEDIR) && errno != ENOENT)
    status = fault_errno(f, errno, "cannot remove the folder %s", name);
  return status;
}

sdx_status tree_remove(int parent, const char *name, fault *f) { return remove_at(parent, name, 0, f); }

typedef struct walk {
  tree_visit each;
  tree_follow follow;  // NULL: links are refused
  void *context;
  size_t left, depth;
  fault *f;
} walk;

static sdx_status walk_folder(walk *w, int fd, const char *path);

static sdx_status walk_open(walk *w, int fd, const char *path) {
  struct stat info;
  if (fstat(fd, &info)) return fault_errno(w->f, errno, "cannot look at %s", path);
  if (S_ISDIR(info.st_mode)) return walk_folder(w, fd, path);
  if (!S_ISREG(info.st_mode)) return fault_set(w->f, SDX_FORBIDDEN, "%s is neither a file nor a folder", path);
  if (w->left-- == 0) return fault_set(w->f, SDX_LIMIT_EXCEEDED, "%s: too many files", path);
  return w->each(w->context, path, fd, w->f);
}

static sdx_status walk_entry(walk *w, int folder, const char *name, const char *path) {
  int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 && errno == ELOOP) {
    if (!w->follow) {
      fault_set(w->f, SDX_FORBIDDEN, "%s is a link; files and folders are expected", path);
      return fault_hint(w->f, "'cp -rL' copies a folder with what its links point to");
    }
    // Links count, too, so that folders which hold each other come to an end.
    if (w->left-- == 0) return fault_set(w->f, SDX_LIMIT_EXCEEDED, "%s: too many files", path);
    fd = w->follow(w->context, folder, name, path, w->f);
    if (fd < 0) return w->f->status;
  } else if (fd < 0) {
    return fault_errno(w->f, errno, "cannot open %s", path);
  }
  sdx_status status = walk_open(w, fd, path);
  close(fd);
  return status;
}

static sdx_status walk_folder(walk *w, int fd, const char *path) {
  if (w->depth == DEEPEST) return fault_set(w->f, SDX_LIMIT_EXCEEDED, "%s: more than %d folders deep", path, DEEPEST);
  struct dirent **list;
  int count = scandirat(fd, ".", &list, not_dots, by_bytes);
  if (count < 0) return fault_errno(w->f, errno, "cannot read the folder %s", path);
  sdx_status status = SDX_OK;
  w->depth++;
  for (int i = 0; i < count; i++) {
    char *inner = path_format("%s/%s", path, list[i]->d_name);
    if (!inner && !status) status = fault_no_memory(w->f);
    if (!status) status = walk_entry(w, fd, list[i]->d_name, inner);
    free(inner);
    free(list[i]);
  }
  w->depth--;
  free(list);
  return status;
}

sdx_status tree_walk(int fd, const char *path, size_t most_files, tree_visit each, void *context, fault *f) {
  return tree_walk_links(fd, path, most_files, each, NULL, context, f);
}

sdx_status tree_walk_links(int fd, const char *path, size_t most_files, tree_visit each, tree_follow follow,
                           void *context, fault *f) {
  walk w = {.each = each, .follow = follow, .context = context, .left = most_files, .f = f};
  return walk_open(&w, fd, path);
}
