// SPDX-License-Identifier: Apache-2.0
// Text that grows up to a limit: every response body, metrics page and log line is written with it.
// Failure (no memory, limit passed) is remembered in `failed`; later writes do nothing.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct out {
  char *at;
  size_t size, capacity;
  size_t limit;  // 0: none
  bool failed;
} out;

void out_free(out *o);
void out_bytes(out *o, const void *bytes, size_t size);
static inline void out_text(out *o, const char *text) { out_bytes(o, text, strlen(text)); }
void out_format(out *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Quoted and escaped; bytes that are not UTF-8 become U+FFFD.
void out_json_string(out *o, const char *bytes, size_t size);
void out_u64(out *o, uint64_t number);
void out_i64(out *o, int64_t number);
// The shortest decimal that reads back as the same number; what is not finite becomes null, for
// JSON has no word for it.
void out_f32(out *o, float number);
void out_f64(out *o, double number);
