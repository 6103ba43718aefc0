// SPDX-License-Identifier: Apache-2.0
// The tensors that torch.save wrote: a dictionary of names in a zip archive of a pickle and storages. Nothing of it is
// run: only what builds lists, dictionaries and tensors is understood; all else is refused by its name.
#pragma once

#include "base/mem.h"
#include "base/str.h"
#include "convert/net.h"

typedef struct stored_tensor {
  const char *bytes;  // of its first number
  sdx_dtype dtype;
  size_t rank;
  int64_t shape[NET_RANK], stride[NET_RANK];
} stored_tensor;

// A storage's part that is a tensor. NULL, or what is wrong.
const char *stored_tensor_check(str storage, int64_t offset, stored_tensor *t);
size_t stored_number_bytes(sdx_dtype dtype);

typedef struct pickle_entry {
  str name;
  stored_tensor tensor;
} pickle_entry;
typedef struct pickle_tensors {
  pickle_entry *entries;
  size_t count;
} pickle_tensors;
// False: wrong[] says what it is.
bool pickle_read_tensors(str archive, arena *memory, pickle_tensors *all, char wrong[200]);
