// SPDX-License-Identifier: Apache-2.0
// Operators of the domain "sardonyx", which passes make where no other domain has the like. Models do not ask for them,
// but optimized ones, which are graphs after passes.
//
//   Lookup            X, table -> Y: an 8-bit element is replaced by what a table of 256 has at its byte
//   FusedQLinearConv  QLinearConv, then QLinearAdd of another tensor, then Lookup: both may be absent
#pragma once

#include "ops/record.h"

extern const op_def op_lookup, op_fused_qlinear_conv;
const op_def *op_find_own(str domain, str name);  // or NULL

enum { LOOKUP_ENTRIES = 256 };

// Inputs of FusedQLinearConv behind those of QLinearConv.
enum {
  FUSED_QLINEAR_OTHER = 9,
  FUSED_QLINEAR_TABLE = 14,
  FUSED_QLINEAR_INPUTS
};  // other, its scale and zero point,
    // those of the sum; the table
