// SPDX-License-Identifier: Apache-2.0
// Drivers of elementwise operators: an operator supplies loops over rows of one element type
// (unary_row, binary_row), the driver merges broadcast dimensions until rows are as long as they can
// be, splits the work over threads, and runs half precision through the float loop in blocks.
// Also here: the widening of whole calls for operators that are not elementwise (call_widened). Read next:
// ai_onnx/arithmetic.c, ai_onnx/unary.c.
#pragma once

#include "ops/infer.h"
#include "ops/parts/widen.h"

// Loops over n consecutive elements. `out` may be `in` / `a` itself. `context` is whatever the
// operator gave to the driver.
typedef void (*unary_row)(const void *context, void *out, const void *in, size_t n);
enum { ROW_A_SCALAR = 1, ROW_B_SCALAR = 2 };  // that operand is one element for the whole row
typedef void (*binary_row)(const void *context, void *out, const void *a, const void *b, size_t n, unsigned scalar);

// How many elements are worth another thread: cheap arithmetic, and transcendental functions.
enum { GRAIN_CHEAP = 1 << 15, GRAIN_COSTLY = 1 << 12 };

// out = rows[dtype of in](in); a half type without a row of its own uses rows[SDX_FLOAT].
sdx_status unary_run(op_step *c, tensor *out, const tensor *in, const unary_row rows[SDX_DTYPE_COUNT],
                     const void *context, size_t grain);
sdx_status binary_run(op_step *c, tensor *out, const tensor *a, const tensor *b, const binary_row rows[SDX_DTYPE_COUNT],
                      const void *context, size_t grain);
// The same without a check of b's type: for loops that know it (Pow).
sdx_status binary_run_row(op_step *c, tensor *out, const tensor *a, const tensor *b, binary_row row,
                          const void *context, size_t grain);

// Error for an element type without a loop; callers reach it only when binding let one through.
sdx_status step_fail_dtype(op_step *c, const tensor *t);
// dtype of the first input of [first, first + count) whose type is known; all known ones must agree.
sdx_status infer_common_dtype(op_step *c, size_t first, size_t count, sdx_dtype *out);

// Scratch of the plan when it is large enough, else memory of the run. NULL: error is set.
void *call_scratch(op_step *c, size_t bytes);
// Runs `compute` on float copies of the half inputs and rounds its float outputs to half. Outputs must be
// allocated (their shapes known) before. Calls without half tensors go straight through.
sdx_status call_widened(op_step *c, sdx_status (*compute)(op_step *c));
// scratch_bytes that call_widened needs; `inner` is what `compute` itself asks for.
sdx_status prepare_widened(op_step *c, size_t inner);

// ---- upgrades shared by families --------------------------------------------------------------

// Version 1..6 binary operators: B's shape starts at `axis` of A when `broadcast` is set.
sdx_status upgrade_broadcast_axis(op_upgrade *u);
// Inserts the node that shapes input 1 so that it starts at `axis` of input 0 under numpy rules.
sdx_status upgrade_align(op_upgrade *u, int64_t axis);
