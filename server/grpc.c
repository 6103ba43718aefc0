// SPDX-License-Identifier: Apache-2.0
// Messages and statuses of gRPC (grpc.h).
#include "server/grpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/dispatch.h"

enum { MESSAGE_BYTES = 1000, STREAM_ERROR = 1 };
enum { OK = 0, UNKNOWN = 2, UNIMPLEMENTED = 12 };
#define NAMES(F) F(NAME, 1, BYTES, "name") F(VERSION, 2, BYTES, "version")
enum { NAMES(WIRE_SLOT) };
WIRE_SCHEMA(static const, names, NAMES, "request")

// ---- requests ------------------------------------------------------------------------------------

bool grpc_is(const http_request *r) {
  static const char type[] = "application/grpc";
  const str *given = http_request_header(r, "content-type");
  if (!given || given->size < sizeof type - 1 || memcmp(given->at, type, sizeof type - 1) != 0) return false;
  return given->size == sizeof type - 1 || strchr("+;", given->at[sizeof type - 1]);
}

bool grpc_head(call *c) {
  const str *encoding = http_request_header(&c->x.request, "grpc-encoding");
  if (!c->x.stream) {
    call_error(c, 505, "gRPC is spoken over HTTP/2 only");
    return false;
  }
  if (!grpc_is(&c->x.request)) {
    call_error(c, 415, "header Content-Type: this path expects application/grpc");
    return false;
  }
  if (!encoding || (!str_is(*encoding, "zstd") && coding_from_name(*encoding) != CODING_UNKNOWN)) return true;
  call_error(c, 501, "header grpc-encoding is '%.*s', expected gzip or identity", STR_ARG(*encoding));
  http_response_header(&c->x.response, "grpc-accept-encoding", "identity, gzip");
  return false;
}

bool grpc_timeout_read(str value, uint64_t *ns) {
  static const struct {
    char unit;
    uint64_t ns;
  } units[] = {
      {'n', 1}, {'u', 1000}, {'m', 1000000}, {'S', 1000000000}, {'M', 60ull * 1000000000}, {'H', 3600ull * 1000000000}};
  int64_t number;
  if (value.size < 2 || value.size > 9 || !number_read_int((str){value.at, value.size - 1}, &number) || number < 0)
    return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (units[i].unit == value.at[value.size - 1]) {
      *ns = (uint64_t)number * units[i].ns;
      return true;
    }
  return false;
}

bool grpc_open(call *c) {
  http_body *b = &c->x.request.body;
  const unsigned char *p = (const unsigned char *)b->at;
  size_t length = 0;
  if (b->size >= MESSAGE_PREFIX) length = (size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4];
  if (b->size < MESSAGE_PREFIX || length != b->size - MESSAGE_PREFIX) {
    call_error(c, 400, "the body has %zu bytes, expected one message: %s", b->size,
               b->size < MESSAGE_PREFIX ? "its prefix alone has 5" : "its prefix tells another length");
    return false;
  }
  if (*p > 1) {
    call_error(c, 400, "the first byte of the message is %d, expected 0, or 1 for one that is compressed", *p);
    return false;
  }
  c->message_at = MESSAGE_PREFIX;
  if (!*p) return true;
  const str *encoding = http_request_header(&c->x.request, "grpc-encoding");
  http_problem problem = {0};
  coding k = encoding ? coding_from_name(*encoding) : CODING_IDENTITY;
  if (k == CODING_IDENTITY) {
    call_error(c, 400, "the message is compressed, but the header grpc-encoding names no coding");
    return false;
  }
  memmove(b->at, b->at + MESSAGE_PREFIX, length);
  b->size = length;
  c->message_at = 0;
  if (coding_decode(k, b, c->x.body_limit, &problem)) return true;
  call_error(c, problem.status, "%s", problem.message);
  return false;
}

wire grpc_message(const call *c) {
  const http_body *b = &c->x.request.body;
  return wire_of(b->at + c->message_at, b->size - c->message_at);
}

bool grpc_scan(call *c, const wire_schema *schema, wire_counts *counts, wire *message) {
  error e = {0};
  *message = grpc_message(c);
  if (wire_scan(*message, schema, counts, &e) == SDX_OK) return true;
  call_error(c, 400, "%s", e.message);
  return false;
}

bool grpc_read_names(call *c, str *name, str *version) {
  wire_counts counts;
  wire message;
  wire_field f;
  *name = *version = (str){0};
  if (!grpc_scan(c, &names, &counts, &message)) return false;
  while (wire_next(&message, &names, &f)) *(f.slot == NAME ? name : version) = wire_str(&f);
  return true;
}

bool grpc_find_model(call *c, str name, str version) {
  c->model_name = name;
  c->version_name = version.size ? version : (str){0};
  bool waits = c->deferred;
  return dispatch_find_model(c) && c->deferred == waits;  // else it is asked again where it may wait
}

// ---- answers -------------------------------------------------------------------------------------

wire_out grpc_begin(call *c) {
  text *body = call_body(c);
  static const char prefix[MESSAGE_PREFIX];
  text_append(body, prefix, sizeof prefix);
  wire_out out = {.kept = *body};
  *body = (text){0};
  return out;
}

void grpc_put_str(wire_out *out, uint32_t number, const char *text) { wire_put_bytes(out, number, str_from(text)); }

static void set_length(text *body) {
  size_t length = body->size - MESSAGE_PREFIX;
  for (int i = 0; i < 4; i++) body->at[4 - i] = (char)(length >> (8 * i) & 255);
}

void grpc_end(call *c, wire_out *out) {
  text *body = call_body(c);
  *body = out->kept;
  if (!body->failed && body->size - MESSAGE_PREFIX > UINT32_MAX) body->failed = true;
  if (!body->failed) set_length(body);
  c->x.response.status = 200;
}

static int status_of(const call *c, int http) {
  static const struct {
    int http, grpc;
  } rows[] = {{400, 3}, {401, 16}, {403, 7}, {404, 5},  {405, 12}, {408, 4},  {409, 10}, {413, 8},  {415, 3}, {422, 3},
              {429, 8}, {431, 8},  {499, 1}, {500, 13}, {501, 12}, {503, 14}, {504, 4},  {505, 12}, {507, 8}};
  if (http == 404 && !c->route) return UNIMPLEMENTED;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (rows[i].http == http) return rows[i].grpc;
  return UNKNOWN;
}

// The text of {"error": "..."}, which is changed.
static str error_text(text *body) {
  json j;
  str key, message = {0};
  json_init(&j, body->at, body->size, 2, 1000);
  if (body->size && json_open(&j, '{', "error") && json_key(&j, &key)) json_string_read(&j, &message, "error");
  return message;
}

static void put_message(http_response *r, str message) {
  static const char hex[] = "0123456789ABCDEF";
  char encoded[MESSAGE_BYTES * 3 + 1], *at = encoded;
  for (size_t i = 0; i < message.size && i < MESSAGE_BYTES; i++) {
    unsigned char letter = (unsigned char)message.at[i];
    if (letter >= 0x20 && letter < 0x7F && letter != '%') *at++ = (char)letter;
    else *at++ = '%', *at++ = hex[letter >> 4], *at++ = hex[letter & 15];
  }
  *at = 0;
  http_response_trailer(r, "grpc-message", encoded);
}

// An answer among others: errors are told in it.
static void put_stream_error(call *c) {
  text error = *call_body(c);
  *call_body(c) = (text){0};
  wire_out out = grpc_begin(c);
  wire_put_bytes(&out, STREAM_ERROR, error_text(&error));
  grpc_end(c, &out);
  text_deinit(&error);
}

void grpc_seal(call *c) {
  http_response *r = &c->x.response;
  char number[12];
  int status = r->status == 200 ? OK : status_of(c, r->status);
  c->answered_with = r->status;
  r->content_type = "application/grpc";
  if (c->x.messages && !c->x.over) {
    if (status != OK) put_stream_error(c);
    r->status = 200;
    return;
  }
  snprintf(number, sizeof number, "%d", status);
  http_response_trailer(r, "grpc-status", number);
  if (status != OK) {
    put_message(r, error_text(&r->body));
    r->body.size = 0;
  }
  r->status = 200;
}
