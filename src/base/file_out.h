// SPDX-License-Identifier: Apache-2.0
// A file that is there wholly or not at all: written without a name where the file system can, else under another one
// in the same folder, synced, renamed. What a killed process did not finish is gone. Any number of writers may make the
// same file; the last to finish stays.
#pragma once

#include "base/mem.h"
#include "base/status.h"

typedef struct file_out {
  char *name, *temporary;
  int fd, folder;  // the folder is open before there is anything to lose
  char *buffer;
  size_t used;    // of the buffer
  uint64_t size;  // put so far
  error *err;
} file_out;

sdx_status file_out_open(file_out *f, const char *path, error *err);
bool file_out_put(file_out *f, const void *bytes, size_t size);           // false: error is set
bool file_out_pad(file_out *f, size_t alignment);                         // zeros up to a multiple of it, at most 4096
bool file_out_put_at_start(file_out *f, const void *bytes, size_t size);  // over what was put there
sdx_status file_out_sync(file_out *f);                                    // nothing may be put after it
sdx_status file_out_publish(file_out *f);
void file_out_deinit(file_out *f);  // what was not published is gone; fine for a zeroed one
