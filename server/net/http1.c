// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 over a connection: one exchange after the other. What is refused by its head alone is answered when a small
// body has been read past, so that the connection can go on; for a large one, and for framing that cannot be
// trusted, the response goes out at once and ends the connection.
#include <string.h>

#include "server/net/loop.h"

enum { SWALLOW_BYTES = 65536 };

static bool start(connection *c) {
  c->http1 = (http1){0};
  return true;
}

static void stop(connection *c) {}

static bool wants(const connection *c) {
  return c->http1.state <= HTTP1_BODY && c->out.size - c->out_at < OUT_HIGH_BYTES;
}

static exchange *current(const connection *c) { return c->exchanges; }

// ---- responses -----------------------------------------------------------------------------------

static void put_header(text *o, const char *name, const char *value) {
  text_put(o, name);
  text_append(o, ": ", 2);
  text_put(o, value);
  text_append(o, "\r\n", 2);
}

static void put_head(exchange *x) {
  connection *c = x->connection;
  http_response *r = &x->response;
  text *o = &c->out;
  char line[16] = "HTTP/1.1 000 ";
  for (int i = 0, n = r->status; i < 3; i++, n /= 10) line[11 - i] = (char)('0' + n % 10);
  text_append(o, line, 13);
  text_put(o, http_reason(r->status));
  text_append(o, "\r\n", 2);
  put_header(o, "Date", loop_date(c->loop));
  if (r->content_type) put_header(o, "Content-Type", r->content_type);
  if (r->stream) {
    put_header(o, "Content-Encoding", coding_name(r->coding));
    put_header(o, "Vary", "Accept-Encoding");
  }
  if (c->http1.in_chunks) {
    put_header(o, "Transfer-Encoding", "chunked");
  } else if (r->status != 204) {
    text_append(o, "Content-Length: ", 16);
    text_json_u64(o, r->body.size);
    text_append(o, "\r\n", 2);
  }
  const char *name, *value;
  for (size_t at = 0; http_pairs_next(&r->headers, &at, &name, &value);) put_header(o, name, value);
  if (c->ending) put_header(o, "Connection", "close");
  else if (x->request.http_1_0) put_header(o, "Connection", "keep-alive");
  text_append(o, "\r\n", 2);
}

static bool has_body(const exchange *x) { return x->request.method != METHOD_HEAD && x->response.status != 204; }

static void finish(exchange *x) {
  connection *c = x->connection;
  c->http1.state = HTTP1_HEAD;
  c->http1.scan = (head_scan){0};
  exchange_end(x);
}

static bool fill(connection *c) {
  exchange *x = current(c);
  if (c->http1.state != HTTP1_ANSWER || !x) return false;
  bool last = true;
  if (has_body(x) && c->http1.in_chunks) {
    text piece = {0};
    last = http_response_take(&x->response, OUT_HIGH_BYTES, &piece);
    if (piece.size) {
      text_format(&c->out, "%zx\r\n", piece.size);
      text_append(&c->out, piece.at, piece.size);
      text_append(&c->out, "\r\n", 2);
    }
    if (last) text_put(&c->out, "0\r\n\r\n");
    c->out.failed |= piece.failed;
    text_deinit(&piece);
  } else if (has_body(x)) {
    last = http_response_take(&x->response, OUT_HIGH_BYTES, &c->out);
  }
  if (last) finish(x);
  return true;
}

static void answer(exchange *x) {
  connection *c = x->connection;
  exchange_prepare(x);
  c->http1.state = HTTP1_ANSWER;
  c->http1.in_chunks = x->response.stream != NULL;
  if (!x->request.keep_alive || x->response.close || c->input_over || atomic_load(&c->net->closing)) c->ending = true;
  put_head(x);
  fill(c);  // a short body goes out with its head
}

// ---- requests ------------------------------------------------------------------------------------

// Nothing behind this can be trusted, or waited for.
static void answer_and_end(exchange *x) {
  x->connection->ending = x->connection->linger = true;
  answer(x);
}

static void refuse(exchange *x) {
  const http_request *r = &x->request;
  if (!http_request_has_body(r)) {
    answer(x);
  } else if (!r->chunked && r->length <= SWALLOW_BYTES && !r->expects_continue && x->response.status != 413) {
    x->state = EXCHANGE_SWALLOWING;
    x->connection->http1.state = HTTP1_BODY;
  } else {
    answer_and_end(x);
  }
}

static void malformed(connection *c, exchange *x, const http_problem *p) {
  if (!x && !(x = exchange_create(c))) {
    c->broken = true;
    return;
  }
  exchange_malformed(x, p);
  answer_and_end(x);
}

static void complete(exchange *x) {
  connection *c = x->connection;
  c->http1.state = HTTP1_PENDING;
  if (x->state == EXCHANGE_SWALLOWING || exchange_complete(x)) answer(x);
}

static size_t read_head(connection *c, char *bytes, size_t size) {
  http_problem p = {0};
  // Empty lines before a request are left over from old clients.
  if (c->http1.scan.at == 0 && bytes[0] == '\r' && (size < 2 || bytes[1] == '\n')) return size < 2 ? 0 : 2;
  size_t n = head_find(&c->http1.scan, bytes, size, (size_t)c->net->limits->max_head_bytes, &p);
  if (!n && !p.status) return 0;
  exchange *x = exchange_create(c);
  if (!x) {
    c->broken = true;
    return 0;
  }
  // Of a head that is none, what came of it is kept for the log.
  size_t kept = n ? n : c->http1.scan.line;
  text_append(&x->request.head, bytes, kept);
  if (kept && !x->request.head.failed) {
    http_problem also = {0};
    bool good = head_parse(&x->request, (size_t)c->net->limits->max_headers, n ? &p : &also);
    if (!good && n) also = p;
  }
  if (p.status || x->request.head.failed) {
    malformed(c, x, &p);
  } else if (!exchange_begin(x)) {
    refuse(x);
  } else if (http_request_has_body(&x->request)) {
    c->http1.state = HTTP1_BODY;
    c->http1.chunked = (chunked){0};
    if (x->request.expects_continue && n == size) text_put(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
  } else {
    complete(x);
  }
  return n ? n : size;
}

static bool keep(exchange *x, str piece) {
  if (x->state == EXCHANGE_SWALLOWING || exchange_take(x, piece)) return true;
  answer_and_end(x);
  return false;
}

static size_t read_chunks(connection *c, exchange *x, const char *bytes, size_t size) {
  http_problem p = {0};
  const char *at = bytes, *end = bytes + size;
  for (;;) {
    str data = {0};
    switch (chunked_read(&c->http1.chunked, &at, end, (size_t)c->net->limits->max_chunks, &data, &p)) {
      case CHUNKED_MORE:
        return size;
      case CHUNKED_DATA:
        if (keep(x, data)) break;
        return size;
      case CHUNKED_END:
        complete(x);
        return (size_t)(at - bytes);
      case CHUNKED_WRONG:
        malformed(c, x, &p);
        return size;
    }
  }
}

static size_t read_body(connection *c, const char *bytes, size_t size) {
  exchange *x = current(c);
  if (x->request.chunked) return read_chunks(c, x, bytes, size);
  http_body *b = &x->request.body;
  // What is swallowed is counted down, what is kept grows.
  uint64_t left = x->request.length - (x->state == EXCHANGE_SWALLOWING ? 0 : b->size);
  size_t piece = left < size ? (size_t)left : size;
  if (!keep(x, (str){bytes, piece})) return size;
  if (x->state == EXCHANGE_SWALLOWING) x->request.length -= piece;
  if (piece == left) complete(x);
  return piece;
}

static size_t feed(connection *c, char *bytes, size_t size) {
  size_t used = 0;
  while (used < size && !c->ending && !c->broken && wants(c)) {
    size_t n = c->http1.state == HTTP1_HEAD ? read_head(c, bytes + used, size - used)
                                            : read_body(c, bytes + used, size - used);
    if (!n) break;
    used += n;
  }
  return used;
}

// ---- time and ends -------------------------------------------------------------------------------

static void input_ended(connection *c) {
  exchange *x = current(c);
  http_problem p = {0};
  if (c->http1.state == HTTP1_HEAD && !c->in.size) {
    c->ending = true;
    return;
  }
  if (c->http1.state == HTTP1_HEAD) http_wrong(&p, 400, "the connection ended in the middle of a head");
  else http_wrong(&p, 400, "the connection ended in the middle of a body, after %zu bytes", x->request.body.size);
  malformed(c, x, &p);
}

static net_phase phase(const connection *c) {
  switch (c->http1.state) {
    case HTTP1_HEAD:
      return c->in.size || !c->served ? PHASE_HEAD : PHASE_IDLE;
    case HTTP1_BODY:
      return PHASE_BODY;
    case HTTP1_PENDING:
      return PHASE_NONE;
    case HTTP1_ANSWER:
      return PHASE_WRITE;
  }
  return PHASE_NONE;
}

static void out_of_time(connection *c, net_phase phase) {
  http_problem p = {0};
  if (phase != PHASE_BODY && !c->in.size) {
    c->broken = true;  // nothing was asked
    return;
  }
  if (phase == PHASE_HEAD)
    http_wrong(&p, 408, "the head did not come within %lld ms (limit head-timeout-ms)",
               (long long)c->net->limits->head_timeout_ms);
  else http_wrong(&p, 408, "the body came too slowly (limit min-rate-bytes)");
  malformed(c, current(c), &p);
}

static void drain(connection *c, bool idle) {
  if (idle) c->ending = true;
}

const protocol protocol_http1 = {"HTTP/1.1", start,       stop,  wants,       feed, fill,
                                 answer,     input_ended, phase, out_of_time, drain};
