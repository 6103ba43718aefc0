// SPDX-License-Identifier: Apache-2.0
// Session options: a table of the numbers (options.def) and what is none. Parsing, `sdx_options_list`,
// the documentation and the tests of both sides of each bound come from it.
#pragma once

#include "ops/record.h"
#include "sardonyx/sardonyx.h"

typedef struct dim_override {
  struct dim_override *next;
  int64_t value;
  char symbol[];
} dim_override;

typedef struct provider_path {
  struct provider_path *next;
  char path[];
} provider_path;

struct sdx_options {
#define OPTION(name, otherwise, low, high, meaning) int64_t name;
#include "run/options.def"
#undef OPTION
  int precision;  // 0 highest, 1 high, 2 medium
  int optimize;   // 0 none, 1 basic, 2 all
  arena memory;   // the strings and lists below
  // NULL: not set
  char *disable_passes, *external_data_dir, *cache_dir, *overridable_initializers;
  dim_override *dims;
  provider_path *providers;  // in the order in which nodes are offered to them
  sdx_custom_op *ops;        // names live in `memory`
  size_t op_count;
  error err;
};

// A copy whose strings live in its own arena; NULL: memory. from NULL = the defaults.
sdx_options *options_copy(const sdx_options *from);
