// SPDX-License-Identifier: Apache-2.0
// The kernel harness: draws random cases for each variant (check.c of its family says what a case
// is), with buffers at odd addresses whose surroundings must stay as they were. A case is reproducible:
// its seed follows from family, variant and number. Read next: kernel.h, gemm_f32/check.c.
#include "kernels/selftest.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/host.h"
#include "base/mem.h"
#include "base/size.h"
#include "kernels/kernel_table.h"

enum { GUARD = 128, GUARD_BYTE = 0xa7, BUFFERS_MOST = 64, ROUNDS = 200, BENCH_MS = 40 };

typedef struct guarded {
  unsigned char *block, *at;  // at: what the check sees, GUARD bytes or more inside of the block
  size_t block_bytes, bytes;
} guarded;

struct kernel_check {
  uint64_t state;
  guarded buffers[BUFFERS_MOST];
  size_t count, used;  // used < count only when a benchmark asks again for what it had
  bool benchmark, out_of_memory;
  char message[600];
  size_t message_size;
};

// ---- what check.c files call -------------------------------------------------------------------------

unsigned long long check_random(kernel_check *k) {  // splitmix64
  uint64_t z = k->state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

bool check_coin(kernel_check *k, unsigned one_in) { return one_in < 2 || check_random(k) % one_in == 0; }

size_t check_size(kernel_check *k, size_t low, size_t high) {
  if (high <= low) return low;
  size_t size = low + check_random(k) % (high - low + 1);
  if (check_coin(k, 2)) return size;
  // Around the multiples of vector and tile widths, or at an end of the range.
  static const size_t widths[] = {4, 8, 12, 16, 24, 32, 48, 64, 128};
  if (check_coin(k, 6)) return check_coin(k, 2) ? low : high;
  size_t width = widths[check_random(k) % (sizeof widths / sizeof *widths)];
  size_t near = (size / width + 1) * width + check_random(k) % 3 - 1;
  return near < low || near > high ? size : near;
}

void check_message(kernel_check *k, const char *format, ...) {
  size_t left = sizeof k->message - k->message_size;
  va_list args;
  va_start(args, format);
  int n = k->message_size ? snprintf(k->message + k->message_size, left, "; ") : 0;
  if (n >= 0 && (size_t)n < left) {
    k->message_size += (size_t)n;
    left -= (size_t)n;
    n = vsnprintf(k->message + k->message_size, left, format, args);
    if (n > 0) k->message_size += (size_t)n < left ? (size_t)n : left - 1;
  }
  va_end(args);
}

// A place for kernels that ran out of buffers: the case is void, so nothing reads it.
static void *guarded_alloc(kernel_check *k, size_t bytes, size_t alignment, bool *fresh) {
  *fresh = false;
  if (k->benchmark && k->used < k->count && k->buffers[k->used].bytes == bytes) return k->buffers[k->used++].at;
  size_t total;
  guarded g = {.bytes = bytes};
  if (alignment == 0) alignment = 1;
  if (k->count == BUFFERS_MOST || !size_add(bytes, 2 * GUARD + 2 * alignment + 64, &total) ||
      !(g.block = mem_alloc(NULL, total))) {
    k->out_of_memory = true;
    return NULL;
  }
  g.block_bytes = total;
  // Aligned as asked and no better.
  size_t offset = GUARD + (alignment - GUARD % alignment) % alignment;
  if (!k->benchmark) offset += check_coin(k, 3) ? 0 : alignment;
  g.at = g.block + offset;
  memset(g.block, GUARD_BYTE, total);
  k->buffers[k->count++] = g;
  k->used = k->count;
  *fresh = true;
  return g.at;
}

void *check_buffer(kernel_check *k, size_t bytes, size_t alignment) {
  bool fresh;
  unsigned char *p = guarded_alloc(k, bytes, alignment, &fresh);
  for (size_t i = 0; fresh && i < bytes; i++) p[i] = (unsigned char)check_random(k);
  return p;
}

static float special_float(kernel_check *k) {
  static const uint32_t bits[] = {0x7fc00000, 0xffc00000, 0x7f800000, 0xff800000, 0x80000000, 0x00000000, 0x00000001,
                                  0x807fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x3f800000, 0xbf800000, 0x42b17218};
  return float_from_bits(bits[check_random(k) % (sizeof bits / sizeof *bits)]);
}

float *check_floats(kernel_check *k, size_t count, bool special) {
  bool fresh;
  size_t bytes;
  if (!size_mul(count, sizeof(float), &bytes)) bytes = SIZE_MAX;
  float *p = guarded_alloc(k, bytes, sizeof(float), &fresh);
  float scale = check_coin(k, 4) ? ldexpf(1, (int)(check_random(k) % 12)) : 1;
  for (size_t i = 0; fresh && i < count; i++) {
    float x = (float)(int64_t)(check_random(k) >> 40) * 0x1p-23f - 1;  // [-1, 1)
    p[i] = special && check_coin(k, 24) ? special_float(k) : x * scale;
  }
  return p;
}

bool check_close(kernel_check *k, const float *got, const float *want, size_t count, double absolute, double relative) {
  for (size_t i = 0; i < count; i++) {
    float g = got[i], w = want[i];
    if (g == w || (isnan(g) && isnan(w))) continue;
    if (isfinite(g) && isfinite(w) && fabs((double)g - w) <= absolute + relative * fabs((double)w)) continue;
    check_message(k, "element %zu of %zu is %.9g, expected %.9g", i, count, (double)g, (double)w);
    return false;
  }
  return true;
}

bool check_same(kernel_check *k, const void *got, const void *want, size_t bytes) {
  const unsigned char *g = got, *w = want;
  for (size_t i = 0; i < bytes; i++)
    if (g[i] != w[i]) {
      check_message(k, "byte %zu of %zu is 0x%02x, expected 0x%02x", i, bytes, g[i], w[i]);
      return false;
    }
  return true;
}

// ---- cases -------------------------------------------------------------------------------------------

static bool guards_intact(kernel_check *k) {
  for (size_t b = 0; b < k->count; b++) {
    const guarded *g = &k->buffers[b];
    size_t before = (size_t)(g->at - g->block);
    for (size_t i = 0; i < g->block_bytes; i++) {
      if (i >= before && i < before + g->bytes) continue;
      if (g->block[i] == GUARD_BYTE) continue;
      if (i < before) check_message(k, "wrote %zu bytes before buffer %zu of %zu bytes", before - i, b, g->bytes);
      else check_message(k, "wrote %zu bytes behind buffer %zu of %zu bytes", i - before - g->bytes, b, g->bytes);
      return false;
    }
  }
  return true;
}

static void release(kernel_check *k) {
  for (size_t i = 0; i < k->count; i++) mem_free(k->buffers[i].block);
  k->count = k->used = 0;
}

static uint64_t seed_of(const kernel_entry *e, unsigned round) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char *c = e->family; *c; c++) h = (h ^ (unsigned char)*c) * 0x100000001b3u;
  for (const char *c = e->variant; *c; c++) h = (h ^ (unsigned char)*c) * 0x100000001b3u;
  return h + round * 0x2545f4914f6cdd1du;
}

static const kernel_checker *checker_of(const char *family) {
  for (const kernel_checker *const *c = kernel_checkers; *c; c++)
    if (strcmp((*c)->family, family) == 0) return *c;
  return NULL;
}

static const void *reference_of(const char *family) {
  for (size_t i = 0; i < kernel_count(); i++)
    if (strcmp(kernel_at(i)->family, family) == 0 && strcmp(kernel_at(i)->variant, "ref") == 0)
      return kernel_at(i)->kernel;
  return NULL;
}

static bool wanted(const kernel_entry *e, const char *filter) {
  if (!filter || !*filter || strcmp(filter, e->family) == 0 || strcmp(filter, e->variant) == 0) return true;
  size_t n = strlen(e->family);
  return strncmp(filter, e->family, n) == 0 && filter[n] == '/' && strcmp(filter + n + 1, e->variant) == 0;
}

typedef enum outcome { PASSED, FAILED, SKIPPED } outcome;

static const char *reason_to_skip(const kernel_entry *e) {
  const char *missing = cpu_isa_missing(e->isa);
  if (missing) return missing;
  return cpu_isa_enabled(e->isa) ? NULL : "SARDONYX_CPU asks for a lower tier";
}

static outcome check_variant(const kernel_entry *e, const kernel_checker *checker, unsigned rounds,
                             void (*print)(const char *line)) {
  char line[800];
  const char *skip = checker ? reason_to_skip(e) : "the family has no check.c";
  const void *reference = reference_of(e->family);
  outcome result = skip ? SKIPPED : PASSED;
  unsigned done = 0;
  kernel_check k = {0};
  for (; result == PASSED && done < rounds; done++) {
    k = (kernel_check){.state = seed_of(e, done)};
    bool good = checker->compare(&k, e->kernel, reference);
    if (k.out_of_memory) skip = "not enough memory for its cases";
    else if (!good || !guards_intact(&k)) result = FAILED;
    release(&k);
    if (skip) result = SKIPPED;
  }
  if (result == PASSED) snprintf(line, sizeof line, "%s %s ok %u cases", e->family, e->variant, done);
  else if (result == SKIPPED) snprintf(line, sizeof line, "%s %s SKIPPED (%s)", e->family, e->variant, skip);
  else snprintf(line, sizeof line, "%s %s FAILED case %u: %s", e->family, e->variant, done - 1, k.message);
  print(line);
  return result;
}

// ---- benchmark ---------------------------------------------------------------------------------------

static double now_seconds(void) { return (double)clock_ns() * 1e-9; }

// Work per second: the best of several slices, buffers made and warmed before.
static double rate_of(const kernel_entry *e, const kernel_checker *checker, const char **unit) {
  kernel_check k = {.state = seed_of(e, 0), .benchmark = true};
  double best = 0;
  checker->bench(&k, e->kernel, unit);
  for (int slice = 0; slice < 5; slice++) {
    double begin = now_seconds(), now = begin, work = 0;
    while (now - begin < BENCH_MS * 1e-3 / 5) {
      k.used = 0;
      work += checker->bench(&k, e->kernel, unit);
      now = now_seconds();
    }
    if (work / (now - begin) > best) best = work / (now - begin);
  }
  release(&k);
  return best;
}

static void bench_family(const char *family, const char *filter, const kernel_checker *checker,
                         void (*print)(const char *line)) {
  double reference = 0;
  for (size_t i = 0; i < kernel_count(); i++) {
    const kernel_entry *e = kernel_at(i);
    if (strcmp(e->family, family) != 0 || reason_to_skip(e)) continue;
    bool judge = strcmp(e->variant, "ref") == 0;
    if (!judge && !wanted(e, filter)) continue;
    const char *unit = "op";
    char line[200];
    double rate = rate_of(e, checker, &unit);
    if (judge) reference = rate;
    snprintf(line, sizeof line, "  %-16s %-20s %10.2f G%s/s %8.1fx ref", family, e->variant, rate * 1e-9, unit,
             reference > 0 ? rate / reference : 0);
    print(line);
  }
}

int kernel_selftest(const char *filter, unsigned rounds, bool bench, void (*print)(const char *line)) {
  int counts[3] = {0};
  bool any = false;  // of the family is wanted
  for (size_t i = 0; i < kernel_count(); i++) {
    const kernel_entry *e = kernel_at(i);
    const kernel_checker *checker = checker_of(e->family);
    any = any || wanted(e, filter);
    if (wanted(e, filter) && strcmp(e->variant, "ref") != 0)
      counts[check_variant(e, checker, rounds ? rounds : ROUNDS, print)]++;
    if (i + 1 < kernel_count() && strcmp(kernel_at(i + 1)->family, e->family) == 0) continue;
    if (bench && any && checker && checker->bench) bench_family(e->family, filter, checker, print);
    any = false;
  }
  char line[100];
  if (counts[PASSED] + counts[FAILED] == 0) {  // a test that tries nothing shows nothing
    print("FAILED: no variant was compared with its reference");
    counts[FAILED] = 1;
  }
  snprintf(line, sizeof line, "%d passed, %d failed, %d skipped", counts[PASSED], counts[FAILED], counts[SKIPPED]);
  print(line);
  return counts[FAILED];
}
