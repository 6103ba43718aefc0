// SPDX-License-Identifier: Apache-2.0
// Start and end of a server (server.h).
#include "server/server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/host.h"
#include "server/http.h"
#include "server/log.h"
#include "server/watch.h"
#include "server/worker.h"

bool server_ready(const server *srv) { return !atomic_load(&srv->draining); }

model *server_find_model(server *srv, str name) {
  for (size_t i = 0; i < srv->model_count; i++)
    if (str_is(name, srv->models[i].name)) return &srv->models[i];
  return NULL;
}

unsigned server_retry_seconds(server *srv) {
  static atomic_uint serial;
  return 1 + (unsigned)((srv->seed + atomic_fetch_add(&serial, 1)) * 0x9E3779B97F4A7C15u >> 33) % 3;
}

static bool load_models(server *srv) {
  const server_config *config = srv->config;
  srv->models = calloc(config->model_count, sizeof *srv->models);
  for (size_t i = 0; srv->models && i < config->model_count; i++) {
    model *m = &srv->models[i];
    char why[1400];
    uint64_t start = clock_ns();
    if (!model_init(m, config->models[i].name, config->models[i].path, config->options, why, sizeof why)) {
      log_line("error", "%s", why);
      return false;
    }
    str name = {m->name, strlen(m->name)};
    if (server_find_model(srv, name)) {
      log_line("error", "two models are named '%s'; give one another name: NAME=%s", m->name, config->models[i].path);
      srv->model_count++;
      return false;
    }
    srv->model_count++;
    const char *warnings = sdx_session_warnings(m->session);
    if (warnings && *warnings) log_line("warning", "%s: %s", m->name, warnings);
    log_line("info", "model '%s' loaded in %.1f ms", m->name, (double)(clock_ns() - start) / 1e6);
  }
  return srv->models != NULL;
}

static bool is_loopback(const struct sockaddr *address) {
  if (address->sa_family == AF_INET)
    return (ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24) == 127;
  return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
}

static int listen_at(const struct addrinfo *a) {
  int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  if (fd < 0 || (!setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) && !bind(fd, a->ai_addr, a->ai_addrlen) &&
                 !listen(fd, 4096)))
    return fd;
  int failure = errno;
  close(fd);
  errno = failure;
  return -1;
}

static bool open_socket(server *srv) {
  const server_config *config = srv->config;
  char port[16];
  snprintf(port, sizeof port, "%d", config->port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
  int failure = getaddrinfo(config->host, port, &hints, &list);
  if (failure) {
    log_line("error", "--host %s: %s", config->host, gai_strerror(failure));
    return false;
  }
  int fd = -1;
  for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) fd = listen_at(a);
  struct sockaddr_storage bound;
  socklen_t size = sizeof bound;
  if (fd >= 0 && !getsockname(fd, (struct sockaddr *)&bound, &size)) {
    srv->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                  : ((struct sockaddr_in *)&bound)->sin_port);
    if (!is_loopback((struct sockaddr *)&bound))
      log_line("warning", "%s is reachable from other machines and there is no access control", config->host);
  } else {
    log_line("error", "cannot listen on %s port %d: %m", config->host, config->port);
    if (fd >= 0) close(fd);
    fd = -1;
  }
  freeaddrinfo(list);
  srv->listen_fd = fd;
  return fd >= 0;
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
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (getrandom(&srv->seed, sizeof srv->seed, 0) < 0) srv->seed = clock_ns();
}

int server_run(const server_config *config) {
  server *srv = calloc(1, sizeof *srv);
  if (!srv) return 1;
  srv->config = config;
  srv->limits = config->limits;
  srv->listen_fd = -1;
  srv->start_ns = clock_ns();
  model_metrics_init(&srv->no_model);
  log_init(config->json_log);
  // Signals are read by this thread only; all others are started with them blocked.
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, &old);
  signal(SIGPIPE, SIG_IGN);
  start_limits(srv);
  int code = 1;
  bool wrote_port = false, wrote_pid = false;
  char why[300] = "cannot start threads";
  if (!load_models(srv) || !open_socket(srv)) goto done;
  if (!watch_start(srv) || !workers_start(srv) || !http_start(srv, why, sizeof why)) {
    log_line("error", "%s", why);
    goto done;
  }
  wrote_port = write_number(config->port_file, srv->port);
  wrote_pid = wrote_port && write_number(config->pid_file, getpid());
  if (!wrote_pid) goto done;
  bool v6 = strchr(config->host, ':') != NULL;
  printf("listening on http://%s%s%s:%d\n", v6 ? "[" : "", config->host, v6 ? "]" : "", srv->port);
  fflush(stdout);
  code = drain_wait(srv);
done:
  http_stop(srv);
  workers_stop(srv);
  watch_stop(srv);
  if (srv->listen_fd >= 0) close(srv->listen_fd);
  // Only files of our own: a start that failed leaves those of the server that is running.
  if (wrote_pid && config->pid_file) unlink(config->pid_file);
  if (wrote_port && config->port_file) unlink(config->port_file);
  for (size_t i = 0; i < srv->model_count; i++) model_deinit(&srv->models[i]);
  free(srv->models);
  free(srv);
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return code;
}
