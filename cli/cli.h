// SPDX-License-Identifier: Apache-2.0
// The `sardonyx` command. A sub-command is one file cmd_<name>.c that ends in a CLI_COMMAND record;
// cmake/tools.cmake finds the records and makes the table. Read next: args.h, main.c, any cmd_*.c.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "cli/args.h"

// Exit codes of every sub-command; the last one is what shells give to whom Ctrl-C ended.
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };

// A name of two words belongs to a group; the group itself is a record without `run`.
typedef struct cli_command {
  const char *name;             // "run", "model register"
  const char *summary;          // one line for the overview
  const char *usage;            // "MODEL [NAME=FILE ...]"
  const char *details;          // paragraphs and examples below the options; may be NULL
  const cli_option *options;    // ends with {0}; --help is added to all; NULL for a group
  size_t min_words, max_words;  // how many arguments beside options
  int (*run)(const args *a);
} cli_command;

#define CLI_COMMAND(id) const cli_command cli_command_##id
#define CLI_GROUP(name_, summary_, details_) \
  { .name = name_, .summary = summary_, .usage = "COMMAND [arguments]", .details = details_ }

extern const cli_command *const cli_commands[];  // generated, ends with NULL

// "sardonyx: error: ..." / "  hint: ..." on stderr. cli_error returns `code` to be returned.
int cli_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

// Memory for bookkeeping: a command that cannot get it ends with a message. Tensors and file
// contents, whose sizes come from outside, use plain malloc and report.
void *xmalloc(size_t bytes);
void *xrealloc(void *old, size_t bytes);
char *xstrdup(const char *text);
char *xformat(const char *format, ...) __attribute__((format(printf, 1, 2)));
char *xformat_list(const char *format, va_list list);

// Why something failed, for the caller to print with its own place in front. why_set returns NULL.
typedef struct why {
  char text[600];
} why;
void *why_set(why *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool path_has_suffix(const char *path, const char *suffix);  // ASCII case does not matter
