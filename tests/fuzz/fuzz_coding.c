// SPDX-License-Identifier: Apache-2.0
// Compressed bodies: the first byte chooses the coding, the rest is the body. What comes out is never larger than the
// limit, all memory is accounted for, and what was encoded decodes to the same bytes.
#include <stdlib.h>
#include <string.h>

#include "server/net/message.h"

enum { LIMIT = 1 << 20 };

static void round_trip(coding c, str plain, atomic_size_t *held) {
  text packed = {0};
  coding_stream *s = coding_stream_create(c);
  size_t half = plain.size / 2;
  if (!s || !coding_stream_write(s, (str){plain.at, half}, false, &packed) ||
      !coding_stream_write(s, (str){plain.at + half, plain.size - half}, true, &packed))
    abort();
  coding_stream_destroy(s);
  http_body b = {.held = held, .held_limit = SIZE_MAX};
  http_problem p = {0};
  if (!body_reserve(&b, packed.size)) abort();
  memcpy(b.at, packed.at, packed.size);
  b.size = packed.size;
  if (!coding_decode(c, &b, LIMIT, &p) || b.size != plain.size || memcmp(b.at, plain.at, b.size) != 0) abort();
  body_drop(&b);
  text_deinit(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || size > LIMIT) return 0;
  atomic_size_t held = 0;
  coding c = data[0] % 2 ? CODING_GZIP : CODING_ZSTD;
  http_body b = {.held = &held, .held_limit = 4 * LIMIT};
  http_problem p = {0};
  if (!body_reserve(&b, size - 1)) abort();
  memcpy(b.at, data + 1, size - 1);
  b.size = size - 1;
  bool good = coding_decode(c, &b, LIMIT, &p);
  if (good ? b.size > LIMIT : p.status < 400) abort();
  body_drop(&b);
  round_trip(c, (str){(const char *)data + 1, size - 1}, &held);
  if (held) abort();
  return 0;
}
