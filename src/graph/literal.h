// SPDX-License-Identifier: Apache-2.0
// What print.c and parse.c must agree on: which names need no quotes, and how elements are spelled.
#pragma once

#include "base/text.h"
#include "graph/graph.h"

enum { TEXT_MOST_ELEMENTS = 64, TEXT_MOST_DEEP = 64 };  // larger constants print as {...}

static inline bool text_is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == '/' || c == '-' || c == '#';
}
static inline bool text_is_digit(char c) { return c >= '0' && c <= '9'; }

// Numbers an element is spelled with: two for complex types.
static inline size_t text_numbers(sdx_dtype dtype) { return dtype_is_complex(dtype) ? 2 : 1; }

// Number i of a tensor that holds no strings, as text. Every bit survives the way back.
void text_put_number(text *out, sdx_dtype dtype, const void *data, size_t i);
// false: the word is no such number.
bool text_get_number(str word, sdx_dtype dtype, void *data, size_t i);
