// SPDX-License-Identifier: Apache-2.0
// Terminal tables (table.h). On a terminal the widest column is cut so that a row fits a line;
// in a pipe nothing is cut, so that grep and awk see everything.
#include "cli/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/unicode.h"
#include "cli/cli.h"

bool stream_is_terminal(FILE *stream) { return isatty(fileno(stream)); }

static bool coloured(FILE *stream) {
  const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
  return !(no && *no) && !(term && !strcmp(term, "dumb")) && stream_is_terminal(stream);
}

const char *ink_on(FILE *stream, ink colour) {
  static const char *const codes[] = {"", "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[36m"};
  return coloured(stream) ? codes[colour] : "";
}

const char *ink_off(FILE *stream) { return coloured(stream) ? "\033[0m" : ""; }

// Columns; 0 when stdout is no terminal.
static int terminal_width(void) {
  struct winsize size;
  if (!stream_is_terminal(stdout)) return 0;
  return !ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_col ? size.ws_col : 80;
}

// One code point: its columns (0 combining, 2 East Asian wide, else 1); *at moves behind it.
static size_t step(str text, size_t *at) {
  int32_t point = utf8_next(text, at);
  if ((point >= 0x300 && point < 0x370) || (point >= 0x200b && point <= 0x200f) || point == 0xfe0f) return 0;
  bool wide = (point >= 0x1100 && point < 0x1160) || (point >= 0x2e80 && point < 0xa4d0) ||
              (point >= 0xac00 && point < 0xd7a4) || (point >= 0xf900 && point < 0xfb00) ||
              (point >= 0xfe30 && point < 0xfe70) || (point >= 0xff00 && point < 0xff61) ||
              (point >= 0x1f300 && point < 0x1fb00) || (point >= 0x20000 && point < 0x40000);
  return wide ? 2 : 1;
}

// Terminal columns a text takes.
static size_t text_columns(const char *utf8) {
  size_t columns = 0;
  str text = str_from(utf8);
  for (size_t at = 0; at < text.size;) columns += step(text, &at);
  return columns;
}

void print_wrapped(const char *words, size_t length, size_t at, size_t indent) {
  int terminal = terminal_width();
  size_t width = terminal <= 0 ? 80 : terminal < 40 ? 40 : terminal > 120 ? 120 : (size_t)terminal;
  const char *end = words + length, *gap = "";
  while ((words += strspn(words, " \n")) < end) {
    char *word = xformat("%.*s", (int)strcspn(words, " \n"), words);
    size_t columns = text_columns(word);
    if (at + strlen(gap) + columns >= width && at > indent) {
      printf("\n%*s", (int)indent, "");
      at = indent;
      gap = "";
    }
    printf("%s%s", gap, word);
    at += strlen(gap) + columns;
    gap = " ";
    words += strlen(word);
    free(word);
  }
  putchar('\n');
}

struct table {
  size_t columns, cells, capacity;
  bool *right;
  char **cell;  // row-major; the first row holds the names
};

static void add(table *t, char *text) {
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < 32 || *c == 127) *c = ' ';  // names come from models: no control characters
  if (t->cells == t->capacity) t->cell = xrealloc(t->cell, (t->capacity = t->capacity * 2 + 16) * sizeof *t->cell);
  t->cell[t->cells++] = text;
}

table *table_create(const char *columns) {
  table *t = xmalloc(sizeof *t);
  t->right = xmalloc(strlen(columns) + 1);
  while (*columns) {
    size_t length = strcspn(columns, "|");
    t->right[t->columns++] = length && columns[length - 1] == '>';
    add(t, xformat("%.*s", (int)(length ? length - 1 : 0), columns));
    columns += length + (columns[length] == '|');
  }
  return t;
}

void table_cell(table *t, const char *format, ...) {
  va_list list;
  va_start(list, format);
  add(t, xformat_list(format, list));
  va_end(list);
}

size_t table_rows(const table *t) { return t->cells / t->columns - 1; }

static void print_cell(const char *text, size_t width, bool right, bool last) {
  size_t columns = text_columns(text), pad = columns < width ? width - columns : 0;
  if (right) printf("%*s", (int)pad, "");
  if (columns > width) {  // cut, and say so with an ellipsis
    size_t end = 0;
    for (size_t next = 0, used = 0; (used += step(str_from(text), &next)) < width;) end = next;
    printf("%.*s…", (int)end, text);
  } else {
    fputs(text, stdout);
  }
  if (!right && !last) printf("%*s", (int)pad, "");
}

void table_print(const table *t) {
  size_t *width = xmalloc(t->columns * sizeof *width), total = 0;
  for (size_t i = 0; i < t->cells; i++) {
    size_t columns = text_columns(t->cell[i]);
    if (columns > width[i % t->columns]) width[i % t->columns] = columns;
  }
  for (size_t c = 0; c < t->columns; c++) total += width[c] + 2;
  size_t room = (size_t)terminal_width();
  while (room && total > room + 2) {  // take from the widest until it fits or nothing is left to take
    size_t widest = 0;
    for (size_t c = 1; c < t->columns; c++)
      if (width[c] > width[widest]) widest = c;
    size_t cut = total - room - 2, spare = width[widest] > 12 ? width[widest] - 12 : 0;
    if (!spare) break;
    if (cut > spare) cut = spare;
    width[widest] -= cut;
    total -= cut;
  }
  for (size_t i = 0; i < t->cells; i++) {
    size_t c = i % t->columns;
    bool last = c + 1 == t->columns;
    if (i < t->columns) fputs(ink_on(stdout, INK_BOLD), stdout);
    print_cell(t->cell[i], width[c], t->right[c], last);
    if (i < t->columns) fputs(ink_off(stdout), stdout);
    fputs(last ? "\n" : "  ", stdout);
  }
  free(width);
}

void table_destroy(table *t) {
  if (!t) return;
  for (size_t i = 0; i < t->cells; i++) free(t->cell[i]);
  free(t->cell);
  free(t->right);
  free(t);
}

const char *bytes_describe(double bytes, char buffer[32]) {
  static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  size_t unit = 0;
  while (bytes >= 1000 && unit < 6) {
    bytes /= 1000;
    unit++;
  }
  snprintf(buffer, 32, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
  return buffer;
}
