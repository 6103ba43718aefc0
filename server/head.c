// SPDX-License-Identifier: Apache-2.0
// The head of a request: framing that two servers could read differently is refused here, before
// anything is routed (request smuggling), then headers are picked up and the path is decoded once.
//
// libmicrohttpd 0.9.75 accepts folded lines (and glues the fold to the *name*), bare LF, NUL bytes,
// and both length headers. It parses in place and overwrites each line end by NULs, so a head that
// was written as the standard says lies in memory without gaps: version, two bytes, name, ':' and
// blanks, value, two bytes, name ... `gapless` checks that, which refuses all of these at once.
// Later versions move strings about, but have a strictness level that http.c sets.
#include <ctype.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/http.h"

typedef struct header_walk {
  http_request *rq;
  const char *end;  // where the line before ends
  bool in_place, bad_layout, bad_name;
  int hosts, lengths, encodings, headers;
  size_t bytes;
  const char *length, *encoding;
} header_walk;

static bool token(const char *name, size_t size) {
  for (size_t i = 0; i < size; i++)
    if (!isalnum((unsigned char)name[i]) && !strchr("!#$%&'*+-.^_`|~", name[i])) return false;
  return size > 0;
}

static void gapless(header_walk *w, const char *name, size_t name_size, const char *value, size_t value_size) {
  const char *p = name + name_size;
  if (name != w->end + 2 || w->end[0] || w->end[1] || value <= p || *p++) w->bad_layout = true;
  while (!w->bad_layout && p < value)
    if (*p != ' ' && *p != '\t' && *p != 0) w->bad_layout = true;
    else p++;
  w->end = value + value_size;
}

static enum MHD_Result each_header(void *context, enum MHD_ValueKind kind, const char *name, size_t name_size,
                                   const char *value, size_t value_size) {
  header_walk *w = context;
  http_request *rq = w->rq;
  w->headers++;
  w->bytes += name_size + value_size + 4;
  if (!value) value = "", value_size = 0;
  if (!token(name, name_size)) w->bad_name = true;
  if (w->in_place) gapless(w, name, name_size, value, value_size);
  if (memchr(value, '\r', value_size)) w->bad_layout = true;
  switch (name_size) {
#define IS(text) (!strcasecmp(name, text))
    case 4:
      if (IS("Host")) w->hosts++;
      break;
    case 12:
      if (IS("Content-Type")) rq->content_type = value;
      else if (IS("X-Request-Id") && !rq->request_id) rq->request_id = value;
      break;
    case 14:
      if (IS("Content-Length")) w->lengths++, w->length = value;
      break;
    case 15:
      if (IS("X-Ms-Request-Id")) rq->request_id = value;
      break;
    case 16:
      if (IS("Content-Encoding")) rq->content_encoding = value;
      break;
    case 17:
      if (IS("Transfer-Encoding")) w->encodings++, w->encoding = value;
      break;
    case 20:
      if (IS("X-Request-Timeout-Ms")) rq->deadline = value;
      break;
    case 22:
      if (IS("X-Ms-Client-Request-Id")) rq->client_id = value;
      break;
    case 31:
      if (IS("Inference-Header-Content-Length")) rq->binary_header = value;
      break;
    default:
      break;
#undef IS
  }
  return MHD_YES;
}

// 0.9.75 and older parse in place; see the top of the file.
static bool parses_in_place(void) {
  int major = 1, minor = 0, patch = 0;
  sscanf(MHD_get_version(), "%d.%d.%d", &major, &minor, &patch);
  return major == 0 && minor == 9 && patch <= 75;
}

// What the client calls its request: printable, short, echoed.
static bool take_id(http_request *rq) {
  static const char hex[] = "0123456789abcdef";
  if (rq->request_id) {
    size_t size = strlen(rq->request_id), plain = 0;
    while (plain < size && isprint((unsigned char)rq->request_id[plain])) plain++;
    if (plain < size) {
      http_error(rq, 400, "header x-request-id: expected printable ASCII");
      return false;
    }
    if (size > HTTP_ID_BYTES) {
      http_error(rq, 431, "header x-request-id has %zu characters, expected at most %d", size, HTTP_ID_BYTES);
      return false;
    }
    memcpy(rq->id, rq->request_id, size + 1);
    return true;
  }
  static atomic_uint_fast64_t serial;
  uint64_t words[2] = {rq->srv->seed, (rq->srv->seed ^ atomic_fetch_add(&serial, 1)) * 0x9E3779B97F4A7C15u};
  for (size_t i = 0; i < 32; i++) rq->id[i] = hex[words[i / 16] >> (i % 16 * 4) & 15];
  rq->id[32] = 0;
  return true;
}

static int hex_digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

// Decodes the path once; what is still a percent sign afterwards stays one.
static bool take_path(http_request *rq) {
  const char *p = rq->peer->uri;
  if (!strncasecmp(p, "http://", 7)) {
    p += 7 + strcspn(p + 7, "/?");
    if (*p != '/') p = "/";
  }
  size_t n = 0;
  for (; *p && *p != '?'; p++) {  // libmicrohttpd has put a NUL in place of the '?'
    if (n + 1 == sizeof rq->path) {
      http_error(rq, 414, "the path has more than %d bytes", HTTP_PATH_BYTES - 1);
      return false;
    }
    int high = *p == '%' ? hex_digit(p[1]) : -1, low = high >= 0 ? hex_digit(p[2]) : -1;
    if (*p == '%' && low < 0) {
      http_error(rq, 400, "the path has a broken percent escape");
      return false;
    }
    rq->path[n++] = low >= 0 ? (char)(high * 16 + low) : *p;
    if (low >= 0) p += 2;
    if ((unsigned char)rq->path[n - 1] < 0x20 || rq->path[n - 1] == 0x7F) {
      http_error(rq, 400, "the path has a control character");
      return false;
    }
  }
  rq->path[n] = 0;
  return true;
}

bool head_read(http_request *rq, const char *version, bool *fatal) {
  const limits *l = &rq->srv->limits;
  header_walk w = {.rq = rq, .end = version + strlen(version), .in_place = parses_in_place()};
  MHD_get_connection_values_n(rq->peer->connection, MHD_HEADER_KIND, each_header, &w);
  // Until the framing is known to be right nothing after this head may be read as a request.
  *fatal = true;
  size_t uri = rq->peer->uri_size;
  if (w.in_place && (version != rq->peer->uri + uri + 1 || rq->peer->uri != rq->method + strlen(rq->method) + 1))
    w.bad_layout = true;
  // The blank line: four bytes when both line ends were CRLF.
  if (w.in_place && w.headers && !w.bad_layout && memcmp(w.end, "\0\0\0\0", 4) != 0) w.bad_layout = true;
  if (!take_id(rq)) return false;
  if (w.bad_layout) {
    http_error(rq, 400, "the head is malformed: folded line, bare line feed, control character or blank out of place");
  } else if (w.bad_name) {
    http_error(rq, 400, "the name of a header has a character that is not allowed");
  } else if (w.hosts > 1 || (w.hosts == 0 && !strcmp(version, "HTTP/1.1"))) {
    http_error(rq, 400, "found %d Host headers, expected one", w.hosts);
  } else if (w.lengths > 1) {
    http_error(rq, 400, "found %d Content-Length headers, expected at most one", w.lengths);
  } else if (w.lengths && w.encodings) {
    http_error(rq, 400, "found both Content-Length and Transfer-Encoding");
  } else if (w.encodings && (w.encodings > 1 || strcasecmp(w.encoding, "chunked"))) {
    http_error(rq, 400, "header Transfer-Encoding: expected 'chunked' alone");
  } else if (w.encodings && strcmp(version, "HTTP/1.1") != 0) {
    http_error(rq, 400, "Transfer-Encoding needs HTTP/1.1");
  } else if (uri + w.bytes > (size_t)l->max_head_bytes) {
    http_error(rq, 431, "the head has %zu bytes, the limit max-head-bytes is %lld", uri + w.bytes,
               (long long)l->max_head_bytes);
  } else if (w.headers > l->max_headers) {
    http_error(rq, 431, "found %d headers, the limit max-headers is %lld", w.headers, (long long)l->max_headers);
  } else {
    *fatal = false;
    rq->has_length = w.lengths > 0;
    rq->content_length = w.lengths ? strtoull(w.length, NULL, 10) : 0;  // digits only: libmicrohttpd checks
    rq->chunked = w.encodings > 0;
    return take_path(rq);
  }
  return false;
}

// ---- routes ------------------------------------------------------------------------------------

static bool match(http_request *rq, const char *pattern) {
  char *p = rq->path;
  rq->model_name = rq->version_name = (str){0};
  while (*pattern) {
    if (*pattern == '{') {
      str word = {p, strcspn(p, "/")};
      if (!word.size) return false;
      if (!strncmp(pattern, "{model}", 7)) rq->model_name = word;
      else rq->version_name = word;
      p += word.size;
      pattern += strcspn(pattern, "}") + 1;
    } else if (*pattern++ != *p++) {
      return false;
    }
  }
  return !*p;
}

bool head_route(http_request *rq) {
  rq->method_bit = !strcmp(rq->method, "GET") || !strcmp(rq->method, "HEAD") ? METHOD_GET
                   : !strcmp(rq->method, "POST")                             ? METHOD_POST
                   : !strcmp(rq->method, "OPTIONS")                          ? METHOD_OPTIONS
                                                                             : 0;
  unsigned allowed = 0;
  // Paths without words first: /v2/models/stats is no model named stats.
  for (int words = 0; words < 2 && !allowed; words++)
    for (const http_route *const *r = http_routes; *r && !rq->route; r++)
      for (size_t i = 0; i < ROUTE_PATHS && (*r)->paths[i] && !rq->route; i++)
        if (!strchr((*r)->paths[i], '{') == !words && match(rq, (*r)->paths[i])) {
          allowed |= (*r)->methods;
          if ((*r)->methods & rq->method_bit) rq->route = *r;
        }
  if (!rq->route && !allowed) {
    http_error(rq, 404, "no such path; GET /v2 describes the server, GET /swagger.json the scoring path");
  } else if (!rq->route) {
    static const char *const names[] = {"GET, HEAD", "POST", "OPTIONS"};
    char list[64];
    int used = 0;
    for (int i = 0; i < 3; i++)
      if (allowed >> i & 1)
        used += snprintf(list + used, sizeof list - (size_t)used, "%s%s", used ? ", " : "", names[i]);
    http_error(rq, 405, "method %.20s is not allowed here, expected %s", rq->method, list);
    http_header(rq, "Allow", "%s", list);
  } else if (rq->route->access == ROUTE_MANAGE && !rq->peer->local) {
    rq->route = NULL;
    http_error(rq, 403, "this path is answered to clients on the same machine only");
  } else if (rq->model_name.at) {
    if (!model_name_valid(rq->model_name)) {
      http_error(rq, 400, "the name of the model: expected 1 to 128 of A-Z a-z 0-9 . _ - with no dot first");
    } else if (!(rq->model = server_find_model(rq->srv, rq->model_name))) {
      http_error(rq, 404, "no model '%.*s'; there %s %zu, the first is '%s'", (int)rq->model_name.size,
                 rq->model_name.at, rq->srv->model_count > 1 ? "are" : "is", rq->srv->model_count,
                 rq->srv->models[0].name);
    } else if (rq->version_name.at && !str_is(rq->version_name, "1")) {
      http_error(rq, 404, "model '%s' has only version 1", rq->model->name);
    } else {
      return true;
    }
    rq->model = NULL;
  } else {
    return true;
  }
  return false;
}
