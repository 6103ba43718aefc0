// SPDX-License-Identifier: Apache-2.0
// Logs of services (journal.h).
#include "deploy/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"
#include "support/files.h"

enum { LARGEST = 8 << 20, LINE_BYTES = 8192 };
static const char current[] = "log", older[] = "log.1";

sdx_status journal_open(journal *j, int folder, fault *f) {
  struct stat info;
  j->folder = folder;
  j->fd = openat(folder, current, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (j->fd < 0 || fstat(j->fd, &info)) return fault_errno(f, errno, "cannot open the log");
  j->size = (uint64_t)info.st_size;
  return SDX_OK;
}

void journal_close(journal *j) {
  if (j->fd > 0) close(j->fd);
  j->fd = 0;
}

static void rotate(journal *j) {
  fault ignored = {0};
  journal_close(j);
  renameat(j->folder, current, j->folder, older);
  journal_open(j, j->folder, &ignored);
}

void journal_write(journal *j, const char *format, ...) {
  char line[LINE_BYTES], time[CLOCK_STAMP];
  if (j->fd <= 0) return;
  clock_stamp(time);
  int head = snprintf(line, sizeof line - 1, "%s ", time);
  va_list list;
  va_start(list, format);
  int more = vsnprintf(line + head, sizeof line - 1 - (size_t)head, format, list);
  va_end(list);
  size_t room = sizeof line - 2 - (size_t)head, size = (size_t)head + (more < 0              ? 0
                                                                       : (size_t)more < room ? (size_t)more
                                                                                             : room);
  for (size_t i = 0; i < size; i++)
    if ((unsigned char)line[i] < 0x20 && line[i] != '\t') line[i] = ' ';
  line[size++] = '\n';
  if (!file_write_all(j->fd, line, size)) return;  // a full disk costs lines of the log, nothing else
  j->size += size;
  if (j->size > LARGEST) rotate(j);
}

// ---- reading -------------------------------------------------------------------------------------

// Puts the last lines of a text in front of the list, up to `lines` in all.
static void take_last(json_t *list, const char *text, size_t size, size_t lines) {
  while (size && json_array_size(list) < lines) {
    size_t end = text[size - 1] == '\n' ? size - 1 : size, begin = end;
    while (begin && text[begin - 1] != '\n') begin--;
    json_t *line = json_stringn(text + begin, end - begin);
    json_array_insert_new(list, 0, line ? line : json_string("(not UTF-8)"));
    size = begin;
  }
}

json_t *journal_tail(const char *folder, size_t lines) {
  json_t *list = json_array();
  const char *const names[] = {current, older};
  for (size_t i = 0; i < 2 && json_array_size(list) < lines; i++) {
    fault ignored = {0};
    size_t size = 0;
    char *path = path_format("%s/%s", folder, names[i]);
    char *text = path ? file_load(AT_FDCWD, path, 2 * LARGEST, &size, &ignored) : NULL;
    if (text) take_last(list, text, size, lines);
    free(text);
    free(path);
  }
  return list;
}

// ---- following -----------------------------------------------------------------------------------

// False: `take` has enough.
static bool hand_over(int fd, journal_take take, void *context) {
  char bytes[8192];
  ssize_t size;
  while ((size = read(fd, bytes, sizeof bytes)) > 0)
    if (!take(context, bytes, (size_t)size)) return false;
  return true;
}

sdx_status journal_follow(const char *folder, journal_take take, void *context, fault *f) {
  char event[4096];
  int watch = inotify_init1(IN_CLOEXEC), at = folder_open(AT_FDCWD, folder, 0, f), fd = -1;
  if (at >= 0 && (watch < 0 || inotify_add_watch(watch, folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0))
    fault_errno(f, errno, "cannot watch %s", folder);
  if (!f->status && (fd = openat(at, current, O_RDONLY | O_CLOEXEC)) >= 0) lseek(fd, 0, SEEK_END);
  while (!f->status && (fd < 0 || hand_over(fd, take, context))) {
    struct stat open_one, there;
    bool gone = fd < 0 || fstat(fd, &open_one) || (!fstatat(at, current, &there, 0) && there.st_ino != open_one.st_ino);
    if (gone) {  // it has become log.1, and another one has begun
      if (fd >= 0) close(fd);
      fd = openat(at, current, O_RDONLY | O_CLOEXEC);
      if (fd >= 0) continue;
    }
    if (read(watch, event, sizeof event) < 0 && errno != EINTR) fault_errno(f, errno, "cannot watch %s", folder);
  }
  if (fd >= 0) close(fd);
  if (at >= 0) close(at);
  if (watch >= 0) close(watch);
  return f->status;
}
