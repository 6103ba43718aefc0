// SPDX-License-Identifier: Apache-2.0
// The folders of a store (store.h).
#include "registry/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "support/files.h"

enum { NFS = 0x6969, SMB = 0x517b, SMB2 = (int)0xfe534d42, CIFS = (int)0xff534d42 };

static sdx_status check_file_system(const store *s, fault *f) {
  struct statfs info;
  if (fstatfs(s->root, &info)) return fault_errno(f, errno, "%s", s->path);
  int type = (int)info.f_type;
  if (type != NFS && type != SMB && type != SMB2 && type != CIFS) return SDX_OK;
  fault_set(f, SDX_NOT_SUPPORTED, "%s lies on a network file system, whose locks cannot be trusted", s->path);
  return fault_hint(f, "keep the workspace on a local disk; push models to an OCI registry to share them");
}

static sdx_status explain_owner(const store *s, fault *f) {
  struct stat info;
  if (f->status == SDX_FORBIDDEN && !stat(s->path, &info) && info.st_uid != geteuid())
    fault_hint(f, "it belongs to user %u, and this is user %u", (unsigned)info.st_uid, (unsigned)geteuid());
  return f->status;
}

sdx_status store_open(const char *path, store *s, fault *f) {
  *s = (store){.root = -1, .blobs = -1, .staging = -1, .models = -1, .services = -1};
  s->path = strdup(path);
  if (!s->path) return fault_no_memory(f);
  s->root = folder_open(AT_FDCWD, path, 0700, f);
  if (s->root < 0 || check_file_system(s, f)) return explain_owner(s, f);
  int outer = folder_open(s->root, "blobs", 0700, f);
  if (outer >= 0) s->blobs = folder_open(outer, "sha256", 0700, f);
  if (s->blobs >= 0) s->staging = folder_open(s->root, "staging", 0700, f);
  if (s->staging >= 0) s->models = folder_open(s->root, "models", 0700, f);
  if (s->models >= 0) s->services = folder_open(s->root, "services", 0700, f);
  if (outer >= 0) close(outer);
  if (f->status) fault_place(f, "%s", path);
  return explain_owner(s, f);
}

void store_close(store *s) {
  int all[] = {s->root, s->blobs, s->staging, s->models, s->services};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i] >= 0) close(all[i]);
  free(s->path);
  *s = (store){.root = -1, .blobs = -1, .staging = -1, .models = -1, .services = -1};
}

int store_lock(const store *s, bool exclusive, unsigned wait_ms, fault *f) {
  int fd = openat(s->root, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    fault_errno(f, errno, "%s: cannot open its lock", s->path);
    return -1;
  }
  for (unsigned waited = 0; flock(fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB); waited += 10) {
    if ((errno != EWOULDBLOCK && errno != EINTR) || waited >= wait_ms) {
      if (errno != EWOULDBLOCK) fault_errno(f, errno, "%s: cannot lock it", s->path);
      else fault_set(f, SDX_CONFLICT, "%s: another process is %s", s->path, exclusive ? "writing" : "collecting");
      close(fd);
      return -1;
    }
    usleep(10000);
  }
  return fd;
}

bool store_has_staging(const store *s) {
  int fd = openat(s->staging, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  bool any = false;
  for (struct dirent *e; dir && !any && (e = readdir(dir));) any = e->d_name[0] != '.';
  if (dir) closedir(dir);
  else if (fd >= 0) close(fd);
  return any;
}

bool store_has_blob(const store *s, const char *digest, uint64_t *size) {
  struct stat info;
  if (!digest_valid(digest) || fstatat(s->blobs, digest_hex(digest), &info, AT_SYMLINK_NOFOLLOW) ||
      !S_ISREG(info.st_mode))
    return false;
  if (size) *size = (uint64_t)info.st_size;
  return true;
}

int store_open_blob(const store *s, const char *digest, uint64_t *size, fault *f) {
  struct stat info;
  if (!digest_valid(digest)) {
    fault_set(f, SDX_INVALID_ARGUMENT, "'%.100s' is not a SHA-256 digest", digest);
    return -1;
  }
  int fd = openat(s->blobs, digest_hex(digest), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0 && !fstat(fd, &info) && S_ISREG(info.st_mode)) {
    if (size) *size = (uint64_t)info.st_size;
    return fd;
  }
  fault_errno(f, fd < 0 ? errno : EINVAL, "blob %s", digest);
  if (fd >= 0) close(fd);
  return -1;
}

sdx_status store_digest(int fd, char digest[DIGEST_BYTES], uint64_t *size, fault *f) {
  enum { PIECE = 1 << 20 };
  digest_state *d = digest_create();
  char *piece = malloc(PIECE);
  ssize_t got = -1;
  *size = 0;
  errno = ENOMEM;
  if (d && piece)
    while ((got = pread(fd, piece, PIECE, (off_t)*size)) > 0) {
      digest_add(d, piece, (size_t)got);
      *size += (uint64_t)got;
    }
  if (got == 0) digest_finish(d, digest);
  else fault_errno(f, errno, "cannot read");
  digest_destroy(d);
  free(piece);
  return f->status;
}
