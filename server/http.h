// SPDX-License-Identifier: Apache-2.0
// Connections, requests and replies. A connection (`http_peer`) carries one request at a time, so
// the request lives inside it and is cleared between uses. Who may touch a request: the socket
// thread, until worker_submit; then the worker that has it; then, after resume, the socket thread.
// Read next: http.c (life of a request), head.c (what is refused), worker.h, watch.h.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/text.h"
#include "server/model.h"
#include "server/route.h"
#include "server/server.h"

struct MHD_Connection;

enum { HTTP_PATH_BYTES = 1024, HTTP_ID_BYTES = 100, HTTP_REPLY_HEADERS = 10 };

typedef enum http_phase {
  PHASE_NEW,      // connected, no request line yet
  PHASE_IDLE,     // between requests
  PHASE_HEAD,     // the head is coming
  PHASE_BODY,     // the body is coming
  PHASE_QUEUED,   // suspended, waits for a worker
  PHASE_RUNNING,  // with a worker, or answered on the socket thread
  PHASE_WRITE,    // the reply is going out
} http_phase;

typedef struct http_reply {
  int status;
  const char *content_type;
  text body;
  size_t header_count;
  struct http_reply_header {
    const char *name;
    char value[HTTP_ID_BYTES + 1];
  } headers[HTTP_REPLY_HEADERS];
} http_reply;

typedef struct http_request {
  server *srv;
  struct http_peer *peer;
  const http_route *route;
  model *model;
  // Head. Pointers lead into libmicrohttpd's memory and live as long as the request.
  const char *method;
  unsigned method_bit;
  char path[HTTP_PATH_BYTES];    // decoded
  str model_name, version_name;  // words of the path; NULL when the route has none
  const char *content_type, *content_encoding, *client_id, *request_id, *binary_header, *deadline;
  uint64_t content_length;
  bool has_length, chunked;
  char id[HTTP_ID_BYTES + 1];
  // Body
  char *body;
  size_t body_size, body_capacity;
  bool swallow;  // the reply is decided: what still comes of the body is thrown away
  // Work
  bool parsed, scoring, resumed;
  sdx_value **inputs;  // by index of the model's inputs
  void *route_state;   // of the route, freed with free()
  uint64_t start_ns, body_ns, queued_ns, run_ns, done_ns;
  uint64_t deadline_ns;
  struct http_request *queue_next;
  http_reply reply;
} http_request;

typedef struct http_peer {
  server *srv;
  struct MHD_Connection *connection;
  int fd;
  uint32_t slot;    // in the table of the watch
  unsigned client;  // bucket of the address
  bool local;       // the client is on this machine
  char address[48];
  const char *uri;  // of the request, as it came
  size_t uri_size;  // with the query
  bool linger;      // read what the client still sends before the socket is closed
  bool replied;
  // Read by the watch:
  _Atomic(http_phase) phase;
  atomic_uint_fast64_t due_ns;  // when the phase has lasted too long; UINT64_MAX: never
  atomic_size_t received;       // body bytes so far
  atomic_size_t moved;          // body bytes received or reply bytes taken, at the last look of the watch
  atomic_bool gone;             // the client closed its side
  // A run that may be cancelled from outside:
  pthread_mutex_t lock;
  sdx_run *run;
  int cancel_status;  // 0, or the HTTP status to answer with
  http_request rq;
} http_peer;

bool http_start(server *srv, char *why, size_t why_size);
void http_stop(server *srv);  // after every request is answered
// Takes an accepted socket in.
void http_adopt(server *srv, int fd);

// Replies. http_error writes {"error": "..."}; http_reply_json takes what `rq->reply.body` holds.
void http_error(http_request *rq, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
void http_json(http_request *rq, int status);
void http_text(http_request *rq, int status, const char *text);
void http_header(http_request *rq, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
void http_retry(http_request *rq, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
// Status and message of a failed engine call.
void http_engine_error(http_request *rq, sdx_status status, const char *message);

// Value of a query parameter, or NULL.
const char *http_query(const http_request *rq, const char *name);

// Sends the reply of a suspended request: called by the thread that has it.
void http_resume(http_request *rq);
void http_cancel(http_peer *peer, int status);  // any thread, while the peer is in the watch's table

// head.c: checks framing and headers, fills the head of rq. False: the reply is set; `fatal` says
// that the rest of the connection cannot be trusted.
bool head_read(http_request *rq, const char *version, bool *fatal);
// Finds the route and the words of the path. False: the reply is set.
bool head_route(http_request *rq);
