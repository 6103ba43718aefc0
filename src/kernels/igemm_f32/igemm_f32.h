// SPDX-License-Identifier: Apache-2.0
// Indirect matrix product, the inner loop of channels-last convolution: rows of pixels times a packed panel of weights,
//
//     y[row][j] = act(sum over taps t, channels c of x(row, t)[c] * panel[t][c][j] + bias[j] + residual[row][j])
//
// where x(row, t) is an address, so that no matrix of columns is ever written. Drivers (conv_nhwc_f32) cut an image
// into tiles of rows, weights into panels, and the depth (taps and channels) into parts whose slice of the panel stays
// near; a variant computes all tiles of a block for one panel and one part of the depth.
//
//  * No alignment is needed; nothing is read outside of the depth's channels, the panel, `n` elements of bias and
//    residual, and nothing but `n` elements of each row of y and the block's part of `sums` is written.
//  * An element is one chain of fused multiply-adds from zero over taps, then channels, in rising order, continued from
//    `sums` where the depth is cut; then bias, residual and activation, each step rounded. So all tiers agree to the
//    bit, whatever the tiles, and NaN and infinities spread as in that chain.
//  * Error of a chain: <= depth * 2^-24 * sum |x w|.
#pragma once

#include "kernels/activation.h"
#include "kernels/kernel.h"

// Consecutive rows of output. Where `x` is set, row i reads tap t at x + i * step + taps[t]; else at
// rows[t * count + i], t from the first tap of the whole depth on; rows[t * count] NULL: nothing of tap t is read, as
// if it were zeros.
typedef struct igemm_f32_tile {
  const float *x;
  const float *const *rows;
  size_t count;  // of rows, 1 .. what the kernel says
  size_t first;  // row in the block: place in `sums`
  size_t place;  // of the first row in y and residual, in pixels
} igemm_f32_tile;

typedef struct igemm_f32_sweep {
  const igemm_f32_tile *tiles;
  size_t tile_count;
  // This part of the depth: channels [channel, channel + depth) of taps [tap, tap + tap_count). Taps of one channel
  // cost no more than channels of one tap.
  const ptrdiff_t *taps;  // from the first of them on
  size_t tap, tap_count, step, channel, depth;
  const float *panel;  // [tap_count][depth][width]
  size_t width;        // 1, 3 or an even number up to `main` of the kernel's units
  bool ahead;          // what lies behind this part of the panel is needed next, and comes from afar
  bool y_afar;         // y does: its lines are asked for before they are written
  // A block of one row takes several panels of this width, an even number of units, side by side: their chains overlap.
  // The depth is then whole, `sums` and n are those of all panels together. panel_stride: floats from one to the next.
  size_t panels, panel_stride;
  float *sums;                   // [rows of the block][width]: between parts of the depth, and behind them
  bool first, last;              // part of the depth; only the last writes y
  size_t n;                      // columns that exist
  const float *bias, *residual;  // NULL: none
  float *y;
  // From one pixel to the next; a tile's rows are `pixel_step` pixels apart.
  size_t y_stride, residual_stride, pixel_step;
  activation act;
  activation_fn activate;  // activation_find(act.kind)
} igemm_f32_sweep;

enum { IGEMM_F32_UNITS = 6 };

typedef struct igemm_f32_kernel {
  uint8_t unit;                       // floats
  uint8_t main;                       // an even number of units, the widest panel but for 3; at most IGEMM_F32_UNITS
  uint8_t rows[IGEMM_F32_UNITS + 1];  // most rows of a tile, by the panel's units
  void (*sweep)(const igemm_f32_sweep *s);
} igemm_f32_kernel;
