// SPDX-License-Identifier: Apache-2.0
// Addresses of clients (address.h). A chain of proxies is walked from the near end: each one that is trusted is
// believed about the one before it, and no further.
#include "server/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

enum { HOPS = 64 };
static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

static address from_v4(const void *four) {
  address a = {0};
  memcpy(a.bytes, v4_prefix, sizeof v4_prefix);
  memcpy(a.bytes + 12, four, 4);
  return a;
}

static bool is_v4(const address *a) { return !a->local_socket && !memcmp(a->bytes, v4_prefix, sizeof v4_prefix); }

address address_from_socket(const struct sockaddr *s) {
  address a = {.local_socket = true};
  if (s->sa_family == AF_INET) return from_v4(&((const struct sockaddr_in *)s)->sin_addr);
  if (s->sa_family == AF_INET6) {
    a.local_socket = false;
    memcpy(a.bytes, &((const struct sockaddr_in6 *)s)->sin6_addr, 16);
  }
  return a;
}

// "10.0.0.1", "10.0.0.1:80", "::1", "[::1]", "[::1]:80"
static bool address_parse(address *a, str text) {
  char copy[ADDRESS_TEXT];
  if (!text.size) return false;
  const char *end = text.at + text.size, *stop = end;
  if (*text.at == '[') {
    stop = memchr(text.at, ']', text.size);
    if (!stop || (stop + 1 < end && stop[1] != ':')) return false;
    text.at++;
  } else {
    // One colon parts a port from IPv4; several are IPv6.
    const char *colon = memchr(text.at, ':', text.size);
    if (colon && !memchr(colon + 1, ':', (size_t)(end - colon - 1))) stop = colon;
  }
  size_t size = (size_t)(stop - text.at);
  if (!size || size >= sizeof copy || memchr(text.at, 0, size)) return false;
  memcpy(copy, text.at, size);
  copy[size] = 0;
  uint8_t four[4];
  *a = (address){0};
  if (inet_pton(AF_INET, copy, four) == 1) {
    *a = from_v4(four);
    return true;
  }
  return inet_pton(AF_INET6, copy, a->bytes) == 1;
}

void address_print(const address *a, char text[ADDRESS_TEXT]) {
  if (a->local_socket) memcpy(text, "unix", sizeof "unix");
  else if (is_v4(a)) inet_ntop(AF_INET, a->bytes + 12, text, ADDRESS_TEXT);
  else inet_ntop(AF_INET6, a->bytes, text, ADDRESS_TEXT);
}

bool address_is_loopback(const address *a) {
  static const uint8_t one[16] = {[15] = 1};
  return a->local_socket || (is_v4(a) && a->bytes[12] == 127) || !memcmp(a->bytes, one, 16);
}

uint64_t address_hash(const address *a, uint64_t seed) {
  uint64_t hash = seed;
  for (size_t i = 0; i < (is_v4(a) ? 16 : 8); i++) hash = (hash ^ a->bytes[i]) * 0x100000001B3u;
  return hash ^ hash >> 32;
}

bool network_parse(network *n, str text) {
  if (str_is(text, "unix")) {
    *n = (network){.base = {.local_socket = true}};
    return true;
  }
  const char *slash = memchr(text.at, '/', text.size);
  if (!address_parse(&n->base, (str){text.at, slash ? (size_t)(slash - text.at) : text.size})) return false;
  unsigned most = is_v4(&n->base) ? 32 : 128, bits = 0;
  n->bits = 128;
  if (!slash) return true;
  if (slash + 1 == text.at + text.size || slash + 4 < text.at + text.size) return false;
  for (const char *p = slash + 1; p < text.at + text.size; p++) {
    if (*p < '0' || *p > '9') return false;
    bits = bits * 10 + (unsigned)(*p - '0');
  }
  n->bits = bits + (128 - most);
  return bits <= most;
}

static bool network_has(const network *n, const address *a) {
  if (n->base.local_socket || a->local_socket) return n->base.local_socket && a->local_socket;
  size_t whole = n->bits / 8, rest = n->bits % 8;
  if (memcmp(n->base.bytes, a->bytes, whole) != 0) return false;
  return !rest || ((n->base.bytes[whole] ^ a->bytes[whole]) >> (8 - rest)) == 0;
}

bool network_list_has(const network_list *list, const address *a) {
  for (size_t i = 0; i < list->count; i++)
    if (network_has(&list->at[i], a)) return true;
  return false;
}

// ---- Forwarded and X-Forwarded-For ---------------------------------------------------------------

typedef struct hops {
  str at[HOPS];
  size_t count;
} hops;

static str trim(str s) {
  while (s.size && (*s.at == ' ' || *s.at == '\t')) s.at++, s.size--;
  while (s.size && (s.at[s.size - 1] == ' ' || s.at[s.size - 1] == '\t')) s.size--;
  return s;
}

// The next part of `rest` up to a separator outside of quotes.
static str part(str *rest, char separator) {
  size_t n = 0;
  for (bool quoted = false; n < rest->size && (quoted || rest->at[n] != separator); n++) {
    if (rest->at[n] == '"') quoted = !quoted;
    else if (quoted && rest->at[n] == '\\' && n + 1 < rest->size) n++;
  }
  str piece = {rest->at, n};
  size_t skip = n < rest->size ? n + 1 : n;
  *rest = (str){rest->at + skip, rest->size - skip};
  return trim(piece);
}

// for=192.0.2.1, for="[2001:db8::1]:80", for=unknown
static str forwarded_for(str element) {
  while (element.size) {
    str pair = part(&element, ';');
    if (pair.size < 4 || strncasecmp(pair.at, "for=", 4)) continue;
    str value = {pair.at + 4, pair.size - 4};
    if (value.size > 1 && *value.at == '"' && value.at[value.size - 1] == '"') value.at++, value.size -= 2;
    return value;
  }
  return (str){0};
}

static bool gather(const http_request *r, const char *name, bool pairs, hops *h, http_problem *p) {
  for (size_t i = 0; i < r->header_count; i++) {
    if (!str_is(r->headers[i].name, name)) continue;
    for (str rest = r->headers[i].value; rest.size;) {
      str one = part(&rest, ',');
      if (h->count == HOPS) return http_wrong(p, 400, "header %s names more than %d proxies", name, HOPS);
      h->at[h->count++] = pairs ? forwarded_for(one) : one;
    }
  }
  return true;
}

static address walk(const hops *h, const network_list *trusted, const address *peer) {
  address now = *peer, next;
  for (size_t i = h->count; i > 0 && network_list_has(trusted, &now); i--) {
    if (!address_parse(&next, h->at[i - 1])) break;  // "unknown": the nearest one that is known counts
    now = next;
  }
  return now;
}

bool forwarded_client(const http_request *r, const network_list *trusted, const address *peer, address *client,
                      bool *unproven, http_problem *p) {
  *client = *peer;
  bool told = http_request_header(r, "forwarded") || http_request_header(r, "x-forwarded-for");
  *unproven = told && !network_list_has(trusted, peer);
  if (!told || *unproven) return true;
  hops standard, common;
  standard.count = common.count = 0;
  if (!gather(r, "forwarded", true, &standard, p) || !gather(r, "x-forwarded-for", false, &common, p)) return false;
  *client = walk(standard.count ? &standard : &common, trusted, peer);
  if (standard.count && common.count) {
    // A proxy writes one of the two and passes on what the client wrote in the other: only agreement is safe.
    address other = walk(&common, trusted, peer);
    if (memcmp(&other, client, sizeof other) != 0)
      return http_wrong(p, 400, "headers Forwarded and X-Forwarded-For name different clients");
  }
  return true;
}
