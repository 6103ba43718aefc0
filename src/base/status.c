// SPDX-License-Identifier: Apache-2.0
// Error values; see status.h.
#include "base/status.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

// Messages quote names out of models: nothing but printable bytes may reach a terminal or a log.
static void sanitize(char *text) {
  for (; *text; text++)
    if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
}

sdx_status error_set(error *err, sdx_status status, const char *format, ...) {
  if (!err || err->status != SDX_OK) return status;
  va_list args;
  va_start(args, format);
  vsnprintf(err->message, sizeof err->message, format, args);
  va_end(args);
  sanitize(err->message);
  err->status = status;
  return status;
}

enum { LONGEST_PREFIXED = 300 };

void error_prefix(error *err, const char *format, ...) {
  if (!err || err->status == SDX_OK) return;
  if (strlen(err->message) > LONGEST_PREFIXED) return;  // the cause and its nearest places say enough
  char text[sizeof err->message];
  va_list args;
  va_start(args, format);
  int n = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (n < 0 || (size_t)n >= sizeof text - 3) return;
  snprintf(text + n, sizeof text - (size_t)n, ": %.*s", (int)(sizeof text - (size_t)n - 3), err->message);
  sanitize(text);
  memcpy(err->message, text, sizeof text);
}

void error_clear(error *err) {
  err->status = SDX_OK;
  err->message[0] = 0;
}

sdx_status error_no_memory(error *err, size_t bytes) {
  char text[BYTES_TEXT];
  return error_set(err, SDX_NO_MEMORY, "no memory for %s: the memory budget is spent", bytes_text(bytes, text));
}

const char *bytes_text(size_t bytes, char buffer[BYTES_TEXT]) {
  if (bytes > PTRDIFF_MAX) return "more bytes than can be addressed";
  snprintf(buffer, BYTES_TEXT, "%zu bytes", bytes);
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
