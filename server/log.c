// SPDX-License-Identifier: Apache-2.0
// Log lines (log.h): built whole, written with one call, so that threads do not mix.
#include "server/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "server/call.h"

static bool as_json;

void log_init(bool json) { as_json = json; }

static void put(text *o) {
  text_put(o, "\n");
  if (!o->failed && write(STDERR_FILENO, o->at, o->size) < 0) o->failed = true;
  text_deinit(o);
}

void log_line(const char *level, const char *format, ...) {
  char message[1500], time[CLOCK_STAMP];
  va_list list;
  va_start(list, format);
  int length = vsnprintf(message, sizeof message, format, list);
  va_end(list);
  if (length < 0) return;
  text o = {0};
  size_t size = (size_t)length < sizeof message ? (size_t)length : sizeof message - 1;
  if (as_json) {
    clock_stamp(time);
    text_format(&o, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", time, level);
    text_json_string(&o, (str){message, size});
    text_put(&o, "}");
  } else {
    for (size_t i = 0; i < size; i++)
      if ((unsigned char)message[i] < 0x20 || message[i] == 0x7F) message[i] = ' ';
    text_format(&o, "sardonyx: %s%s%.*s", strcmp(level, "info") ? level : "", strcmp(level, "info") ? ": " : "",
                (int)size, message);
  }
  put(&o);
}

void log_access(const call *c, uint64_t ns) {
  const http_request *r = &c->x.request;
  char time[CLOCK_STAMP], client[ADDRESS_TEXT];
  clock_stamp(time);
  address_print(&c->x.client, client);
  // What came of a request that is none is quoted as it came, cut: it cannot begin a line of its own.
  str path = r->path[0] ? str_from(r->path) : r->target, method = r->method_name;
  if (path.size > 200) path.size = 200;
  if (method.size > 20) method.size = 20;
  text o = {0};
  if (as_json) {
    text_format(&o, "{\"time\":\"%s\",\"level\":\"info\",\"client\":\"%s\",\"id\":", time, client);
    text_json_string(&o, str_from(c->id));
    text_format(&o, ",\"protocol\":\"%s\",\"method\":", c->x.stream ? "HTTP/2" : r->http_1_0 ? "HTTP/1.0" : "HTTP/1.1");
    text_json_string(&o, method);
    text_put(&o, ",\"path\":");
    text_json_string(&o, path);
    text_format(&o, ",\"status\":%d,\"bytes\":%zu,\"ms\":%.3f,\"run_ms\":%.3f}", c->x.response.status, r->body.size,
                (double)ns / 1e6, (double)(c->done_ns - c->run_ns) / 1e6);
  } else {
    text_format(&o, "%s %s %.*s ", time, client, method.size ? (int)method.size : 1, method.size ? method.at : "-");
    text_json_string(&o, path);
    text_format(&o, " %d %zu %.3fms %s", c->x.response.status, r->body.size, (double)ns / 1e6, c->id[0] ? c->id : "-");
  }
  put(&o);
}
