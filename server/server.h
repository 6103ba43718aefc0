// SPDX-License-Identifier: Apache-2.0
// The server as a whole and how it is started. Threads: loops serve sockets (net/), workers compute (admission/), one
// does chores that block, and the caller of server_run waits for signals (drain.c).
// Read next: net/net.h, call.h, README.md.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/keys.h"
#include "server/labels.h"
#include "server/lane.h"
#include "server/limits.h"
#include "server/models.h"
#include "server/net/net.h"
#include "server/regions.h"
#include "server/split.h"

typedef struct server_model {
  const char *name;  // NULL: from the file name; "name:2": version 2
  const char *path;
} server_model;

// What the classes of a model are called; without one of these its metadata says so.
typedef struct server_labels {
  const char *name;  // NULL: of the first model
  const class_labels *classes;
} server_labels;

// A scoring script: it answers /score, run by Python in a sandbox.
typedef struct server_script {
  const char *path;         // NULL: none
  const char *python;       // NULL: python3 of PATH
  const char *const *read;  // what else it may read
  size_t read_count;
  bool network;
} server_script;

typedef struct server_config {
  limits limits;
  const char *const *hosts;  // names or addresses
  size_t host_count;
  int port;                                   // 0: any
  const char *unix_path, *certificate, *key;  // NULL: none
  int shared_fd;                              // an inherited socket that listens, used from SIGUSR1 on; 0: none
  network_list trusted_proxies;
  const char *const *origins;  // of pages that may call, or "*" (cors.h)
  size_t origin_count;
  const server_model *models;
  size_t model_count;
  const char *repository;   // a folder of models; NULL: none
  const char *const *pins;  // names of models that stay in memory
  size_t pin_count;
  const server_labels *labels;
  size_t label_count;
  const char *const *states;  // "input=output": of models that keep a state
  size_t state_count;
  server_script script;
  const sdx_options *options;
  bool access_log, json_log, no_ui;
  const char *otlp, *alert_webhook;  // URLs; NULL: none
  const char *collect, *collect_as;  // folder, SUBSCRIPTION/GROUP/WORKSPACE/SERVICE; NULL: none
  double collect_share;
  const char *const *redact;  // names whose values are not collected
  size_t redact_count;
  const char *const *baselines;  // [NAME[:VERSION]=]FILE
  size_t baseline_count;
  double otlp_share;
  const char *pid_file, *port_file, *keys, *token_key, *split;  // NULL: none
  const struct http_route *const *routes;                       // beside those of the server, ended by NULL; NULL: none
  const void *routes_context;                                   // what they work on
} server_config;

// Loads, serves until SIGTERM or SIGINT, drains. 0 when every accepted request was answered.
int server_run(const server_config *config);

typedef struct server {
  const server_config *config;
  limits limits;
  net net;
  net_config net_config;
  const struct http_route **routes;  // those that are answered, ended by NULL
  keys keys;
  models models;  // the first one answers /score
  struct repository *repository;
  split split;
  regions regions;
  struct response_cache *cache;                          // NULL: answers are not kept
  struct admission *queue, *quick, *chores, *elsewhere;  // elsewhere: NULL where nothing is split
  struct script_pool *script;                            // NULL: none
  struct otlp *otlp;                                     // NULL: spans are not recorded
  struct alerts *alerts;
  struct collector *collector;  // NULL: nothing is collected
  uint64_t start_ns, seed;
  atomic_bool draining;  // not ready any more
  atomic_uint_fast64_t cancelled, refused_queue, refused_wait, refused_forecast, refused_client, inline_runs,
      inline_moved;
  model_metrics no_model;            // requests that name no model
  atomic_uint clients[NET_CLIENTS];  // scoring calls in flight by hash of the address
} server;

bool server_ready(const server *srv);
// Spread over 1 to 3: what Retry-After tells refused clients, so that they do not return together.
unsigned server_retry_seconds(server *srv);

// drain.c: waits for signals, then drains. Returns the exit code.
int drain_wait(server *srv);
