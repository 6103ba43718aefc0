// SPDX-License-Identifier: Apache-2.0
// Hashing of contents; see hash.h. Four lanes of 16 bytes each are multiplied to 128 bits and folded, so that their
// latencies overlap.
#include "base/hash.h"

#include <string.h>

// Odd numbers without structure: the first digits of pi after the point, as the seed of each lane.
static const uint64_t keys[] = {0x243f6a8885a308d3u, 0x13198a2e03707345u, 0xa4093822299f31d1u, 0x082efa98ec4e6c89u,
                                0x452821e638d01377u, 0xbe5466cf34e90c6du, 0xc0ac29b7c97c50ddu, 0x3f84d5b5b5470917u};

static uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 wide;
  wide product = (wide)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t rotate(uint64_t x, int by) { return x << by | x >> (64 - by); }

// The lane is carried on beside the product: a factor of zero does not make it forget.
static void add_block(hash *h, const unsigned char *at) {
  for (int i = 0; i < 4; i++) {
    uint64_t words[2];
    memcpy(words, at + 16 * i, sizeof words);
    h->lanes[i] = rotate(h->lanes[i], 23) + fold(words[0] ^ keys[2 * i] ^ h->seed, words[1] ^ h->lanes[i]);
  }
}

void hash_init(hash *h, uint64_t seed) {
  *h = (hash){.seed = seed};
  for (int i = 0; i < 4; i++) h->lanes[i] = fold(keys[i] ^ seed, keys[7 - i]);
}

void hash_add(hash *h, const void *bytes, size_t size) {
  const unsigned char *at = bytes;
  size_t held = h->bytes % HASH_BLOCK;
  h->bytes += size;
  if (!size) return;
  if (held) {
    size_t piece = HASH_BLOCK - held < size ? HASH_BLOCK - held : size;
    memcpy(h->block + held, at, piece);
    at += piece, size -= piece;
    if (held + piece < HASH_BLOCK) return;
    add_block(h, h->block);
  }
  for (; size >= HASH_BLOCK; at += HASH_BLOCK, size -= HASH_BLOCK) add_block(h, at);
  if (size) memcpy(h->block, at, size);
}

uint64_t hash_end(hash *h) {
  size_t held = h->bytes % HASH_BLOCK;
  if (held) {
    memset(h->block + held, 0, HASH_BLOCK - held);
    add_block(h, h->block);
  }
  uint64_t all = fold(h->bytes ^ keys[0], h->seed ^ keys[1]);
  for (int i = 0; i < 4; i++) all = fold(rotate(all, 29) ^ h->lanes[i], keys[4 + i] ^ h->seed) + h->lanes[i];
  return fold(all ^ keys[2], keys[3]) ^ all;
}

uint64_t hash_of(uint64_t seed, const void *bytes, size_t size) {
  hash h;
  hash_init(&h, seed);
  hash_add(&h, bytes, size);
  return hash_end(&h);
}
