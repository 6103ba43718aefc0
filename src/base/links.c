// SPDX-License-Identifier: Apache-2.0
// Opening by way of links; see links.h. What is still to be walked is kept as text: the target of a link takes the
// place of its name there. Read next: src/onnx/external.c.
#include "base/links.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  MOST_LINKS = 40,
  MOST_FOLDERS = LINKS_PATH / 2,
  FOLDER_FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC,
  FILE_FLAGS = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
};

int links_open_folder(int at, const char *path) { return openat(at, path, FOLDER_FLAGS); }

bool links_folder_id(int folder, folder_id *id) {
  struct stat info;
  if (fstat(folder, &info) != 0) return false;
  *id = (folder_id){info.st_dev, info.st_ino};
  return true;
}

static bool same(folder_id a, folder_id b) { return a.device == b.device && a.inode == b.inode; }

static int fail(int reason) {
  errno = reason;
  return -1;
}

static void close_quietly(int fd) {
  int reason = errno;
  close(fd);
  errno = reason;
}

// Climbs from the folder until it meets a root; that of the file system is its own parent.
static bool lies_beneath(int folder, const folder_id *roots, size_t count) {
  folder_id id, below = {0};
  bool found = false;
  int at = links_open_folder(folder, ".");
  for (int steps = 0; at >= 0 && !found && steps < MOST_FOLDERS; steps++) {
    if (!links_folder_id(at, &id) || (steps && same(id, below))) break;
    for (size_t i = 0; i < count; i++) found |= same(id, roots[i]);
    below = id;
    int parent = links_open_folder(at, "..");
    close(at);
    at = parent;
  }
  if (at >= 0) close(at);
  return found;
}

typedef struct walk {
  int at;
  int links;
  char rest[2 * LINKS_PATH];  // what is still to be walked
  link_seen *seen;
} walk;

static bool move(walk *w, int to) {
  if (to < 0) return false;
  close(w->at);
  w->at = to;
  return true;
}

// Puts the target of the link `name` in front of what is behind it: 1; 0 where `name` is no link; -1 with errno.
static int follow(walk *w, const char *name, const char *behind) {
  link_seen *seen = w->seen;
  ssize_t read = readlinkat(w->at, name, seen->target, sizeof seen->target);
  if (read < 0) return errno == EINVAL ? 0 : -1;
  size_t size = (size_t)read, left = strlen(behind) + 1;
  if (++w->links > MOST_LINKS) return fail(ELOOP);
  if (size >= sizeof seen->target || size + 1 + left > sizeof w->rest) return fail(ENAMETOOLONG);
  seen->any = true;
  seen->target[size] = 0;
  memcpy(seen->name, name, strlen(name) + 1);
  memmove(w->rest + size + 1, behind, left);
  memcpy(w->rest, seen->target, size);
  w->rest[size] = '/';
  if (seen->target[0] == '/' && !move(w, links_open_folder(AT_FDCWD, "/"))) return -1;
  return 1;
}

// Walks to the folder of the last name, which is no link when it is looked at, and leaves that name in `name`.
static bool arrive(walk *w, char name[LINKS_NAME]) {
  for (int steps = 0; steps < MOST_FOLDERS * 2; steps++) {
    const char *from = w->rest + strspn(w->rest, "/");
    size_t size = strcspn(from, "/");
    const char *behind = from + size + strspn(from + size, "/");
    if (size >= LINKS_NAME || size == 0) return fail(size ? ENAMETOOLONG : EISDIR) == 0;
    memcpy(name, from, size);
    name[size] = 0;
    int followed = follow(w, name, behind);
    if (followed < 0) return false;
    if (followed) continue;
    if (!*behind) return true;
    if (!move(w, openat(w->at, name, FOLDER_FLAGS | O_NOFOLLOW))) return false;
    memmove(w->rest, behind, strlen(behind) + 1);
  }
  return fail(ELOOP) == 0;
}

int links_open(int base, const char *path, const folder_id *roots, size_t root_count, link_seen *link, int *lies_in) {
  char name[LINKS_NAME];
  walk w = {.at = links_open_folder(base, path[0] == '/' ? "/" : "."), .seen = link};
  link->any = false;
  if (w.at < 0) return -1;
  int fd = -1;
  if ((size_t)snprintf(w.rest, sizeof w.rest, "%s", path) >= sizeof w.rest) fail(ENAMETOOLONG);
  else if (!arrive(&w, name)) fd = -1;
  else if (root_count && !lies_beneath(w.at, roots, root_count)) fail(EXDEV);
  else fd = openat(w.at, name, FILE_FLAGS);
  if (fd >= 0 && lies_in) *lies_in = w.at;
  else close_quietly(w.at);
  return fd;
}
