// SPDX-License-Identifier: Apache-2.0
// Whether a result equals what was expected, by the tolerance that its type deserves.
#pragma once

#include "sardonyx/sardonyx.h"

typedef struct compare_rules {
  double rtol, atol;   // NAN: by type. A given atol is absolute; the one by type scales with the output
  bool lenient;        // data of a twin model or from .npz: other dtype and dimensions of 1 do not matter
  sdx_dtype coarsest;  // a type whose tolerance applies at least (half-precision models); 0: none
  int int8_steps;      // how far 8-bit integers may be off: 1 in quantised models, else 0
} compare_rules;

typedef struct comparison {
  double worst;    // largest error in units of the tolerance; <= 1 passes
  char text[400];  // the worst element, or why the values cannot be compared
} comparison;

// True if `got` passes. NaN equals NaN, infinities equal themselves, strings and booleans are exact,
// sequences and maps compare item by item.
bool value_compare(const sdx_value *got, const sdx_value *want, const compare_rules *rules, comparison *c);
