// SPDX-License-Identifier: Apache-2.0
// See number.h. One locale object for the process; without memory for it the host's stays in force.
#include "base/number.h"

#include <errno.h>
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

enum { LONGEST = 1000 };
// A copy with an end; false where it cannot be a number.
static bool trim(str s, char copy[LONGEST + 1]) {
  while (s.size && is_space(s.at[s.size - 1])) s.size--;
  while (s.size && is_space(*s.at)) s.at++, s.size--;
  if (s.size == 0 || s.size > LONGEST || memchr(s.at, 0, s.size)) return false;
  memcpy(copy, s.at, s.size);
  copy[s.size] = 0;
  return true;
}

bool number_read_int(str s, int64_t *out) {
  char copy[LONGEST + 1], *end;
  if (!trim(s, copy)) return false;
  errno = 0;
  *out = copy[0] == '-' ? strtoll(copy, &end, 10) : (int64_t)strtoull(copy, &end, 10);
  return *end == 0 && errno == 0;
}

bool number_read_real(str s, bool single, double *out) {
  char copy[LONGEST + 1], *end;
  if (!trim(s, copy)) return false;
  *out = single ? (double)number_parse_float(copy, &end) : number_parse_double(copy, &end);
  return *end == 0;
}

static void print(char *out, double v, bool single) {
  int digits = 1, most = single ? 9 : 17;
  for (; digits < most; digits++) {
    snprintf(out, NUMBER_TEXT, "%.*e", digits - 1, v);
    if (single ? strtof(out, NULL) == (float)v : strtod(out, NULL) == v) break;
  }
  snprintf(out, NUMBER_TEXT, "%.*e", digits - 1, v);
  const char *e = strchr(out, 'e');
  int exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
  if (v != 0 && (exponent < -5 || exponent > 15)) snprintf(out, NUMBER_TEXT, "%.*g", digits, v);
  else snprintf(out, NUMBER_TEXT, "%.*f", digits - 1 > exponent ? digits - 1 - exponent : 0, v);
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
