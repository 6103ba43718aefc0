// SPDX-License-Identifier: Apache-2.0
// The functions of unary_f32 on whole tensors of any float type, for operators that use one as a part.
#pragma once

#include "kernels/unary_f32/unary_f32.h"
#include "ops/record.h"

// out = f(in; a, b); out may be in. `kernel` NULL: the best one is looked up.
sdx_status unary_apply(op_step *c, const unary_f32_kernel *kernel, unary_f32_op f, tensor *out, const tensor *in,
                       float a, float b);
