// SPDX-License-Identifier: Apache-2.0
// SIMD_LOOP before a loop over elements: an iteration reads and writes its own index only, so the loop may be
// vectorised although source and target may be the same array (which `restrict` would forbid). INLINE marks functions
// that are told by a constant argument what to do: each caller gets code of its own for its constant. UNROLL before a
// loop that such a constant bounds: what it counts then stays in registers.
#pragma once

#define INLINE static inline __attribute__((always_inline))

#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"  // builds with sanitizers do not vectorise
#define SIMD_LOOP _Pragma("clang loop vectorize(assume_safety)")
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define SIMD_LOOP _Pragma("GCC ivdep")
#define UNROLL _Pragma("GCC unroll 32")
#endif
