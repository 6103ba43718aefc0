// SPDX-License-Identifier: Apache-2.0
// What `prepare` may use: once per plan, when shapes are fixed, it chooses a kernel, packs constant weights, and says
// how much scratch one execution takes. Optional: everything here may also be left to compute.
#pragma once

#include "ops/record.h"

// Packed form of constant input `input`, whose own bytes compute may not read from then on: made once per session and
// format, shared by plans, counted in its memory. `bytes` of zeroed, 64-byte aligned memory are filled by `pack`. NULL:
// memory (error set).
static inline const void *prepare_pack(op_step *c, size_t input, const pack_format *format, size_t bytes,
                                       void (*pack)(void *target, const tensor *source, void *context), void *context) {
  return c->services->pack(c, input, format, bytes, pack, context);
}

// Constant input `input` is read as it is, too, though it is packed.
static inline sdx_status prepare_keep(op_step *c, size_t input) { return c->services->keep(c, input); }
