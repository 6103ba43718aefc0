// SPDX-License-Identifier: Apache-2.0
// The one gate for files a model names. Whatever location a model gives, only a regular file beneath one of the
// model's folders is read: that of the name the model was opened by, the real one (where links of that name end), and
// the one the user named by external_data_dir. Links are followed as far as they end there, as in the caches and
// mounts that keep models behind links. The bytes are copied into memory of the model, so nothing that happens to the
// file later matters. No other code of the engine opens a path that comes out of a model. Read next: links.h.
#pragma once

#include "base/hash.h"
#include "base/links.h"
#include "base/status.h"
#include "base/str.h"
#include "base/text.h"
#include "onnx/onnx.h"

enum { EXTERNAL_MOST_FOLDERS = 3 };

typedef struct external_gate {
  const char *dir;          // named by the user; may be NULL
  const model_file *model;  // NULL: it came as bytes
  bool allow_hard_links;
  text *warnings;      // may be NULL
  text *files;         // gets the name of each file once, with a NUL; may be NULL
  const void *region;  // of the model's own bytes, which holds all external data; NULL: files do
  size_t region_bytes;
  // Where locations are looked for, in this order; opened with the first file.
  int folders[EXTERNAL_MOST_FOLDERS];
  folder_id roots[EXTERNAL_MOST_FOLDERS];
  size_t folder_count;
  // The file opened last stays open: tensors of one file lie side by side.
  int file_fd;  // -1 when closed
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

void external_gate_init(external_gate *gate, const import_options *options, text *warnings);
void external_gate_deinit(external_gate *gate);
// Takes one key and value of external_data in.
sdx_status external_ref_set(external_gate *gate, external_ref *ref, str key, str value, error *err);
// Opens the file and checks that it holds `bytes` bytes at the offset: only then is memory asked for.
sdx_status external_open(external_gate *gate, const external_ref *ref, size_t bytes, error *err);
// Adds a whole file to a hash.
sdx_status external_hash(external_gate *gate, str location, hash *h, error *err);
// Reads what external_open has checked.
sdx_status external_read(external_gate *gate, const external_ref *ref, void *target, size_t bytes, error *err);
