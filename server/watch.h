// SPDX-License-Identifier: Apache-2.0
// One thread that watches all connections: phases that last too long, clients that left while their
// request waits or runs, sockets that linger. It sleeps until the earliest moment something is due,
// without a tick: an idle server never wakes up.
#pragma once

#include "server/http.h"

bool watch_start(server *srv);
void watch_stop(server *srv);
bool watch_add(http_peer *peer);     // a new connection
void watch_remove(http_peer *peer);  // before its socket is closed
// Sets phase and the time it may last; 0: no limit.
void watch_phase(http_peer *peer, http_phase phase, uint64_t limit_ns);
// Begin and end of the time in which a client that leaves cancels its request.
void watch_client(http_peer *peer);
void watch_client_end(http_peer *peer);
// Keeps reading (and dropping) from the socket for a while, so that the client can read its reply.
void watch_linger(server *srv, int fd);

// For drain.c: closes idle connections; cancels everything in flight. Returns how many.
size_t watch_close_idle(server *srv);
size_t watch_cancel_all(server *srv, int status);
