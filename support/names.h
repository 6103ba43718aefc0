// SPDX-License-Identifier: Apache-2.0
// Names: of assets (one small alphabet, the same everywhere) and the nearest one to what was typed.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { NAME_BYTES = 128 };  // the longest name

// A-Z a-z 0-9 . _ -, no '.' or '-' first.
bool name_valid(const char *name);
// The name of `names` nearest to `wrong`, or NULL when none is near enough to be meant.
const char *name_closest(const char *wrong, const char *const *names, size_t count);
