// SPDX-License-Identifier: Apache-2.0
// Files and standard streams (files.h).
#include "cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"
#include "support/files.h"

static const char STANDARD_INPUT[] = "/dev/stdin";

bool is_standard_stream(const char *path) { return !strcmp(path, "-"); }

// ---- reading -----------------------------------------------------------------------------------

// Half of the memory: the other half is for what is made of it.
static size_t most_bytes(void) { return host_memory_bytes() / 2; }

static void *too_large(const char *path, why *w) {
  return why_set(w, "%s: more than %zu bytes, half of the memory there is; give a file", path, most_bytes());
}

static bool take_standard_input(why *w) {
  static bool taken;
  if (taken) return (bool)why_set(w, "standard input ('-') is given twice; it can be read once: give one as a file");
  taken = true;
  if (isatty(STDIN_FILENO)) cli_note("reading standard input from the terminal; Ctrl-D ends it");
  return true;
}

static char *read_all(FILE *file, const char *path, size_t capacity, size_t *size, why *w) {
  size_t most = most_bytes();
  char *bytes = malloc(capacity);
  *size = 0;
  while (bytes) {
    *size += fread(bytes + *size, 1, capacity - *size, file);
    if (*size < capacity) break;
    if (capacity > most) {
      free(bytes);
      return too_large(path, w);
    }
    char *more = realloc(bytes, capacity *= 2);
    if (!more) free(bytes);
    bytes = more;
  }
  if (!bytes) return why_set(w, "%s: not enough memory to read it", path);
  if (ferror(file)) {
    free(bytes);
    return why_set(w, "cannot read %s: %s", path, strerror(errno));
  }
  bytes[*size] = 0;  // there is room: the loop ends below capacity
  return bytes;
}

// For reading, -1 with `w`. A pipe that nobody has begun to write to after a while is not waited for.
static int open_input(const char *path, why *w) {
  enum { PATIENCE_MS = 5000 };
  struct stat info;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) why_set(w, "cannot open %s: %s", path, strerror(errno));
  if (fd < 0) return -1;
  fcntl(fd, F_SETFL, 0);  // only opening was not to wait
  if (fstat(fd, &info) || !S_ISFIFO(info.st_mode)) return fd;
  struct pollfd writer = {.fd = fd, .events = POLLIN};
  int found;
  do found = poll(&writer, 1, PATIENCE_MS);
  while (found < 0 && errno == EINTR);
  if (found > 0) return fd;
  why_set(w, "%s is a pipe that nobody writes to (after %d seconds)", path, PATIENCE_MS / 1000);
  close(fd);
  return -1;
}

char *file_read(const char *path, size_t *size, why *w) {
  struct stat info;
  bool standard = is_standard_stream(path);
  if (standard && !take_standard_input(w)) return NULL;
  int fd = standard ? STDIN_FILENO : open_input(path, w);
  FILE *file = fd < 0 ? NULL : standard ? stdin : fdopen(fd, "rb");
  if (fd >= 0 && !file) why_set(w, "cannot open %s: %s", path, strerror(errno));
  if (fd >= 0 && !file && !standard) close(fd);
  if (!file) return NULL;
  bool known = !fstat(fileno(file), &info);
  char *bytes = NULL;
  if (known && S_ISDIR(info.st_mode)) why_set(w, "%s is a folder, expected a file", path);
  else
    bytes = read_all(file, standard ? "standard input" : path,
                     known && info.st_size > 0 ? (size_t)info.st_size + 1 : 65536, size, w);
  if (!standard) fclose(file);
  return bytes;
}

// All that comes out of a pipe, in memory; its descriptor, or -1.
static int copy_to_memory(int from, const char *path, why *w) {
  enum { STEP = 1 << 20 };
  size_t most = most_bytes(), total = 0;
  int fd = memfd_create("sardonyx", 0);
  char *buffer = malloc(STEP);
  bool good = fd >= 0 && buffer;
  ssize_t got = 0;
  while (good && (got = read(from, buffer, STEP)) != 0) {
    if (got < 0 && errno == EINTR) continue;
    good = got > 0 && (total += (size_t)got) <= most && write(fd, buffer, (size_t)got) == got;
  }
  int error = errno;
  free(buffer);
  if (good) return fd;
  if (total > most) too_large(path, w);
  else why_set(w, "cannot read %s: %s", path, strerror(error));
  if (fd >= 0) close(fd);
  return -1;
}

char *file_reopenable(const char *path, why *w) {
  struct stat info;
  bool standard = is_standard_stream(path);
  if (!standard && (stat(path, &info) || !S_ISFIFO(info.st_mode))) return xstrdup(path);
  standard = standard || !strcmp(path, STANDARD_INPUT);
  if (standard && !take_standard_input(w)) return NULL;
  if (standard && !fstat(STDIN_FILENO, &info) && S_ISREG(info.st_mode) && !lseek(STDIN_FILENO, 0, SEEK_CUR))
    return xstrdup(STANDARD_INPUT);
  int from = standard ? STDIN_FILENO : open_input(path, w);
  if (from < 0) return NULL;
  int fd = copy_to_memory(from, standard ? "standard input" : path, w);
  if (!standard) close(from);
  if (fd < 0) return NULL;
  if (!standard) return xformat("/dev/fd/%d", fd);
  dup2(fd, STDIN_FILENO);  // under the name that everybody knows, messages too
  close(fd);
  return xstrdup(STANDARD_INPUT);
}

// ---- writing -----------------------------------------------------------------------------------

void end_by_broken_pipe(void) {
  signal(SIGPIPE, SIG_DFL);
  raise(SIGPIPE);
}

static char *volatile unfinished;  // to be taken away by a signal

static void interrupted(int signal_number) {
  if (unfinished) unlink(unfinished);
  raise(signal_number);  // SA_RESETHAND: this one ends the process
}

static void watch_signals(void) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction old, new = {.sa_handler = interrupted, .sa_flags = SA_RESETHAND};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    if (!sigaction(signals[i], NULL, &old) && old.sa_handler == SIG_DFL) sigaction(signals[i], &new, NULL);
}

static bool cannot_write(const char *path, int error, why *w) {
  bool standard = is_standard_stream(path);
  if (standard && error == EPIPE) end_by_broken_pipe();
  return (bool)why_set(w, "cannot write %s: %s", standard ? "to standard output" : path, strerror(error));
}

// A file beside the one that is meant, with its permissions; false leaves errno.
static bool open_beside(output *o, const struct stat *old) {
  mode_t mask = umask(0);
  umask(mask);
  o->target = old ? realpath(o->path, NULL) : xstrdup(o->path);  // behind links
  if (!o->target) return false;
  const char *slash = strrchr(o->target, '/');
  o->unfinished = xformat("%.*s.sardonyx-%d.new", slash ? (int)(slash - o->target + 1) : 0, o->target, (int)getpid());
  watch_signals();
  unfinished = o->unfinished;
  o->fd = open(o->unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  return o->fd >= 0 && !fchmod(o->fd, old ? old->st_mode & 07777 : 0666 & ~mask);
}

bool output_possible(const char *path, bool binary, why *w) {
  if (!binary || !is_standard_stream(path) || !isatty(STDOUT_FILENO)) return true;
  return (bool)why_set(w, "standard output is a terminal, which shows no binary data; send it into a file or a pipe");
}

bool output_open(output *o, const char *path, bool binary, why *w) {
  struct stat info;
  *o = (output){.fd = -1, .path = path};
  if (!output_possible(path, binary, w)) return false;
  if (is_standard_stream(path)) {
    fflush(stdout);
    o->fd = STDOUT_FILENO;
    return true;
  }
  bool exists = !stat(path, &info);
  if (exists && S_ISDIR(info.st_mode)) return cannot_write(path, EISDIR, w);
  bool regular = !exists || S_ISREG(info.st_mode);
  if (regular && open_beside(o, exists ? &info : NULL)) return true;
  int error = errno;
  if (regular) output_close(o, false, w);
  *o = (output){.fd = -1, .path = path};
  // Devices, pipes, and files of a folder in which none can be made.
  if (exists) o->fd = open(path, O_WRONLY | O_CLOEXEC | (regular ? O_TRUNC : 0));
  return o->fd >= 0 || cannot_write(path, error ? error : errno, w);
}

bool output_close(output *o, bool good, why *w) {
  int error = 0;
  if (good && o->unfinished && fsync(o->fd)) error = errno;
  if (o->fd > STDERR_FILENO && close(o->fd) && !error) error = errno;
  if (good && !error && o->unfinished && rename(o->unfinished, o->target)) error = errno;
  if (o->unfinished && (!good || error)) unlink(o->unfinished);
  unfinished = NULL;
  free(o->unfinished);
  free(o->target);
  if (good && error) return cannot_write(o->path, error, w);
  return good;
}

bool file_write(const char *path, bool binary, const void *bytes, size_t size, why *w) {
  output o;
  if (!output_open(&o, path, binary, w)) return false;
  bool good = file_write_all(o.fd, bytes, size) || cannot_write(path, errno, w);
  return output_close(&o, good, w);
}

bool output_is_stream(const char *path) {
  struct stat info;
  return is_standard_stream(path) || (!stat(path, &info) && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode));
}

int output_by_file(const char *path, const char *name, int (*make)(void *context, const char *file), void *context) {
  const char *temporary = getenv("TMPDIR");
  char *folder = xformat("%s/sardonyx-XXXXXX", temporary && *temporary ? temporary : "/tmp"), *file = NULL;
  why w;
  size_t size;
  int code = mkdtemp(folder) ? CLI_OK : cli_error(CLI_FAILED, "cannot make %s: %s", folder, strerror(errno));
  if (!code) {
    file = xformat("%s/%s", folder, name);
    code = make(context, file);
    char *bytes = code ? NULL : file_read(file, &size, &w);
    if (!code && (!bytes || !file_write(path, true, bytes, size, &w))) code = cli_error(CLI_FAILED, "%s", w.text);
    free(bytes);
    tree_remove(AT_FDCWD, folder, NULL);
  }
  free(file);
  free(folder);
  return code;
}
