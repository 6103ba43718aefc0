// SPDX-License-Identifier: Apache-2.0
// Processor detection; see cpu.h.
#include "base/cpu.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#endif

static const struct {
  const char *name, *short_name;
} rows[] = {
#define ISA(name, short_name, arch, flags) {#name, short_name},
#include "base/isa.def"
#undef ISA
};

static const char *missing[CPU_ISA_COUNT];
static cpu_isa limit;
static cpu_caches caches;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
// The kernel grants the 8 KB of tile registers per process on request.
static bool amx_permitted(void) {
  enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
  return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static void detect(void) {
  unsigned a, b, c, d, c1 = 0, b7 = 0, c7 = 0, d7 = 0, a71 = 0;
  __get_cpuid(1, &a, &b, &c1, &d);
  if (__get_cpuid_count(7, 0, &a, &b7, &c7, &d7) && a >= 1) __get_cpuid_count(7, 1, &a71, &b, &c, &d);
  uint64_t xcr0 = 0;
  if (c1 & bit_OSXSAVE) {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    xcr0 = (uint64_t)high << 32 | low;
  }
  bool ymm = (xcr0 & 0x6) == 0x6, zmm = (xcr0 & 0xe6) == 0xe6, tile = (xcr0 & 0x60000) == 0x60000;
  bool avx2 = ymm && (b7 & bit_AVX2) && (c1 & bit_FMA) && (c1 & bit_F16C) && (b7 & bit_BMI2);
  bool avx512 = avx2 && zmm && (b7 & bit_AVX512F) && (b7 & bit_AVX512BW) && (b7 & bit_AVX512DQ) &&
                (b7 & bit_AVX512VL) && (c7 & bit_AVX512VNNI);
  bool amx = avx512 && tile && (a71 & 1u << 5) && (d7 & 1u << 22) && (d7 & 1u << 24) && (d7 & 1u << 25);
  missing[CPU_arm_neon] = "built for x86-64";
  if (!avx2) missing[CPU_x86_avx2] = "the processor lacks AVX2, FMA, F16C or BMI2";
  if (!avx512) missing[CPU_x86_avx512] = "the processor lacks AVX-512 F, BW, DQ, VL or VNNI";
  if (!amx) missing[CPU_x86_amx] = "the processor lacks AMX tiles, AMX-BF16, AMX-INT8 or AVX512-BF16";
  else if (!amx_permitted()) missing[CPU_x86_amx] = "the kernel does not grant AMX tile state";
}
#else
static void detect(void) {
  for (cpu_isa i = CPU_x86_avx2; i <= CPU_x86_amx; i++) missing[i] = "built for another architecture than x86-64";
#if !defined(__aarch64__)
  missing[CPU_arm_neon] = "built for another architecture than aarch64";
#endif
}
#endif

static size_t cache_size(int name, size_t otherwise) {
  long bytes = sysconf(name);
  return bytes > 0 ? (size_t)bytes : otherwise;
}

static void init(void) {
  detect();
  // Asked once: where the C library looks them up by CPUID, a virtual machine traps for microseconds.
  caches = (cpu_caches){cache_size(_SC_LEVEL1_DCACHE_SIZE, 32u << 10), cache_size(_SC_LEVEL2_CACHE_SIZE, 1u << 20),
                        cache_size(_SC_LEVEL3_CACHE_SIZE, 8u << 20)};
  for (cpu_isa i = 0; i < CPU_ISA_COUNT; i++)
    if (!missing[i]) limit = i;
  const char *wanted = getenv("SARDONYX_CPU");
  for (cpu_isa i = 0; wanted && i < CPU_ISA_COUNT; i++)
    if (strcmp(wanted, rows[i].short_name) == 0 && i < limit) limit = i;
}

const char *cpu_isa_short_name(cpu_isa isa) { return rows[isa].short_name; }

const char *cpu_isa_missing(cpu_isa isa) {
  pthread_once(&once, init);
  return missing[isa];
}

cpu_isa cpu_isa_limit(void) {
  pthread_once(&once, init);
  return limit;
}

bool cpu_isa_enabled(cpu_isa isa) { return isa <= cpu_isa_limit() && !missing[isa]; }

cpu_caches cpu_cache_sizes(void) {
  pthread_once(&once, init);
  return caches;
}
