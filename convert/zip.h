// SPDX-License-Identifier: Apache-2.0
// Zip archives in memory, checked as they are read; members that are stored as they are can be looked at in place,
// which is how PyTorch writes its files so that they can be mapped.
#pragma once

#include "base/mem.h"
#include "base/str.h"

typedef struct zip_member {
  str name, bytes;
  bool packed;  // by some method: there are no bytes
} zip_member;
typedef struct zip {
  zip_member *members;
  size_t count;
} zip;

// NULL, or what is wrong with the archive.
const char *zip_read(str archive, arena *memory, zip *z);
// The member of that name, or of a folder at the top with that name inside (PyTorch's writer makes one). NULL: none.
const zip_member *zip_find(const zip *z, const char *name);
