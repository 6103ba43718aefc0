// SPDX-License-Identifier: Apache-2.0
// SIMD_LOOP before a loop over elements: an iteration reads and writes its own index only, so the loop may be
// vectorised although source and target may be the same array (which `restrict` would forbid).
#pragma once

#ifdef __clang__
#pragma clang diagnostic ignored "-Wpass-failed"  // builds with sanitizers do not vectorise
#define SIMD_LOOP _Pragma("clang loop vectorize(assume_safety)")
#else
#define SIMD_LOOP _Pragma("GCC ivdep")
#endif
