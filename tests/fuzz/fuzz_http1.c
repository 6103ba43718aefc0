// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 as clients send it, cut into pieces (wire.h). Beside what the sanitizers see: the answers are the same
// however the bytes were cut, and each begins as one must.
#include "tests/fuzz/wire.h"

// Dates aside, and what says that a body may come: that depends on whether it is there already.
static void normalise(text *t) {
  static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
  char *to = t->at;
  for (size_t i = 0; i < t->size;) {
    if (t->size - i >= sizeof go - 1 && !memcmp(t->at + i, go, sizeof go - 1)) {
      i += sizeof go - 1;
      continue;
    }
    if (t->size - i >= 35 && !memcmp(t->at + i, "Date: ", 6)) memset(t->at + i + 6, '-', 29);
    *to++ = t->at[i++];
  }
  t->size = (size_t)(to - t->at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1) return 0;
  const char *in = (const char *)data + 1;
  if (size > 4 && !memcmp(in, "PRI ", 4)) return 0;  // fuzz_http2.c
  wire_run(in, size - 1, 0);
  text *out = &wire_now.out, whole = {0};
  if (out->size && (out->size < 9 || memcmp(out->at, "HTTP/1.1 ", 9) != 0)) abort();
  normalise(out);
  text_append(&whole, out->at, out->size);
  wire_run(in, size - 1, data[0] + 1u);
  normalise(out);
  if (out->size != whole.size || (out->size && memcmp(out->at, whole.at, out->size) != 0)) abort();
  text_deinit(&whole);
  return 0;
}
