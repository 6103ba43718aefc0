// SPDX-License-Identifier: Apache-2.0
// Protobuf's text form (wire_text.h): a reader that goes down as messages do, and writes as it reads.
#include "base/wire_text.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEPTH = 40, MOST_WORD = 400 };

typedef struct reader {
  const char *at, *end, *begin;
  wire_out *out;
  unsigned depth;
  text word;  // taken last: a name, a number, a text without its quotes
  bool quoted;
  size_t *line;  // of what is wrong
  error *err;
} reader;

static bool fail(reader *r, const char *wrong, const char *found) {
  *r->line = 1;
  for (const char *p = r->begin; p < r->at; p++) *r->line += *p == '\n';
  error_set(r->err, SDX_INVALID_MODEL, "%s%s%.60s%s", wrong, *found ? " '" : "", found, *found ? "'" : "");
  return false;
}

static char peek(reader *r) {
  while (r->at < r->end && (isspace((unsigned char)*r->at) || *r->at == ',' || *r->at == ';' || *r->at == '#'))
    if (*r->at == '#')
      while (r->at < r->end && *r->at != '\n') r->at++;
    else r->at++;
  return r->at < r->end ? *r->at : 0;
}

static bool take(reader *r, char c) {
  if (peek(r) != c || !c) return false;
  r->at++;
  return true;
}

static char unescape(reader *r) {
  char c = *r->at++;
  if (c >= '0' && c <= '7') {
    unsigned code = (unsigned)(c - '0');
    for (int i = 0; i < 2 && r->at < r->end && *r->at >= '0' && *r->at <= '7'; i++)
      code = code * 8 + (unsigned)(*r->at++ - '0');
    return (char)code;
  }
  if (c == 'x' || c == 'X') {
    char digits[3] = {0}, *end;
    for (int i = 0; i < 2 && r->at < r->end && isxdigit((unsigned char)*r->at); i++) digits[i] = *r->at++;
    return (char)strtoul(digits, &end, 16);
  }
  static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
  const char *found = c ? strchr(from, c) : NULL;
  return found ? to[found - from] : c;
}

static bool take_quoted(reader *r) {
  char quote = *r->at++;
  while (r->at < r->end && *r->at != quote && *r->at != '\n') {
    const char *plain = r->at;
    while (r->at < r->end && *r->at != quote && *r->at != '\n' && *r->at != '\\') r->at++;
    text_append(&r->word, plain, (size_t)(r->at - plain));
    if (r->at == r->end || *r->at != '\\' || ++r->at == r->end) continue;
    char c = unescape(r);
    text_append(&r->word, &c, 1);
  }
  if (r->at == r->end || *r->at != quote) return fail(r, "a text does not end", "");
  r->at++;
  return true;
}

static bool take_word(reader *r) {
  char c = peek(r);
  r->word.size = 0;
  text_put(&r->word, "");
  r->quoted = c == '"' || c == '\'';
  while ((c = peek(r)) == '"' || c == '\'')
    if (!take_quoted(r)) return false;
  while (!r->quoted && r->at < r->end && (isalnum((unsigned char)*r->at) || (*r->at && strchr("_.+-/", *r->at)))) {
    if (r->word.size + 1 == MOST_WORD) return fail(r, "a word that is too long", "");
    text_append(&r->word, r->at++, 1);
  }
  if (r->word.failed) return error_set(r->err, SDX_NO_MEMORY, "not enough memory") == SDX_OK;
  char found[2] = {peek(r), 0};
  return r->quoted || r->word.size || fail(r, "expected a name or a value, found", found);
}

static bool take_message(reader *r, const wire_schema *type);

// A value or message that nobody asks for.
static bool skip(reader *r) {
  static const wire_schema nothing = {"", 0, 0, NULL, NULL};
  if (peek(r) == '{' || peek(r) == '<') return take_message(r, &nothing);
  if (!take(r, '[')) return take_word(r);
  while (!take(r, ']'))
    if (peek(r) == '[' || !skip(r)) return r->err->status ? false : fail(r, "a list within a list", "");
  return true;
}

// Number of an enumeration's word; -1: it has none of that name.
static int64_t number_of(const char *words, const char *word) {
  size_t size = strlen(word);
  int64_t number = 0;
  for (const char *p = words; *p; number++) {
    size_t length = strcspn(p, " ");
    if (length == size && !strncmp(p, word, size)) return number;
    p += length + (p[length] == ' ');
  }
  return -1;
}

static bool put_number(reader *r, const wire_field_def *f) {
  char *end;
  const char *word = r->word.at;
  int64_t number = f->words ? number_of(f->words, word) : -1;
  if (number < 0 && !strcmp(word, "true")) number = 1;
  else if (number < 0 && !strcmp(word, "false")) number = 0;
  else if (number < 0) {
    number = *word == '-' ? strtoll(word, &end, 0) : (int64_t)strtoull(word, &end, 0);
    if (*end || end == word) return fail(r, "no number or word of this field:", word);
  }
  wire_put_int(r->out, f->number, number);
  return true;
}

static bool put_float(reader *r, const wire_field_def *f) {
  char *end;
  const char *word = r->word.at;
  double number = strtod(word, &end);
  if (end == word || (*end && strcmp(end, "f") != 0)) return fail(r, "expected a number, found", word);
  if (f->kind == WIRE_DOUBLE || f->kind == WIRE_DOUBLES) wire_put_double(r->out, f->number, number);
  else wire_put_float(r->out, f->number, strtof(word, NULL));
  return true;
}

static bool take_value(reader *r, const wire_field_def *f) {
  if (f->message) {
    if (peek(r) != '{' && peek(r) != '<') return fail(r, "expected { behind", f->name);
    size_t begin = wire_begin(r->out, f->number);
    if (!take_message(r, f->message)) return false;
    wire_end(r->out, begin);
    return true;
  }
  if (!take_word(r)) return false;
  switch (f->kind) {
    case WIRE_BYTES:
    case WIRE_BYTES_LIST:
      wire_put_bytes(r->out, f->number, (str){r->word.at, r->word.size});
      return true;
    case WIRE_INT:
    case WIRE_INTS:
      return put_number(r, f);
    case WIRE_MESSAGE:
    case WIRE_MESSAGE_LIST:
      return fail(r, "expected a message that is known, found", r->word.at);
    default:
      return put_float(r, f);
  }
}

static bool take_field(reader *r, const wire_schema *type) {
  const wire_field_def *f = NULL;
  if (!take_word(r)) return false;
  if (r->quoted) return fail(r, "expected a name, found", r->word.at);
  for (size_t i = 0; !f && i < type->count; i++)
    if (!strcmp(type->fields[i].name, r->word.at)) f = &type->fields[i];
  bool colon = take(r, ':');
  bool opens = peek(r) && strchr(f && f->message ? "{<[" : "{<", peek(r));
  if (!colon && !opens) return fail(r, "expected : or { behind", r->word.at);
  if (!f) return skip(r);
  if (!take(r, '[')) return take_value(r, f);
  while (!take(r, ']'))
    if (!take_value(r, f)) return false;
  return true;
}

static bool at_end(reader *r) {
  peek(r);
  return r->at == r->end;
}

static bool take_message(reader *r, const wire_schema *type) {
  char close = take(r, '{') ? '}' : take(r, '<') ? '>' : 0;
  if (++r->depth > MOST_DEPTH) return fail(r, "messages are nested too deep", "");
  while (close ? !take(r, close) : !at_end(r)) {
    if (at_end(r)) return fail(r, "a message does not end", "");
    if (!take_field(r, type)) return false;
  }
  r->depth--;
  return true;
}

sdx_status wire_text_read(str text, const wire_schema *type, wire_out *out, size_t *line, error *err) {
  reader r = {.at = text.at, .begin = text.at, .end = text.at + text.size, .out = out, .line = line, .err = err};
  *line = 0;
  bool good = take_message(&r, type);
  text_deinit(&r.word);
  if (good && wire_failed(out)) error_set(err, SDX_NO_MEMORY, "not enough memory");
  return good && !wire_failed(out) ? SDX_OK : err->status;
}
