// SPDX-License-Identifier: Apache-2.0
// Pull reader for JSON (RFC 8259, strict): the caller asks for what it expects and walks along; no
// tree is built, nothing is allocated. Strings are decoded in place, so the text must be writable
// and is changed by json_string_read and json_key (not by json_skip). Nothing recurses. The writer
// is text.h.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/number.h"
#include "base/str.h"

enum { JSON_SKIP_DEPTH = 64 };  // levels that json_skip goes down, whatever max_depth

typedef struct json {
  char *begin, *at, *end;
  unsigned depth, max_depth;
  size_t values, max_values;
  const char *depth_note, *values_note;  // what a message about these limits ends in: "" by default
  bool words;  // NaN, Infinity and -Infinity are numbers: set after json_init for texts of Python and the like
  bool failed;
  char message[400];  // "at byte 17: ..." or "inputs[0].data[3]: ..."
} json;

void json_init(json *j, char *bytes, size_t size, unsigned max_depth, size_t max_values);
// The first failure is kept. json_fail_at puts the byte offset in front. Both return false.
bool json_fail(json *j, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool json_fail_at(json *j, const char *format, ...) __attribute__((format(printf, 2, 3)));

// First byte of the next value ('{' '[' '"' 't' 'f' 'n' '-' '0'..'9'), 0 at the end of the text.
char json_peek(json *j);
const char *json_kind(char first);  // "a list", "a string", ... for messages
// Enters an object or list; false on anything else (message: `what` and what was found).
bool json_open(json *j, char bracket, const char *what);
// True when another element follows, false at the closing bracket (consumed) or on failure.
bool json_more(json *j, char bracket, bool *first);
bool json_key(json *j, str *key);  // and its colon
bool json_string_read(json *j, str *text, const char *what);
bool json_number_read(json *j, number_decimal *n, const char *what);
bool json_bool(json *j, bool *value, const char *what);
bool json_i64(json *j, int64_t *value, const char *what);  // 3.0 is 3; 3.5 fails
bool json_word(json *j, const char *word);  // takes a bare word ("null") if it stands next; else false, no failure
bool json_skip(json *j);                    // any one value, checked, unchanged
bool json_end(json *j);                     // nothing but white space follows
