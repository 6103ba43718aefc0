// SPDX-License-Identifier: Apache-2.0
// Log lines (log.h): built whole, written with one call, so that threads do not mix.
#include "server/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "server/http.h"

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

void log_access(const http_request *rq, uint64_t ns) {
  char time[CLOCK_STAMP];
  clock_stamp(time);
  text o = {0};
  if (as_json) {
    text_format(&o, "{\"time\":\"%s\",\"level\":\"info\",\"client\":\"%s\",\"id\":", time, rq->peer->address);
    text_json_string(&o, str_from(rq->id));
    text_format(&o, ",\"method\":\"%.20s\",\"path\":", rq->method ? rq->method : "");
    text_json_string(&o, (str){rq->path, strnlen(rq->path, 200)});
    text_format(&o, ",\"status\":%d,\"bytes\":%zu,\"ms\":%.3f,\"run_ms\":%.3f}", rq->reply.status, rq->body_size,
                (double)ns / 1e6, (double)(rq->done_ns - rq->run_ns) / 1e6);
  } else {
    // The path is quoted the same way: what a client sends cannot begin a line of its own.
    text_format(&o, "%s %s %.20s ", time, rq->peer->address, rq->method ? rq->method : "-");
    text_json_string(&o, (str){rq->path, strnlen(rq->path, 200)});
    text_format(&o, " %d %zu %.3fms %s", rq->reply.status, rq->body_size, (double)ns / 1e6, rq->id);
  }
  put(&o);
}
