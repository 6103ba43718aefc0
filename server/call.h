// SPDX-License-Identifier: Apache-2.0
// A call: an exchange of the connection layer and what the server adds to it: route, model, tensors, times. Who may
// touch it: the loop of its connection, until admission has taken it; then the worker that has it, until exchange_post.
// Read next: dispatch.c (from head to answer), route.h, admission/admission.h.
#pragma once

#include <pthread.h>

#include "server/models.h"
#include "server/monitor/trace.h"
#include "server/net/net.h"
#include "server/route.h"
#include "server/server.h"
#include "support/digest.h"

enum { CALL_ID_BYTES = HTTP_VALUE_BYTES };

typedef struct call {
  exchange x;  // first: the connection layer makes calls
  server *srv;
  const http_route *route;
  model_entry *entry;  // named by the path, or by the lack of a name; or that of the script
  model *model;        // held; NULL: the entry is not loaded, or the route needs none
  // Words of the path; at NULL when the route has none.
  str model_name, asset_name, version_name, file_name;
  char id[CALL_ID_BYTES + 1];
  bool counted;     // among the scoring calls of its client
  unsigned client;  // bucket
  bool parsed, nan_literal;
  bool elsewhere;             // for the other revision (split.h): it has no model here
  size_t message_at;          // gRPC: where the message begins in the body
  bool packed;                // gRPC: it came compressed; a worker decodes it and finds the model
  bool deferred;              // a worker finds the model: the call came packed, or the model is not loaded yet
  bool hurried;               // its body tells an earlier deadline than its head
  int answered_with;          // gRPC: the status of HTTP before it became one of gRPC
  bool scripted;              // for the scoring script: it has no model
  bool run_failed;            // of those: run() failed, whatever the status
  struct sequence *sequence;  // held; NULL: none
  bool sequence_ends;
  bool cacheable;  // its answer may be kept, under the key
  char cache_key[DIGEST_BYTES];
  sdx_value **inputs;         // by index of the model's inputs
  const sdx_value **outputs;  // while `reply` runs
  void *route_state;          // of the route, freed with free()
  trace trace;
  uint64_t queued_ns, waited_ns;  // when its wait for a worker began, how long it was
  uint64_t parse_ns, parsed_ns;   // when its body was begun and read
  uint64_t run_ns, done_ns;       // and it was computed
  uint64_t deadline_ns;
  // Of the queue:
  void (*work)(struct call *c);
  unsigned asked, priority;  // 1: the most urgent; in force: 0 until the body is parsed, which may tell another
  uint64_t fair;             // whose call it is: hash of address and key
  struct lane *lane;         // NULL: not in a queue
  size_t lane_at;
  uint64_t turn, serial;  // lane.h
  // A run that may be cancelled from outside:
  pthread_mutex_t lock;
  sdx_run *run;
  int cancel_status;  // 0, or the status to answer with
} call;

static inline http_request *call_request(call *c) { return &c->x.request; }
static inline const uint8_t *call_trace(const call *c) { return c->trace.known ? c->trace.id : NULL; }
static inline text *call_body(call *c) { return &c->x.response.body; }  // of the response

// Responses.
void call_error(call *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
void call_retry(call *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));  // Retry-After
// 503; Retry-After tells when the wait will be that much shorter.
void call_retry_after(call *c, uint64_t ns, const char *format, ...) __attribute__((format(printf, 3, 4)));
void call_late(call *c);              // 504: its deadline is there
void call_expired(call *c);           // the same, or 503 where it has waited too long before
void call_json(call *c, int status);  // the body holds it
void call_text(call *c, int status, const char *text);
// The error of a run, with its fields beside; run NULL: there is none to ask.
void call_engine_error(call *c, sdx_status status, const sdx_run *run);

int call_status(const call *c);  // as HTTP would tell it
// What a body asks for beside its tensors; 0: nothing.
void call_take_wishes(call *c, uint64_t timeout_us, unsigned priority);
// The body of the request as JSON.
void call_read_json(call *c, json *j);
void call_cancel(call *c, int status);      // any thread
void call_log(const call *c, uint64_t ns);  // access_log.c
extern const net_handler call_handler;      // dispatch.c
