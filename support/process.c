// SPDX-License-Identifier: Apache-2.0
// Running programs (process.h).
#include "support/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host.h"
#include "support/files.h"

typedef struct failure {  // what the child tells through the pipe before exec
  int step, error;
} failure;

enum { STEP_FOLDER, STEP_FILES, STEP_SANDBOX, STEP_EXEC, HIGH = 64 };

// Only system calls from here on: the parent may have threads that hold locks. Descriptors are first moved out of the
// way of 0 to 3.
static int arrange(const program *p, int report) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int from[4] = {p->in, p->out, p->err, p->pass}, high[4];
  if (null < 0) return errno;
  for (int i = 0; i < 4; i++) {
    high[i] = from[i] < 0 && i == 3 ? -1 : fcntl(from[i] < 0 ? null : from[i], F_DUPFD_CLOEXEC, HIGH);
    if (high[i] < 0 && !(from[i] < 0 && i == 3)) return errno;
  }
  for (int i = 0; i < 4; i++)
    if (high[i] >= 0 && dup2(high[i], i) < 0) return errno;
  if (high[3] < 0) close(3);
  // The rest closes itself at exec. Where the call is missing, a few thousand are looked at.
  if (syscall(SYS_close_range, 4, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */))
    for (int fd = 4; fd < 4096; fd++) fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fcntl(report, F_SETFD, FD_CLOEXEC) ? errno : 0;
}

static void child(const program *p, const sandbox_rules *rules, int report, char *const *environment) {
  failure why = {STEP_FOLDER, 0};
  struct sigaction standard = {.sa_handler = SIG_DFL};
  sigset_t none;
  for (int s = 1; s < 32; s++) sigaction(s, &standard, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  umask(077);
  report = fcntl(report, F_DUPFD_CLOEXEC, HIGH);
  if (p->folder && chdir(p->folder)) why.error = errno;
  if (!why.error) why = (failure){STEP_FILES, arrange(p, report)};
  if (!why.error && rules) why = (failure){STEP_SANDBOX, sandbox_enter(rules)};
  if (!why.error) {
    execvpe(p->arguments[0], (char *const *)p->arguments, environment);
    why = (failure){STEP_EXEC, errno};
  }
  if (write(report, &why, sizeof why) < 0) _exit(126);
  _exit(127);
}

extern char **environ;

sdx_status process_start(const program *p, pid_t *pid, fault *f) {
  static const char *const steps[] = {"cannot enter its folder", "cannot arrange its files", "cannot enter its sandbox",
                                      "cannot run"};
  sandbox_rules *rules = NULL;
  int report[2];
  if (p->box && sandbox_prepare(p->box, &rules, f)) return f->status;
  if (pipe2(report, O_CLOEXEC)) {
    sandbox_release(rules);
    return fault_errno(f, errno, "pipe");
  }
  pid_t parent = getpid();
  *pid = fork();
  if (*pid == 0) {
    if (getppid() != parent) _exit(126);
    child(p, rules, report[1], p->environment ? (char *const *)p->environment : environ);
  }
  int error = errno;
  close(report[1]);
  sandbox_release(rules);
  failure why = {0};
  ssize_t got = 0;
  if (*pid < 0) fault_errno(f, error, "fork");
  else
    while ((got = read(report[0], &why, sizeof why)) < 0 && errno == EINTR) continue;
  close(report[0]);
  if (*pid > 0 && got == sizeof why) {
    waitpid(*pid, NULL, 0);
    fault_errno(f, why.error, "%s: %s", p->arguments[0], steps[why.step]);
    *pid = -1;
  }
  return *pid < 0 ? f->status : SDX_OK;
}

int process_end(pid_t pid) {
  int status = 0;
  kill(-pid, SIGKILL);
  kill(pid, SIGKILL);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

// ---- to the end --------------------------------------------------------------------------------

typedef struct stream {
  int fd;
  char **text;
  size_t *size, room;
} stream;

// False: memory is exhausted or there is too much.
static bool gather(stream *s, size_t most) {
  if (*s->size + 1 >= s->room) {
    size_t room = s->room < 4096 ? 4096 : s->room * 2;
    char *more = *s->size >= most ? NULL : realloc(*s->text, room);
    if (!more) return false;
    *s->text = more;
    s->room = room;
  }
  ssize_t got = read(s->fd, *s->text + *s->size, s->room - *s->size - 1);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (got <= 0) {
    close(s->fd);
    s->fd = -1;
  } else {
    *s->size += (size_t)got;
  }
  return true;
}

// Until both streams are closed, the time is up or there is too much.
static void converse(stream streams[2], size_t most, uint64_t end, process_output *o) {
  while ((streams[0].fd >= 0 || streams[1].fd >= 0) && !o->late && !o->excess) {
    struct pollfd polled[2] = {{streams[0].fd, POLLIN, 0}, {streams[1].fd, POLLIN, 0}};
    uint64_t now = clock_ns() / 1000000;
    int ready = now >= end ? 0 : poll(polled, 2, (int)(end - now > 1000000 ? 1000000 : end - now));
    o->late = ready == 0 && clock_ns() / 1000000 >= end;
    for (int i = 0; i < 2 && ready > 0; i++)
      if (polled[i].revents && !gather(&streams[i], most)) o->excess = true;
  }
  for (int i = 0; i < 2; i++)
    if (streams[i].fd >= 0) close(streams[i].fd);
}

static void await(pid_t pid, uint64_t end, process_output *o) {
  int status = 0;
  pid_t done = 0;
  for (unsigned wait_us = 100; !o->late && !o->excess && !(done = waitpid(pid, &status, WNOHANG));) {
    usleep(wait_us);
    if (wait_us < 20000) wait_us *= 2;
    o->late = clock_ns() / 1000000 >= end;
  }
  if (done != pid) status = process_end(pid);
  o->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  o->killed = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

// The input as an open file at its beginning; -1: failed.
static int input_file(const void *input, size_t size) {
  int fd = memfd_create("input", MFD_CLOEXEC);
  if (fd >= 0 && file_write_all(fd, input, size) && !lseek(fd, 0, SEEK_SET)) return fd;
  if (fd >= 0) close(fd);
  return -1;
}

sdx_status process_run(program p, const void *input, size_t input_size, size_t most, unsigned timeout_ms,
                       process_output *o, fault *f) {
  uint64_t end = clock_ns() / 1000000 + timeout_ms;
  int out[2] = {-1, -1}, err[2] = {-1, -1};
  pid_t pid = -1;
  *o = (process_output){.out = calloc(1, 1), .err = calloc(1, 1)};
  p.in = input_file(input, input_size);
  if (!o->out || !o->err || p.in < 0 || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) fault_errno(f, errno, "pipe");
  p.out = out[1];
  p.err = err[1];
  if (!f->status) process_start(&p, &pid, f);
  int theirs[] = {p.in, p.out, p.err, f->status ? out[0] : -1, f->status ? err[0] : -1};
  for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
    if (theirs[i] >= 0) close(theirs[i]);
  if (f->status) {
    process_output_free(o);
    return f->status;
  }
  stream streams[2] = {{out[0], &o->out, &o->out_size, 1}, {err[0], &o->err, &o->err_size, 1}};
  converse(streams, most, end, o);
  await(pid, end, o);
  o->out[o->out_size] = 0;
  o->err[o->err_size] = 0;
  return SDX_OK;
}

void process_output_free(process_output *o) {
  free(o->out);
  free(o->err);
  o->out = o->err = NULL;
}

char *program_find(const char *name) {
  if (strchr(name, '/')) return strdup(name);
  const char *path = getenv("PATH");
  while (path && *path) {
    size_t length = strcspn(path, ":");
    char *candidate = NULL;
    if (asprintf(&candidate, "%.*s/%s", (int)length, path, name) < 0) return NULL;
    if (length && !access(candidate, X_OK)) return candidate;
    free(candidate);
    path += length + (path[length] == ':');
  }
  return NULL;
}
