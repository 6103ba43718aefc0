// SPDX-License-Identifier: Apache-2.0
// A request and its response as both versions of HTTP mean them; no socket is known here. The strings of a
// request point into `head`, which holds the bytes that came. Read next: head.h (HTTP/1.1 heads), net.h.
#pragma once

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "base/text.h"
#include "server/net/coding.h"

enum { HTTP_PATH_BYTES = 1024, HTTP_VALUE_BYTES = 100 };

// Why bytes are no request. status 0: nothing is wrong.
typedef struct http_problem {
  int status;
  char message[240];
} http_problem;
bool http_wrong(http_problem *p, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));  // false

typedef struct http_header {
  str name, value;  // the name in lower case
} http_header;

typedef enum http_method {
  METHOD_OTHER = 0,
  METHOD_GET = 1,
  METHOD_HEAD = 2,
  METHOD_POST = 4,
  METHOD_OPTIONS = 8,
  METHOD_PATCH = 16,
  METHOD_DELETE = 32,
} http_method;
extern const char *const http_methods[];  // by the number of the bit, ended by NULL

// Memory is taken for bytes that arrived, never for sizes that are claimed, and counted in `held`.
typedef struct http_body {
  char *at;
  size_t size, capacity;
  atomic_size_t *held;  // by all bodies together
  size_t held_limit;
} http_body;
bool body_reserve(http_body *b, size_t capacity);
void body_drop(http_body *b);

typedef struct http_request {
  text head;
  http_header *headers;
  size_t header_count, header_capacity;
  str method_name, target, query;
  http_method method;
  char path[HTTP_PATH_BYTES];  // decoded once; ends with a NUL
  bool has_length, chunked, keep_alive, http_1_0, expects_continue;
  uint64_t length;  // of the body, as Content-Length says
  http_body body;
} http_request;

void http_request_reset(http_request *r);  // keeps memory for the next use
void http_request_deinit(http_request *r);
http_header *http_request_add(http_request *r);  // NULL: memory
// The value of a header (name in lower case), or NULL. Repeated ones: the first.
const str *http_request_header(const http_request *r, const char *name);
// A parameter of the query, as it came. False: it is not there.
bool http_request_query(const http_request *r, const char *name, str *value);
static inline bool http_request_has_body(const http_request *r) { return r->chunked || r->length > 0; }

typedef struct http_response {
  int status;  // 0: not decided yet
  const char *content_type;
  text body;
  size_t taken;  // of the body
  coding coding;
  coding_stream *stream;  // what compresses the body while it is taken
  text staged;            // taken, and not yet read
  size_t staged_at;
  bool close;    // the connection ends behind it
  text headers;  // name and value by turns, a NUL behind each
  size_t header_count;
  text trailers;  // the same, behind the body; HTTP/2 only
} http_response;

void http_response_reset(http_response *r, size_t limit);
void http_response_deinit(http_response *r);
void http_response_header(http_response *r, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void http_response_trailer(http_response *r, const char *name, const char *value);
// The header, or trailer, at *cursor, which begins with 0 and moves on. False: there is none.
bool http_pairs_next(const text *pairs, size_t *cursor, const char **name, const char **value);
// {"error": "..."} takes the place of what the body holds.
void http_response_error(http_response *r, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
void http_response_verror(http_response *r, int status, const char *format, va_list list);
void http_response_error_details(http_response *r, const char *json);  // "details" beside it
// Moves up to `room` bytes of the (compressed) body to the end of `to`. True: that was the last of it.
bool http_response_take(http_response *r, size_t room, text *to);
// The same into memory of exactly that room; how many bytes. False: memory.
bool http_response_read(http_response *r, char *at, size_t room, size_t *got, bool *last);
const char *http_reason(int status);
