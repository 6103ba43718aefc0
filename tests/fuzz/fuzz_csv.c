// SPDX-License-Identifier: Apache-2.0
// Any bytes as a table: cells in rows of one length, or a message. What was read is written with every cell quoted,
// read again, and must be the same.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/csv.h"

enum { LIMIT = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
  if (!holds) abort();
}

static void round_trip(const csv *t, size_t size) {
  char *text = malloc(2 * size + 4 * t->rows * t->columns + 1), *to = text;
  need(text != NULL);
  for (size_t i = 0; i < t->rows * t->columns; i++) {
    *to++ = '"';
    for (const char *c = t->cells[i].text; *c; c++) {
      if (*c == '"') *to++ = '"';
      *to++ = *c;
    }
    *to++ = '"';
    *to++ = (i + 1) % t->columns ? t->separator : '\n';
  }
  csv again;
  char message[CSV_MESSAGE];
  need(csv_parse(&again, text, (size_t)(to - text), message));
  need(again.rows == t->rows && again.columns == t->columns);
  for (size_t i = 0; i < t->rows * t->columns; i++) need(!strcmp(again.cells[i].text, t->cells[i].text));
  csv_free(&again);
  free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size > LIMIT) return 0;
  csv t;
  char message[CSV_MESSAGE] = "";
  if (!csv_parse(&t, (const char *)data, size, message)) {
    need(*message && !t.cells && !t.text);
    return 0;
  }
  need(t.rows && t.columns);
  round_trip(&t, size);
  csv_free(&t);
  return 0;
}
