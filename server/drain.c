// SPDX-License-Identifier: Apache-2.0
// From SIGTERM to exit:
//   1. not ready, at once; go on accepting for drain_lag_ms, until routers have noticed
//   2. stop accepting without cutting anybody: a filter drops new SYNs (their clients retry, then get
//      "refused"), connections whose handshake is done are taken out of the backlog, then it closes
//   3. every reply ends its connection; idle ones are closed
//   4. when the drain time is over what still runs is cancelled and answered 503
// The second signal ends the process at once.
#include <errno.h>
#include <linux/filter.h>
#include <microhttpd.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/host.h"
#include "server/http.h"
#include "server/log.h"
#include "server/watch.h"

enum { TICK_MS = 10, BACKLOG_MS = 30, IDLE_MS = 250, CANCEL_MS = 2000 };

// Waits, for at most `wait_ms` (negative: for ever), for a signal that ends the server.
static bool end_signal(int64_t wait_ms) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000};
  for (;;) {
    int got = wait_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &wait);
    if (got == SIGTERM || got == SIGINT) return true;
    if (got == SIGHUP) {
      // Without a terminal there is nothing to hang up; there is nothing to read again either.
      if (isatty(STDERR_FILENO)) return true;
      log_line("info", "SIGHUP: ignored");
    } else if (got < 0 && errno == EAGAIN) {
      return false;
    }
  }
}

static void quit_on_second(int64_t wait_ms) {
  if (!end_signal(wait_ms)) return;
  log_line("warning", "second signal: exit without waiting");
  _exit(1);
}

static void drop_new_connections(int fd) {
  // Classic BPF over the TCP header: byte 13 holds the flags, 2 is SYN.
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);  // without it: a smaller window, not none
}

static void stop_accepting(server *srv) {
  drop_new_connections(srv->listen_fd);
  int fd = MHD_quiesce_daemon(srv->daemon);
  if (fd == MHD_INVALID_SOCKET) fd = srv->listen_fd;
  for (uint64_t end = clock_ns() + BACKLOG_MS * 1000000u; clock_ns() < end;) {
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client >= 0) http_adopt(srv, client);
    else quit_on_second(1);
  }
  close(fd);
  srv->listen_fd = -1;
}

int drain_wait(server *srv) {
  const limits *l = &srv->limits;
  end_signal(-1);
  uint64_t start = clock_ns();
  atomic_store(&srv->draining, true);
  log_line("info", "draining: %zu requests in flight", atomic_load(&srv->active));
  if (l->drain_lag_ms) quit_on_second(l->drain_lag_ms);
  stop_accepting(srv);
  atomic_store(&srv->closing, true);
  uint64_t idle_from = clock_ns() + IDLE_MS * 1000000u,
           deadline = start + (uint64_t)(l->drain_lag_ms + l->drain_ms) * 1000000u;
  size_t cut = 0;
  while (atomic_load(&srv->connections) > 0) {
    uint64_t now = clock_ns();
    // A client that is about to send on an open connection gets a moment to do so.
    if (atomic_load(&srv->active) == 0 && now >= idle_from) watch_close_idle(srv);
    if (!cut && now >= deadline) cut = watch_cancel_all(srv, 503) + 1;
    if (now >= deadline + CANCEL_MS * 1000000u) {
      log_line("error", "%zu requests did not end in time", atomic_load(&srv->active));
      _exit(1);
    }
    quit_on_second(TICK_MS);
  }
  log_line("info", cut > 1 ? "stopped; %zu requests were cut" : "stopped", cut ? cut - 1 : 0);
  return cut > 1;
}
