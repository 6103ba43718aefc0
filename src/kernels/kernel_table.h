// SPDX-License-Identifier: Apache-2.0
// The generated table of kernel variants and checkers.
#pragma once

#include "kernels/kernel.h"

extern const kernel_entry kernel_rows[];               // ends with family NULL
extern const size_t kernel_row_count;                  // without the end
extern const kernel_checker *const kernel_checkers[];  // ends with NULL
