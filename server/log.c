// SPDX-License-Identifier: Apache-2.0
// Log lines (log.h): built whole, written with one call, so that threads do not mix.
#include "server/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"

static bool as_json;

void log_init(bool json) { as_json = json; }

bool log_is_json(void) { return as_json; }

void log_text(text *o) {
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
  log_text(&o);
}
