// SPDX-License-Identifier: Apache-2.0
// Errors are values: a status code plus a message on the handle of the caller. Every function that
// can fail for a reason outside the program returns sdx_status and fills the `error` it was given.
#pragma once

#include <stdarg.h>
#include <stddef.h>

#include "sardonyx/types.h"

typedef struct error {
  sdx_status status;
  char message[1000];  // one sentence: place, what was found, what was expected, hint
} error;

// Propagates a failure; where clean-up exists, use `goto done` instead.
#define SDX_TRY(expression)                        \
  do {                                             \
    sdx_status try_status_ = (expression);         \
    if (try_status_ != SDX_OK) return try_status_; \
  } while (0)

// Formats the message (truncated to the buffer, control characters replaced) and returns `status`.
// `err` may be NULL. An error that is already set is kept: the first message is the cause.
sdx_status error_set(error *err, sdx_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
// Puts "prefix: " before the message that is set (callers add their place on the way up).
void error_prefix(error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_clear(error *err);
sdx_status error_no_memory(error *err, size_t bytes);

// "123 bytes"; of a size that passed what can be addressed no number, as it is none that anybody asked for.
enum { BYTES_TEXT = 32 };
const char *bytes_text(size_t bytes, char buffer[BYTES_TEXT]);

const char *status_text(sdx_status status);
const char *status_name(sdx_status status);
int status_http(sdx_status status);
