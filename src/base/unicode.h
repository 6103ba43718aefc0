// SPDX-License-Identifier: Apache-2.0
// UTF-8 and simple case mapping (one code point to one), the same on every machine and in every locale.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

// Code point at s.at[*at], which then moves behind it; -1 for a byte that starts no valid sequence (*at moves by 1).
int32_t utf8_next(str s, size_t *at);
// Writes 1 to 4 bytes; returns how many.
size_t utf8_put(char *to, int32_t code);

bool unicode_is_space(int32_t code);  // what separates words and lines in any script, ASCII separators included
int32_t unicode_lower(int32_t code);
int32_t unicode_upper(int32_t code);
