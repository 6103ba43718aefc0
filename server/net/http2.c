// SPDX-License-Identifier: Apache-2.0
// HTTP/2 over a connection, by libnghttp2: it frames, compresses heads, controls flow and refuses what is malformed;
// here its streams become exchanges. What a client may cost is bounded as with HTTP/1.1: heads, bodies, time; and
// the number of streams, at once and given up.
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/net/loop.h"

enum {
  STREAMS = 100,
  STREAM_WINDOW = 1 << 20,
  CONNECTION_WINDOW = 8 << 20,
  RESETS = 200,
  STANDARD_HEADERS = 6,
  TRAILERS = 4
};

static bool wants(const connection *c) { return c->out.size - c->out_at < OUT_HIGH_BYTES; }

static exchange *of_stream(connection *c, int32_t stream) {
  return nghttp2_session_get_stream_user_data(c->http2, stream);
}

// ---- responses -----------------------------------------------------------------------------------

static nghttp2_nv pair(const char *name, const char *value) {
  return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE};
}

// Pairs with their names in lower case, at the end of a list with room for them.
static size_t add_pairs(nghttp2_nv *list, size_t n, text *pairs) {
  const char *name, *value;
  for (size_t at = 0, from = 0; http_pairs_next(pairs, &at, &name, &value); from = at) {
    for (char *letter = pairs->at + from; *letter; letter++)
      if (*letter >= 'A' && *letter <= 'Z') *letter |= 32;
    list[n++] = pair(name, value);
  }
  return n;
}

static ssize_t read_response(nghttp2_session *s, int32_t stream, uint8_t *at, size_t size, uint32_t *flags,
                             nghttp2_data_source *source, void *context) {
  exchange *x = source->ptr;
  http_response *r = &x->response;
  size_t got;
  bool last;
  if (x->state != EXCHANGE_ANSWERING || x->answered) return NGHTTP2_ERR_DEFERRED;
  if (!http_response_read(r, (char *)at, size, &got, &last)) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (last && x->messages && !x->over) {
    x->answered = true;
    return got ? (ssize_t)got : NGHTTP2_ERR_DEFERRED;
  }
  if (last) *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (last && r->trailers.size) {
    nghttp2_nv trailers[TRAILERS];
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(s, stream, trailers, add_pairs(trailers, 0, &r->trailers)))
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  return (ssize_t)got;
}

static bool submit(exchange *x) {
  connection *c = x->connection;
  http_response *r = &x->response;
  bool none = x->request.method == METHOD_HEAD || r->status == 204 || !r->body.size;
  char status[8], length[24];
  nghttp2_nv *headers = calloc(r->header_count + STANDARD_HEADERS + TRAILERS, sizeof *headers);
  if (!headers) return false;
  size_t n = 0;
  status[0] = (char)('0' + r->status / 100);
  status[1] = (char)('0' + r->status / 10 % 10);
  status[2] = (char)('0' + r->status % 10);
  status[3] = 0;
  headers[n++] = pair(":status", status);
  headers[n++] = pair("date", loop_date(c->loop));
  if (r->content_type) headers[n++] = pair("content-type", r->content_type);
  if (r->stream) {
    headers[n++] = pair("content-encoding", coding_name(r->coding));
    headers[n++] = pair("vary", "accept-encoding");
  } else if (r->status != 204 && !x->messages && !r->trailers.size) {
    snprintf(length, sizeof length, "%zu", r->body.size);
    headers[n++] = pair("content-length", length);
  }
  n = add_pairs(headers, n, &r->headers);
  if (none) n = add_pairs(headers, n, &r->trailers);
  nghttp2_data_provider body = {.source.ptr = x, .read_callback = read_response};
  bool good = !nghttp2_submit_response(c->http2, x->stream, headers, n, none ? NULL : &body);
  free(headers);
  return good;
}

static void answer(exchange *x) {
  connection *c = x->connection;
  exchange_prepare(x);
  if (x->stream < 0) {
    exchange_end(x);
    return;
  }
  bool more = x->begun;
  x->begun = true;
  if (more ? nghttp2_session_resume_data(c->http2, x->stream) : !submit(x)) c->broken = true;
}

// Nothing more goes out for it.
static void leave(exchange *x) {
  if (x->state != EXCHANGE_PENDING) {
    exchange_end(x);
    return;
  }
  x->stream = -1;
  x->net->handler->cancel(x, 499);
}

// ---- messages ------------------------------------------------------------------------------------

// What the message that is coming still lacks, as far as is known.
static size_t message_lacks(const exchange *x) {
  const http_body *b = &x->request.body;
  if (b->size < MESSAGE_PREFIX) return MESSAGE_PREFIX - b->size;
  const unsigned char *p = (const unsigned char *)b->at + 1;
  size_t length = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
  return MESSAGE_PREFIX + length - b->size;
}

static void end_messages(exchange *x) {
  http_problem p = {0};
  x->over = true;
  x->response.status = 200;
  if (x->request.body.size) {
    http_wrong(&p, 400, "the stream ended in the middle of a message, after %zu bytes", x->request.body.size);
    exchange_malformed(x, &p);
  }
  answer(x);
}

static void take_messages(exchange *x, str piece) {
  size_t lacks;
  while (x->state == EXCHANGE_READING && (lacks = message_lacks(x)) > 0 && piece.size) {
    size_t n = lacks < piece.size ? lacks : piece.size;
    if (!exchange_take(x, (str){piece.at, n})) {
      x->over = true;
      answer(x);
      return;
    }
    piece = (str){piece.at + n, piece.size - n};
    nghttp2_session_consume_stream(x->connection->http2, x->stream, n);
    if (!message_lacks(x) && exchange_complete(x)) answer(x);
  }
  // The rest is taken when its turn comes; until then the window of the stream bounds it.
  if (piece.size && !x->over && !exchange_keep(x, &x->ahead, piece))
    nghttp2_submit_rst_stream(x->connection->http2, NGHTTP2_FLAG_NONE, x->stream, NGHTTP2_ENHANCE_YOUR_CALM);
}

// Whose answer is out goes on. True: some did.
static bool next_messages(connection *c) {
  bool any = false;
  for (exchange *x = c->exchanges, *next; x; x = next) {
    next = x->next;
    if (!x->answered) continue;
    any = true;
    x->answered = false;
    x->net->handler->next(x);
    http_response_reset(&x->response, (size_t)c->net->limits->max_response_bytes);
    x->request.body.size = 0;
    x->state = EXCHANGE_READING;
    http_body ahead = x->ahead;
    x->ahead = (http_body){0};
    take_messages(x, (str){ahead.at, ahead.size});
    body_drop(&ahead);
    if (x->no_more && x->state == EXCHANGE_READING) end_messages(x);
  }
  return any;
}

// The session is over. Streams that are still open then belong to a client that broke the protocol.
static void end(connection *c) {
  c->ending = true;
  for (exchange *x = c->exchanges, *next; x; x = next) {
    next = x->next;
    http_problem p = {0};
    http_wrong(&p, 400, "the connection broke the rules of HTTP/2 and was ended");
    if (x->state == EXCHANGE_READING) exchange_malformed(x, &p);
    if (x->stream >= 0) leave(x);
  }
}

static bool fill(connection *c) {
  const uint8_t *bytes;
  size_t before = c->out.size;
  do {
    while (c->out.size < OUT_HIGH_BYTES) {
      ssize_t n = nghttp2_session_mem_send(c->http2, &bytes);
      if (n < 0) c->broken = true;
      if (n <= 0) break;
      text_append(&c->out, (const char *)bytes, (size_t)n);
    }
  } while (next_messages(c) && !c->broken);
  if (!nghttp2_session_want_read(c->http2) && !nghttp2_session_want_write(c->http2)) end(c);
  return c->out.size > before;
}

// ---- requests ------------------------------------------------------------------------------------

static int on_begin_headers(nghttp2_session *s, const nghttp2_frame *frame, void *context) {
  connection *c = context;
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  exchange *x = exchange_create(c);
  if (!x) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  x->stream = frame->hd.stream_id;
  nghttp2_session_set_stream_user_data(s, x->stream, x);
  return 0;
}

// Names and values are gathered, each ended by a NUL (which neither may hold), and taken apart when all are there.
static int on_header(nghttp2_session *s, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                     const uint8_t *value, size_t value_size, uint8_t flags, void *context) {
  connection *c = context;
  exchange *x = of_stream(c, frame->hd.stream_id);
  if (!x || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  text *head = &x->request.head;
  if (head->size > (size_t)c->net->limits->max_head_bytes) return 0;  // it is too large already
  text_append(head, (const char *)name, name_size);
  text_append(head, "", 1);
  text_append(head, (const char *)value, value_size);
  text_append(head, "", 1);
  return head->failed ? NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE : 0;
}

static str next_word(const char **at, const char *end) {
  const char *nul = *at < end ? memchr(*at, 0, (size_t)(end - *at)) : NULL;
  str word = {*at, nul ? (size_t)(nul - *at) : 0};
  *at = nul ? nul + 1 : end;
  return word;
}

static bool take_head(exchange *x, http_problem *p) {
  http_request *r = &x->request;
  const limits *l = x->net->limits;
  const char *at = r->head.at, *end = at + r->head.size;
  http_header authority = {STR("host"), {"", 0}}, *h;
  str host = {0};
  if (r->head.size > (size_t)l->max_head_bytes)
    return http_wrong(p, 431, "the head has more than %lld bytes (limit max-head-bytes)", (long long)l->max_head_bytes);
  while (at < end) {
    str name = next_word(&at, end), value = next_word(&at, end);
    if (str_is(name, "host")) host = value;
    if (str_is(name, ":method")) r->method_name = value;
    else if (str_is(name, ":path")) r->target = value;
    else if (str_is(name, ":authority")) authority.value = value;
    else if (!name.size || *name.at == ':') continue;
    else if (r->header_count == (size_t)l->max_headers)
      return http_wrong(p, 431, "the head has more than %lld headers (limit max-headers)", (long long)l->max_headers);
    else if (!(h = http_request_add(r))) return http_wrong(p, 503, "memory is exhausted");
    else *h = (http_header){name, value};
  }
  if (host.at && authority.value.size && !str_equal(host, authority.value))
    return http_wrong(p, 400, "header Host and :authority name different hosts");
  if (!host.at) {
    if (!(h = http_request_add(r))) return http_wrong(p, 503, "memory is exhausted");
    *h = authority;
  }
  if (!head_finish(r, p)) return false;
  r->keep_alive = true;
  return true;
}

static void complete(exchange *x) {
  x->no_more = true;
  if (x->messages && x->state == EXCHANGE_READING) end_messages(x);
  if (x->messages) return;
  if (x->state == EXCHANGE_READING && exchange_complete(x)) answer(x);
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *frame, void *context) {
  connection *c = context;
  exchange *x = frame->hd.stream_id ? of_stream(c, frame->hd.stream_id) : NULL;
  if (!x || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    http_problem p = {0};
    if (!take_head(x, &p)) {
      exchange_malformed(x, &p);
      answer(x);
    } else if (!exchange_begin(x)) {
      answer(x);
    } else if (x->request.expects_continue && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
      nghttp2_nv go = pair(":status", "100");
      nghttp2_submit_headers(s, NGHTTP2_FLAG_NONE, x->stream, NULL, &go, 1, NULL);
    }
  }
  if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) complete(x);
  return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t stream, const uint8_t *at, size_t size, void *context) {
  exchange *x = of_stream(context, stream);
  nghttp2_session_consume_connection(s, size);
  if (x && x->messages) {
    take_messages(x, (str){(const char *)at, size});
    return 0;
  }
  nghttp2_session_consume_stream(s, stream, size);
  if (x && x->state == EXCHANGE_READING && !exchange_take(x, (str){(const char *)at, size})) answer(x);
  return 0;
}

// A response that is out before its request was whole: the rest is not wanted.
static int on_sent(nghttp2_session *s, const nghttp2_frame *frame, void *context) {
  bool last = (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
              frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
  if (last && nghttp2_session_get_stream_remote_close(s, frame->hd.stream_id) == 0)
    nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
  return 0;
}

static int on_stream_close(nghttp2_session *s, int32_t stream, uint32_t code, void *context) {
  connection *c = context;
  exchange *x = of_stream(c, stream);
  if (!x) return 0;
  // Streams that are opened and given up at once are work for nothing.
  if (x->state != EXCHANGE_ANSWERING && ++c->resets > RESETS + c->served / 2)
    nghttp2_session_terminate_session(s, NGHTTP2_ENHANCE_YOUR_CALM);
  leave(x);
  return 0;
}

// nghttp2 refuses the frame; the log shows it.
static int on_invalid(nghttp2_session *s, const nghttp2_frame *frame, int code, void *context) {
  exchange *x = frame->hd.stream_id ? of_stream(context, frame->hd.stream_id) : NULL;
  http_problem p = {0};
  if (!x || x->state != EXCHANGE_READING) return 0;
  http_wrong(&p, 400, "the stream is malformed: %s", nghttp2_strerror(code));
  exchange_malformed(x, &p);
  return 0;
}

// ---- the protocol --------------------------------------------------------------------------------

static bool start(connection *c) {
  nghttp2_session_callbacks *calls;
  nghttp2_option *option;
  if (nghttp2_session_callbacks_new(&calls)) return false;
  nghttp2_session_callbacks_set_on_begin_headers_callback(calls, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(calls, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(calls, on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, on_data);
  nghttp2_session_callbacks_set_on_frame_send_callback(calls, on_sent);
  nghttp2_session_callbacks_set_on_stream_close_callback(calls, on_stream_close);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls, on_invalid);
  bool good = !nghttp2_option_new(&option);
  if (good) {
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_no_auto_window_update(option, 1);  // a client of messages waits for their answers
    nghttp2_option_set_max_deflate_dynamic_table_size(option, 4096);
    good = !nghttp2_session_server_new2(&c->http2, calls, c, option);
    nghttp2_option_del(option);
  }
  nghttp2_session_callbacks_del(calls);
  nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)c->net->limits->max_head_bytes},
  };
  return good && !nghttp2_submit_settings(c->http2, NGHTTP2_FLAG_NONE, settings, sizeof settings / sizeof *settings) &&
         !nghttp2_session_set_local_window_size(c->http2, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW);
}

static void stop(connection *c) {
  nghttp2_session_del(c->http2);
  c->http2 = NULL;
}

static size_t feed(connection *c, char *bytes, size_t size) {
  // On failure a GOAWAY is queued, or the connection is beyond help.
  ssize_t n = nghttp2_session_mem_recv(c->http2, (const uint8_t *)bytes, size);
  if (n < 0) {
    nghttp2_session_terminate_session(c->http2, NGHTTP2_PROTOCOL_ERROR);
    c->linger = true;
  }
  return size;
}

static void input_ended(connection *c) {
  if (!c->exchanges) c->ending = true;
  for (exchange *x = c->exchanges, *next; x; x = next) {
    next = x->next;
    if (x->state == EXCHANGE_READING) nghttp2_submit_rst_stream(c->http2, NGHTTP2_FLAG_NONE, x->stream, NGHTTP2_CANCEL);
  }
}

static net_phase phase(const connection *c) {
  net_phase found = c->served ? PHASE_IDLE : PHASE_HEAD;
  for (const exchange *x = c->exchanges; x; x = x->next) {
    if (x->messages && x->state == EXCHANGE_READING && !x->request.body.size) continue;
    if (x->state == EXCHANGE_READING) return x->request.path[0] ? PHASE_BODY : PHASE_HEAD;
    if (x->state == EXCHANGE_ANSWERING) found = PHASE_WRITE;
    else if (found != PHASE_WRITE) found = PHASE_NONE;
  }
  return found;
}

static void out_of_time(connection *c, net_phase phase) {
  http_problem p = {0};
  for (exchange *x = c->exchanges; x; x = x->next) {
    if (x->state != EXCHANGE_READING) continue;
    x->over = true;
    http_wrong(&p, 408, "the request came too slowly (limit min-rate-bytes)");
    exchange_malformed(x, &p);
    answer(x);
  }
  // The session ends when these answers are out, or now.
  if (c->exchanges)
    nghttp2_submit_goaway(c->http2, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(c->http2),
                          NGHTTP2_NO_ERROR, NULL, 0);
  else nghttp2_session_terminate_session(c->http2, NGHTTP2_NO_ERROR);
}

static void drain(connection *c, bool idle) {
  for (exchange *x = c->exchanges; x; x = x->next)
    if (x->messages && x->state == EXCHANGE_READING && !x->request.body.size) end_messages(x);
  if (!c->drained) nghttp2_submit_shutdown_notice(c->http2);
  if (idle) nghttp2_session_terminate_session(c->http2, NGHTTP2_NO_ERROR);
  c->drained = true;
}

const protocol protocol_http2 = {"HTTP/2", start,       stop,  wants,       feed, fill,
                                 answer,   input_ended, phase, out_of_time, drain};
