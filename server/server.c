// SPDX-License-Identifier: Apache-2.0
// Start and end of a server (server.h).
#include "server/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/host.h"
#include "server/admission/script.h"
#include "server/log.h"
#include "server/monitor/monitor.h"
#include "server/repository.h"
#include "server/response_cache.h"
#include "server/route.h"

enum { CHORE_THREADS = 4 };  // where routes of others may take long

bool server_ready(const server *srv) {
  return !atomic_load(&srv->draining) && (!srv->script || script_pool_ready(srv->script));
}

unsigned server_retry_seconds(server *srv) {
  static atomic_uint serial;
  return 1 + (unsigned)((srv->seed + atomic_fetch_add(&serial, 1)) * 0x9E3779B97F4A7C15u >> 33) % 3;
}

static bool check_labels(server *srv) {
  const server_config *config = srv->config;
  for (size_t i = 0; i < config->label_count; i++) {
    model *m = NULL;
    if (!config->labels[i].name || models_find(&srv->models, str_from(config->labels[i].name), (str){0}, &m)) {
      model_release(m);
      continue;
    }
    log_line("error", "there are labels for '%s', but no model of that name", config->labels[i].name);
    return false;
  }
  return true;
}

static bool load_models(server *srv) {
  const server_config *config = srv->config;
  models *t = &srv->models;
  char why[1400];
  t->admission = srv->quick;
  t->batch_ns = (uint64_t)srv->limits.p99_ms * 1000000 / 2;  // the other half is for the wait
  t->batch_rows = (size_t)srv->limits.max_batch;
  t->limits = &srv->limits;
  t->states = config->states;
  t->state_count = config->state_count;
  t->memory_limit = (uint64_t)srv->limits.memory_limit_bytes;
  for (size_t i = 0; i < config->model_count; i++)
    if (!models_add(t, config->models[i].name, config->models[i].path)) return false;
  if (config->repository && !(srv->repository = repository_open(t, config->repository))) return false;
  for (size_t i = 0; i < config->pin_count; i++)
    if (!models_pin(t, config->pins[i])) return false;
  const model_list *all = models_list(t);
  for (size_t i = 0; i < all->count; i++) {
    model_entry *e = all->at[i];
    bool due = !t->memory_limit || e->pinned;
    if (due && !models_load(t, e, why, sizeof why) && !e->of_repository) return false;
  }
  t->serving = true;
  return (!srv->repository || repository_watch(srv->repository)) && check_labels(srv);
}

// Written beside and renamed, so that whoever waits for the file never reads half of it.
static bool write_number(const char *path, long number) {
  if (!path) return true;
  char beside[4096];
  if ((size_t)snprintf(beside, sizeof beside, "%s.new", path) >= sizeof beside) return false;
  FILE *file = fopen(beside, "w");
  bool good = file && fprintf(file, "%ld\n", number) > 0;
  if (file && fclose(file)) good = false;
  if (good) good = rename(beside, path) == 0;
  if (!good) log_line("error", "cannot write %s: %m", path);
  return good;
}

static void start_limits(server *srv) {
  int64_t cpus = (int64_t)host_cpus(), quarter = (int64_t)(host_memory_bytes() / 4), usual = (int64_t)1 << 30;
  if (!srv->limits.workers) srv->limits.workers = cpus;
  if (!srv->limits.io_threads) srv->limits.io_threads = cpus < 4 ? cpus : 4;
  if (!srv->limits.max_buffered_bytes) srv->limits.max_buffered_bytes = quarter < usual ? quarter : usual;
  if (getrandom(&srv->seed, sizeof srv->seed, 0) < 0) srv->seed = clock_ns();
}

// Without models and scripts nothing is scored.
static bool offered(const server_config *config, const http_route *r) {
  bool script = config->script.path != NULL;
  if (r->page && config->no_ui) return false;
  return (script || !r->script_only) &&
         (script || config->model_count || config->repository || r->access != ROUTE_SCORE);
}

static bool collect_routes(server *srv) {
  const http_route *const *tables[] = {http_routes, srv->config->routes};
  size_t count = 0;
  for (int i = 0; i < 2; i++)
    for (const http_route *const *r = tables[i]; r && *r; r++) count++;
  srv->routes = calloc(count + 1, sizeof *srv->routes);
  count = 0;
  for (int i = 0; srv->routes && i < 2; i++)
    for (const http_route *const *r = tables[i]; r && *r; r++)
      if (offered(srv->config, *r)) srv->routes[count++] = *r;
  return srv->routes != NULL;
}

static bool start_policies(server *srv) {
  srv->queue = admission_queue_create(srv, "compressed messages", (size_t)srv->limits.workers, true);
  srv->chores = admission_queue_create(srv, "the chores", srv->config->routes ? CHORE_THREADS : 1, false);
  srv->quick = srv->queue ? admission_inline_create(srv, srv->queue) : NULL;
  if (srv->config->split) srv->elsewhere = admission_queue_create(srv, "the other revision", SPLIT_IDLE, false);
  return collect_routes(srv) && srv->chores && srv->quick && (srv->elsewhere || !srv->config->split);
}

static bool start_script(server *srv) {
  if (!srv->config->script.path) return true;
  srv->script = script_pool_create(srv);
  return srv->script != NULL;
}

static void stop_policies(server *srv) {
  admission *script = srv->script ? script_pool_admission(srv->script) : NULL;
  admission *all[] = {script, srv->quick, srv->queue, srv->chores, srv->elsewhere};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i]) all[i]->destroy(all[i]);
}

static void print_addresses(const server *srv) {
  text list = {0};
  net_addresses(&srv->net, &list);
  for (char *line = list.at; line; line = line ? line + 1 : NULL) {
    char *end = strchr(line, '\n');
    printf("listening on %.*s\n", (int)(end ? end - line : (long)strlen(line)), line);
    line = end;
  }
  fflush(stdout);
  text_deinit(&list);
}

static bool start_net(server *srv) {
  const server_config *config = srv->config;
  srv->net_config = (net_config){.limits = &srv->limits,
                                 .handler = &call_handler,
                                 .context = srv,
                                 .loops = (size_t)srv->limits.io_threads,
                                 .hosts = config->hosts,
                                 .host_count = config->host_count,
                                 .port = config->port,
                                 .unix_path = config->unix_path,
                                 .shared_fd = config->shared_fd,
                                 .certificate = config->certificate,
                                 .key = config->key,
                                 .trusted = config->trusted_proxies};
  if (!net_open(&srv->net, &srv->net_config)) return false;
  if (net_start(&srv->net)) return true;
  log_line("error", "cannot start the socket threads: memory, threads or descriptors are exhausted");
  return false;
}

// Signals are read by the caller's thread only; all others are started with them blocked.
static void block_signals(sigset_t *old) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  sigaddset(&set, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &set, old);
  signal(SIGPIPE, SIG_IGN);
}

int server_run(const server_config *config) {
  server *srv = calloc(1, sizeof *srv);
  sigset_t old;
  if (!srv) return 1;
  srv->config = config;
  srv->limits = config->limits;
  srv->start_ns = clock_ns();
  model_metrics_init(&srv->no_model);
  bool have_table = models_init(&srv->models, config->options);
  log_init(config->json_log);
  block_signals(&old);
  start_limits(srv);
  split_init(&srv->split, config->split);
  regions_init(&srv->regions);
  bool have_keys = keys_init(&srv->keys, config->keys, config->token_key);
  int code = 1;
  bool wrote_port = false, wrote_pid = false;
  if (srv->limits.cache_bytes) srv->cache = response_cache_create(&srv->limits);
  if (!start_policies(srv)) log_line("error", "cannot start the workers: memory or threads are exhausted");
  else if (have_table && have_keys && load_models(srv) && start_script(srv) && monitor_start(srv) && start_net(srv)) {
    wrote_port = write_number(config->port_file, srv->net.port);
    wrote_pid = wrote_port && write_number(config->pid_file, getpid());
    if (wrote_pid) {
      print_addresses(srv);
      code = drain_wait(srv);
    }
  }
  net_stop(&srv->net);  // nothing new is submitted; then what was, ends; then its connections do
  repository_close(srv->repository);
  stop_policies(srv);
  net_close(&srv->net);
  monitor_stop(srv);
  models_deinit(&srv->models);
  keys_deinit(&srv->keys);
  split_deinit(&srv->split);
  regions_deinit(&srv->regions);
  response_cache_free(srv->cache);
  // Only files of our own: a start that failed leaves those of the server that is running.
  if (wrote_pid && config->pid_file) unlink(config->pid_file);
  if (wrote_port && config->port_file) unlink(config->port_file);
  model_metrics_deinit(&srv->no_model);
  free(srv->routes);
  free(srv);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return code;
}
