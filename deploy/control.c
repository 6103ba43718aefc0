// SPDX-License-Identifier: Apache-2.0
// The control socket (control.h). Its path is short whatever the workspace's is: it is reached through an open folder.
#include "deploy/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "deploy/journal.h"
#include "deploy/service.h"
#include "support/files.h"
#include "support/json.h"

enum { WORD_MS = 200, ANSWER_MS = 5000, ANSWER_BYTES = 1 << 20, BACKLOG = 64 };
static const char socket_name[] = "control", lock_name[] = "lock";

char *service_folder(const registry *r, const char *name) {
  return path_format("%s/services/%s", registry_store(r), name);
}

static struct sockaddr_un address_in(int folder) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  snprintf(a.sun_path, sizeof a.sun_path, "/proc/self/fd/%d/%s", folder, socket_name);
  return a;
}

int control_open(int folder, fault *f) {
  struct sockaddr_un a = address_in(folder);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  unlinkat(folder, socket_name, 0);  // of a supervisor that was killed: the caller holds the lock
  if (fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof a) && !listen(fd, BACKLOG)) return fd;
  fault_errno(f, errno, "cannot make the control socket");
  if (fd >= 0) close(fd);
  return -1;
}

static bool wait_for(int fd, short events, int ms) {
  struct pollfd p = {fd, events, 0};
  return poll(&p, 1, ms) > 0;
}

// All that comes until the other end closes or shuts its side; NULL: nothing whole in time.
static char *read_all(int fd, size_t most, int ms) {
  char *text = malloc(most + 1);
  size_t size = 0;
  ssize_t got = -1;
  while (text && size < most && wait_for(fd, POLLIN, ms) && (got = read(fd, text + size, most - size)) > 0)
    size += (size_t)got;
  if (text && got == 0) {
    text[size] = 0;
    return text;
  }
  free(text);
  return NULL;
}

void control_take(int listener, control_answer answer, void *context) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  char *word = fd >= 0 ? read_all(fd, 64, WORD_MS) : NULL;
  json_t *said = word ? answer(context, word) : NULL;
  char *text = said ? json_dumps(said, JSON_COMPACT) : NULL;
  if (text && send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) errno = 0;  // the client has gone
  free(text);
  json_decref(said);
  free(word);
  if (fd >= 0) close(fd);
}

static int open_folder(const registry *r, const char *name) {
  fault ignored = {0};
  char *path = service_folder(r, name);
  int folder = path ? folder_open(AT_FDCWD, path, 0, &ignored) : -1;
  free(path);
  return folder;
}

static int connect_to(const registry *r, const char *name) {
  int folder = open_folder(r, name);
  if (folder < 0) return -1;
  struct sockaddr_un a = address_in(folder);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a)) {
    close(fd);
    fd = -1;
  }
  close(folder);
  return fd;
}

// Of the open file, not of the process; unlike that of flock() it can be looked at without being taken for a moment.
static struct flock whole_file(void) { return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET}; }

int control_lock(int folder) {
  struct flock lock = whole_file();
  int fd = openat(folder, lock_name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || !fcntl(fd, F_OFD_SETLK, &lock)) return fd;
  close(fd);
  return -1;
}

bool control_supervised(const registry *r, const char *name) {
  struct flock lock = whole_file();
  int folder = open_folder(r, name), fd = folder < 0 ? -1 : openat(folder, lock_name, O_RDWR | O_CLOEXEC);
  bool held = fd >= 0 && !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
  if (fd >= 0) close(fd);
  if (folder >= 0) close(folder);
  return held;
}

json_t *control_ask(const registry *r, const char *name, const char *word) {
  int fd = connect_to(r, name);
  if (fd < 0) return NULL;
  bool sent = send(fd, word, strlen(word), MSG_NOSIGNAL) > 0 && !shutdown(fd, SHUT_WR);
  char *text = sent ? read_all(fd, ANSWER_BYTES, ANSWER_MS) : NULL;
  json_t *answer = text ? json_loads(text, 0, NULL) : NULL;
  free(text);
  close(fd);
  return answer;
}

sdx_status service_follow(registry *r, const char *name, journal_take take, void *context, fault *f) {
  json_t *settings;
  if (registry_get_service(r, name, &settings, NULL, f)) return f->status;
  bool cluster = !strcmp(text_of(settings, "target"), "kubernetes");
  json_decref(settings);
  if (cluster) {
    fault_set(f, SDX_NOT_SUPPORTED, "the log of a service on a cluster is not followed");
    return fault_hint(f, "kubectl logs -f deployment/%s", name);
  }
  char *path = service_folder(r, name);
  if (!path) return fault_no_memory(f);
  journal_follow(path, take, context, f);
  free(path);
  return f->status;
}
