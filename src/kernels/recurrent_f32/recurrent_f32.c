// SPDX-License-Identifier: Apache-2.0
// Driver of recurrent_f32: packing, and the order of panels and tiles.
#include "kernels/recurrent_f32/recurrent_f32.h"

#include <string.h>

#include "base/size.h"

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// Width of the panel or tile that starts at `column`.
static size_t width_at(const recurrent_f32_kernel *v, size_t width, size_t columns, size_t column) {
  size_t rest = columns - column;
  return rest >= width || width != v->panel ? width : (rest + v->lanes - 1) / v->lanes * v->lanes;
}

size_t recurrent_f32_packed(const recurrent_f32_kernel *v, size_t width, size_t depth, size_t columns) {
  size_t count = 0;
  if (!size_add(columns, width, &count) || !size_mul(count, depth, &count) || count > SIZE_MAX / 4096) return 0;
  size_t whole = columns / width * width;
  return (whole + (whole < columns ? width_at(v, width, columns, whole) : 0)) * depth;
}

void recurrent_f32_pack(const recurrent_f32_kernel *v, size_t width, const float *weights, size_t depth, size_t columns,
                        float *packed) {
  for (size_t first = 0; first < columns; first += width) {
    size_t wide = width_at(v, width, columns, first), live = least(wide, columns - first);
    for (size_t k = 0; k < depth; k++, packed += wide) {
      for (size_t j = 0; j < live; j++) packed[j] = weights[(first + j) * depth + k];
      memset(packed + live, 0, (wide - live) * sizeof *packed);
    }
  }
}

void recurrent_f32_finish(const recurrent_f32_kernel *v, recurrent_f32_ahead *ahead) {
  for (; ahead->next < ahead->tiles; ahead->next++) v->tile(ahead, ahead->next);
}

void recurrent_f32_row(const recurrent_f32_kernel *v, const float *r, size_t depth, size_t columns, const float *h,
                       float *y, bool backwards, recurrent_f32_ahead *ahead) {
  size_t panels = (columns + v->panel - 1) / v->panel;
  for (size_t i = 0; i < panels; i++) {
    size_t first = (backwards ? panels - 1 - i : i) * v->panel, live = least(v->panel, columns - first);
    bool carries = live == v->panel && ahead->next < ahead->tiles;
    v->panel_step(r + first * depth, depth, h, y + first, live, carries ? ahead : NULL, ahead->next);
    ahead->next += carries;
  }
}
