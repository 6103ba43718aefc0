// SPDX-License-Identifier: Apache-2.0
// Models in 16 bits: every float becomes float16 or bfloat16, but for nodes that stay in float and what they read.
#pragma once

#include "quantize/quantize.h"

typedef struct half_options {
  sdx_dtype type;                                                 // SDX_FLOAT16 or SDX_BFLOAT16
  bool keep_io;                                                   // inputs and outputs of the model stay float
  bool (*keep)(void *context, const char *op, const char *name);  // nodes that stay in float
  void *context;
} half_options;

typedef struct half_report {
  size_t converted, kept;        // nodes
  size_t overflows, underflows;  // numbers of constants that were too large and are now the largest; that became 0
  char first_overflow[200];      // the constant of the first one
} half_report;

// The builder's types must be known (sdx_builder_infer); they are again afterwards.
sdx_status half_convert(sdx_builder *b, const half_options *o, half_report *r);
// The largest finite number of the type.
float half_largest(sdx_dtype type);
