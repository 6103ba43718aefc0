// SPDX-License-Identifier: Apache-2.0
// Between HTTP and the frames of a script worker (script_reply.h). Nothing of an exception reaches the client but that
// there was one: the trace is in the log.
#include "server/script_reply.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/host.h"
#include "server/log.h"
#include "support/json.h"

enum { MOST_HEADER_BYTES = 16384 };
static const char unexpected[] = "An unexpected error occurred in scoring script. Check the logs for more info.";
static const char sandbox_hint[] =
    "the script runs in a sandbox: --script-read PATH lets it read more, --script-network lets it use the network; it "
    "writes in $TMPDIR only";

// ---- to the worker -------------------------------------------------------------------------------

// Bytes that are not UTF-8 are taken for Latin-1, as headers once were.
static json_t *any_text(str s) {
  json_t *text = json_stringn(s.at ? s.at : "", s.size);
  if (text) return text;
  char *wide = malloc(2 * s.size + 1);
  size_t n = 0;
  for (size_t i = 0; wide && i < s.size; i++) {
    unsigned char byte = (unsigned char)s.at[i];
    if (byte >= 0x80) wide[n++] = (char)(0xC0 | byte >> 6);
    wide[n++] = (char)(byte >= 0x80 ? 0x80 | (byte & 0x3F) : byte);
  }
  if (wide) text = json_stringn(wide, n);
  free(wide);
  return text;
}

json_t *script_request(const call *c, int64_t id) {
  const http_request *r = &c->x.request;
  json_t *headers = json_object();
  for (size_t i = 0; headers && i < r->header_count; i++) {
    char name[128];
    if (r->headers[i].name.size >= sizeof name) continue;
    memcpy(name, r->headers[i].name.at, r->headers[i].name.size);
    name[r->headers[i].name.size] = 0;
    if (!json_object_get(headers, name)) json_object_set_new(headers, name, any_text(r->headers[i].value));
  }
  char parent[TRACE_PARENT];
  json_object_del(headers, "traceparent");
  if (c->trace.known) json_object_set_new(headers, "traceparent", json_string(trace_parent(parent, &c->trace)));
  return json_pack("{s:s,s:I,s:o,s:o,s:o,s:o}", "type", "run", "id", (json_int_t)id, "method", any_text(r->method_name),
                   "path", any_text(str_from(r->path)), "query", any_text(r->query), "headers", headers);
}

// ---- to the client -------------------------------------------------------------------------------

static void message(call *c, int status, const char *text) {
  text_put(call_body(c), "{\"message\":");
  text_json_string(call_body(c), str_from(text));
  text_put(call_body(c), "}");
  call_json(c, status);
}

// A header as HTTP allows it, and not one of those that say how the message itself is sent.
static bool may_send(const char *name, const char *value) {
  static const char *const own[] = {
      "content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer",
      "date",           "proxy-connection"};
  if (!*name || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~")])
    return false;
  for (const unsigned char *at = (const unsigned char *)value; *at; at++)
    if ((*at < 0x20 && *at != '\t') || *at == 0x7F) return false;
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (!strcasecmp(name, own[i])) return false;
  return true;
}

static void put_headers(call *c, const json_t *list) {
  size_t i, bytes = 0;
  json_t *pair;
  json_array_foreach((json_t *)list, i, pair) {
    const char *name = json_string_value(json_array_get(pair, 0)), *value = json_string_value(json_array_get(pair, 1));
    if (!name || !value || !may_send(name, value)) continue;
    bytes += strlen(name) + strlen(value);
    if (bytes > MOST_HEADER_BYTES) break;
    if (!strcasecmp(name, "x-ms-run-function-failed")) {
      c->run_failed = !strcasecmp(value, "true");  // sent with the other headers about the call
    } else if (strcasecmp(name, "content-type")) {
      http_response_header(&c->x.response, name, "%s", value);
    } else if (!c->route_state) {
      c->route_state = strdup(value);
      c->x.response.content_type = c->route_state;
    }
  }
}

static void reply_result(call *c, const json_t *head, const char *body, size_t size) {
  json_int_t status = json_integer_value(json_object_get(head, "status"));
  if (status < 200 || status > 599) {
    log_line("error", "[%s] run() answers with status %lld, expected 200 to 599", c->id, (long long)status);
    c->run_failed = true;
    message(c, 500, unexpected);
    return;
  }
  c->x.response.status = (int)status;
  put_headers(c, json_object_get(head, "headers"));
  c->run_failed = c->run_failed || status >= 500;
  if (status != 204 && status != 304) text_append(call_body(c), body, size);
}

bool script_reply(call *c, const json_t *head, const char *body, size_t size) {
  const char *type = text_of(head, "type");
  double ms = json_number_value(json_object_get(head, "ms"));
  if (ms >= 0 && ms < 1e9) c->done_ns = c->run_ns + (uint64_t)(ms * 1e6);
  if (!strcmp(type, "result")) {
    reply_result(c, head, body, size);
  } else if (!strcmp(type, "bad")) {
    c->run_ns = c->done_ns = 0;  // it was not called
    message(c, json_integer_value(json_object_get(head, "status")) == 415 ? 415 : 400, text_of(head, "message"));
  } else if (!strcmp(type, "error")) {
    c->run_failed = true;
    script_log_error(json_object_get(head, "error"), c->id);
    message(c, 500, unexpected);
  } else {
    return false;
  }
  return true;
}

void script_reply_late(call *c) {
  char said[80];
  snprintf(said, sizeof said, "Scoring timeout after %llu ms",
           (unsigned long long)((c->deadline_ns - c->x.body_ns) / 1000000));
  c->run_failed = true;
  message(c, 500, said);
}

void script_reply_lost(call *c) {
  c->run_failed = true;
  call_retry(c, 503, "the worker of the script ended before it answered; the log says how");
}

// ---- to the log ----------------------------------------------------------------------------------

void script_log(const json_t *frame, const char *id) {
  const char *level = strcmp(text_of(frame, "stream"), "stderr") ? "info" : "warning";
  log_words(level, id, str_from(text_of(frame, "text")));
}

void script_log_error(const json_t *error, const char *id) {
  const char *trace = text_of(error, "trace");
  if (log_is_json()) {
    log_words("error", id, str_from(trace));
  } else {
    for (const char *at = trace; *at;) {
      size_t size = strcspn(at, "\n");
      log_words("error", id, (str){at, size});
      at += size + (at[size] == '\n');
    }
  }
  if (!strcmp(text_of(error, "type"), "PermissionError")) log_words("info", id, str_from(sandbox_hint));
}
