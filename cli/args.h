// SPDX-License-Identifier: Apache-2.0
// Options and words of a sub-command. A command lists its options as rows; the parser checks names
// and values (with "did you mean"), the accessors below read them. `--x v` and `--x=v` are equal,
// options and words mix freely, `--` ends the options, the last of repeated options wins.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum arg_kind {
  ARG_FLAG,    // --json
  ARG_TEXT,    // --output DIR
  ARG_INT,     // --threads 4, checked against min and max
  ARG_NUMBER,  // --rtol 1e-3, checked against min and max
  ARG_MAYBE,   // --random or --random=7
} arg_kind;

typedef struct cli_option {
  const char *name;  // without the dashes
  arg_kind kind;
  const char *value;  // what stands for the value in the help: "N"
  const char *help;
  double min, max;  // ARG_INT, ARG_NUMBER; both 0: from 0 up
  char letter;      // -o, or 0
} cli_option;

// Rows: OPTION_FLAG("json", "machine-readable"), OPTION_INT("threads", "N", "...", .max = 64).
#define OPTION_FLAG(name_, help_, ...) \
  { .name = name_, .kind = ARG_FLAG, .help = help_, __VA_ARGS__ }
#define OPTION(name_, kind_, value_, help_, ...) \
  { .name = name_, .kind = kind_, .value = value_, .help = help_, __VA_ARGS__ }

typedef struct args {
  const cli_option *options;
  struct arg_found {
    const cli_option *option;
    const char *value;  // NULL for a flag
  } * found;
  size_t found_count;
  const char **words;  // ended by NULL
  size_t word_count;
  bool help;  // --help or -h was given
} args;

// Parses argv[0..argc). Returns 0, or CLI_USAGE after printing what is wrong.
int args_parse(args *a, const cli_option *options, int argc, char **argv);
void args_free(args *a);

bool args_has(const args *a, const char *name);
const char *args_text(const args *a, const char *name, const char *otherwise);
int64_t args_int(const args *a, const char *name, int64_t otherwise);
double args_number(const args *a, const char *name, double otherwise);
// Values of a repeated option in order: start with *cursor = 0; NULL after the last.
const char *args_each(const args *a, const char *name, size_t *cursor);
// Comma-separated list: copies item `index` into the buffer; false past the end.
bool args_list_item(const char *list, size_t index, char *buffer, size_t size);
// A whole number, nothing after it.
bool args_parse_int(const char *text, int64_t *out);
bool args_parse_number(const char *text, double *out);
