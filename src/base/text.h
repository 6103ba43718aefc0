// SPDX-License-Identifier: Apache-2.0
// Text that grows: descriptions, response bodies, log lines. It is also the JSON writer: strings are
// escaped and numbers written here and nowhere else. A failure (no memory, limit passed) is
// remembered in `failed`; later appends do nothing, so a writer checks once, at the end.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/str.h"

typedef struct text {
  char *at;  // NUL-terminated once anything was appended; from base/mem.h
  size_t size, capacity;
  size_t limit;          // of the size; 0: none
  mem_account *account;  // NULL: uncharged
  bool failed;
} text;
void text_append(text *t, const char *bytes, size_t size);
void text_str(text *t, str s);
static inline void text_put(text *t, const char *string) { text_append(t, string, strlen(string)); }
void text_format(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_deinit(text *t);

// JSON values. Strings are quoted and escaped; what is not UTF-8 becomes U+FFFD. Numbers have the fewest
// digits that read back as the same; those that are not finite become null, for JSON has no word for them.
void text_json_string(text *t, str s);
void text_json_u64(text *t, uint64_t number);
void text_json_i64(text *t, int64_t number);
void text_json_f32(text *t, float number);
void text_json_f64(text *t, double number);
