// SPDX-License-Identifier: Apache-2.0
// Numbers in text have a decimal point, whatever locale the host program has set. The C library's
// functions are used between enter and leave, which concern the calling thread only and cost nanoseconds.
// Beside them stand conversions of our own where the C library's are too slow for whole tensors.
#pragma once

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

locale_t number_locale_enter(void);  // returns what was set before
void number_locale_leave(locale_t before);
// strtof and strtod in that locale; `end` may be NULL.
float number_parse_float(const char *text, char **end);
double number_parse_double(const char *text, char **end);
// The whole text, spaces around it aside, as a decimal integer of 64 bits (beyond INT64_MAX it wraps) or as a real
// number; `single` rounds once, to float. False: it is none.
bool number_read_int(str text, int64_t *out);
bool number_read_real(str text, bool single, double *out);

// A decimal number as a parser found it: digits * 10^exponent, negated if `negative`.
typedef struct number_decimal {
  uint64_t digits;  // the first significant ones, as many as fit
  int exponent;
  bool negative;
  bool exact;  // digits holds all of them
  str text;    // the whole number, at most NUMBER_LONGEST bytes
} number_decimal;
enum { NUMBER_LONGEST = 1000 };
// The nearest double or float, rounded once; infinite when it is too large.
double number_from_decimal(const number_decimal *n);
float number_from_decimal_f32(const number_decimal *n);

// The fewest digits that read back as v, a float if `single`: v = digits * 10^exponent, the last digit is not 0.
// v is finite and above 0.
void number_shortest(double v, bool single, uint64_t *digits, int *exponent);
// The same as text, without exponent for usual sizes; any v.
enum { NUMBER_TEXT = 64 };
void number_print(char out[NUMBER_TEXT], double v, bool single);
