// SPDX-License-Identifier: Apache-2.0
// Faults (fault.h). Messages quote what users and files say: control characters do not pass.
#include "support/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void print(char *text, size_t size, const char *format, va_list list) {
  vsnprintf(text, size, format, list);
  for (; *text; text++)
    if ((unsigned char)*text < 0x20 || *text == 0x7f) *text = '?';
}

sdx_status fault_set(fault *f, sdx_status status, const char *format, ...) {
  if (!f) return status;
  if (f->status) return f->status;
  va_list list;
  va_start(list, format);
  print(f->message, sizeof f->message, format, list);
  va_end(list);
  return f->status = status;
}

static sdx_status status_of(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return SDX_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
      return SDX_FORBIDDEN;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return SDX_NO_SPACE;
    case ENOMEM:
      return SDX_NO_MEMORY;
    case EEXIST:
    case ENOTEMPTY:
      return SDX_CONFLICT;
    case ENAMETOOLONG:
    case EINVAL:
      return SDX_INVALID_ARGUMENT;
    default:
      return SDX_IO_ERROR;
  }
}

sdx_status fault_errno(fault *f, int error, const char *format, ...) {
  if (!f) return status_of(error);
  if (f->status) return f->status;
  va_list list;
  va_start(list, format);
  print(f->message, sizeof f->message, format, list);
  va_end(list);
  size_t used = strlen(f->message);
  snprintf(f->message + used, sizeof f->message - used, ": %s", strerror(error));
  return f->status = status_of(error);
}

sdx_status fault_no_memory(fault *f) { return fault_set(f, SDX_NO_MEMORY, "memory is exhausted"); }

sdx_status fault_hint(fault *f, const char *format, ...) {
  if (!f) return SDX_INTERNAL;
  if (f->status && !f->hint[0]) {
    va_list list;
    va_start(list, format);
    print(f->hint, sizeof f->hint, format, list);
    va_end(list);
  }
  return f->status;
}

sdx_status fault_place(fault *f, const char *format, ...) {
  if (!f || !f->status) return f ? f->status : SDX_INTERNAL;
  char text[sizeof f->message];
  va_list list;
  va_start(list, format);
  print(text, sizeof text, format, list);
  va_end(list);
  size_t used = strlen(text);
  if (used + 2 < sizeof text) {
    snprintf(text + used, sizeof text - used, ": %.*s", (int)(sizeof text - used - 3), f->message);
    memcpy(f->message, text, sizeof text);
  }
  return f->status;
}
