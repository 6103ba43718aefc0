// SPDX-License-Identifier: Apache-2.0
// Numbers in text have a decimal point, whatever locale the host program has set. The C library's
// functions are used between enter and leave, which concern the calling thread only and cost nanoseconds.
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
// The shortest digits that read back as the same double (float if `single`), without exponent for usual sizes.
enum { NUMBER_TEXT = 64 };
void number_print(char out[NUMBER_TEXT], double v, bool single);
