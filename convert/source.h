// SPDX-License-Identifier: Apache-2.0
// The file or folder that is converted. Its bytes are read into memory of our own, so nobody can change them under us;
// what was read for good can be given back, so that a large file and what is made of it need not be in memory together.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file_kind.h"
#include "base/str.h"
#include "support/digest.h"
#include "support/fault.h"

typedef struct source {
  char *path;
  bool folder;
  uint64_t size;
  char head[FILE_KIND_HEAD];  // the first bytes of a file
  size_t head_size;
  char *bytes;  // all of them after source_load, writable; a NUL follows
  size_t loaded, forgotten;
  int file;                   // after source_load_head, else -1
  char digest[DIGEST_BYTES];  // after source_load, or source_hash
} source;

sdx_status source_open(const char *path, source **s, fault *f);
source *source_of_bytes(const void *bytes, size_t size);  // a copy, for tests; NULL: no memory
void source_close(source *s);
// Reads the file; `progress` may be NULL.
sdx_status source_load(source *s, void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
                       fault *f);
// Reads the bytes before `end` (at most `size`) and leaves the rest in `file`: for formats that begin with a table of
// what lies where.
sdx_status source_load_head(source *s, uint64_t end, fault *f);
// The bytes before `end` are not needed any more.
void source_forget(source *s, size_t end);
// The digest alone: of a file, or of the names and contents of a folder.
sdx_status source_hash(source *s, fault *f);
