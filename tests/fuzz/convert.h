// SPDX-License-Identifier: Apache-2.0
// The fuzz target of a source format: its converter on any bytes. A refusal has a message; what was taken is given
// back.
#pragma once

#include <stdlib.h>
#include <string.h>

#include "convert/format.h"

static inline void fuzz_convert(const char *name, const uint8_t *data, size_t size) {
  const convert_format *const *f = convert_formats;
  while (*f && strcmp((*f)->name, name) != 0) f++;
  if (!*f) abort();
  convert_options options = {0};
  convert_report report;
  fault problem = {0};
  uint64_t live = mem_live_count();
  sdx_status status = convert_bytes(*f, data, size, &options, &report, &problem);
  if (status != problem.status || (status && !problem.message[0])) abort();
  convert_report_free(&report);
  if (mem_live_count() != live) abort();
}

#define FUZZ_CONVERT(name)                                       \
  int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);  \
  int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { \
    fuzz_convert(name, data, size);                              \
    return 0;                                                    \
  }
