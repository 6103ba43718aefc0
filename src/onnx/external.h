// SPDX-License-Identifier: Apache-2.0
// The one gate for files a model names. Whatever location a model gives, only a regular file beneath
// the model's folder, reached without a symbolic link and (unless allowed) with one name, is read;
// its bytes are copied into memory of the model, so nothing that happens to the file later matters.
// No other code of the engine opens a path that comes out of a model.
#pragma once

#include "base/hash.h"
#include "base/status.h"
#include "base/str.h"
#include "base/text.h"

typedef struct external_gate {
  const char *dir;  // NULL: external data is refused
  bool allow_hard_links;
  text *warnings;      // may be NULL
  text *files;         // gets the name of each file once, with a NUL; may be NULL
  const void *region;  // of the model's own bytes, which holds all external data; NULL: files do
  size_t region_bytes;
  // The file opened last stays open: tensors of one file lie side by side.
  int dir_fd, file_fd;  // -1 when closed
  str file_name;
  uint64_t file_size;
  bool has_sha1;
  unsigned char sha1[20];
} external_gate;

// external_data of one tensor.
typedef struct external_ref {
  str location, checksum;
  uint64_t offset, length;
  bool has_location, has_offset, has_length, has_checksum;
} external_ref;

void external_gate_init(external_gate *gate, const char *dir, bool allow_hard_links, text *warnings);
void external_gate_deinit(external_gate *gate);
// Takes one key and value of external_data in.
sdx_status external_ref_set(external_gate *gate, external_ref *ref, str key, str value, error *err);
// Opens the file and checks that it holds `bytes` bytes at the offset: only then is memory asked for.
sdx_status external_open(external_gate *gate, const external_ref *ref, size_t bytes, error *err);
// Adds a whole file to a hash.
sdx_status external_hash(external_gate *gate, str location, hash *h, error *err);
// Reads what external_open has checked.
sdx_status external_read(external_gate *gate, const external_ref *ref, void *target, size_t bytes, error *err);
