// SPDX-License-Identifier: Apache-2.0
// From SIGTERM to exit:
//   1. not ready, at once; go on accepting for drain_lag_ms, until routers have noticed
//   2. stop accepting without cutting anybody: a filter drops new SYNs (their clients retry, then get
//      "refused"), connections whose handshake is done are taken out of the backlog, then it closes
//   3. every reply ends its connection; idle ones are closed
//   4. when the drain time is over what still runs is cancelled and answered 503
// The second signal ends the process at once.
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/host.h"
#include "server/log.h"
#include "server/repository.h"
#include "server/server.h"

enum { TICK_MS = 10, BACKLOG_MS = 30, CANCEL_MS = 2000 };

// Waits, for at most `wait_ms` (negative: for ever), for a signal that ends the server.
static bool end_signal(server *srv, int64_t wait_ms) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGUSR1);
  struct timespec wait = {wait_ms / 1000, wait_ms % 1000 * 1000000};
  for (;;) {
    int got = wait_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &wait);
    if (got == SIGTERM || got == SIGINT) return true;
    if (got == SIGHUP) {
      // Without a terminal there is nothing to hang up: certificates and keys are read again.
      if (isatty(STDERR_FILENO)) return true;
      net_reload(&srv->net);
      keys_reload(&srv->keys);
      split_reload(&srv->split);
      if (srv->repository) repository_rescan(srv->repository);
    } else if (got == SIGUSR1) {
      net_release(&srv->net);
    } else if (got < 0 && errno == EAGAIN) {
      return false;
    }
  }
}

static void quit_on_second(server *srv, int64_t wait_ms) {
  if (!end_signal(srv, wait_ms)) return;
  log_line("warning", "second signal: exit without waiting");
  _exit(1);
}

int drain_wait(server *srv) {
  const limits *l = &srv->limits;
  net *n = &srv->net;
  end_signal(srv, -1);
  uint64_t start = clock_ns();
  atomic_store(&srv->draining, true);
  log_line("info", "draining: %zu requests in flight", atomic_load(&n->exchanges));
  if (l->drain_lag_ms) quit_on_second(srv, l->drain_lag_ms);
  net_refuse_new(n);
  quit_on_second(srv, BACKLOG_MS);
  net_stop_accepting(n);
  uint64_t idle_from = clock_ns() + (uint64_t)l->drain_idle_ms * 1000000u,
           deadline = start + (uint64_t)(l->drain_lag_ms + l->drain_ms) * 1000000u;
  size_t cut = 0;
  while (net_accepts(n) || atomic_load(&n->connections) > 0) {
    uint64_t now = clock_ns();
    // A client that is about to send on an open connection gets a moment to do so.
    if (now >= idle_from) net_close_idle(n);
    if (!cut && now >= deadline) {
      cut = atomic_load(&n->exchanges) + 1;
      net_cancel_all(n);
    }
    if (now >= deadline + CANCEL_MS * 1000000u) {
      log_line("error", "%zu requests did not end in time", atomic_load(&n->exchanges));
      _exit(1);
    }
    quit_on_second(srv, TICK_MS);
  }
  log_line("info", cut > 1 ? "stopped; %zu requests were cut" : "stopped", cut ? cut - 1 : 0);
  return cut > 1;
}
