// SPDX-License-Identifier: Apache-2.0
// Any bytes as traceparent: what is read is passed on as a context that is read as the same.
#include <stdlib.h>

#include "server/monitor/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  trace first = {0}, second = {0};
  char text[TRACE_PARENT];
  if (!trace_read(&first, (str){(const char *)data, size})) return 0;
  if (!trace_read(&second, str_from(trace_parent(text, &first)))) abort();
  if (memcmp(first.id, second.id, TRACE_ID) || memcmp(first.parent, second.parent, SPAN_ID)) abort();
  return 0;
}
