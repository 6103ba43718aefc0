// SPDX-License-Identifier: Apache-2.0
// Contract: y[i] = table[x[i]] for n bytes; x and y may be the same, n may be 0.
#pragma once

#include <stdint.h>

#include "kernels/kernel.h"

typedef struct lookup_u8_kernel {
  void (*run)(const uint8_t *x, const uint8_t *table, uint8_t *y, size_t n);
} lookup_u8_kernel;
