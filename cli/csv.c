// SPDX-License-Identifier: Apache-2.0
// The reader of csv.h: one pass over a copy of the text, in which cells are unquoted and ended in place.
#include "cli/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
  csv *t;
  char *at, *end;  // the end holds a NUL
  size_t line, count, capacity;
  char *message;
} reader;

static bool fail(reader *r, const char *what) {
  snprintf(r->message, CSV_MESSAGE, "line %zu: %s", r->line, what);
  return false;
}

// The first of these that stands in the first line outside quotes: a comma may be part of "1,5;2,5".
static char find_separator(const char *at, const char *end) {
  bool found[256] = {false}, quoted = false;
  for (; at < end && (quoted || (*at != '\n' && *at != '\r')); at++) {
    if (*at == '"') quoted = !quoted;
    else if (!quoted) found[(unsigned char)*at] = true;
  }
  for (const char *c = "\t;,|"; *c; c++)
    if (found[(unsigned char)*c]) return *c;
  return ',';
}

static bool is_blank(const reader *r, char c) { return (c == ' ' || c == '\t') && c != r->t->separator; }

static bool add_cell(reader *r, char *text, bool quoted) {
  if (r->count == r->capacity) {
    r->capacity = r->capacity ? r->capacity * 2 : 64;
    csv_cell *more = realloc(r->t->cells, r->capacity * sizeof *more);
    if (!more) return fail(r, "not enough memory for the cells");
    r->t->cells = more;
  }
  r->t->cells[r->count++] = (csv_cell){text, quoted};
  return true;
}

// Behind the opening quote; what is doubled moves together. The cell ends in place.
static bool read_quoted(reader *r) {
  char *text = r->at, *to = text;
  size_t begun = r->line;
  for (;; r->at++) {
    if (r->at == r->end) {
      r->line = begun;
      return fail(r, "the quote that opens a field is never closed");
    }
    if (*r->at == '"' && r->at[1] != '"') break;
    if (*r->at == '"') r->at++;
    r->line += *r->at == '\n';
    *to++ = *r->at;
  }
  r->at++;
  while (is_blank(r, *r->at)) r->at++;
  if (r->at < r->end && *r->at != r->t->separator && *r->at != '\n' && *r->at != '\r')
    return fail(r, "text behind the quote that closes a field; a quote inside of one is doubled");
  *to = 0;
  return add_cell(r, text, true);
}

static bool read_plain(reader *r) {
  char *text = r->at;
  while (r->at < r->end && *r->at != r->t->separator && *r->at != '\n' && *r->at != '\r') r->at++;
  char *last = r->at;
  while (last > text && is_blank(r, last[-1])) last--;
  if (!add_cell(r, text, false)) return false;
  // The character behind the cell is looked at before it is overwritten.
  if (last < r->at) *last = 0;
  return true;
}

// One record and its line end. Lines without anything are passed over.
static bool read_record(reader *r) {
  size_t before = r->count, line = r->line;
  for (bool more = true; more;) {
    while (r->at < r->end && is_blank(r, *r->at)) r->at++;
    bool quoted = r->at < r->end && *r->at == '"';
    if (quoted) r->at++;
    if (!(quoted ? read_quoted(r) : read_plain(r))) return false;
    char stop = *r->at;
    more = r->at < r->end && stop == r->t->separator;
    *r->at = 0;
    if (r->at < r->end) r->at++;
    if (stop == '\r' && *r->at == '\n') r->at++;
    r->line += stop == '\n' || stop == '\r';
  }
  const csv_cell *first = &r->t->cells[before];
  size_t found = r->count - before;
  if (found == 1 && !first->quoted && !*first->text) {
    r->count = before;
    return true;
  }
  if (!r->t->rows++) r->t->columns = found;
  if (found == r->t->columns) return true;
  snprintf(r->message, CSV_MESSAGE, "line %zu: %zu fields, the lines before it have %zu (separated by '%c')", line,
           found, r->t->columns, r->t->separator);
  return false;
}

bool csv_parse(csv *t, const char *bytes, size_t size, char message[CSV_MESSAGE]) {
  *t = (csv){.text = malloc(size + 1)};
  reader r = {.t = t, .at = t->text, .end = t->text + size, .line = 1, .message = message};
  bool ok = t->text || fail(&r, "not enough memory for the text");
  if (ok) {
    memcpy(t->text, bytes, size);
    *r.end = 0;
    if (size >= 3 && !memcmp(r.at, "\xEF\xBB\xBF", 3)) r.at += 3;
    t->separator = find_separator(r.at, r.end);
    if (memchr(r.at, 0, (size_t)(r.end - r.at))) ok = fail(&r, "a NUL byte; is the text UTF-16? UTF-8 is expected");
  }
  while (ok && r.at < r.end) ok = read_record(&r);
  if (ok && !t->rows) ok = fail(&r, "there is nothing in it");
  if (!ok) csv_free(t);
  return ok;
}

void csv_free(csv *t) {
  free(t->cells);
  free(t->text);
  *t = (csv){0};
}
