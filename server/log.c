// SPDX-License-Identifier: Apache-2.0
// Log lines (log.h): built whole, written with one call, so that threads do not mix.
#include "server/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"

static bool as_json;

void log_init(bool json) { as_json = json; }

bool log_is_json(void) { return as_json; }

// ---- lines that are kept -------------------------------------------------------------------------

enum { KEPT_LINES = 1000, KEPT_BYTES = 1 << 20, KEPT_WORDS = 2000 };

// Line n is at[n % KEPT_LINES], as the members of its JSON object.
static struct {
  pthread_mutex_t lock;
  text at[KEPT_LINES];
  uint64_t first, next;
  size_t bytes;
} kept = {.lock = PTHREAD_MUTEX_INITIALIZER, .first = 1, .next = 1};

static void member(text *o, const char *name, str value) {
  text_format(o, ",\"%s\":", name);
  text_json_string(o, value);
}

static void forget_first(void) {
  text *oldest = &kept.at[kept.first++ % KEPT_LINES];
  kept.bytes -= oldest->size;
  text_deinit(oldest);
}

static void keep(const log_about *about, str words) {
  text line = {0};
  char time[CLOCK_STAMP];
  clock_stamp(time);
  if (words.size > KEPT_WORDS) words.size = KEPT_WORDS;
  text_format(&line, "\"time\":\"%s\",\"level\":\"%s\"", time, about->level);
  member(&line, "id", str_from(about->id));
  member(&line, "model", str_from(about->model));
  member(&line, "message", words);
  pthread_mutex_lock(&kept.lock);
  while (kept.first < kept.next && (kept.next - kept.first == KEPT_LINES || kept.bytes + line.size > KEPT_BYTES))
    forget_first();
  if (line.failed) text_deinit(&line);
  kept.bytes += line.size;
  kept.at[kept.next++ % KEPT_LINES] = line;
  pthread_mutex_unlock(&kept.lock);
}

void log_recent(text *o, uint64_t since) {
  pthread_mutex_lock(&kept.lock);
  text_format(o, "{\"next\":%llu,\"lines\":[", (unsigned long long)kept.next);
  const char *before = "";
  for (uint64_t n = since > kept.first ? since : kept.first; n < kept.next; n++) {
    const text *line = &kept.at[n % KEPT_LINES];
    if (!line->size) continue;  // there was no memory for it
    text_format(o, "%s{\"number\":%llu,", before, (unsigned long long)n);
    text_append(o, line->at, line->size);
    text_put(o, "}");
    before = ",";
  }
  pthread_mutex_unlock(&kept.lock);
  text_put(o, "]}");
}

// ---- writing -------------------------------------------------------------------------------------

void log_text(text *o, const log_about *about, str words) {
  keep(about, words);
  text_put(o, "\n");
  if (!o->failed && write(STDERR_FILENO, o->at, o->size) < 0) o->failed = true;
  text_deinit(o);
}

// `fields`: more members of a JSON line, each with a comma in front.
static void put(const char *level, const char *id, const char *fields, str words) {
  char time[CLOCK_STAMP];
  text o = {0};
  if (as_json) {
    clock_stamp(time);
    text_format(&o, "{\"time\":\"%s\",\"level\":\"%s\"", time, level);
    if (*id) member(&o, "id", str_from(id));
    member(&o, "message", words);
    text_format(&o, "%s}", fields);
  } else {
    bool info = !strcmp(level, "info");
    text_format(&o, "sardonyx: %s%s", info ? "" : level, info ? "" : ": ");
    if (*id) text_format(&o, "[%s] ", id);
    size_t begin = o.size;
    text_append(&o, words.at, words.size);
    for (char *at = o.at + begin; !o.failed && at < o.at + o.size; at++)
      if ((unsigned char)*at < 0x20 || *at == 0x7F) *at = ' ';
  }
  log_text(&o, &(log_about){level, id, ""}, words);
}

void log_words(const char *level, const char *id, str words) { put(level, id, "", words); }

void log_event(const char *level, const char *fields, const char *message) {
  put(level, "", fields, str_from(message));
}

void log_line(const char *level, const char *format, ...) {
  char message[1500];
  va_list list;
  va_start(list, format);
  int length = vsnprintf(message, sizeof message, format, list);
  va_end(list);
  if (length < 0) return;
  log_words(level, "", (str){message, (size_t)length < sizeof message ? (size_t)length : sizeof message - 1});
}
