// SPDX-License-Identifier: Apache-2.0
// Register-only loops; see probe.h.
#include "bench/probe.h"

#include <stdlib.h>
#include <time.h>

#include "base/cpu.h"
#include "base/host.h"

double clock_seconds(void) { return (double)clock_ns() * 1e-9; }

double clock_thread_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double quantile(double *values, int count, double q) {
  qsort(values, (size_t)count, sizeof *values, ascending);
  return count ? values[(int)(q * (count - 1) + 0.5)] : 0;
}

enum { STEPS = 20000, CHAINS = 12 };

// `loop` runs STEPS x CHAINS vector instructions; returns operations per second in 1e9.
static double rate(void (*loop)(void), double operations, double seconds) {
  double begin = clock_thread_seconds(), now;
  long runs = 0;
  do {
    loop();
    runs++;
    now = clock_thread_seconds();
  } while (now - begin < seconds);
  return (double)runs * operations / (now - begin) * 1e-9;
}

// The asm keeps the chains in registers and the loop alive.
#define FMA_LOOP(name, isa, vec, floats)                                                                               \
  __attribute__((target(isa))) static void name(void) {                                                                \
    typedef float vec __attribute__((vector_size(4 * floats)));                                                        \
    vec x = {1}, y = {0.5f}, s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, s4 = {0}, s5 = {0}, s6 = {0}, s7 = {0}, s8 = {0}, \
        s9 = {0}, s10 = {0}, s11 = {0};                                                                                \
    for (int i = 0; i < STEPS; i++)                                                                                    \
      __asm__ volatile(                                                                                                \
          "vfmadd231ps %12, %13, %0\n vfmadd231ps %12, %13, %1\n vfmadd231ps %12, %13, %2\n"                           \
          "vfmadd231ps %12, %13, %3\n vfmadd231ps %12, %13, %4\n vfmadd231ps %12, %13, %5\n"                           \
          "vfmadd231ps %12, %13, %6\n vfmadd231ps %12, %13, %7\n vfmadd231ps %12, %13, %8\n"                           \
          "vfmadd231ps %12, %13, %9\n vfmadd231ps %12, %13, %10\n vfmadd231ps %12, %13, %11\n"                         \
          : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5), "+v"(s6), "+v"(s7), "+v"(s8), "+v"(s9),        \
            "+v"(s10), "+v"(s11)                                                                                       \
          : "v"(x), "v"(y));                                                                                           \
  }

#if defined(__x86_64__)
#include <immintrin.h>

FMA_LOOP(fma_avx2, "avx2,fma", ymm, 8)
FMA_LOOP(fma_avx512, "avx512f", zmm, 16)

double probe_fma(double seconds) {
  double per_lane = 2.0 * STEPS * CHAINS;
  if (cpu_isa_enabled(CPU_x86_avx512)) return rate(fma_avx512, per_lane * 16, seconds);
  if (cpu_isa_enabled(CPU_x86_avx2)) return rate(fma_avx2, per_lane * 8, seconds);
  return 0;
}

bool probe_has_amx(void) { return cpu_isa_enabled(CPU_x86_amx); }

__attribute__((target("amx-tile,amx-bf16"))) static void tiles(void) {
  typedef struct tile_config {
    unsigned char palette, start, reserved[14];
    unsigned short columns[16];
    unsigned char rows[16];
  } tile_config;
  _Static_assert(sizeof(tile_config) == 64, "the layout is the processor's");
  static _Alignas(64) tile_config config = {.palette = 1};
  static _Alignas(64) unsigned char zeros[1024];
  for (int i = 0; i < 8; i++) config.columns[i] = 64, config.rows[i] = 16;
  const void *p = &config;
  __asm__ volatile("" : "+r"(p) : : "memory");  // gcc 12 believes that 8 bytes of it are read
  _tile_loadconfig(p);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, zeros, 64);
  _tile_loadd(5, zeros, 64);
  _tile_loadd(6, zeros, 64);
  _tile_loadd(7, zeros, 64);
  for (int i = 0; i < STEPS / 4; i++) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
}

double probe_amx(double seconds) { return rate(tiles, STEPS * 2.0 * 16 * 16 * 32, seconds); }
#elif defined(__aarch64__)
#include <arm_neon.h>

static void fma_neon(void) {
  float32x4_t x = vdupq_n_f32(1), s[CHAINS] = {0};
  for (int i = 0; i < STEPS; i++)
    for (int j = 0; j < CHAINS; j++) {
      s[j] = vfmaq_f32(s[j], x, x);
      __asm__ volatile("" : "+w"(s[j]));
    }
}

double probe_fma(double seconds) { return rate(fma_neon, 2.0 * STEPS * CHAINS * 4, seconds); }
bool probe_has_amx(void) { return false; }
double probe_amx(double seconds) { return 0; }
#else
double probe_fma(double seconds) { return 0; }
bool probe_has_amx(void) { return false; }
double probe_amx(double seconds) { return 0; }
#endif
