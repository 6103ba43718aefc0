// SPDX-License-Identifier: Apache-2.0
// Listening sockets that are handed over: what their owner can do so that nobody who is connected already is cut.
#pragma once

#include "support/fault.h"

// A TCP socket that listens at the first address of `host` (port 0: a free one). *given: the port. -1: failed.
int socket_listen(const char *host, int port, int *given, fault *f);

// For processes that cannot inherit it: a Unix socket at `path` where those who connect are handed a socket. -1:
// failed.
int socket_door(const char *path, fault *f);
void socket_hand_over(int door, int fd);       // to one who has connected
int socket_fetch(const char *path, fault *f);  // by one who connects; -1: failed

int socket_port(int fd);  // that it is bound to

// Drops the first packet of every new connection: clients try again, and are refused once the socket is closed. Those
// whose handshake is done wait in the backlog and can be taken. Nothing for what is not TCP.
void socket_refuse_new(int fd);
