// SPDX-License-Identifier: Apache-2.0
// Optimized models: a graph after passes with its weights and their packed forms in one file, which a load maps instead
// of packing or copying. The parts:
//
//   head      what the file is, what it was made for, where the parts lie
//   data      constants, then packs, each at a multiple of 64 bytes; the only part that stays mapped
//   model     ModelProto in newest form; its external data lies in `data`
//   origin    the graph before passes, where it has defaults: what runs that feed them are made of; else empty
//   outputs   their names, a NUL behind each: passes may have put other values in their place
//   warnings  of the load that made it
//   files     names of the external data that the source had, each with a NUL
//   packs     a pack_record each, followed by the dimensions of its source
//
// Trusted is nothing: all parts but data are copied and hashed before they are looked at, then read
// like any hostile file; every offset is checked. The bytes of `data` are numbers to the kernels, which may be any:
// they are hashed by `check` alone, as that reads all of them. Numbers are little-endian. Read next: optimized_write.c,
// optimized_read.c, cache.c (a folder of such files).
#pragma once

#include "base/hash.h"
#include "run/session.h"

#define OPTIMIZED_MAGIC "SDXMODEL"
enum { OPTIMIZED_VERSION = 2, OPTIMIZED_ALIGNMENT = 64, OPTIMIZED_DATA_AT = 4096 };

typedef struct file_part {
  uint64_t offset, size;
} file_part;

typedef struct optimized_head {
  char magic[8];
  uint32_t version, head_bytes;
  char library[24];   // version of the library
  char tier[24];      // of its kernels, see base/isa.def
  uint64_t seed;      // of all hashes here, drawn anew for each file
  uint64_t source;    // hash of the file it was made of; 0: nobody asked
  uint64_t settings;  // hash of the options that a graph depends on; 0 as well
  file_part data, model, origin, outputs, warnings, files, packs;
  uint64_t data_hash, parts_hash;  // parts: all but data, in this order
  uint64_t head_hash;              // of all before
} optimized_head;

typedef struct pack_record {
  pack_format format;
  uint64_t source, offset, bytes;  // source, offset: in `data`
  uint64_t source_hash;            // of the constant that was packed
  uint32_t dtype, rank;
} pack_record;

// What a file is made of, told by a cache that looks for it again.
typedef struct optimized_source {
  uint64_t seed, source, settings;
} optimized_source;

uint64_t optimized_head_hash(const optimized_head *h);
bool optimized_is(const sdx_session *s);  // by the first bytes of the session's source or bytes
// Plans the session's model for its declared shapes and writes it. What was written of a failed call is gone.
sdx_status optimized_write(sdx_session *s, const char *path, const optimized_source *source, error *err);
// Makes a session of its source or bytes, which are mapped where they can be. `accept` has a last word once all hashes
// have been compared, and vouches for the options that the graph depends on; NULL: any will do, and dimensions that the
// options fix are fixed now.
typedef sdx_status (*optimized_accept)(void *context, const optimized_head *head, str files, error *err);
sdx_status optimized_load(sdx_session *s, optimized_accept accept, void *context);
// Reads all of the data and compares it with its hashes.
sdx_status optimized_verify(sdx_session *s, error *err);
