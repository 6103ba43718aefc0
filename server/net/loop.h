// SPDX-License-Identifier: Apache-2.0
// One thread and its connections: waits for sockets, timers and messages of other threads. An idle loop sleeps until
// something is due.
#pragma once

#include <pthread.h>

#include "server/net/connection.h"

typedef enum loop_command {
  LOOP_STOP = 1,
  LOOP_STOP_ACCEPTING = 2,
  LOOP_CLOSE_IDLE = 4,
  LOOP_CANCEL_ALL = 8,
  LOOP_RELEASE = 16  // the shared socket may be accepted from
} loop_command;

typedef struct loop {
  net *net;
  pthread_t thread;
  bool running, listening, stopped;
  int epoll, wake;
  uint64_t now_ns;
  net_timers timers;
  connection *connections, *ready;
  size_t peak;  // most connections since memory was last given back
  atomic_size_t count;
  exchange *spare;  // for reuse, linked by `next`
  size_t spare_count;
  text out;  // lent to the connection whose turn it is
  char date[32];
  uint64_t date_second;
  uint64_t accept_again_ns;  // after a failure
  // Messages:
  _Atomic(exchange *) posted;
  _Atomic(connection *) arriving;
  atomic_uint commands;
  char scratch[SCRATCH_BYTES];
} loop;

loop *loop_create(net *n);
bool loop_start(loop *l);
void loop_stop(loop *l);  // ends the thread
void loop_destroy(loop *l);
void loop_command_send(loop *l, loop_command command);
// Takes over a connection that was accepted by another loop.
void loop_adopt(loop *l, connection *c);
void loop_begin(loop *l, connection *c);  // its first turn
void loop_take_messages(loop *l);         // answers and connections that others have left
void loop_ready(connection *c);           // another turn is due soon

// listen.c
void listen_event(loop *l, struct listener *at);
void listen_begin(loop *l);
void listen_release(loop *l);
void listen_end(loop *l);  // the last loop to do so closes the sockets to new clients
