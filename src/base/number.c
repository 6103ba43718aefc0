// SPDX-License-Identifier: Apache-2.0
// See number.h. One locale object for the process; without memory for it the host's stays in force.
#include "base/number.h"

#include <pthread.h>
#include <stdlib.h>

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
