// SPDX-License-Identifier: Apache-2.0
// Glue to libmicrohttpd, and the life of a request:
//   on_uri       the request line is there; the clock for the head starts
//   on_request   first call: head checked, route found, caps applied. A refusal is decided here,
//                before a byte of the body is kept; a small body is read past so that the connection
//                can go on, for a big one the reply goes out and the connection closes behind it.
//                then: the body is gathered, memory taken as bytes arrive, never by what is claimed.
//                last: `answer` replies at once; scoring goes inline or through the queue.
//   on_completed metrics, access log, memory back
#include "server/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/host.h"
#include "server/log.h"
#include "server/watch.h"
#include "server/worker.h"

enum {
  SWALLOW_BYTES = 65536,      // refused bodies up to this size are read past
  INLINE_BODY_BYTES = 65536,  // larger ones are parsed by workers
  INLINE_LIMIT_MS = 20,       // how long a socket thread may be held by one request
  POOL_BYTES = 32768,         // of libmicrohttpd, a connection
};

static const uint64_t ms = 1000000;

// ---- replies -----------------------------------------------------------------------------------

static void clear_reply(http_request *rq) {
  rq->reply.body.size = 0;
  rq->reply.body.failed = false;
  rq->reply.body.limit = (size_t)rq->srv->limits.max_response_bytes;
}

void http_header(http_request *rq, const char *name, const char *format, ...) {
  if (rq->reply.header_count == HTTP_REPLY_HEADERS) return;
  struct http_reply_header *h = &rq->reply.headers[rq->reply.header_count++];
  h->name = name;
  va_list list;
  va_start(list, format);
  vsnprintf(h->value, sizeof h->value, format, list);
  va_end(list);
}

static void error_body(http_request *rq, int status, const char *format, va_list list) {
  char message[1200];
  int length = vsnprintf(message, sizeof message, format, list);
  if (length < 0) length = 0;
  clear_reply(rq);
  rq->reply.body.limit = 0;  // the message is short, and must be whole when the limit is what it tells of
  text_put(&rq->reply.body, "{\"error\":");
  text_json_string(&rq->reply.body,
                   (str){message, (size_t)length < sizeof message ? (size_t)length : sizeof message - 1});
  text_put(&rq->reply.body, "}");
  http_json(rq, status);
}

void http_error(http_request *rq, int status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  error_body(rq, status, format, list);
  va_end(list);
}

void http_retry(http_request *rq, int status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  error_body(rq, status, format, list);
  va_end(list);
  http_header(rq, "Retry-After", "%u", server_retry_seconds(rq->srv));
}

void http_json(http_request *rq, int status) {
  rq->reply.status = status;
  rq->reply.content_type = "application/json";
}

void http_text(http_request *rq, int status, const char *text) {
  clear_reply(rq);
  text_put(&rq->reply.body, text);
  rq->reply.status = status;
  rq->reply.content_type = "text/plain; charset=utf-8";
}

void http_engine_error(http_request *rq, sdx_status status, const char *message) {
  if (!message || !*message) message = sdx_status_text(status);
  if (status == SDX_NO_MEMORY) http_retry(rq, sdx_status_http(status), "%s", message);
  else http_error(rq, sdx_status_http(status), "%s", message);
}

// What clients of the scoring container look for.
static void add_container_headers(http_request *rq, struct MHD_Response *response) {
  MHD_add_response_header(response, "x-ms-request-id", rq->id);
  if (rq->client_id && strlen(rq->client_id) <= HTTP_ID_BYTES)
    MHD_add_response_header(response, "x-ms-client-request-id", rq->client_id);
  MHD_add_response_header(response, "x-ms-server-version", sdx_version());
  if (!rq->run_ns) return;
  char text[32];
  snprintf(text, sizeof text, "%.3f", (double)(rq->done_ns - rq->run_ns) / 1e6);
  MHD_add_response_header(response, "x-ms-run-fn-exec-ms", text);
  MHD_add_response_header(response, "x-ms-run-function-failed", rq->reply.status == 200 ? "False" : "True");
}

static enum MHD_Result send_reply(http_request *rq) {
  http_peer *peer = rq->peer;
  http_reply *reply = &rq->reply;
  const limits *l = &rq->srv->limits;
  if (reply->body.failed) {
    text_deinit(&reply->body);
    http_error(rq, 507, "the response is larger than the limit max-response-bytes (%lld) or memory is exhausted",
               (long long)l->max_response_bytes);
  }
  struct MHD_Response *response =
      MHD_create_response_from_buffer_with_free_callback(reply->body.size, reply->body.at, mem_free);
  if (!response) return MHD_NO;
  reply->body = (text){0};
  if (reply->content_type) MHD_add_response_header(response, "Content-Type", reply->content_type);
  for (size_t i = 0; i < reply->header_count; i++)
    MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
  if (rq->request_id || (rq->route && rq->route->container)) MHD_add_response_header(response, "x-request-id", rq->id);
  if (rq->route && rq->route->container) add_container_headers(rq, response);
  if (atomic_load_explicit(&rq->srv->closing, memory_order_relaxed) || peer->linger)
    MHD_add_response_header(response, "Connection", "close");
  atomic_store_explicit(&peer->moved, 0, memory_order_relaxed);
  peer->replied = true;
  watch_phase(peer, PHASE_WRITE, (uint64_t)l->write_timeout_ms * ms);
  enum MHD_Result result = MHD_queue_response(peer->connection, (unsigned)reply->status, response);
  MHD_destroy_response(response);
  return result;
}

const char *http_query(const http_request *rq, const char *name) {
  return MHD_lookup_connection_value(rq->peer->connection, MHD_GET_ARGUMENT_KIND, name);
}

void http_resume(http_request *rq) {
  rq->resumed = true;
  MHD_resume_connection(rq->peer->connection);
}

void http_cancel(http_peer *peer, int status) {
  pthread_mutex_lock(&peer->lock);
  if (!peer->cancel_status) {
    peer->cancel_status = status;
    if (peer->run) sdx_run_cancel(peer->run);
  }
  pthread_mutex_unlock(&peer->lock);
}

// ---- first call --------------------------------------------------------------------------------

static bool media_type_is(const char *value, const char *type) {
  size_t size = strlen(type);
  return !strncasecmp(value, type, size) && (!value[size] || value[size] == ';' || value[size] == ' ');
}

// The time a request may take: the server's, or less when the client says so.
static bool take_deadline(http_request *rq) {
  uint64_t limit = (uint64_t)rq->srv->limits.timeout_ms;
  if (rq->deadline) {
    size_t digits = strspn(rq->deadline, "0123456789");
    if (!digits || rq->deadline[digits] || digits > 18 || strtoull(rq->deadline, NULL, 10) == 0) {
      http_error(rq, 400, "header x-request-timeout-ms: expected a positive whole number of milliseconds");
      return false;
    }
    uint64_t wanted = strtoull(rq->deadline, NULL, 10);
    if (wanted < limit) limit = wanted;
  }
  rq->deadline_ns = limit * ms;  // made absolute when the body is complete
  return true;
}

static bool admit_scoring(http_request *rq) {
  server *srv = rq->srv;
  if (!rq->model) rq->model = &srv->models[0];
  unsigned now = atomic_fetch_add(&srv->clients[rq->peer->client], 1) + 1;
  rq->scoring = true;
  if (rq->content_encoding && strcasecmp(rq->content_encoding, "identity") != 0) {
    http_error(rq, 415, "header Content-Encoding: expected none or identity");
    return false;
  }
  // Only types that a foreign web page cannot send without asking first (CORS).
  if (rq->content_type && !media_type_is(rq->content_type, "application/json") &&
      !media_type_is(rq->content_type, "application/octet-stream")) {
    bool form = media_type_is(rq->content_type, "application/x-www-form-urlencoded");  // what curl -d sends
    http_error(rq, 415, "header Content-Type is %.60s, expected application/json%s%s", rq->content_type,
               rq->model_name.at ? " or, with binary tensors, application/octet-stream" : "",
               form ? "; with curl: -H 'Content-Type: application/json'" : "");
    return false;
  }
  if (!rq->has_length && !rq->chunked) {
    http_error(rq, 400, "the request has no body, expected JSON");
    return false;
  }
  if (!take_deadline(rq)) return false;
  if (srv->limits.max_client_requests && now > srv->limits.max_client_requests) {
    atomic_fetch_add(&srv->refused_client, 1);
    http_retry(rq, 429, "this client has %u scoring requests open, the limit max-client-requests is %lld", now - 1,
               (long long)srv->limits.max_client_requests);
    return false;
  }
  return true;
}

static bool admit_body(http_request *rq) {
  server *srv = rq->srv;
  if (rq->content_length > (uint64_t)srv->limits.max_body_bytes) {
    http_error(rq, 413, "the body has %llu bytes, the limit max-body-bytes is %lld",
               (unsigned long long)rq->content_length, (long long)srv->limits.max_body_bytes);
    return false;
  }
  return true;
}

static bool has_body(const http_request *rq) { return rq->chunked || rq->content_length > 0; }

// The reply is decided while the body may still come.
static enum MHD_Result refuse(http_request *rq, bool fatal) {
  if (!fatal && !has_body(rq)) {
    rq->swallow = true;
    return MHD_YES;  // replied in the last call, the connection goes on
  }
  if (!fatal && !rq->chunked && rq->content_length <= SWALLOW_BYTES && rq->reply.status != 413) {
    rq->swallow = true;
    return MHD_YES;
  }
  rq->peer->linger = true;
  return send_reply(rq);
}

static enum MHD_Result first_call(http_request *rq, const char *method, const char *version) {
  bool fatal = false;
  rq->method = method;
  if (!head_read(rq, version, &fatal)) {
    if (fatal) atomic_fetch_add(&rq->srv->refused_framing, 1);
    return refuse(rq, fatal);
  }
  if (!head_route(rq) || (rq->route->access == ROUTE_SCORE && !rq->route->answer && !admit_scoring(rq)) ||
      !admit_body(rq))
    return refuse(rq, false);
  atomic_store_explicit(&rq->peer->moved, 0, memory_order_relaxed);
  atomic_store_explicit(&rq->peer->received, 0, memory_order_relaxed);
  watch_phase(rq->peer, PHASE_BODY, 5000 * ms);
  return MHD_YES;
}

// ---- body --------------------------------------------------------------------------------------

static bool keep_body(http_request *rq, const char *bytes, size_t size) {
  server *srv = rq->srv;
  size_t need = rq->body_size + size;  // both below max_body_bytes + one buffer
  if (need > (size_t)srv->limits.max_body_bytes) {
    http_error(rq, 413, "the body has more than %lld bytes (limit max-body-bytes)",
               (long long)srv->limits.max_body_bytes);
    return false;
  }
  if (need > rq->body_capacity) {
    size_t capacity = rq->body_capacity ? rq->body_capacity * 2 : 4096;
    if (capacity < need) capacity = need;
    if (rq->has_length && capacity > rq->content_length) capacity = (size_t)rq->content_length;
    size_t more = capacity - rq->body_capacity;
    size_t all = atomic_fetch_add(&srv->buffered_bytes, more) + more;
    char *body = all <= (size_t)srv->limits.max_buffered_bytes ? realloc(rq->body, capacity) : NULL;
    if (!body) {
      atomic_fetch_sub(&srv->buffered_bytes, more);
      atomic_fetch_add(&srv->refused_memory, 1);
      http_retry(rq, 503, "request bodies fill the memory kept for them (limit max-buffered-bytes)");
      return false;
    }
    rq->body = body;
    rq->body_capacity = capacity;
  }
  memcpy(rq->body + rq->body_size, bytes, size);
  rq->body_size = need;
  return true;
}

static void drop_body(http_request *rq) {
  if (rq->body_capacity) atomic_fetch_sub(&rq->srv->buffered_bytes, rq->body_capacity);
  free(rq->body);
  rq->body = NULL;
  rq->body_size = rq->body_capacity = 0;
}

// libmicrohttpd queues no reply in the middle of a body. Nothing of this request was answered yet
// and all earlier replies are out, so the reply goes to the socket directly and the connection ends.
static void send_raw(http_request *rq) {
  text head = {0};
  text_format(&head, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %zu\r\n",
              rq->reply.status, MHD_get_reason_phrase_for((unsigned)rq->reply.status), rq->reply.body.size);
  for (size_t i = 0; i < rq->reply.header_count; i++)
    text_format(&head, "%s: %s\r\n", rq->reply.headers[i].name, rq->reply.headers[i].value);
  text_put(&head, "\r\n");
  text_append(&head, rq->reply.body.at, rq->reply.body.size);
  if (!head.failed && send(rq->peer->fd, head.at, head.size, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) rq->peer->linger = true;
  rq->peer->replied = true;
  text_deinit(&head);
}

// ---- the three callbacks -------------------------------------------------------------------------

static enum MHD_Result score(http_request *rq) {
  server *srv = rq->srv;
  uint64_t cost = atomic_load_explicit(&rq->model->cost_ns, memory_order_relaxed);
  rq->deadline_ns += rq->body_ns;
  watch_phase(rq->peer, PHASE_RUNNING, 0);
  if (cost && cost <= (uint64_t)srv->limits.inline_us * 1000 && rq->body_size <= INLINE_BODY_BYTES) {
    if (worker_execute(rq, INLINE_LIMIT_MS * ms)) {
      atomic_fetch_add_explicit(&srv->inline_runs, 1, memory_order_relaxed);
      return send_reply(rq);
    }
    atomic_fetch_add(&srv->inline_moved, 1);
  }
  if (worker_submit(rq)) return MHD_YES;  // from here on the request belongs to a worker
  atomic_fetch_add(&srv->refused_queue, 1);
  http_retry(rq, 503, "%lld requests wait for model '%s' already (limit max-queue)", (long long)srv->limits.max_queue,
             rq->model->name);
  return send_reply(rq);
}

static void begin(http_peer *peer) {
  http_request *rq = &peer->rq;
  memset(rq, 0, sizeof *rq);
  rq->srv = peer->srv;
  rq->peer = peer;
  rq->start_ns = clock_ns();
  peer->replied = false;
  peer->cancel_status = 0;
  atomic_store(&peer->gone, false);
  clear_reply(rq);
  atomic_fetch_add(&peer->srv->active, 1);
}

static void *on_uri(void *context, const char *uri, struct MHD_Connection *connection) {
  http_peer *peer = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
  if (!peer) return NULL;
  peer->uri = uri;
  peer->uri_size = strlen(uri);
  begin(peer);
  watch_phase(peer, PHASE_HEAD, (uint64_t)peer->srv->limits.head_timeout_ms * ms);
  return peer;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *bytes, size_t *size, void **state) {
  http_peer *peer = *state;
  if (!peer) return MHD_NO;
  http_request *rq = &peer->rq;
  if (peer->replied) {  // what comes after an early reply is not wanted
    *size = 0;
    return MHD_YES;
  }
  if (!rq->method) return first_call(rq, method, version);
  if (rq->resumed) return send_reply(rq);
  if (*size) {
    atomic_fetch_add_explicit(&peer->received, *size, memory_order_relaxed);
    if (!rq->swallow && !keep_body(rq, bytes, *size)) {
      send_raw(rq);
      return MHD_NO;
    }
    *size = 0;
    return MHD_YES;
  }
  rq->body_ns = clock_ns();
  if (rq->swallow) return send_reply(rq);
  if (!rq->route->answer) return score(rq);
  rq->route->answer(rq);
  return send_reply(rq);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code) {
  http_peer *peer = *state;
  if (!peer) return;
  http_request *rq = &peer->rq;
  server *srv = peer->srv;
  uint64_t now = clock_ns();
  model_metrics *metrics = rq->model && rq->scoring ? &rq->model->metrics : &srv->no_model;
  metrics_count(metrics, rq->reply.status);
  histogram_seconds(&metrics->latency, now - rq->start_ns);
  if (srv->config->access_log) log_access(rq, now - rq->start_ns);
  if (rq->scoring) atomic_fetch_sub(&srv->clients[peer->client], 1);
  if (rq->inputs) {
    for (size_t i = 0; i < rq->model->input_count; i++) sdx_value_release(rq->inputs[i]);
    free(rq->inputs);
    rq->inputs = NULL;
  }
  free(rq->route_state);
  rq->route_state = NULL;
  text_deinit(&rq->reply.body);
  drop_body(rq);
  rq->method = NULL;
  *state = NULL;
  atomic_fetch_sub(&srv->active, 1);
  watch_phase(peer, PHASE_IDLE, (uint64_t)srv->limits.idle_timeout_ms * ms);
}

// ---- connections ---------------------------------------------------------------------------------

static void take_address(http_peer *peer, const struct sockaddr *address) {
  const unsigned char *bytes = NULL;
  size_t size = 0;
  if (address && address->sa_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    bytes = (const unsigned char *)&v4->sin_addr;
    size = 4;
    peer->local = bytes[0] == 127;
    inet_ntop(AF_INET, bytes, peer->address, sizeof peer->address);
  } else if (address && address->sa_family == AF_INET6) {
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    bytes = (const unsigned char *)&v6->sin6_addr;
    size = IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) ? 16 : 8;  // a client owns a /64
    peer->local = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) || (size == 16 && bytes[12] == 127);
    inet_ntop(AF_INET6, bytes, peer->address, sizeof peer->address);
  }
  uint64_t hash = peer->srv->seed;
  for (size_t i = 0; i < size; i++) hash = (hash ^ bytes[i]) * 0x100000001B3u;
  peer->client = (unsigned)((hash ^ hash >> 32) % CLIENT_BUCKETS);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **state,
                          enum MHD_ConnectionNotificationCode code) {
  server *srv = context;
  http_peer *peer = *state;
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    peer = calloc(1, sizeof *peer);
    if (peer) {
      peer->srv = srv;
      peer->connection = connection;
      peer->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
      pthread_mutex_init(&peer->lock, NULL);
      take_address(peer, MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr);
      atomic_init(&peer->due_ns, UINT64_MAX);
    }
    // Without a place in the table nothing would bound its time: such a connection ends at once.
    if (!peer || !watch_add(peer)) {
      shutdown(MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, SHUT_RDWR);
    } else {
      watch_phase(peer, PHASE_NEW, (uint64_t)srv->limits.head_timeout_ms * ms);
    }
    atomic_fetch_add(&srv->connections, 1);
    *state = peer;
  } else {
    atomic_fetch_sub(&srv->connections, 1);
    if (!peer) return;
    watch_remove(peer);
    if (peer->linger) watch_linger(srv, peer->fd);
    pthread_mutex_destroy(&peer->lock);
    free(peer);
    *state = NULL;
  }
}

static size_t leave_escapes(void *context, struct MHD_Connection *connection, char *text) { return strlen(text); }

static void on_log(void *context, const char *format, va_list list) {}

bool http_start(server *srv, char *why, size_t why_size) {
  const limits *l = &srv->limits;
  struct sockaddr_storage bound;
  socklen_t size = sizeof bound;
  getsockname(srv->listen_fd, (struct sockaddr *)&bound, &size);
  unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;
  if (bound.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
  struct MHD_OptionItem extra[] = {
#if MHD_VERSION >= 0x00097701
    {MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1, NULL},
#else
    {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
#endif
    // One thread is the default; a pool of one is refused.
    {l->io_threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)l->io_threads, NULL},
    {MHD_OPTION_END, 0, NULL}
  };
  srv->daemon = MHD_start_daemon(
      flags, 0, NULL, NULL, on_request, srv, MHD_OPTION_LISTEN_SOCKET, srv->listen_fd, MHD_OPTION_NOTIFY_COMPLETED,
      on_completed, srv, MHD_OPTION_NOTIFY_CONNECTION, on_connection, srv, MHD_OPTION_URI_LOG_CALLBACK, on_uri, srv,
      MHD_OPTION_UNESCAPE_CALLBACK, leave_escapes, NULL, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
      MHD_OPTION_CONNECTION_LIMIT, (unsigned)l->max_connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
      (unsigned)l->max_client_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
      MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_ARRAY, extra, MHD_OPTION_END);
  if (!srv->daemon) snprintf(why, why_size, "cannot start the socket threads");
  return srv->daemon != NULL;
}

void http_adopt(server *srv, int fd) {
  struct sockaddr_storage address;
  socklen_t size = sizeof address;
  if (getpeername(fd, (struct sockaddr *)&address, &size)) close(fd);
  else MHD_add_connection(srv->daemon, fd, (struct sockaddr *)&address, size);  // closes it on failure
}

void http_stop(server *srv) {
  if (srv->daemon) MHD_stop_daemon(srv->daemon);
  srv->daemon = NULL;
}
