// SPDX-License-Identifier: Apache-2.0
// Listening sockets: all addresses of all hosts, and a Unix socket. Every loop accepts; a new connection goes to the
// loop that has the fewest.
#pragma once

#include "server/net/net.h"

typedef struct listener {
  int fd;
  bool tls, shared;  // shared: inherited, and served by other processes as well
  char *unix_path;   // NULL: TCP
  char text[80];     // "127.0.0.1:8080"
} listener;

bool listen_open(net *n);  // false: said in the log
void listen_close(net *n);
void listen_refuse_new(net *n);
bool listener_is(const net *n, const void *at);
