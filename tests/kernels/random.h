// SPDX-License-Identifier: Apache-2.0
// A small seeded generator for kernel tests.
#pragma once

#include <stddef.h>
#include <stdint.h>

static uint64_t random_state = 0x9e3779b97f4a7c15;
static inline uint64_t random_u64(void) {
  random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
  return random_state;
}
static inline size_t random_size(size_t low, size_t high) {
  return low + (size_t)(random_u64() >> 20) % (high - low + 1);
}
static inline float random_float(void) { return (float)(int64_t)random_u64() * 0x1p-63f; }
static inline void random_floats(float *x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = random_float();
}
static inline void random_bytes(void *x, size_t n) {
  for (size_t i = 0; i < n; i++) ((uint8_t *)x)[i] = (uint8_t)(random_u64() >> 30);
}
