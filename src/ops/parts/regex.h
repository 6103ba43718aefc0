// SPDX-License-Identifier: Apache-2.0
// Regular expressions in RE2's syntax that match a text in time proportional to its length times the
// program's: states of the automaton advance together, nothing is ever tried again. Not known: \C, \p{...} classes.
// Submatches are not recorded, so lazy and greedy repetition are the same.
#pragma once

#include "base/str.h"

typedef struct regex regex;

enum {
  REGEX_MAX_BYTES = 1 << 16,    // of a pattern
  REGEX_MAX_PROGRAM = 1 << 15,  // instructions
  REGEX_MAX_REPEAT = 1000,
  REGEX_MAX_DEPTH = 250,
  REGEX_MAX_RANGES = 4096,     // of one class
  REGEX_MAX_FOLDED = 1 << 20,  // code points whose cases are looked up
};

// NULL: not valid or too large; `problem` says why and *at is the offset of the fault. Memory: both NULL.
const regex *regex_compile(arena *memory, str pattern, const char **problem, size_t *at);
// Bytes of scratch for a match.
size_t regex_scratch_bytes(const regex *r);
// Bytes that are not UTF-8 match nothing. `scratch` is 8-byte aligned.
bool regex_matches(const regex *r, str text, void *scratch);
// The longest of the matches that begin first, at `from` or behind it: [*begin, *end), perhaps empty.
bool regex_find(const regex *r, str text, size_t from, void *scratch, size_t *begin, size_t *end);
