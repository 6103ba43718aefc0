// SPDX-License-Identifier: Apache-2.0
// Requests and responses (message.h).
#include "server/net/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STAGE_BYTES = 16384 };

bool http_wrong(http_problem *p, int status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  p->status = status;
  vsnprintf(p->message, sizeof p->message, format, list);
  va_end(list);
  return false;
}

// ---- bodies --------------------------------------------------------------------------------------

bool body_reserve(http_body *b, size_t capacity) {
  if (capacity <= b->capacity) return true;
  size_t more = capacity - b->capacity, all = atomic_fetch_add(b->held, more) + more;
  char *at = all <= b->held_limit ? realloc(b->at, capacity) : NULL;
  if (!at) {
    atomic_fetch_sub(b->held, more);
    return false;
  }
  b->at = at;
  b->capacity = capacity;
  return true;
}

void body_drop(http_body *b) {
  if (b->capacity) atomic_fetch_sub(b->held, b->capacity);
  free(b->at);
  b->at = NULL;
  b->size = b->capacity = 0;
}

// ---- requests ------------------------------------------------------------------------------------

void http_request_reset(http_request *r) {
  body_drop(&r->body);
  *r = (http_request){.head = r->head, .headers = r->headers, .header_capacity = r->header_capacity, .body = r->body};
  r->head.size = 0;
  r->head.failed = false;
}

void http_request_deinit(http_request *r) {
  body_drop(&r->body);
  text_deinit(&r->head);
  free(r->headers);
  r->headers = NULL;
}

http_header *http_request_add(http_request *r) {
  if (r->header_count == r->header_capacity) {
    size_t capacity = r->header_capacity ? r->header_capacity * 2 : 16;
    http_header *headers = realloc(r->headers, capacity * sizeof *headers);
    if (!headers) return NULL;
    r->headers = headers;
    r->header_capacity = capacity;
  }
  return &r->headers[r->header_count++];
}

const str *http_request_header(const http_request *r, const char *name) {
  str wanted = str_from(name);
  for (size_t i = 0; i < r->header_count; i++)
    if (str_equal(r->headers[i].name, wanted)) return &r->headers[i].value;
  return NULL;
}

bool http_request_query(const http_request *r, const char *name, str *value) {
  str wanted = str_from(name);
  const char *p = r->query.at, *end = p ? p + r->query.size : NULL;
  while (p < end) {
    const char *next = memchr(p, '&', (size_t)(end - p));
    if (!next) next = end;
    const char *equals = memchr(p, '=', (size_t)(next - p)), *stop = equals ? equals : next;
    if (str_equal((str){p, (size_t)(stop - p)}, wanted)) {
      *value = equals ? (str){equals + 1, (size_t)(next - equals - 1)} : (str){next, 0};
      return true;
    }
    p = next + 1;
  }
  return false;
}

// ---- responses -----------------------------------------------------------------------------------

static void drop_headers(http_response *r) {
  r->headers.size = r->header_count = 0;
  r->headers.failed = false;
}

void http_response_reset(http_response *r, size_t limit) {
  coding_stream_destroy(r->stream);
  r->status = 0;
  r->content_type = NULL;
  r->taken = r->staged_at = 0;
  drop_headers(r);
  text_deinit(&r->staged);
  text_deinit(&r->trailers);
  r->coding = CODING_IDENTITY;
  r->stream = NULL;
  r->close = false;
  r->body.size = 0;
  r->body.limit = limit;
  r->body.failed = false;
}

void http_response_deinit(http_response *r) {
  coding_stream_destroy(r->stream);
  text_deinit(&r->body);
  text_deinit(&r->staged);
  text_deinit(&r->headers);
  text_deinit(&r->trailers);
}

void http_response_header(http_response *r, const char *name, const char *format, ...) {
  size_t before = r->headers.size;
  va_list list;
  va_start(list, format);
  int length = vsnprintf(NULL, 0, format, list);
  va_end(list);
  text_append(&r->headers, name, strlen(name) + 1);
  va_start(list, format);
  char few[HTTP_VALUE_BYTES + 1], *value = length < (int)sizeof few ? few : malloc((size_t)length + 1);
  if (value) vsnprintf(value, (size_t)length + 1, format, list);
  va_end(list);
  if (value) text_append(&r->headers, value, strlen(value) + 1);
  if (value && !r->headers.failed) r->header_count++;
  else r->headers.size = before;
  if (value != few) free(value);
}

void http_response_trailer(http_response *r, const char *name, const char *value) {
  text_append(&r->trailers, name, strlen(name) + 1);
  text_append(&r->trailers, value, strlen(value) + 1);
}

bool http_pairs_next(const text *pairs, size_t *cursor, const char **name, const char **value) {
  if (pairs->failed || *cursor >= pairs->size) return false;
  *name = pairs->at + *cursor;
  *value = *name + strlen(*name) + 1;
  *cursor += (size_t)(*value - *name) + strlen(*value) + 1;
  return true;
}

void http_response_verror(http_response *r, int status, const char *format, va_list list) {
  char message[1200];
  int length = vsnprintf(message, sizeof message, format, list);
  if (length < 0) length = 0;
  size_t size = (size_t)length < sizeof message ? (size_t)length : sizeof message - 1;
  text_deinit(&r->body);  // no limit: the message is short, and must be whole when the limit is what it tells of
  drop_headers(r);
  text_put(&r->body, "{\"error\":");
  text_json_string(&r->body, (str){message, size});
  text_put(&r->body, "}");
  r->status = status;
  r->content_type = "application/json";
}

void http_response_error(http_response *r, int status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  http_response_verror(r, status, format, list);
  va_end(list);
}

void http_response_error_details(http_response *r, const char *json) {
  r->body.size--;  // the brace
  text_format(&r->body, ",\"details\":%s}", json);
}

bool http_response_take(http_response *r, size_t room, text *to) {
  size_t left = r->body.size - r->taken, piece = left < room ? left : room;
  const char *at = r->body.at ? r->body.at + r->taken : "";
  r->taken += piece;
  bool last = piece == left;
  if (!r->stream) text_append(to, at, piece);
  else if (!coding_stream_write(r->stream, (str){at, piece}, last, to)) to->failed = true;
  return last;
}

bool http_response_read(http_response *r, char *at, size_t room, size_t *got, bool *last) {
  // A compressor may keep what it was given: on to the next piece, until there is something or nothing is left.
  bool over = r->taken == r->body.size && r->staged.size;
  while (!over && r->staged_at == r->staged.size) {
    r->staged.size = r->staged_at = 0;
    over = http_response_take(r, STAGE_BYTES, &r->staged);
  }
  *got = r->staged.size - r->staged_at;
  if (*got > room) *got = room;
  if (*got) memcpy(at, r->staged.at + r->staged_at, *got);
  r->staged_at += *got;
  *last = r->taken == r->body.size && r->staged_at == r->staged.size;
  return !r->staged.failed;
}

const char *const http_methods[] = {"GET", "HEAD", "POST", "OPTIONS", "PATCH", "DELETE", NULL};

const char *http_reason(int status) {
  static const struct {
    int status;
    const char *reason;
  } rows[] = {{200, "OK"},
              {204, "No Content"},
              {308, "Permanent Redirect"},
              {400, "Bad Request"},
              {401, "Unauthorized"},
              {403, "Forbidden"},
              {404, "Not Found"},
              {405, "Method Not Allowed"},
              {408, "Request Timeout"},
              {409, "Conflict"},
              {413, "Content Too Large"},
              {414, "URI Too Long"},
              {415, "Unsupported Media Type"},
              {417, "Expectation Failed"},
              {422, "Unprocessable Content"},
              {429, "Too Many Requests"},
              {431, "Request Header Fields Too Large"},
              {499, "Client Closed Request"},
              {500, "Internal Server Error"},
              {501, "Not Implemented"},
              {503, "Service Unavailable"},
              {504, "Gateway Timeout"},
              {505, "HTTP Version Not Supported"},
              {507, "Insufficient Storage"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (rows[i].status == status) return rows[i].reason;
  return "Unknown";
}
