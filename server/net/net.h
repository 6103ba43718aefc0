// SPDX-License-Identifier: Apache-2.0
// The connection layer: sockets, TLS, HTTP/1.1 and HTTP/2. It knows no models: an application gets whole requests
// through net_handler and sets responses. Threads: each loop serves its connections alone, so nothing of a connection
// is locked; an exchange that waits for an answer belongs to the application until exchange_post. Read next:
// connection.h (life of a connection), http1.c, http2.c, README.md.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/limits.h"
#include "server/net/address.h"
#include "server/net/message.h"
#include "server/net/timer.h"

enum { NET_CLIENTS = 16384, MESSAGE_PREFIX = 5 };  // a message begins with a byte of flags and its length, big-endian

typedef enum exchange_state {
  EXCHANGE_READING,     // head or body are coming
  EXCHANGE_SWALLOWING,  // the response is set; what still comes of the body is thrown away before it is sent
  EXCHANGE_PENDING,     // with the application
  EXCHANGE_ANSWERING,   // the response is going out
} exchange_state;

// One request and its response. An application's own struct may begin with it (net_handler.exchange_bytes).
typedef struct exchange {
  struct net *net;
  struct loop *loop;
  struct connection *connection;
  struct exchange *next;    // in the list of the connection
  struct exchange *posted;  // in the mailbox of the loop
  http_request request;
  http_response response;
  exchange_state state;
  address client;              // who asks, behind trusted proxies
  bool unproven;               // it claims to have come through a proxy that is not trusted
  int32_t stream;              // of HTTP/2; 0: HTTP/1
  bool messages;               // set by `head`: the body is a sequence of messages, each answered on its own
  bool over;                   // of such: nothing more will be answered
  bool begun, answered;        // the head of the response is out; the answer to one message, too
  bool no_more;                // the client has sent its last one
  http_body ahead;             // what came behind a message that is not answered yet
  uint64_t start_ns, body_ns;  // the head, the whole body was there
  size_t body_limit;           // set by `head`
  net_timer timer;
} exchange;

// All but exchange_post are called on the thread of the loop, and so are these:
typedef struct net_handler {
  size_t exchange_bytes;
  // The head is there. False: the response is set, and the body is not wanted.
  bool (*head)(exchange *x);
  // The body is there. True: the response is set; false: exchange_post follows, from any thread.
  bool (*body)(exchange *x);
  // A pending exchange should end soon: the client left (499), or the server stops (503). Its answer is posted.
  void (*cancel)(exchange *x, int status);
  // The time given with exchange_wait is over. What is answered now is posted, too.
  void (*expire)(exchange *x);
  // The response is about to go out: headers that every one has.
  void (*seal)(exchange *x);
  // The answer to one of `messages` is out: the next one comes.
  void (*next)(exchange *x);
  // The exchange is over; a status of 0 means that nothing was said. What the application added is to be released.
  void (*end)(exchange *x);
} net_handler;

typedef struct net_config {
  const limits *limits;
  const net_handler *handler;
  void *context;
  size_t loops;
  const char *const *hosts;  // names or addresses; all addresses of each
  size_t host_count;
  int port;                       // 0: any, the same for all
  const char *unix_path;          // NULL: none
  int shared_fd;                  // an inherited TCP socket, accepted from once net_release was called; 0: none
  const char *certificate, *key;  // PEM files; NULL: no TLS
  network_list trusted;           // proxies
} net_config;

typedef struct net {
  const net_config *config;
  const limits *limits;
  const net_handler *handler;
  void *context;
  struct tls *tls;
  struct listener *listeners;
  size_t listener_count, loop_count;
  struct loop **loops;
  int port;
  uint64_t seed;
  atomic_bool released;  // the shared socket is accepted from
  atomic_bool closing;   // responses end their connections
  atomic_size_t ended;   // loops that accept no more
  atomic_size_t connections, exchanges, held;
  atomic_uint_fast64_t cut, malformed, refused_connections;
  atomic_uint clients[NET_CLIENTS];  // connections by hash of the address
} net;

// Opens sockets, then starts the loops. False: said in the log.
bool net_open(net *n, const net_config *config);
bool net_start(net *n);
void net_stop(net *n);   // ends the threads
void net_close(net *n);  // closes what is still open, after the last exchange_post
// Where it can be reached: "http://127.0.0.1:8080", one a line.
void net_addresses(const net *n, text *to);
void net_reload(net *n);   // certificates
void net_release(net *n);  // the shared socket

// Ending, step by step: new clients are not taken any more; those who wait in the backlog are; then the sockets close.
void net_refuse_new(net *n);
void net_stop_accepting(net *n);
bool net_accepts(const net *n);  // until every loop has stopped
void net_close_idle(net *n);
void net_cancel_all(net *n);  // what is pending gets `cancel` with 503

// The response of a pending exchange is set. Any thread.
void exchange_post(exchange *x);
// `expire` is called if the exchange is not answered after max-queue-wait-ms, or when the deadline is there. Thread of
// the loop.
void exchange_wait(exchange *x, uint64_t deadline_ns);
