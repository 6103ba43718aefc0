// SPDX-License-Identifier: Apache-2.0
// Numbers in text have a decimal point, whatever locale the host program has set. The C library's
// functions are used between enter and leave, which concern the calling thread only and cost nanoseconds.
#pragma once

#include <locale.h>

locale_t number_locale_enter(void);  // returns what was set before
void number_locale_leave(locale_t before);
// strtof and strtod in that locale; `end` may be NULL.
float number_parse_float(const char *text, char **end);
double number_parse_double(const char *text, char **end);
