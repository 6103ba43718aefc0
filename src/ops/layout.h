// SPDX-License-Identifier: Apache-2.0
// Layouts: in which order the elements of a value lie in memory. Shapes are ONNX's whatever the layout, so graphs,
// passes and inference know nothing of it; a planned value's tensor lists its dimensions in the order of memory,
// outermost first. A record says through `layouts` what its operator takes and gives; the plan chooses, and reorders
// where it must.
#pragma once

#include "graph/graph.h"

typedef struct op_step op_step;

typedef enum layout { LAYOUT_ONNX, LAYOUT_CHANNELS_LAST } layout;

static inline const char *layout_name(layout l) { return l == LAYOUT_ONNX ? "onnx" : "channels_last"; }

// Where dimension `axis` of a shape lies in memory, and the dimensions in that order. Ranks below 3 have one layout.
static inline size_t layout_axis(layout l, size_t rank, size_t axis) {
  if (l == LAYOUT_ONNX || rank < 3 || axis == 0) return axis;
  return axis == 1 ? rank - 1 : axis - 1;
}
static inline void layout_dims(layout l, size_t rank, const int64_t *shape, int64_t *memory) {
  for (size_t i = 0; i < rank; i++) memory[layout_axis(l, rank, i)] = shape[i];
}
// Elements lie alike in both layouts: one channel, or one pixel.
static inline bool layout_is_moot(size_t rank, const int64_t *shape) {
  int64_t pixels = 1;
  for (size_t i = 2; i < rank; i++) pixels *= shape[i] == 1 ? 1 : 2;
  return rank < 3 || shape[1] == 1 || pixels == 1;
}
// Strings and packed elements are always in ONNX's order.
static inline bool layout_fits(const type_info *t) {
  return t->kind == TYPE_TENSOR && t->dtype != SDX_STRING && !dtype_is_packed((sdx_dtype)t->dtype);
}

// What an input or an output lies in.
typedef enum port {
  PORT_ONNX,           // the preset
  PORT_CHANNELS_LAST,  //
  PORT_CHOSEN,         // what is chosen for the step
  PORT_ANY,            // inputs: whatever it is; the step looks at the tensor
  PORT_BROADCAST,      // inputs of a lower rank than output 0 whose elements lie alike in both layouts: where channels
                       // last are chosen, the tensor has output 0's rank and order of dimensions
} port;

typedef struct step_layouts {
  uint8_t *in, *out;  // port of each
  int64_t gain;       // so many bytes may be reordered to have the step in channels-last
  bool view;          // where channels last are chosen, output 0 is input 0's bytes: nothing is computed
} step_layouts;

// The `layouts` of operators that find their axes with step_axis: all inputs and outputs lie as is chosen.
void layouts_follow(op_step *c, step_layouts *l);
