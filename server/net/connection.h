// SPDX-License-Identifier: Apache-2.0
// A connection: a transport (plain or TLS), bytes in and out, and the protocol spoken over it. Only its loop touches
// it. The life of a connection is a sequence of turns: send what is there, read what is wanted, let the protocol take
// it, until nothing moves; then `settle` decides what it waits for and how long that may last.
#pragma once

#include <sys/types.h>

#include "server/net/head.h"
#include "server/net/net.h"

enum { OUT_HIGH_BYTES = 65536, SCRATCH_BYTES = 65536 };
enum { TRANSFER_LATER = -1, TRANSFER_BROKEN = -2 };

typedef struct connection connection;

typedef struct transport {
  // Bytes moved; receive: 0 at the end; TRANSFER_*.
  ssize_t (*receive)(connection *c, char *at, size_t size);
  ssize_t (*transmit)(connection *c, const char *at, size_t size);
  void (*finish)(connection *c);  // nothing more will be sent
} transport;

typedef struct protocol {
  const char *name;
  bool (*start)(connection *c);
  void (*stop)(connection *c);
  bool (*wants)(const connection *c);                       // more input
  size_t (*feed)(connection *c, char *bytes, size_t size);  // how many were taken
  bool (*fill)(connection *c);                              // adds to the output; false: there is nothing to add
  void (*answer)(exchange *x);                              // the response is set
  void (*input_ended)(connection *c);
  net_phase (*phase)(const connection *c);
  void (*out_of_time)(connection *c, net_phase phase);
  void (*drain)(connection *c, bool idle);  // the server stops; idle: and nothing is under way here
} protocol;
extern const transport transport_plain, transport_tls;
extern const protocol protocol_http1, protocol_http2;

typedef struct http1 {
  enum { HTTP1_HEAD, HTTP1_BODY, HTTP1_PENDING, HTTP1_ANSWER } state;
  head_scan scan;
  chunked chunked;
  bool in_chunks;  // the response goes out chunked
} http1;

struct connection {
  struct loop *loop;
  net *net;
  connection *previous, *next;  // all of the loop
  connection *next_ready, *arriving;
  int fd;  // -1: closed, and only exchanges hold it
  void *tls;
  const transport *transport;
  const protocol *protocol;  // NULL: not known yet
  http1 http1;
  struct nghttp2_session *http2;
  size_t resets;        // HTTP/2: streams the client gave up
  exchange *exchanges;  // not ended yet
  text in, out;         // bytes that wait to be taken, to be sent
  size_t out_at;
  net_timer timer;
  uint64_t served, timer_served;  // exchanges ended; as of the last setting of the timer
  size_t moved;                   // bytes since then
  size_t lingered;
  address peer;
  unsigned bucket;
  bool counted;  // among the connections of its address
  bool can_read, can_write, hung_up, input_over;
  bool ending;       // once the output is sent
  bool linger, cut;  // with what is still coming; because time was over
  bool finished;     // our side is shut
  bool broken, ready, drained;
};

// loop.c
exchange *exchange_create(connection *c);
void exchange_end(exchange *x);
void connection_free(connection *c);  // closed, without exchanges
const char *loop_date(struct loop *l);

// connection.c
void connection_turn(connection *c);
void connection_event(connection *c, bool readable, bool writable, bool hung_up, bool broken);
void connection_time_over(connection *c, net_phase phase);
void connection_answer(exchange *x);  // of a pending exchange, on the loop's thread
void connection_drain(connection *c, bool close_idle);
// What both protocols do with an exchange: the head is whole; a piece of the body came; the body is whole.
// begin: true: read on; false: the response is set.
bool exchange_begin(exchange *x);
bool exchange_take(exchange *x, str piece);
bool exchange_keep(exchange *x, http_body *b, str piece);  // more bytes of any body of it; false: memory
// True: the response is set.
bool exchange_complete(exchange *x);
void exchange_malformed(exchange *x, const http_problem *p);
// Chooses the coding of the response and sees that it is whole.
void exchange_prepare(exchange *x);
