// SPDX-License-Identifier: Apache-2.0
// See number.h. One locale object for the process; without memory for it the host's stays in force.
#include "base/number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static locale_t plain;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void make(void) { plain = newlocale(LC_ALL_MASK, "C", (locale_t)0); }

locale_t number_locale_enter(void) {
  pthread_once(&once, make);
  return uselocale(plain);
}

void number_locale_leave(locale_t before) { uselocale(before); }

float number_parse_float(const char *text, char **end) {
  locale_t before = number_locale_enter();
  float number = strtof(text, end);
  number_locale_leave(before);
  return number;
}

double number_parse_double(const char *text, char **end) {
  locale_t before = number_locale_enter();
  double number = strtod(text, end);
  number_locale_leave(before);
  return number;
}

static bool is_space(char ch) { return ch == ' ' || (ch >= '\t' && ch <= '\r'); }

// A copy with an end; false where it cannot be a number.
static bool trim(str s, char copy[NUMBER_LONGEST + 1]) {
  while (s.size && is_space(s.at[s.size - 1])) s.size--;
  while (s.size && is_space(*s.at)) s.at++, s.size--;
  if (s.size == 0 || s.size > NUMBER_LONGEST || memchr(s.at, 0, s.size)) return false;
  memcpy(copy, s.at, s.size);
  copy[s.size] = 0;
  return true;
}

bool number_read_int(str s, int64_t *out) {
  char copy[NUMBER_LONGEST + 1], *end;
  if (!trim(s, copy)) return false;
  errno = 0;
  *out = copy[0] == '-' ? strtoll(copy, &end, 10) : (int64_t)strtoull(copy, &end, 10);
  return *end == 0 && errno == 0;
}

bool number_read_real(str s, bool single, double *out) {
  char copy[NUMBER_LONGEST + 1], *end;
  if (!trim(s, copy)) return false;
  *out = single ? (double)number_parse_float(copy, &end) : number_parse_double(copy, &end);
  return *end == 0;
}

// ---- decimal to binary ---------------------------------------------------------------------------

enum { POWERS = 28 };  // 10^27 is the last one a 64-bit significand holds exactly
static const long double powers[POWERS] = {1e0L,  1e1L,  1e2L,  1e3L,  1e4L,  1e5L,  1e6L,  1e7L,  1e8L,  1e9L,
                                           1e10L, 1e11L, 1e12L, 1e13L, 1e14L, 1e15L, 1e16L, 1e17L, 1e18L, 1e19L,
                                           1e20L, 1e21L, 1e22L, 1e23L, 1e24L, 1e25L, 1e26L, 1e27L};

// Where digits and power of ten are exact in a 64-bit significand, one division or product is the correctly
// rounded extended value. False where that is not possible.
static bool extended(const number_decimal *n, long double *value) {
  if (LDBL_MANT_DIG != 64 || !n->exact || n->exponent <= -POWERS || n->exponent >= POWERS) return false;
  long double digits = n->digits;
  *value = n->exponent < 0 ? digits / powers[-n->exponent] : digits * powers[n->exponent];
  return true;
}

static uint64_t low_bits(long double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);  // x87: the low eight bytes
  return bits;
}

static const char *terminated(const number_decimal *n, char copy[NUMBER_LONGEST + 1]) {
  size_t size = n->text.size < NUMBER_LONGEST ? n->text.size : NUMBER_LONGEST;
  memcpy(copy, n->text.at, size);
  copy[size] = 0;
  return copy;
}

// Rounding the extended value again is right unless it lies exactly half-way between two numbers.
double number_from_decimal(const number_decimal *n) {
  long double value;
  if (extended(n, &value) && (low_bits(value) & 0x7FF) != 0x400) return (double)(n->negative ? -value : value);
  char copy[NUMBER_LONGEST + 1];
  return number_parse_double(terminated(n, copy), NULL);
}

float number_from_decimal_f32(const number_decimal *n) {
  long double value;
  if (extended(n, &value) && (low_bits(value) & 0xFFFFFFFFFF) != 0x8000000000 && (value >= FLT_MIN || value == 0))
    return (float)(n->negative ? -value : value);
  char copy[NUMBER_LONGEST + 1];
  return number_parse_float(terminated(n, copy), NULL);
}

// ---- binary to decimal ---------------------------------------------------------------------------

// x * 10^scale for -2 * POWERS < scale < 2 * POWERS: two roundings at most.
static long double scale_by(long double x, int scale) {
  int size = scale < 0 ? -scale : scale;
  if (size >= POWERS) {
    x = scale < 0 ? x / powers[POWERS - 1] : x * powers[POWERS - 1];
    size -= POWERS - 1;
  }
  return scale < 0 ? x / powers[size] : x * powers[size];
}

static void drop_zeros(uint64_t *digits, int *exponent) {
  while (*digits && *digits % 10 == 0) {
    *digits /= 10;
    ++*exponent;
  }
}

// A number scaled to an integer of as many digits as are ever needed, rounded and rounded down, and which integers
// beside it read back as the same number. Between `sure` and `possible` extended precision cannot tell.
typedef struct scaled {
  int scale;
  bool lopsided;  // the neighbour above is farther away than the one below
  int64_t nearest, at, sure_low, sure_high, possible_low, possible_high;
} scaled;

// By way of the current rounding: a conversion that truncates makes x87 switch it, which costs more than the rest.
static int64_t floor_of(long double x) {
  int64_t n = llrintl(x);
  return n - ((long double)n > x);
}
static int64_t ceil_of(long double x) {
  int64_t n = llrintl(x);
  return n + ((long double)n < x);
}

// False where the scale leaves extended precision.
static bool scale_up(double v, bool single, int most, scaled *s) {
  int power, scale = most - 1 - (int)floor(log10(v));
  if (LDBL_MANT_DIG < 64 || scale <= 1 - 2 * POWERS || scale >= 2 * POWERS - 1) return false;
  double below = single ? (double)nextafterf((float)v, 0) : nextafter(v, 0), above = v;
  bool lopsided = frexp(v, &power) == 0.5;
  if (lopsided) above = single ? (double)nextafterf((float)v, INFINITY) : nextafter(v, INFINITY);
  long double at = scale_by(v, scale), error = at * 4 * LDBL_EPSILON;
  long double half_below = scale_by((v - below) / 2, scale);
  long double half_above = lopsided ? scale_by((above - v) / 2, scale) : half_below;
  s->scale = scale;
  s->lopsided = lopsided;
  s->nearest = llrintl(at);
  s->at = floor_of(at);
  s->sure_low = ceil_of(at - half_below + error);
  s->sure_high = floor_of(at + half_above - error);
  s->possible_low = floor_of(at - half_below - error);
  s->possible_high = ceil_of(at + half_above + error);
  return true;
}

static bool reads_back(const scaled *s, int64_t digits, double v, bool single) {
  if (digits >= s->sure_low && digits <= s->sure_high) return true;
  if (digits < s->possible_low || digits > s->possible_high) return false;
  char text[48];
  snprintf(text, sizeof text, "%llde%d", (long long)digits, -s->scale);
  return single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v;
}

// Drops digit after digit from the end while what is left reads back.
static bool shortest(double v, bool single, int most, uint64_t *digits, int *exponent) {
  scaled s;
  if (!scale_up(v, single, most, &s)) return false;
  int64_t found = reads_back(&s, s.nearest, v, single) ? s.nearest : 0;
  for (int64_t unit = 10, units = s.at / 10; unit <= 100000000000000000; unit *= 10, units /= 10) {
    int64_t rounded = units * unit;
    if (s.at - rounded >= unit / 2) rounded += unit;
    if (rounded && reads_back(&s, rounded, v, single)) found = rounded;
    else if (!s.lopsided) break;
  }
  *digits = (uint64_t)found;
  *exponent = -s.scale;
  drop_zeros(digits, exponent);
  return found > 0;
}

void number_shortest(double v, bool single, uint64_t *digits, int *exponent) {
  int most = single ? 9 : 17;
  if (shortest(v, single, most, digits, exponent)) return;
  char text[NUMBER_TEXT];
  locale_t before = number_locale_enter();
  for (int count = 1; count <= most; count++) {
    snprintf(text, sizeof text, "%.*e", count - 1, v);
    if (single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v) break;
  }
  number_locale_leave(before);
  // "d.ddde-dd"
  const char *at = text;
  *digits = 0;
  *exponent = 0;
  for (bool fraction = false; *at && *at != 'e'; at++) {
    if (*at == '.') {
      fraction = true;
      continue;
    }
    *digits = *digits * 10 + (uint64_t)(*at - '0');
    *exponent -= fraction;
  }
  *exponent += *at ? (int)strtol(at + 1, NULL, 10) : 0;
  drop_zeros(digits, exponent);
}

static void print(char *out, double v, bool single) {
  int count = 1, exponent = 0;  // of the first digit
  if (v != 0) {
    uint64_t digits;
    number_shortest(fabs(v), single, &digits, &exponent);
    for (; digits >= 10; digits /= 10) count++;
    exponent += count - 1;
  }
  if (exponent < -5 || exponent > 15) snprintf(out, NUMBER_TEXT, "%.*g", count, v);
  else snprintf(out, NUMBER_TEXT, "%.*f", count - 1 > exponent ? count - 1 - exponent : 0, v);
}

void number_print(char out[NUMBER_TEXT], double v, bool single) {
  if (isnan(v) || isinf(v)) {
    snprintf(out, NUMBER_TEXT, "%s", isnan(v) ? "NaN" : v > 0 ? "INF" : "-INF");
    return;
  }
  locale_t before = number_locale_enter();
  print(out, v, single);
  number_locale_leave(before);
}
