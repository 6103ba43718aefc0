// SPDX-License-Identifier: Apache-2.0
// Error values; see status.h. error_word makes the message anew whenever a field comes in, so that a message may be
// read at any time.
#include "base/status.h"

#include <stdio.h>

#include "base/text.h"

static const char *const part_words[] = {[PART_NONE] = "",
#define X(name, word) [PART_##name] = word,
                                         ERROR_PART_LIST(X)
#undef X
};

// ---- wording -----------------------------------------------------------------------------------------

// Appends to a text of bounded room.
typedef struct writer {
  char *at;
  size_t size, used;
} writer;

__attribute__((format(printf, 2, 3))) static void say(writer *w, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(w->at + w->used, w->size - w->used, format, args);
  va_end(args);
  if (n > 0) w->used += (size_t)n < w->size - w->used ? (size_t)n : w->size - w->used - 1;
}

static void say_node(writer *w, const error *err) {
  if (!err->has_node) return;
  say(w, "node");
  if (err->node_index >= 0) say(w, " %lld", (long long)err->node_index);
  if (*err->node || err->node_index >= 0) say(w, " '%s'", err->node);
  if (*err->op) say(w, *err->node || err->node_index >= 0 ? " (%s)" : " of type %s", err->op);
}

// What its node's record names goes by its number first: "input 1 ('indices')".
static void say_part(writer *w, const error *err) {
  bool numbered = err->index >= 0 && (err->of_record || !*err->name);
  say(w, "%s", part_words[err->part]);
  if (numbered) say(w, " %lld", (long long)err->index);
  if (*err->name) say(w, numbered ? " ('%s')" : " '%s'", err->name);
}

// A predicate such as "[3] is 7" goes on without a space.
static void say_sentence(writer *w, const error *err) {
  if (err->subject == PART_FILE) say(w, "file '%s' ", err->file);
  else if (err->subject) say_part(w, err), say(w, *err->sentence == '[' ? "" : " ");
  say(w, "%s", err->sentence);
}

static void say_place(writer *w, const error *err, bool whole) {
  say(w, "%s", err->within);
  const char *colon = w->used ? ": " : "";
  if (err->has_node) say(w, "%s", colon), say_node(w, err), colon = ": ";
  if (err->part && (whole ? !err->has_node : err->subject != err->part))
    say(w, "%s", colon), say_part(w, err), colon = ": ";
  if (*err->file && (whole ? !err->has_node && !err->part : err->subject != PART_FILE))
    say(w, "%sfile '%s'", colon, err->file), colon = ": ";
  if (err->offset >= 0 && !whole) say(w, "%sbyte %lld", colon, (long long)err->offset);
}

static void error_word(error *err) {
  writer w = {err->message, sizeof err->message, 0};
  say_place(&w, err, false);
  if (w.used) say(&w, ": ");
  say_sentence(&w, err);
  if (*err->hint) say(&w, "; %s", err->hint);
}

const char *error_place(const error *err, char buffer[ERROR_PLACE]) {
  writer w = {buffer, ERROR_PLACE, 0};
  buffer[0] = 0;
  if (err->status != SDX_OK) say_place(&w, err, true);
  return buffer;
}

// ---- fields ------------------------------------------------------------------------------------------

// Fields quote names out of models: nothing but printable bytes may reach a terminal or a log.
static void keep_list(char *to, size_t size, const char *format, va_list args) {
  vsnprintf(to, size, format, args);
  for (; *to; to++)
    if ((unsigned char)*to < 0x20 || *to == 0x7f) *to = '?';
}

__attribute__((format(printf, 3, 4))) static void keep(char *to, size_t size, const char *format, ...) {
  va_list args;
  va_start(args, format);
  keep_list(to, size, format, args);
  va_end(args);
}

static void keep_str(char *to, size_t size, str s) {
  keep(to, size, "%.*s", (int)(s.size < size ? s.size : size), s.at ? s.at : "");
}

// Where `at`, a place of the format, stands in the sentence: what is before it is formatted once more to be measured.
static size_t position(const error *err, const char *format, const char *at, va_list args) {
  char before[sizeof err->sentence];
  if ((size_t)(at - format) >= sizeof before) return sizeof before;
  memcpy(before, format, (size_t)(at - format));
  before[at - format] = 0;
  va_list again;
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, before, again);
  va_end(again);
  return n < 0 ? sizeof before : (size_t)n;
}

static void find_expected(error *err, const char *format, va_list args) {
  static const char mark[] = ", expected ";
  const char *at = strstr(format, mark), *reason = at ? strstr(at, ": ") : NULL;
  size_t n = at ? position(err, format, at, args) : 0, size = strlen(err->sentence);
  err->found_at = err->found_end = err->expected_at = err->expected_end = 0;
  if (!at || n + sizeof mark > sizeof err->sentence) return;
  size_t end = reason ? position(err, format, reason, args) : size;
  err->found_end = (uint16_t)n;
  err->expected_at = (uint16_t)(n + sizeof mark - 1);
  err->expected_end = (uint16_t)(end < size ? end : size);
  if (n > 3 && !strncmp(err->sentence, "is ", 3)) err->found_at = 3;
  if (n > 4 && !strncmp(err->sentence, "has ", 4)) err->found_at = 4;
}

static void set_part(error *err, error_part part) {
  if (part.kind == PART_FILE) {
    keep_str(err->file, sizeof err->file, part.name);
    return;
  }
  err->part = part.kind;
  err->index = part.kind ? part.index : -1;
  keep_str(err->name, sizeof err->name, part.name);
}

sdx_status error_at_list(error *err, error_part part, sdx_status status, const char *format, va_list args) {
  if (!err || err->status != SDX_OK) return status;
  va_list again;
  va_copy(again, args);
  keep_list(err->sentence, sizeof err->sentence, format, again);
  va_end(again);
  find_expected(err, format, args);
  err->status = status;
  err->code = NULL;
  err->part = PART_NONE;
  err->has_node = err->of_record = false;
  err->index = err->node_index = err->offset = -1;
  err->node[0] = err->op[0] = err->name[0] = err->file[0] = err->within[0] = err->hint[0] = 0;
  err->subject = part.kind;
  set_part(err, part);
  error_word(err);
  return status;
}

sdx_status error_at(error *err, error_part part, sdx_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  error_at_list(err, part, status, format, args);
  va_end(args);
  return status;
}

sdx_status error_set(error *err, sdx_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  error_at_list(err, (error_part){0}, status, format, args);
  va_end(args);
  return status;
}

sdx_status error_copy(error *err, const error *from) {
  if (err && err->status == SDX_OK && from->status != SDX_OK) *err = *from;
  return from->status;
}

static bool is_set(const error *err) { return err && err->status != SDX_OK; }

void error_code(error *err, const char *code) {
  if (is_set(err) && !err->code) err->code = code;
}

void error_hint(error *err, const char *format, ...) {
  if (!is_set(err)) return;
  va_list args;
  va_start(args, format);
  keep_list(err->hint, sizeof err->hint, format, args);
  va_end(args);
  error_word(err);
}

void error_node(error *err, int64_t index, str name, str op) {
  if (!is_set(err) || err->has_node) return;
  err->has_node = true;
  err->node_index = index;
  keep_str(err->node, sizeof err->node, name);
  keep_str(err->op, sizeof err->op, op);
  error_word(err);
}

void error_offset(error *err, size_t offset) {
  if (!is_set(err) || err->offset >= 0) return;
  err->offset = (int64_t)offset;
  error_word(err);
}

// The cause and its nearest places say enough: what has no room in front is left out.
void error_within(error *err, const char *format, ...) {
  if (!is_set(err)) return;
  char around[sizeof err->within];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(around, sizeof around, format, args);
  va_end(args);
  size_t inner = strlen(err->within);
  if (n < 0 || (size_t)n + inner + 2 >= sizeof around) return;
  keep(around + n, sizeof around - (size_t)n, inner ? ": %s" : "%s", err->within);
  keep(err->within, sizeof err->within, "%s", around);
  error_word(err);
}

void error_in_part(error *err, error_part part) {
  if (!is_set(err)) return;
  if (err->part == part.kind && str_is(part.name, err->name)) return;
  bool taken = err->has_node || *err->within || (part.kind == PART_FILE ? *err->file != 0 : err->part != PART_NONE);
  if (taken) {
    error_within(err, "%s '%.*s'", part_words[part.kind], STR_ARG(part.name));
  } else {
    set_part(err, part);
    error_word(err);
  }
}

void error_part_of_record(error *err, int64_t index, str name) {
  if (!is_set(err)) return;
  err->index = index;
  err->of_record = true;
  keep_str(err->name, sizeof err->name, name);
  error_word(err);
}

void error_clear(error *err) {
  err->status = SDX_OK;
  err->message[0] = 0;
}

// ---- JSON --------------------------------------------------------------------------------------------

static void member(text *t, const char *key, str value) {
  text_format(t, "%s\"%s\":", t->size && t->at[t->size - 1] != '{' ? "," : "", key);
  text_json_string(t, value);
}

static void known(text *t, const char *key, const char *value) {
  if (*value) member(t, key, str_from(value));
}

void error_json(text *t, const error *err) {
  char buffer[sizeof err->message];
  str code = err->code ? str_from(err->code) : str_from(status_name(err->status));
  writer w = {buffer, sizeof buffer, 0};
  member(t, "status", str_from(status_name(err->status)));
  member(t, "code", code);
  member(t, "place", str_from(error_place(err, buffer)));
  say_sentence(&w, err);
  member(t, "message", str_from(buffer));
  member(t, "hint", str_from(err->hint));
  if (err->has_node) member(t, "node", str_from(err->node)), member(t, "operator", str_from(err->op));
  if (err->part) member(t, part_words[err->part], str_from(err->name));
  if (err->index >= 0) text_format(t, ",\"index\":%lld", (long long)err->index);
  known(t, "file", err->file);
  if (err->offset >= 0) text_format(t, ",\"offset\":%lld", (long long)err->offset);
  known(t, "within", err->within);
  if (!err->expected_at) return;
  member(t, "found", (str){err->sentence + err->found_at, (size_t)(err->found_end - err->found_at)});
  member(t, "expected", (str){err->sentence + err->expected_at, (size_t)(err->expected_end - err->expected_at)});
}

char *error_object(const error *err) {
  text t = {0};
  if (err->status == SDX_OK) return NULL;
  text_put(&t, "{");
  error_json(&t, err);
  text_put(&t, "}");
  if (!t.failed) return t.at;
  text_deinit(&t);
  return NULL;
}

// ---- statuses ----------------------------------------------------------------------------------------

sdx_status error_no_memory(error *err, size_t bytes) {
  char text[BYTES_TEXT];
  return error_set(err, SDX_NO_MEMORY, "no memory for %s: the memory budget is spent", bytes_text(bytes, text));
}

const char *bytes_text(size_t bytes, char buffer[BYTES_TEXT]) {
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes > PTRDIFF_MAX) return "more bytes than can be addressed";
  if (bytes < 1024) {
    snprintf(buffer, BYTES_TEXT, "%zu bytes", bytes);
    return buffer;
  }
  size_t unit = 0;
  double size = (double)bytes / 1024;
  for (; size >= 1023.95; unit++) size /= 1024;
  snprintf(buffer, BYTES_TEXT, size < 999.5 ? "%.3g %s" : "%.0f %s", size, units[unit]);
  return buffer;
}

static const struct {
  const char *name, *text;
  int http;
} statuses[] = {
#define X(name, sentence, http, exception) {#name, sentence, http},
    SDX_STATUS_LIST(X)
#undef X
};

const char *status_text(sdx_status s) { return s < SDX_STATUS_COUNT ? statuses[s].text : "unknown status"; }
const char *status_name(sdx_status s) { return s < SDX_STATUS_COUNT ? statuses[s].name : "?"; }
int status_http(sdx_status s) { return s < SDX_STATUS_COUNT ? statuses[s].http : 500; }
