// SPDX-License-Identifier: Apache-2.0
// SHA-1; see sha1.h. Written from FIPS 180-4, sections 5.1.1 and 6.1.2.
#include "onnx/sha1.h"

#include <string.h>

static uint32_t rotate(uint32_t x, unsigned n) { return x << n | x >> (32 - n); }

static void add_block(sha1 *h, const unsigned char *p) {
  uint32_t w[80], a = h->state[0], b = h->state[1], c = h->state[2], d = h->state[3], e = h->state[4];
  for (int t = 0; t < 16; t++, p += 4) w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
  for (int t = 16; t < 80; t++) w[t] = rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  for (int t = 0; t < 80; t++) {
    uint32_t f, k;
    if (t < 20) f = (b & c) | (~b & d), k = 0x5a827999;
    else if (t < 40) f = b ^ c ^ d, k = 0x6ed9eba1;
    else if (t < 60) f = (b & c) | (b & d) | (c & d), k = 0x8f1bbcdc;
    else f = b ^ c ^ d, k = 0xca62c1d6;
    uint32_t next = rotate(a, 5) + f + e + k + w[t];
    e = d, d = c, c = rotate(b, 30), b = a, a = next;
  }
  h->state[0] += a, h->state[1] += b, h->state[2] += c, h->state[3] += d, h->state[4] += e;
}

void sha1_init(sha1 *h) { *h = (sha1){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}}; }

void sha1_add(sha1 *h, const void *data, size_t size) {
  const unsigned char *p = data;
  while (size) {
    size_t used = h->bytes % 64, piece = 64 - used < size ? 64 - used : size;
    memcpy(h->block + used, p, piece);
    h->bytes += piece;
    p += piece;
    size -= piece;
    if (h->bytes % 64 == 0) add_block(h, h->block);
  }
}

void sha1_end(sha1 *h, unsigned char digest[20]) {
  uint64_t bits = h->bytes * 8;
  unsigned char tail[72] = {0x80};
  size_t padding = (h->bytes % 64 < 56 ? 56 : 120) - h->bytes % 64;
  for (int i = 0; i < 8; i++) tail[padding + (size_t)i] = (unsigned char)(bits >> (56 - 8 * i));
  sha1_add(h, tail, padding + 8);
  for (int i = 0; i < 20; i++) digest[i] = (unsigned char)(h->state[i / 4] >> (24 - 8 * (i % 4)));
}
