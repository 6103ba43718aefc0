// SPDX-License-Identifier: Apache-2.0
// Random numbers for operators: each is a hash of a seed and its own index, so results depend neither on
// threads nor on how the work is split.
#pragma once

#include <math.h>
#include <stdint.h>

static inline uint64_t random_mix(uint64_t x) {  // splitmix64's finalizer
  x += 0x9e3779b97f4a7c15;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}
// In [0, 1).
static inline double random_uniform(uint64_t seed, uint64_t index) {
  return (double)(random_mix(seed ^ random_mix(index)) >> 11) * 0x1p-53;
}
static inline double random_normal(uint64_t seed, uint64_t index) {  // Box-Muller; 1 - u is never 0
  double radius = sqrt(-2 * log(1 - random_uniform(seed, 2 * index)));
  return radius * cos(6.283185307179586 * random_uniform(seed, 2 * index + 1));
}
// Another one in every call.
uint64_t random_new_seed(void);
