// SPDX-License-Identifier: Apache-2.0
// Core ML: what its files share. coreml.c opens a file and walks over pipelines, coreml_features.c makes inputs and
// outputs of the model's description, coreml_net.c walks over neural networks, coreml_<family>.c turn layers into
// nodes, coreml_trees.c, coreml_linear.c, coreml_svm.c and coreml_columns.c are the models of tables, coreml_mil.h
// ML programs. Tables of messages: coreml_proto.c, coreml_layer_proto.c.
#pragma once

#include "convert/net.h"
#include "convert/proto.h"

enum { COREML_DEPTH = 8, COREML_LAYER_INPUTS = 64 };

// A feature of a model: a value by its name.
typedef struct coreml_feature {
  str name;
  net_tensor value;  // [N, columns] of what is a number or a text; without a dtype: a dictionary
} coreml_feature;

typedef struct coreml {
  conversion *c;
  net n;
  unsigned depth;
  coreml_feature *features;  // of the model or pipeline so far; the last of a name holds
  size_t feature_count, feature_room;
  str_map feature_of;  // by name
  bool network;        // or an ML program is in it: arrays are of floats
  bool exact;          // shapes of arrays are as declared, without a dimension for the batch
  str weights;         // of an ML program: weight.bin
  str *labels;         // names of classes, for the model's metadata
  size_t label_count;
} coreml;

extern const wire_schema coreml_model_type, coreml_description_type, coreml_layer_type, coreml_weights_type,
    coreml_activation_type, coreml_network_type;

// ---- features ---------------------------------------------------------------------------------------

void coreml_set(coreml *m, str name, net_tensor value);
bool coreml_find(coreml *m, str name, net_tensor *value);
// The value of a model's first input; false: it was reported.
bool coreml_input(coreml *m, const proto *model, net_tensor *value);
str coreml_output_name(const proto *model);                  // of the first; "" if there is none
void coreml_reserve_outputs(coreml *m, const proto *model);  // their names
void coreml_add_inputs(coreml *m, const proto *model);
void coreml_add_outputs(coreml *m, const proto *model);
// [N, columns] of all inputs, in this order, as doubles.
bool coreml_columns(coreml *m, const proto *model, net_tensor *x);
// Labels of classes and the outputs of a classifier: scores [N, classes], the largest of which is the prediction unless
// `best` (int64 [N]) says another.
typedef struct coreml_classes {
  size_t count;
  str *texts;  // NULL: they are numbers
  const int64_t *numbers;
} coreml_classes;
bool coreml_read_classes(coreml *m, const proto *classifier, coreml_classes *classes);
void coreml_classified(coreml *m, const proto *model, const coreml_classes *classes, net_tensor scores,
                       net_tensor best);
void coreml_regressed(coreml *m, const proto *model, net_tensor y);

// ---- models -----------------------------------------------------------------------------------------

typedef struct coreml_kind {
  const char *name;  // of the field of Model
  void (*emit)(coreml *m, const proto *model, const proto *params);
} coreml_kind;
extern const coreml_kind coreml_network_kinds[], coreml_tree_kinds[], coreml_linear_kinds[], coreml_svm_kinds[],
    coreml_column_kinds[], coreml_program_kinds[];

// ---- layers of neural networks ----------------------------------------------------------------------

typedef struct coreml_net coreml_net;
typedef struct coreml_layer {
  coreml *m;
  net *n;
  coreml_net *network;
  proto params;
  bool exact;  // values have their own rank; else they are [N, C] or [N, C, H, W], where N may be of a sequence
  const struct coreml_layer_kind *kind;
  net_tensor in[COREML_LAYER_INPUTS], out[COREML_LAYER_INPUTS];
  size_t in_count, out_count;  // out_count: that have names
} coreml_layer;
typedef struct coreml_layer_kind {
  const char *name;  // of the field of NeuralNetworkLayer
  void (*emit)(coreml_layer *l);
  const char *op;  // what several rows differ in
} coreml_layer_kind;
extern const coreml_layer_kind coreml_image_layers[], coreml_value_layers[], coreml_shape_layers[], coreml_rnn_layers[];

// Weights of a layer; `last`: how many numbers share a scale is their count by that of the scales.
bool coreml_weights(net *n, const proto *weights, net_numbers *w);
// A field of weights: absent, it is left without numbers. False: reported.
bool coreml_weights_of(coreml_layer *l, const char *field, net_numbers *w);
// A constant of such a field; its shape is given. `ref` 0 after a failure.
net_tensor coreml_weight(coreml_layer *l, const char *field, size_t rank, const int64_t *shape);
// [N, C, H, W] of a value of another rank, and back.
net_tensor coreml_image(coreml_layer *l, net_tensor x);
net_tensor coreml_like_input(coreml_layer *l, net_tensor y, const net_tensor *x);
