// SPDX-License-Identifier: Apache-2.0
// tree_scan for any machine, in the compiler's own vectors.
#include "kernels/tree_scan/tree_scan.h"

typedef int8_t vec __attribute__((vector_size(16)));
enum { LANES = 16 };
static inline vec load(const void *p) {
  vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
static inline void store(void *p, vec v) { __builtin_memcpy(p, &v, sizeof v); }
static inline vec splat(int8_t b) { return (vec){0} + b; }
static inline vec pick(vec x, vec threshold, vec yes, vec no) {
  vec left = x <= threshold;
  return (yes & left) | (no & ~left);
}

#include "kernels/tree_scan/scan.inl"
