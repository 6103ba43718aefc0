// SPDX-License-Identifier: Apache-2.0
// Addresses of clients: networks in CIDR form, and who sent a request that came through proxies.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/net/message.h"

enum { ADDRESS_TEXT = 48 };

typedef struct address {
  bool local_socket;  // a Unix socket: no number
  uint8_t bytes[16];  // IPv6; IPv4 as ::ffff:a.b.c.d
} address;

typedef struct network {
  address base;
  unsigned bits;
} network;

typedef struct network_list {
  network *at;
  size_t count;
} network_list;

struct sockaddr;
address address_from_socket(const struct sockaddr *s);
void address_print(const address *a, char text[ADDRESS_TEXT]);
bool address_is_loopback(const address *a);  // a Unix socket is, too
// A number for tables of counts: one for each IPv4 address and each IPv6 network of 64 bits.
uint64_t address_hash(const address *a, uint64_t seed);

bool network_parse(network *n, str text);  // "10.0.0.0/8", "::1", "unix"
bool network_list_has(const network_list *list, const address *a);

// Who sent the request: `peer`, unless that is one of the trusted proxies and says for whom it speaks (Forwarded or
// X-Forwarded-For). `unproven`: it claims to have come through a proxy that is not trusted. False: problem set.
bool forwarded_client(const http_request *r, const network_list *trusted, const address *peer, address *client,
                      bool *unproven, http_problem *p);
