// SPDX-License-Identifier: Apache-2.0
// Single-precision matrix product: C = act(alpha * A B + bias + residual), the contract between
// callers, the driver (gemm_f32.c: blocking, packing, threads) and the variants (one file each:
// tile sizes, packing of a panel, the inner loop).
//
// Use: fill a gemm_f32_shape and make a plan once (gemm_f32_plan_init), give gemm_f32_run scratch of
// plan.scratch_bytes and the operands of each call. Constant operands are packed once with
// gemm_f32_pack_a / _b.
//
// What holds for every variant:
//  * Any strides, any sizes, zero included: K = 0 gives act(bias + residual). No alignment is needed.
//  * Each element of C is one chain over k in rising order: a result depends on its row of A, its
//    column of B and the plan's algorithm alone. The algorithm follows from K, N (from M where A is
//    the packed operand), precision and processor. So any thread count, any batch and any neighbour
//    rows give the same bits.
//  * NaN and infinities behave as in a chain of fused multiply-adds. Matrix units take subnormal
//    operands and sums for zero.
//  * Error of an element, relative to sum |a||b|: `highest` is at most that of an fp32 FMA chain,
//    `high` about 2^-17, `medium` about 2^-8 (bf16 products, fp32 sums). Tiers without
//    matrix units compute all three as an FMA chain.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/activation.h"
#include "kernels/kernel.h"
#include "kernels/pack_format.h"

typedef enum gemm_precision { GEMM_HIGHEST, GEMM_HIGH, GEMM_MEDIUM } gemm_precision;

// ---- for callers ---------------------------------------------------------------------------------

// What a plan is made from.
typedef struct gemm_f32_shape {
  size_t m, n, k;
  size_t batch;        // products of these sizes in one call; 0 counts as 1
  size_t threads;      // 0 counts as 1
  int precision;       // gemm_precision
  bool packed_a;       // A was packed by gemm_f32_pack_a
  bool packed_b;       // B was packed by gemm_f32_pack_b (not both)
  bool fill_b;         // B is written by gemm_f32_call.fill
  bool residual_is_c;  // residual may be C itself
} gemm_f32_shape;

typedef struct gemm_f32_kernel gemm_f32_kernel;

// Fixed when the plan is made; a plain value without memory of its own.
typedef struct gemm_f32_plan {
  gemm_f32_shape shape;
  const gemm_f32_kernel *kernel;
  const char *name;      // for inspect and profiles: "x86_avx512", "x86_amx"
  unsigned planes;       // bf16 planes of a split operand; 0: plain fp32
  size_t kc, mc, nc;     // cache block
  bool whole_a;          // a task packs its rows of A over the whole depth at once
  size_t rows, columns;  // of C in one task
  size_t worker_bytes;   // scratch of one worker
  size_t scratch_bytes;  // of a whole run, 64-byte aligned
} gemm_f32_plan;

// Element (r, c) of matrix i is data[(index ? index[i] : i) * batch_stride + r * row_stride + c *
// column_stride]; a transposed operand is one with the strides exchanged. If packed, `packed` is the
// first packed matrix and batch_stride counts packed matrices (0: one for all).
typedef struct gemm_f32_operand {
  const float *data;
  size_t row_stride, column_stride;
  const void *packed;
  size_t batch_stride;
  const size_t *index;
} gemm_f32_operand;

// Writes rows [k0, k0 + kc) x columns [n0, n0 + nc) of B to panel[(k - k0) * stride + (n - n0)].
// nc <= stride. Columns from nc to stride need not be written. Called from several threads at once.
typedef void (*gemm_f32_fill)(void *context, size_t batch, float *panel, size_t stride, size_t k0, size_t kc, size_t n0,
                              size_t nc);

typedef enum gemm_bias { GEMM_BIAS_PER_COLUMN, GEMM_BIAS_PER_ROW, GEMM_BIAS_SCALAR } gemm_bias;

// out = act(alpha * sum + bias_scale * bias + residual_scale * residual), each step rounded.
typedef struct gemm_f32_epilogue {
  float alpha;
  const float *bias;  // NULL: none
  gemm_bias bias_kind;
  float bias_scale;
  size_t bias_batch_stride;
  const float *residual;  // NULL: none. Row r of product i starts at i * residual_batch_stride + r * residual_stride
  float residual_scale;
  size_t residual_stride, residual_batch_stride;
  activation act;
} gemm_f32_epilogue;

typedef struct gemm_f32_call {
  gemm_f32_operand a, b;
  gemm_f32_fill fill;
  void *fill_context;
  float *c;  // row r of product i starts at i * c_batch_stride + r * c_stride
  size_t c_stride, c_batch_stride;
  gemm_f32_epilogue epilogue;  // start from GEMM_F32_PLAIN
} gemm_f32_call;

#define GEMM_F32_PLAIN ((gemm_f32_epilogue){.alpha = 1, .bias_scale = 1, .residual_scale = 1})

// false: a size overflows. Chooses the kernel for this processor.
bool gemm_f32_plan_init(gemm_f32_plan *plan, const gemm_f32_shape *shape);
// The same with a given variant of the table (tests and benchmarks).
bool gemm_f32_plan_with(gemm_f32_plan *plan, const gemm_f32_shape *shape, const kernel_entry *variant);
// scratch: plan->scratch_bytes, 64-byte aligned.
void gemm_f32_run(const gemm_f32_plan *plan, const gemm_f32_call *call, void *scratch);

// Packed form of one constant operand, the same for every plan with this k, m or n, and precision on
// this processor. 0: a size overflows.
size_t gemm_f32_packed_a_bytes(size_t m, size_t k, int precision);
size_t gemm_f32_packed_b_bytes(size_t k, size_t n, int precision);
void gemm_f32_pack_a(void *packed, const gemm_f32_operand *a, size_t m, size_t k, int precision, size_t threads);
void gemm_f32_pack_b(void *packed, const gemm_f32_operand *b, size_t k, size_t n, int precision, size_t threads);
pack_format gemm_f32_format_a(size_t m, size_t k, int precision);
pack_format gemm_f32_format_b(size_t k, size_t n, int precision);

// ---- for variants --------------------------------------------------------------------------------

// One panel of A (m <= mr rows; more panels where n <= few) times consecutive panels of B that cover n columns.
typedef struct gemm_f32_sweep {
  size_t m, n, k;  // k: depth of this block
  unsigned planes;
  const void *a;         // first packed panel
  size_t a_panel_bytes;  // from one panel to the next
  const void *b;         // first packed panel, or plain rows if b_stride != 0
  size_t b_panel_bytes;  // from one panel to the next
  size_t b_stride;       // nonzero (only where reads_plain_b): b is fp32, row k at b + k * b_stride
  const char *ahead;     // memory that is needed next, of which each step of the depth fetches ahead_step bytes
  size_t ahead_step;     // 0: nothing
  float *c;              // m x n
  size_t c_stride;
  bool accumulate;  // the chains start from C, else from zero
} gemm_f32_sweep;

// Panels: `head` bytes, then for every k (padded up to a multiple of k_unit) mr or nr elements of
// `element` bytes, times the planes if split. Plain fp32 panels are [k][mr] and [k][nr].
struct gemm_f32_kernel {
  uint16_t mr, nr, k_unit;
  uint8_t few;         // columns for which sweep takes any number of panels of A; 0: it never does
  uint8_t lanes;       // of a vector: more than a multiple of it by `few` or less are best done apart
  uint8_t head;        // bytes before a panel's elements, a multiple of 64 or 0
  bool split;          // packs bf16 planes, serves the precisions with `planes` of them
  bool reads_plain_b;  // sweep accepts b_stride != 0
  // a: element (r, k) at a[r * row_stride + k * k_stride], r < m <= mr, k < kc
  void (*pack_a)(void *panel, const float *a, size_t row_stride, size_t k_stride, size_t m, size_t kc, unsigned planes);
  // b: element (k, c) at b[k * k_stride + c * column_stride], c < n <= nr, k < kc
  void (*pack_b)(void *panel, const float *b, size_t k_stride, size_t column_stride, size_t kc, size_t n,
                 unsigned planes);
  void (*sweep)(const gemm_f32_sweep *s);
  // The epilogue on a finished m x n part of C. `e` is resolved: bias and residual point at what
  // belongs to the part's corner, act is NONE, RELU or CLIP (others are the driver's).
  void (*finish)(const gemm_f32_epilogue *e, float *c, size_t c_stride, size_t m, size_t n);
  // Around a run of sweeps on one thread; `state` is 64 bytes, 64-byte aligned. NULL: nothing to do.
  void (*enter)(void *state);
  void (*leave)(const void *state);
};
