// SPDX-License-Identifier: Apache-2.0
// Tables and colour for the terminal. Cells are UTF-8; columns are as wide as their widest cell.
// Colour only where the stream is a terminal and NO_COLOR is not set; the text is the same without.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef enum ink { INK_NONE, INK_BOLD, INK_DIM, INK_RED, INK_GREEN, INK_YELLOW, INK_CYAN } ink;
const char *ink_on(FILE *stream, ink colour);  // "" without colour
const char *ink_off(FILE *stream);
bool stream_is_terminal(FILE *stream);

typedef struct table table;
// Columns as "name<", "ms>" ('>' = right-aligned), separated by '|'.
table *table_create(const char *columns);
void table_cell(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));  // fills row by row
void table_print(const table *t);                                                          // to stdout
size_t table_rows(const table *t);
void table_destroy(table *t);

// Prints words from column `at` on and breaks lines so that they fit the terminal (80 columns in a pipe); lines after
// the first begin at column `indent`. Ends the line.
void print_wrapped(const char *words, size_t length, size_t at, size_t indent);
// "1.4 MB", "26.5 kB"; one buffer per call site.
const char *bytes_describe(double bytes, char buffer[32]);
