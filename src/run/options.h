// SPDX-License-Identifier: Apache-2.0
// Session options: one table of names, defaults, bounds and meanings. Parsing, `sdx_options_list`,
// the documentation and the tests of both sides of each bound come from it.
#pragma once

#include "ops/record.h"
#include "sardonyx/sardonyx.h"

// X(name, default, lowest, highest, meaning)
#define RUN_OPTION_LIST(X)                                                                                            \
  X(threads, 0, 0, 256, "threads of one run; 0 = all the process may use")                                            \
  X(memory_limit_bytes, 0, 0, 9223372036854775807, "weights, plans and runs of a session; 0 = 80 % of the machine's") \
  X(run_memory_limit_bytes, 2147483648, 1, 9223372036854775807, "what one run may hold at once")                      \
  X(run_timeout_ms, 60000, 0, 9223372036854775807, "one run; 0 = no deadline")                                        \
  X(load_timeout_ms, 60000, 0, 9223372036854775807, "one load; 0 = no deadline")                                      \
  X(fold_limit_bytes, 67108864, 0, 9223372036854775807,                                                               \
    "constant folding: result of one node; four times that in all")                                                   \
  X(max_file_bytes, 17179869184, 1, 9223372036854775807, "size of a model file without its external data")            \
  X(max_nodes, 1000000, 1, 1073741823, "nodes after local functions are expanded")                                    \
  X(max_rank, 64, 1, 64, "rank of a tensor")                                                                          \
  X(max_name_bytes, 65536, 1, 1073741824, "length of a name")                                                         \
  X(max_decode_depth, 100, 1, 1000, "nesting of protobuf messages")                                                   \
  X(max_subgraph_depth, 32, 1, 100, "nesting of branches and bodies")                                                 \
  X(max_function_depth, 100, 1, 1000, "nesting of local functions")                                                   \
  X(max_loop_trips, 1000000000, 1, 9223372036854775807, "trips of one Loop")                                          \
  X(map_file, 0, 0, 1, "map the file instead of copying it; only for files nobody rewrites")                          \
  X(allow_hard_links, 0, 0, 1, "external data files may have more than one name")                                     \
  X(strict_dims, 0, 0, 1,                                                                                             \
    "refuse sizes that differ under one dimension name, and declared shapes that do not come out")                    \
  X(layouts, 1, 0, 1, "convolutional parts of a graph work with channels last in memory where that is faster")        \
  X(profile, 0, 0, 1, "record a Chrome trace of every run")                                                           \
  X(plan_cache, 8, 1, 1024, "input-shape signatures that keep a plan")

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
#define X(name, otherwise, low, high, meaning) int64_t name;
  RUN_OPTION_LIST(X)
#undef X
  int precision;                             // 0 highest, 1 high, 2 medium
  int optimize;                              // 0 none, 1 basic, 2 all
  arena memory;                              // the strings and lists below
  char *disable_passes, *external_data_dir;  // NULL = not set
  dim_override *dims;
  provider_path *providers;  // in the order in which nodes are offered to them
  sdx_custom_op *ops;        // names live in `memory`
  size_t op_count;
  error err;
};

// A copy whose strings live in its own arena; NULL: memory. from NULL = the defaults.
sdx_options *options_copy(const sdx_options *from);
