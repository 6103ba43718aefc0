// SPDX-License-Identifier: Apache-2.0
// HDF5, as far as files with models use it: groups, attributes of texts, arrays that lie in one piece. Everything is
// read where it stands in bytes that nobody trusts: each address and size is checked, and a budget of steps ends what
// goes round in circles (libhdf5 does, on damaged files). Links to other files and filters are refused. No memory is
// taken but for the lists of texts. Specification: "HDF5 File Format Specification Version 3.0".
#pragma once

#include "base/mem.h"
#include "base/str.h"
#include "sardonyx/types.h"

enum { HDF5_RANK = 8 };

typedef struct hdf5 {
  const unsigned char *bytes;
  size_t size;
  uint64_t root;      // an object, as all others: the address of its header
  size_t steps;       // left
  char message[200];  // what the first failure was about; "" if there was none
} hdf5;

typedef struct hdf5_array {
  sdx_dtype dtype;  // SDX_UNDEFINED: a type of elements that no tensor has
  size_t element_bytes, rank, count;
  int64_t shape[HDF5_RANK];
  const void *at;  // count elements, in little endian, aligned to nothing
} hdf5_array;

// All return false after a failure, with a message; what is merely not there is no failure.
bool hdf5_open(hdf5 *h, const void *bytes, size_t size);
static inline bool hdf5_failed(const hdf5 *h) { return *h->message; }
bool hdf5_find(hdf5 *h, uint64_t group, str path, uint64_t *object);  // "a/b"; false: not there, or a failure
bool hdf5_read(hdf5 *h, uint64_t object, hdf5_array *a);              // false: no array, or a failure
// The texts of an attribute, one or a list of them; false: not there, or a failure.
bool hdf5_texts(hdf5 *h, arena *memory, uint64_t object, const char *attribute, str **texts, size_t *count);
