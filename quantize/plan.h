// SPDX-License-Identifier: Apache-2.0
// What a plan holds (plan.c), for emit.c.
#pragma once

#include "quantize/quantize.h"

struct quantize_plan {
  sdx_builder *builder;
  sdx_graph *graph;
  size_t ref_count;
  bool *quantised;  // by sdx_ref: the value becomes bytes and float again
  sdx_ref *alias;   // by sdx_ref: has the scale of another; 0: of its own
  sdx_ref *source;  // by sdx_ref: the quantised value that it depends on element by element; 0: none
  struct readers {
    size_t nodes, outputs;
    size_t last;   // a node that reads it
  } * readers;     // by sdx_ref
  bool *on_bytes;  // by node: its inputs are read as bytes
  size_t node_count;
  sdx_ref *values;  // that are quantised, in order
  size_t value_count;
  quantize_layer *layers;
  size_t layer_count;
};

sdx_ref plan_scale_of(const quantize_plan *p, sdx_ref v);  // follows aliases
