// SPDX-License-Identifier: Apache-2.0
// SHA-1 (FIPS 180-4), which ONNX prescribes for the checksum of external data. It guards against
// accidents only.
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct sha1 {
  uint32_t state[5];
  uint64_t bytes;
  unsigned char block[64];
} sha1;

void sha1_init(sha1 *h);
void sha1_add(sha1 *h, const void *data, size_t size);
void sha1_end(sha1 *h, unsigned char digest[20]);
