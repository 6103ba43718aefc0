// SPDX-License-Identifier: Apache-2.0
// Comma-separated text to cells (RFC 4180 and what spreadsheets make of it): separators , ; tab |, quoted fields with
// separators and line ends in them, CRLF, a byte order mark, blank lines. What cells mean is io_csv.c's.
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct csv_cell {
  char *text;  // NUL-terminated; without the blanks around it unless it was quoted
  bool quoted;
} csv_cell;

typedef struct csv {
  char separator;
  size_t rows, columns;  // every row has as many
  csv_cell *cells;       // row by row
  char *text;            // what they point into
} csv;

enum { CSV_MESSAGE = 300 };

// False with the line and what is wrong with it; nothing is left to free.
bool csv_parse(csv *t, const char *bytes, size_t size, char message[CSV_MESSAGE]);
void csv_free(csv *t);
static inline const csv_cell *csv_at(const csv *t, size_t row, size_t column) {
  return &t->cells[row * t->columns + column];
}
