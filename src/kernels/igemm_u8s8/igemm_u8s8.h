// SPDX-License-Identifier: Apache-2.0
// Indirect product of 8-bit pixels and packed 8-bit weights, requantised: the inner loop of channels-last integer
// convolution,
//
//     sum = bias[j] + sum over taps t, elements c of x[row][t][c] * panel[t][c][j]          int32, wraps
//     y[row][j] = what `igemm_u8s8_output` makes of sum and scale[j]
//
// where x[row][t] is an address, so that no matrix of columns is ever written. Integers: any order gives the same bits.
// Nothing is read but the operands, nothing is written but n bytes of each row.
#pragma once

#include <stdint.h>

#include "kernels/kernel.h"

enum { IGEMM_U8S8_VECTORS = 4, IGEMM_U8S8_ROWS = 8, IGEMM_U8S8_GROUP = 4 };  // at most

// From a sum to a byte; saturate() is to int8 or uint8, NaN becomes the lowest value:
//     q = saturate(round_half_even((float)sum * scale) + zero)
//     where another tensor is added:
//     q = saturate(round_half_even(((q - zero) * own_scale + (other - other_zero) * other_scale) * factor) + sum_zero)
//     where there is a table:
//     q = table[(uint8_t)q]
typedef struct igemm_u8s8_output {
  int32_t zero;
  bool is_signed, adds;
  float own_scale, other_scale, factor;
  int32_t other_zero, sum_zero;
  const uint8_t *table;  // [256] or NULL
} igemm_u8s8_output;

typedef struct igemm_u8s8_tile {
  const void *const *x;  // [rows][taps]: first of a tap's elements, less `offset` bytes
  size_t offset;
  size_t rows, taps, depth;  // depth: elements of a tap, a multiple of the kernel's group
  const void *panel;         // [taps][depth / group][vectors * unit][group]
  size_t vectors;
  const int32_t *bias;  // [vectors * unit]
  const float *scale;
  igemm_u8s8_output output;
  size_t n;              // columns that exist
  const uint8_t *other;  // that is added, laid as y; else NULL
  uint8_t *y;
  size_t y_stride;  // bytes from one row to the next
} igemm_u8s8_tile;

typedef struct igemm_u8s8_kernel {
  bool wide;      // elements of x and the panel are int16, below 256 without their signs; else uint8 and int8
  uint8_t group;  // elements along the depth that lie together: 2 or 4
  uint8_t unit;   // columns of a vector
  uint8_t main;   // vectors of the widest panel
  uint8_t rows[IGEMM_U8S8_VECTORS + 1];  // most rows of a tile, by its vectors
  void (*tile)(const igemm_u8s8_tile *t);
} igemm_u8s8_kernel;

// Element c of tap t and column j in a panel of so many columns, in elements.
static inline size_t igemm_u8s8_place(const igemm_u8s8_kernel *k, size_t depth, size_t columns, size_t t, size_t c,
                                      size_t j) {
  return ((t * depth / k->group + c / k->group) * columns + j) * k->group + c % k->group;
}

// ---- the definition of igemm_u8s8_output ------------------------------------------------------------

// saturate(round_half_even(v) + zero)
static inline int32_t igemm_u8s8_saturate(const igemm_u8s8_output *o, float v, int32_t zero) {
  const float low = (float)((o->is_signed ? INT8_MIN : 0) - zero),
              high = (float)((o->is_signed ? INT8_MAX : 255) - zero);
  v = __builtin_nearbyintf(v);
  v = v >= low ? v : low;
  return (int32_t)(v <= high ? v : high) + zero;
}

static inline uint8_t igemm_u8s8_byte(const igemm_u8s8_output *o, int32_t sum, float scale, uint8_t other) {
  int32_t q = igemm_u8s8_saturate(o, (float)sum * scale, o->zero);
  if (o->adds) {
    const int32_t w = (o->is_signed ? (int8_t)other : other) - o->other_zero;
    q = igemm_u8s8_saturate(o, ((float)(q - o->zero) * o->own_scale + (float)w * o->other_scale) * o->factor,
                            o->sum_zero);
  }
  return o->table ? o->table[(uint8_t)q] : (uint8_t)q;
}
