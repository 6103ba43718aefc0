// SPDX-License-Identifier: Apache-2.0
// Ends of integer kernels drawn at random, for the checks of families that have them.
#pragma once

#include "kernels/igemm_u8s8/igemm_u8s8.h"

static inline igemm_u8s8_output igemm_u8s8_random_output(kernel_check *k) {
  igemm_u8s8_output o = {.is_signed = check_coin(k, 2), .adds = check_coin(k, 2)};
  const int32_t low = o.is_signed ? INT8_MIN : 0;
  o.zero = (int32_t)(check_random(k) % 256) + low, o.sum_zero = (int32_t)(check_random(k) % 256) + low;
  o.other_zero = (int32_t)(check_random(k) % 256) + low;
  o.own_scale = (float)(check_random(k) % 2000) * 1e-3f, o.other_scale = (float)(check_random(k) % 2000) * 1e-3f;
  o.factor = (float)(check_random(k) % 2000) * 1e-3f;
  if (check_coin(k, 3)) o.table = check_buffer(k, 256, 1);
  return o;
}
