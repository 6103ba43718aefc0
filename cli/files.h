// SPDX-License-Identifier: Apache-2.0
// Files that a command reads and writes, and "-" for the standard streams. Standard input can be read once; what
// comes out of a pipe and must be read twice is kept in memory behind a path. A file that is written gets its name
// when all of it is there; an interrupted command takes the unfinished one away.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cli/cli.h"

bool is_standard_stream(const char *path);  // "-"

// A whole file; one NUL follows the bytes. NULL on failure; free() it.
char *file_read(const char *path, size_t *size, why *w);
// A path that can be opened again and again: the same for a file; for "-" and pipes one to a copy in memory. NULL on
// failure; free() it.
char *file_reopenable(const char *path, why *w);

// Where results go: a file, which has its name once output_close was called with `good`, or standard output, which
// takes no bytes of a binary format while it is a terminal.
typedef struct output {
  int fd;
  const char *path;
  char *target, *unfinished;  // NULL: written in place
} output;
bool output_possible(const char *path, bool binary, why *w);  // false: it is a terminal. To be asked before the work
bool output_open(output *o, const char *path, bool binary, why *w);
bool output_close(output *o, bool good, why *w);  // returns `good`, or false when the last step failed
// The reader of standard output has gone: ends as every filter does, without a word.
void end_by_broken_pipe(void);
// For what the library writes as files that appear whole: whether `path` is none, but standard output, a device or a
// pipe; and a way there. The file is made in a folder of its own: what comes out is whole. Returns an exit code.
bool output_is_stream(const char *path);
int output_by_file(const char *path, const char *name, int (*make)(void *context, const char *file), void *context);
bool file_write(const char *path, bool binary, const void *bytes, size_t size, why *w);
