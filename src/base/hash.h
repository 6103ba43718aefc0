// SPDX-License-Identifier: Apache-2.0
// 64 bits that tell contents apart, at the speed of memory: for weights and files of them. Keyed: who does not know the
// seed cannot make two contents that agree. No digest for the world outside: its values hold between two that share
// the seed.
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { HASH_BLOCK = 64 };

typedef struct hash {
  uint64_t seed, lanes[4], bytes;
  unsigned char block[HASH_BLOCK];
} hash;

void hash_init(hash *h, uint64_t seed);
void hash_add(hash *h, const void *bytes, size_t size);
uint64_t hash_end(hash *h);
uint64_t hash_of(uint64_t seed, const void *bytes, size_t size);
