// SPDX-License-Identifier: Apache-2.0
// The connection layer as a whole (net.h).
#include "server/net/net.h"

#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "base/host.h"
#include "server/log.h"
#include "server/net/listen.h"
#include "server/net/loop.h"
#include "server/net/tls.h"

static void raise_descriptors(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == files.rlim_max) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

bool net_open(net *n, const net_config *config) {
  n->config = config;
  n->limits = config->limits;
  n->handler = config->handler;
  n->context = config->context;
  if (getrandom(&n->seed, sizeof n->seed, 0) < 0) n->seed = clock_ns();
  raise_descriptors();
  if (config->certificate) {
    char why[300];
    n->tls = tls_create(config->certificate, config->key, why, sizeof why);
    if (!n->tls) {
      log_line("error", "%s", why);
      return false;
    }
  }
  return listen_open(n);
}

bool net_start(net *n) {
  n->loops = calloc(n->config->loops, sizeof *n->loops);
  if (!n->loops) return false;
  // All are there before the first one accepts: it may choose any of them.
  for (; n->loop_count < n->config->loops; n->loop_count++)
    if (!(n->loops[n->loop_count] = loop_create(n))) return false;
  for (size_t i = 0; i < n->loop_count; i++)
    if (!loop_start(n->loops[i])) return false;
  return true;
}

void net_stop(net *n) {
  for (size_t i = 0; i < n->loop_count; i++) loop_stop(n->loops[i]);
}

void net_close(net *n) {
  for (size_t i = 0; i < n->loop_count; i++) loop_destroy(n->loops[i]);
  free(n->loops);
  n->loops = NULL;
  n->loop_count = 0;
  listen_close(n);
  tls_destroy(n->tls);
  n->tls = NULL;
}

void net_addresses(const net *n, text *to) {
  for (size_t i = 0; i < n->listener_count; i++) {
    const listener *at = &n->listeners[i];
    if (at->unix_path) text_format(to, "%sunix:%s", i ? "\n" : "", at->unix_path);
    else text_format(to, "%shttp%s://%s", i ? "\n" : "", at->tls ? "s" : "", at->text);
  }
}

void net_reload(net *n) {
  if (n->tls) tls_reload(n->tls);
}

static void command(net *n, loop_command c) {
  for (size_t i = 0; i < n->loop_count; i++) loop_command_send(n->loops[i], c);
}

void net_release(net *n) {
  if (!atomic_exchange(&n->released, true)) command(n, LOOP_RELEASE);
}

void net_refuse_new(net *n) { listen_refuse_new(n); }

void net_stop_accepting(net *n) {
  atomic_store(&n->closing, true);
  command(n, LOOP_STOP_ACCEPTING);
}

bool net_accepts(const net *n) { return atomic_load(&n->ended) < n->loop_count; }

void net_close_idle(net *n) { command(n, LOOP_CLOSE_IDLE); }
void net_cancel_all(net *n) { command(n, LOOP_CANCEL_ALL); }
