// SPDX-License-Identifier: Apache-2.0
// The server as a whole and how it is started. Threads: `io_threads` serve sockets inside
// libmicrohttpd (http.c), `workers` compute (worker.c), one watches clocks and lost clients
// (watch.c), and the caller of server_run waits for signals (drain.c).
// Read next: http.h, worker.h, README.md.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/limits.h"
#include "server/model.h"

struct MHD_Daemon;

typedef struct server_model {
  const char *name;  // NULL: from the file name
  const char *path;
} server_model;

typedef struct server_config {
  limits limits;
  const char *host;  // name or address
  int port;          // 0: any
  const server_model *models;
  size_t model_count;
  const sdx_options *options;
  bool access_log, json_log;
  const char *pid_file, *port_file;  // NULL: none
} server_config;

// Loads, serves until SIGTERM or SIGINT, drains. 0 when every accepted request was answered.
int server_run(const server_config *config);

enum { CLIENT_BUCKETS = 4096 };

typedef struct server {
  const server_config *config;
  limits limits;
  model *models;  // the first one answers /score
  size_t model_count;
  struct MHD_Daemon *daemon;
  int listen_fd, port;
  uint64_t start_ns, seed;
  atomic_bool draining;  // not ready any more
  atomic_bool closing;   // no new connections; replies end theirs
  atomic_size_t connections, active, buffered_bytes;
  atomic_uint_fast64_t cancelled, timeouts_cut, refused_framing, refused_queue, refused_wait, refused_client,
      refused_memory, inline_runs, inline_moved;
  model_metrics no_model;               // requests that name no model
  atomic_uint clients[CLIENT_BUCKETS];  // scoring requests in flight by hash of the address
  struct workers *workers;
  struct watch *watch;
} server;

bool server_ready(const server *srv);
model *server_find_model(server *srv, str name);
// Spread over 1 to 3: what Retry-After tells refused clients, so that they do not return together.
unsigned server_retry_seconds(server *srv);

// drain.c: waits for signals, then drains. Returns the exit code.
int drain_wait(server *srv);
