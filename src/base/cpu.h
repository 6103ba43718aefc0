// SPDX-License-Identifier: Apache-2.0
// What the processor can do, as tiers: the rows of isa.def. Kernel variants are named after a row.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum cpu_isa {
#define ISA(name, short_name, arch, flags) CPU_##name,
#include "base/isa.def"
#undef ISA
  CPU_ISA_COUNT
} cpu_isa;

// The name of SARDONYX_CPU ("avx512").
const char *cpu_isa_short_name(cpu_isa isa);
// NULL if the tier can run here, else the reason why not ("processor lacks AMX-BF16", "build for
// another architecture").
const char *cpu_isa_missing(cpu_isa isa);
// The highest tier to use: the best that can run, lowered by SARDONYX_CPU=ref|portable|avx2|avx512|amx|neon.
cpu_isa cpu_isa_limit(void);
// cpu_isa_limit() reaches the tier and it can run.
bool cpu_isa_enabled(cpu_isa isa);

typedef struct cpu_caches {
  size_t l1d_bytes, l2_bytes, l3_bytes;
} cpu_caches;
cpu_caches cpu_cache_sizes(void);
