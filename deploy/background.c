// SPDX-License-Identifier: Apache-2.0
// Starting a supervisor (service.h: service_supervise) that goes on when the command and its shell have ended.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "deploy/service.h"

enum { START_MS = 20000 };

// Of a process without a terminal; the log is the supervisor's own.
static void detach(int output) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  int null = open("/dev/null", O_RDWR);
  dup2(null, STDIN_FILENO);
  dup2(null, STDERR_FILENO);
  dup2(output, STDOUT_FILENO);
  for (int fd = 3; fd < 4096; fd++) close(fd);
}

// Until its output ends: it has the service by then, or has found that somebody else has, or has ended.
static void await_start(int output) {
  struct pollfd end = {output, POLLIN, 0};
  poll(&end, 1, START_MS);
}

sdx_status service_supervise(const registry *r, const char *name, fault *f) {
  const char *const arguments[] = {registry_command(r), "service",          "supervise", name,
                                   "--workspace",       registry_config(r), NULL};
  int output[2];
  if (pipe2(output, O_CLOEXEC)) return fault_errno(f, errno, "pipe");
  pid_t child = fork();
  if (child == 0) {
    // A session of its own, and a parent that does not wait: it goes on when shell and command end.
    setsid();
    if (fork() != 0) _exit(0);
    detach(output[1]);
    if (chdir("/")) _exit(126);
    execv(arguments[0], (char *const *)arguments);
    _exit(127);
  }
  close(output[1]);
  if (child < 0) fault_set(f, SDX_NO_MEMORY, "cannot start a process");
  else waitpid(child, NULL, 0), await_start(output[0]);
  close(output[0]);
  return f->status;
}
