// SPDX-License-Identifier: Apache-2.0
// Splitting (split.h): a client of HTTP/1.1 that knows the one server it talks to, which is of our own kind: its
// answers have a length.
#include "server/split.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/host.h"
#include "server/call.h"
#include "server/log.h"

enum { HEAD_BYTES = 65536, SCATTER = 61 };  // prime to 100: the shares of any 100 requests in a row are exact
static const char deployment[] = "azureml-model-deployment";

// ---- the file ------------------------------------------------------------------------------------

static bool read_lines(FILE *file, split *to) {
  char line[256];
  if (!fgets(line, sizeof line, file)) return true;
  if (sscanf(line, "%63s %63s %u", to->own, to->other, &to->percent) != 3 || to->percent > 100) return false;
  while (to->socket_count < SPLIT_SOCKETS && fgets(line, sizeof line, file)) {
    size_t size = strcspn(line, "\n");
    if (size && size < SPLIT_PATH) snprintf(to->sockets[to->socket_count++], SPLIT_PATH, "%.*s", (int)size, line);
  }
  return to->socket_count > 0;
}

static void close_idle(split *s) {
  while (s->idle_count) close(s->idle[--s->idle_count].fd);
}

void split_reload(split *s) {
  split fresh = {0};
  if (!s->path) return;
  FILE *file = fopen(s->path, "re");
  bool good = !file || read_lines(file, &fresh);
  if (file) fclose(file);
  if (!good) log_line("error", "%s: expected 'OWN OTHER PERCENT' and sockets, one a line", s->path);
  pthread_mutex_lock(&s->lock);
  s->active = good && fresh.socket_count;
  // Calls that were taken before the end still find the sockets.
  if (s->active) {
    memcpy(s->own, fresh.own, sizeof s->own);
    memcpy(s->other, fresh.other, sizeof s->other);
    memcpy(s->sockets, fresh.sockets, sizeof s->sockets);
    s->percent = fresh.percent;
    s->socket_count = fresh.socket_count;
  }
  s->generation++;
  close_idle(s);
  pthread_mutex_unlock(&s->lock);
}

void split_init(split *s, const char *path) {
  s->path = path;
  pthread_mutex_init(&s->lock, NULL);
  split_reload(s);
}

void split_deinit(split *s) {
  close_idle(s);
  pthread_mutex_destroy(&s->lock);
}

bool split_takes(split *s, call *c) {
  if (!s->path || c->x.client.local_socket) return false;
  const str *asked = http_request_header(&c->x.request, deployment);
  pthread_mutex_lock(&s->lock);
  bool any = s->active, other = any && asked && str_is(*asked, s->other);
  bool known = !any || !asked || other || str_is(*asked, s->own);
  if (any && !asked) other = s->requests++ * SCATTER % 100 < s->percent;
  if (!known)
    call_error(c, 404, "header %s: there is no revision '%.*s'; there are %s and %s", deployment,
               asked->size < 60 ? (int)asked->size : 60, asked->at, s->own, s->other);
  pthread_mutex_unlock(&s->lock);
  return other;
}

// ---- connections ---------------------------------------------------------------------------------

// One that was used before, or -1.
static int take_idle(split *s, unsigned *generation) {
  pthread_mutex_lock(&s->lock);
  int fd = s->idle_count ? s->idle[--s->idle_count].fd : -1;
  *generation = s->generation;
  pthread_mutex_unlock(&s->lock);
  return fd;
}

static void give_back(split *s, int fd, unsigned generation) {
  pthread_mutex_lock(&s->lock);
  bool kept = generation == s->generation && s->idle_count < SPLIT_IDLE;
  if (kept) {
    s->idle[s->idle_count].fd = fd;
    s->idle[s->idle_count++].generation = generation;
  }
  pthread_mutex_unlock(&s->lock);
  if (!kept) close(fd);
}

static int connect_next(split *s, unsigned *generation) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  pthread_mutex_lock(&s->lock);
  unsigned at = s->socket_count ? s->connections++ % s->socket_count : 0;
  memcpy(name.sun_path, s->sockets[at], SPLIT_PATH);
  *generation = s->generation;
  pthread_mutex_unlock(&s->lock);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);  // where nobody accepts, it fails at once
  if (fd >= 0 && connect(fd, (struct sockaddr *)&name, sizeof name)) {
    close(fd);
    fd = -1;
  }
  return fd;
}

static bool wait_for(int fd, short events, uint64_t end_ns) {
  struct pollfd p = {fd, events, 0};
  uint64_t now = clock_ns();
  return now < end_ns && poll(&p, 1, (int)((end_ns - now) / 1000000 + 1)) > 0;
}

static bool send_all(int fd, const char *at, size_t size, uint64_t end_ns) {
  while (size) {
    ssize_t done = send(fd, at, size, MSG_NOSIGNAL);
    if (done < 0 && errno != EAGAIN && errno != EINTR) return false;
    if (done < 0 && !wait_for(fd, POLLOUT, end_ns)) return false;
    if (done > 0) at += done, size -= (size_t)done;
  }
  return true;
}

// ---- one call ------------------------------------------------------------------------------------

// Of one connection only, or said anew.
static bool passes(str name) {
  static const char *const kept_back[] = {
      "connection", "keep-alive",      "te",           "transfer-encoding", "upgrade", "content-length", "host",
      "expect",     "accept-encoding", "x-request-id", "x-ms-request-id",   "trailer", "http2-settings", "traceparent"};
  for (size_t i = 0; i < sizeof kept_back / sizeof *kept_back; i++)
    if (str_is(name, kept_back[i])) return false;
  return name.size && name.at[0] != ':' && strncmp(name.at, "proxy-", 6) != 0;
}

static bool send_request(call *c, int fd) {
  const http_request *r = &c->x.request;
  text o = {0};
  text_format(&o, "%.*s %.*s HTTP/1.1\r\nHost: localhost\r\nx-ms-request-id: %s\r\n", STR_ARG(r->method_name),
              STR_ARG(r->target), c->id);
  char parent[TRACE_PARENT];
  if (c->trace.known) text_format(&o, "traceparent: %s\r\n", trace_parent(parent, &c->trace));
  for (size_t i = 0; i < r->header_count; i++)
    if (passes(r->headers[i].name))
      text_format(&o, "%.*s: %.*s\r\n", STR_ARG(r->headers[i].name), STR_ARG(r->headers[i].value));
  text_format(&o, "Content-Length: %zu\r\n\r\n", r->body.size);
  bool good =
      !o.failed && send_all(fd, o.at, o.size, c->deadline_ns) && send_all(fd, r->body.at, r->body.size, c->deadline_ns);
  text_deinit(&o);
  return good;
}

static bool named(str name, const char *text) {
  return name.size == strlen(text) && !strncasecmp(name.at, text, name.size);
}

static void take_header(call *c, str name, str value, size_t *length, bool *keeps) {
  char number[24];
  snprintf(number, sizeof number, "%.*s", value.size < 20 ? (int)value.size : 20, value.at);
  if (named(name, "content-length")) *length = (size_t)strtoull(number, NULL, 10);
  else if (named(name, "connection") && named(value, "close")) *keeps = false;
  else if (named(name, "retry-after")) http_response_header(&c->x.response, "Retry-After", "%s", number);
  else if (named(name, "x-ms-run-function-failed") || named(name, "x-ms-run-fn-exec-ms"))
    http_response_header(&c->x.response,
                         named(name, "x-ms-run-fn-exec-ms") ? "x-ms-run-fn-exec-ms" : "x-ms-run-function-failed", "%s",
                         number);
  else if (named(name, "inference-header-content-length"))
    http_response_header(&c->x.response, "Inference-Header-Content-Length", "%s", number);
  else if (named(name, "content-type"))
    c->x.response.content_type = str_is(value, "application/octet-stream") ? "application/octet-stream"
                                 : str_is(value, "application/json")       ? "application/json"
                                                                           : "text/plain; charset=utf-8";
}

// The head of the answer, as long as `end`.
static int take_head(call *c, const char *head, const char *end, size_t *length, bool *keeps) {
  int status = 0;
  if (sscanf(head, "HTTP/1.1 %d", &status) != 1 || status < 200 || status > 599) return 0;
  const char *line = memchr(head, '\n', (size_t)(end - head));
  while (line && ++line < end) {
    const char *next = memchr(line, '\r', (size_t)(end - line + 1)), *colon = memchr(line, ':', (size_t)(end - line));
    if (!next || !colon || colon > next) break;
    const char *value = colon + 1;
    while (value < next && *value == ' ') value++;
    take_header(c, (str){line, (size_t)(colon - line)}, (str){value, (size_t)(next - value)}, length, keeps);
    line = next + 1;
  }
  return status;
}

// False: nothing whole came. *silent: nothing at all.
static bool take_answer(call *c, int fd, bool *keeps, bool *silent) {
  http_response *r = &c->x.response;
  char *head = malloc(HEAD_BYTES + 1), *end = NULL;
  size_t size = 0, length = 0;
  int status = 0;
  while (head && !end && size < HEAD_BYTES && wait_for(fd, POLLIN, c->deadline_ns)) {
    ssize_t got = recv(fd, head + size, HEAD_BYTES - size, 0);
    if (got <= 0) break;
    *silent = false;
    size += (size_t)got;
    head[size] = 0;
    end = strstr(head, "\r\n\r\n");
  }
  if (end) status = take_head(c, head, end, &length, keeps);
  bool good = status && length <= (size_t)c->srv->limits.max_response_bytes;
  size_t have = good ? size - (size_t)(end + 4 - head) : 0;
  if (good) text_append(&r->body, end + 4, have < length ? have : length);
  while (good && have < length) {
    ssize_t got = wait_for(fd, POLLIN, c->deadline_ns)
                      ? recv(fd, head, length - have < HEAD_BYTES ? length - have : HEAD_BYTES, 0)
                      : -1;
    good = got > 0;
    if (good) text_append(&r->body, head, (size_t)got);
    if (good) have += (size_t)got;
  }
  free(head);
  if (good) r->status = status;
  return good;
}

void split_work(call *c) {
  split *s = &c->srv->split;
  unsigned generation;
  int fd = take_idle(s, &generation);
  for (bool used = fd >= 0;; used = false) {
    bool keeps = true, silent = true;
    if (fd < 0) fd = connect_next(s, &generation);
    bool good = fd >= 0 && send_request(c, fd) && take_answer(c, fd, &keeps, &silent);
    if (good && keeps) give_back(s, fd, generation);
    else if (fd >= 0) close(fd);
    if (good) return;
    fd = -1;
    // One that was kept may have been closed meanwhile: then it is asked on a new one.
    if (!used || !silent) break;
  }
  http_response_reset(&c->x.response, (size_t)c->srv->limits.max_response_bytes);
  if (clock_ns() >= c->deadline_ns) call_error(c, 504, "the other revision does not answer in time");
  else call_retry(c, 503, "the other revision does not answer");
}
