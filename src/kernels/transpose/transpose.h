// SPDX-License-Identifier: Apache-2.0
// Contract: permutes the dimensions of a dense tensor of 1, 2, 4, 8 or 16-byte elements, any rank to 64.
//
// transpose_init merges what stays adjacent (NCHW -> NHWC becomes one 2-D transposition per image) and is done
// once per shape; transpose_run is then a loop over 2-D blocks (variants) or over memcpy runs. Source and
// target do not overlap. Bytes are moved, never looked at.
// block: target[c][r] = source[r][c]; strides in elements between rows of source and rows of target.
#pragma once

#include <stdint.h>

#include "kernels/kernel.h"

enum { TRANSPOSE_MAX_RANK = 64 };

typedef void (*transpose_block)(const void *source, size_t source_stride, void *target, size_t target_stride,
                                size_t rows, size_t cols);

typedef struct transpose_kernel {
  transpose_block block[5];  // by log2 of the element's bytes
} transpose_kernel;

typedef struct transpose_plan {
  size_t rank;  // loops around the core, outermost of the target first
  size_t dims[TRANSPOSE_MAX_RANK];
  size_t from[TRANSPOSE_MAX_RANK], to[TRANSPOSE_MAX_RANK];  // strides in bytes
  // The core: rows x cols elements transposed (block set), or one run of `run` bytes copied.
  transpose_block block;
  size_t element, rows, cols, source_stride, target_stride, run;
} transpose_plan;

// target dimension i is source dimension perm[i]. dims are the source's. The caller has checked rank, perm and that the
// byte count fits.
void transpose_init(transpose_plan *p, size_t rank, const int64_t *dims, const int64_t *perm, size_t element_bytes);
void transpose_run(const transpose_plan *p, const void *source, void *target, size_t threads);
