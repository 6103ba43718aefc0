// SPDX-License-Identifier: Apache-2.0
// How kernel variants are found. A family is a folder with a contract header, ref.c, variants named
// after rows of base/isa.def, and check.c. Every variant file defines one object with KERNEL(family):
//
//     KERNEL(gemm_f32) = {.mr = 12, .nr = 32, .tile = tile};
//
// whose type is `<family>_kernel` from the contract header. The build compiles each file with its
// row's flags, compiles ref.c again per tier as auto_<tier>, and generates the table behind these.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cpu.h"

#define KERNEL_GLUE_(family, variant) kernel_##family##_##variant
#define KERNEL_GLUE(family, variant) KERNEL_GLUE_(family, variant)
#define KERNEL(family) const family##_kernel KERNEL_GLUE(family, SDX_VARIANT)

typedef struct kernel_entry {
  const char *family, *variant;  // "gemm_f32", "x86_avx512" or "auto_x86_avx512"
  cpu_isa isa;
  bool automatic;      // ref.c compiled for the tier
  const void *kernel;  // const <family>_kernel *
} kernel_entry;

size_t kernel_count(void);
const kernel_entry *kernel_at(size_t index);  // by family, then weakest first
// The best enabled variant of a family: highest tier; hand-written before automatic. Never NULL for
// a family that exists. Call when a plan is made, not per run.
const kernel_entry *kernel_best(const char *family);
// The same among those that `fits` accepts; NULL where it accepts none.
const kernel_entry *kernel_best_of(const char *family, bool (*fits)(const void *kernel));
#define KERNEL_BEST(family) ((const family##_kernel *)kernel_best(#family)->kernel)

// ---- check.c of each family -------------------------------------------------------------------

typedef struct kernel_check kernel_check;
typedef struct kernel_checker {
  const char *family;
  // Draws arguments from the generator, runs `variant` and the reference, compares. Returns false
  // and fills check_message on a difference.
  bool (*compare)(kernel_check *k, const void *variant, const void *reference);
  // Fixed representative work for timing; returns operations (or bytes) done by one call.
  double (*bench)(kernel_check *k, const void *variant, const char **unit);
} kernel_checker;
#define KERNEL_CHECK(family) const kernel_checker kernel_check_##family

// Helpers for check.c: biased random sizes (edges of vector widths more often), guarded and oddly
// aligned buffers whose surroundings are verified afterwards, floats with NaN/Inf/-0/subnormals.
size_t check_size(kernel_check *k, size_t low, size_t high);
bool check_coin(kernel_check *k, unsigned one_in);
unsigned long long check_random(kernel_check *k);
float *check_floats(kernel_check *k, size_t count, bool special);     // random, guarded
void *check_buffer(kernel_check *k, size_t bytes, size_t alignment);  // random bytes, guarded
// max error in units of `scale` (absolute) ; equal NaN and infinities match.
bool check_close(kernel_check *k, const float *got, const float *want, size_t count, double absolute, double relative);
bool check_same(kernel_check *k, const void *got, const void *want, size_t bytes);
void check_message(kernel_check *k, const char *format, ...) __attribute__((format(printf, 2, 3)));
