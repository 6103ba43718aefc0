// SPDX-License-Identifier: Apache-2.0
// Lines on stderr, as text or as one JSON object a line. What clients send is escaped. The last lines are kept, for
// GET /logs.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

void log_init(bool json);
void log_line(const char *level, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The same of words that are there, about the request with that id ("": none).
void log_words(const char *level, const char *id, str words);
// The same with further members, each with a comma in front, where lines are JSON.
void log_event(const char *level, const char *fields, const char *message);

bool log_is_json(void);
// What a line is about; "": nothing.
typedef struct log_about {
  const char *level, *id, *model;
} log_about;
// A line of the caller's own, whose memory is released; `words` are what is kept of it.
void log_text(text *line, const log_about *about, str words);

// {"next":N,"lines":[{"number","time","level","id","model","message"}, ...]}: kept lines from number `since` on.
void log_recent(text *o, uint64_t since);
