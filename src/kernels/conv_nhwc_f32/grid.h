// SPDX-License-Identifier: Apache-2.0
// Which pixels a product reads for which pixels it writes: a convolution, or what a transposed one does for the places
// of y that leave one remainder by the stride. Along each axis output q reads, with its tap j, input
// q * step + first + j * pitch (padding if outside) and is place `y_first + q * y_step` of y. Becomes tiles for
// igemm_f32.
#pragma once

#include "kernels/igemm_f32/igemm_f32.h"
#include "kernels/window.h"

typedef struct grid_axis {
  int64_t in, out, step, first, pitch, taps;
  int64_t low, high;  // outputs all of whose taps are inside: [low, high)
  int64_t y_size, y_first, y_step;
  int64_t kernel, kernel_first, kernel_step;  // tap j is the kernel's place kernel_first + j * kernel_step
} grid_axis;

typedef struct grid {
  size_t rank;
  grid_axis axis[WINDOW_MAX_RANK];
  size_t taps, taps_before;  // of this part, of those before
  size_t lines, line;        // runs of output pixels that tiles do not leave, and pixels of each
  bool affine;               // a line reads pixels at one distance
} grid;

size_t grid_parts(const window *w, bool transposed);
size_t grid_most_taps(const window *w, bool transposed);  // of a part
void grid_init(grid *g, const window *w, bool transposed, size_t part, size_t batch);
// Place of tap `tap` in the kernel, row-major.
size_t grid_kernel_place(const grid *g, size_t tap);
// taps[t]: floats from where a pixel's first tap reads to where tap t does.
void grid_taps(const grid *g, size_t x_stride, ptrdiff_t *taps);

// Where tiles read.
typedef struct grid_source {
  const float *x;
  size_t x_stride;
  const float *zeros;  // a pixel of padding
} grid_source;
// Tiles of at most `rows` rows for output pixels [begin, end), counted line by line; tiles of a line differ by at most
// one row. apart: each has its own place in `sums`. rows_at: (end - begin) * taps pointers. Returns their number, at
// most end - begin.
size_t grid_tiles(const grid *g, const grid_source *source, size_t begin, size_t end, size_t rows, bool apart,
                  igemm_f32_tile *tiles, const float **rows_at);
