// SPDX-License-Identifier: Apache-2.0
// Caffe: what its files share. caffe.c finds the net and its weights, which may be two files, and walks over layers;
// caffe_<family>.c turn them into nodes, one row of a table a type; caffe_proto.c has the tables of messages.
#pragma once

#include "convert/net.h"
#include "convert/proto.h"

enum { CAFFE_VALUES = 64 };

extern const wire_schema caffe_net_type, caffe_blob_type;

typedef struct caffe {
  conversion *c;
  net n;
  proto net, weights;  // the layers, and where their blobs are: the same, unless a file beside it has them
  bool has_weights;
  str_map weights_of;  // layers with blobs, by name
  proto *with_blobs;
  size_t with_blobs_count;
  str_map names;  // of values
  net_tensor *values;
  size_t value_count;
  size_t untold;     // inputs so far whose shape a walk over the net has to find
  net_tensor first;  // the first input, whose size some layers go by
} caffe;

typedef struct caffe_layer {
  caffe *f;
  net *n;
  proto message, old;  // old: of version 0, where its parameters are
  bool is_old;
  const struct caffe_kind *kind;
  net_tensor in[CAFFE_VALUES], out[CAFFE_VALUES];
  size_t in_count, out_count;
} caffe_layer;

typedef struct caffe_kind {
  const char *type;  // "Convolution"
  void (*emit)(caffe_layer *l);
  const char *op;     // what several rows differ in
  const char *param;  // field with its parameters
} caffe_kind;
extern const caffe_kind caffe_window_kinds[], caffe_value_kinds[], caffe_shape_kinds[];

// The message with the layer's parameters: empty where it has none.
proto caffe_params(const caffe_layer *l);
// The layer's blob by its place, with its shape. False: it has none, which was reported.
bool caffe_blob(caffe_layer *l, size_t index, net_numbers *w, net_tensor *shape);
// Such a blob as a constant of this shape.
net_tensor caffe_weight(caffe_layer *l, size_t index, const char *part, size_t rank, const int64_t *shape);
// The axis of a parameter, or of its older name.
bool caffe_axis(caffe_layer *l, const proto *p, const char *name, const char *older, size_t *axis);
