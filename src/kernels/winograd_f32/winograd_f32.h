// SPDX-License-Identifier: Apache-2.0
// Convolution 3 x 3 of stride 1 on channels-last floats by Winograd's F(2x2, 3x3) or F(4x4, 3x3): tiles of 2 x 2
// outputs take 16 products where the definition takes 36, tiles of 4 x 4 take 36 where it takes 144. Shape, call and
// strides are those of conv_nhwc_f32, over which this is a driver: the products are a convolution 1 x 1 of so many
// groups, whose pixels are the tiles. Use: where winograd_f32_suits, make a plan once per shape, pack the weights, run
// with plan.scratch_bytes.
//
//  * Error of tiles of 2: <= 2^-20 * (channels + 16) * sum over channels of the largest |x| of the tile times the sum
//  of
//    |w|; on average below that of conv_nhwc_f32, whose chains are nine times as long: good for precision `highest`.
//    Tiles of 4, with points 0, 3/4, -3/4, 3/2, -3/2: eight times that bound, on average three times the error of
//    chains: for `high`. Bias, residual and activation follow, each rounded.
//  * An image with a value that is not below 2^50, infinities and NaN among them, has the bits of conv_nhwc_f32; all
//    have if a weight is not below 2^40.
//  * Same bits for any number of threads and any batch neighbour.
#pragma once

#include "kernels/conv_nhwc_f32/conv_nhwc_f32.h"

enum { WINOGRAD_F32_PARTS = 36, WINOGRAD_F32_PIXELS = 16 };  // of the larger tile

// A tile of t x t outputs on its way in and out. The order of additions is fixed: all variants give the same bits.
typedef struct winograd_f32_transforms {
  // (t + 2) x (t + 2) pixels, row-major, become as many parts, `channels` floats each.
  void (*input)(const float *const *pixels, size_t channels, float *parts);
  // The parts become t x t pixels. residual: NULL or as many pixels, which may be those of y.
  void (*output)(const float *parts, size_t channels, const float *bias, const float *const *residual,
                 const activation_limits *limits, float *const *y);
} winograd_f32_transforms;

typedef struct winograd_f32_kernel {
  winograd_f32_transforms of_2, of_4;
  // Whether all are below `limit` without their signs.
  bool (*below)(const float *x, size_t n, float limit);
} winograd_f32_kernel;

typedef struct winograd_f32_plan {
  conv_nhwc_f32_shape shape;
  const winograd_f32_kernel *kernel;
  const winograd_f32_transforms *transforms;
  char name[40];                // kernel shown by inspect
  size_t tile, side, parts;     // outputs and inputs along a side, products
  conv_nhwc_f32_plan products;  // of a block
  conv_nhwc_f32_plan direct;    // of an image
  size_t rows, columns;         // of tiles
  size_t block, blocks;         // tiles of a block, blocks of an image
  size_t parts_stride, sums_stride, worker_bytes;
  size_t packed_bytes, scratch_bytes;
} winograd_f32_plan;

// Where it is faster, by the shape of image and weights alone; measured. tile: 2 or 4.
bool winograd_f32_suits(const conv_nhwc_f32_shape *shape, size_t tile);
// false: a size overflows, or the shape is none for Winograd.
bool winograd_f32_plan_init(winograd_f32_plan *plan, const conv_nhwc_f32_shape *shape, size_t tile);
// The same with given variants (tests and benchmarks).
bool winograd_f32_plan_with(winograd_f32_plan *plan, const conv_nhwc_f32_shape *shape, size_t tile,
                            const winograd_f32_kernel *kernel, const kernel_entry *products);
// weights: [out_channels][in_channels][3][3]; packed: plan.packed_bytes, 64-byte aligned. scratch: as many bytes.
void winograd_f32_pack(const winograd_f32_plan *plan, const float *weights, void *packed, void *scratch);
pack_format winograd_f32_format(const winograd_f32_plan *plan);  // groups: the parts
// weights: as packed; read where an image is computed directly. scratch: 64-byte aligned.
void winograd_f32_run(const winograd_f32_plan *plan, const conv_nhwc_f32_call *call, const float *weights,
                      void *scratch);
