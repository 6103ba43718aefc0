// SPDX-License-Identifier: Apache-2.0
// The reader of HTTP/1.1 (RFC 9112), strict: whatever two servers could read differently is refused, so that nothing
// can be smuggled past a proxy. It sees bytes only: head_find says where a head ends, head_parse takes it apart, and
// chunked_read walks through a chunked body. head_finish is the part that HTTP/2 shares.
#pragma once

#include "server/net/message.h"

// Value of a hex digit, or -1; characters of a token and of a value (RFC 9110, 5.6.2 and 5.5).
static inline int head_hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}
static inline bool head_is_token(char c) {
  return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}
static inline bool head_is_text(char c) { return ((unsigned char)c >= 0x20 && c != 0x7F) || c == '\t'; }

typedef struct head_scan {
  size_t at, line;  // how far it was looked at; where the present line begins
  size_t lines;
} head_scan;

// Size of the head at `bytes` with its empty line, or 0: more must come, or, if the problem is set, it is none.
size_t head_find(head_scan *scan, const char *bytes, size_t size, size_t max_bytes, http_problem *p);
// Takes apart what stands in r->head, which head_find has measured.
bool head_parse(http_request *r, size_t max_headers, http_problem *p);
// From method_name, target and headers: method, path, query, and what headers say about the body.
bool head_finish(http_request *r, http_problem *p);

typedef struct chunked {
  uint64_t left;  // of the present chunk
  unsigned state, digits, line;
  size_t chunks, trailers;
} chunked;

typedef enum chunked_event { CHUNKED_MORE, CHUNKED_DATA, CHUNKED_END, CHUNKED_WRONG } chunked_event;
// Reads on at *at; DATA: `data` is the next piece of the body.
chunked_event chunked_read(chunked *c, const char **at, const char *end, size_t max_chunks, str *data, http_problem *p);
