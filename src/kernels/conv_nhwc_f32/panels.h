// SPDX-License-Identifier: Apache-2.0
// How the columns of a product are cut into panels for igemm_f32: an odd number of units ends in a panel of three;
// before it all have `main`, but what is left there makes one panel, or two even ones with the last of them.
#pragma once

#include "kernels/igemm_f32/igemm_f32.h"

typedef struct panel {
  size_t begin, units;
} panel;

// Panels of `main` units among `even` ones.
static inline size_t panels_regular(const igemm_f32_kernel *k, size_t even) {
  return even % k->main == 0 || even < k->main ? even / k->main : even / k->main - 1;
}

static inline size_t panels_count(const igemm_f32_kernel *k, size_t units) {
  bool odd = units % 2 && units > 1;
  size_t even = odd ? units - 3 : units, regular = panels_regular(k, even), left = even - regular * k->main;
  return regular + (left > 0) + (left > k->main) + odd;
}

static inline panel panels_at(const igemm_f32_kernel *k, size_t units, size_t index) {
  bool odd = units % 2 && units > 1;
  size_t even = odd ? units - 3 : units, regular = panels_regular(k, even), begin = regular * k->main;
  size_t left = even - begin, half = left > k->main ? (left + 3) / 4 * 2 : left;
  if (index < regular) return (panel){index * k->main, k->main};
  if (left > 0 && index == regular) return (panel){begin, half};
  if (left > half && index == regular + 1) return (panel){begin + half, left - half};
  return (panel){even, units - even};
}

// Floats of the widest panel.
static inline size_t panels_widest(const igemm_f32_kernel *k) { return (size_t)(k->main > 3 ? k->main : 3) * k->unit; }
