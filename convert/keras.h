// SPDX-License-Identifier: Apache-2.0
// Keras: what its files share. keras.c opens a file, keras_model.c walks over layers, keras_weights.c finds their
// weights; keras_<family>.c turn layers into nodes, one row of a table a class. Data stays as Keras has it (channels
// last); Transpose stands around what ONNX wants otherwise. Read next: keras_model.c, keras_core.c.
#pragma once

#include <jansson.h>

#include "convert/format.h"
#include "convert/hdf5.h"
#include "convert/net.h"

enum { KERAS_RANK = NET_RANK, KERAS_DEPTH = 24, KERAS_OUTPUTS = 16, KERAS_STATES = 64 };
_Static_assert((int)HDF5_RANK <= (int)KERAS_RANK, "weights have dimensions that values cannot have");

// A value as Keras sees it. shape: -1 where it is not known.
typedef struct keras_tensor {
  sdx_ref ref;
  sdx_dtype dtype;
  size_t rank;
  int64_t shape[KERAS_RANK];
  sdx_ref mask;  // bool [batch, steps]; 0: none
} keras_tensor;

typedef struct keras {
  conversion *c;
  sdx_graph *graph;  // the one that is added to: the model's, or a body
  hdf5 h5;
  int64_t version;    // 1, 2, 3: of the program that saved it
  bool by_position;   // weights are lists (model.h5), not named after attributes (.keras)
  str_map constants;  // made already, by weight and form
  str_map nodes;      // how many have a name
  const struct keras_asset { str path, bytes; } * assets;  // of .keras
  size_t asset_count;
  unsigned depth;      // models and layers within each other
  size_t state_count;  // of layers that keep theirs from call to call
  sdx_ref state_inputs[KERAS_STATES];
  keras_tensor states[KERAS_STATES];  // what comes out
} keras;

// Where the weights of a layer lie: a list of arrays in the layer's order, or a group of named parts.
typedef struct keras_store {
  const uint64_t *list;
  const str *names;  // of the list
  size_t count;
  uint64_t group;  // 0: it has none
  str path;        // of the group
} keras_store;

typedef struct keras_layer {
  const char *name;  // with the models around it: "encoder/dense"
  const char *class_name;
  const json_t *config;
  keras_store store;
  bool gives_output;  // of the whole model, which gets the name
} keras_layer;

// One call of a layer.
typedef struct keras_call {
  keras *k;
  const keras_layer *layer;
  const json_t *config;
  sdx_dtype dtype;  // in which the layer computes
  const keras_tensor *in;
  size_t in_count;
  bool by_place;                    // arguments is a list of all; else it is the first, and the others have names
  const json_t *arguments, *named;  // as they are written
  const keras_tensor *(*resolve)(void *context, const json_t *argument);  // NULL: no tensor
  void *context;
  size_t next_weight;  // of a list
  const struct keras_kind *emit_kind;
  keras_tensor out[KERAS_OUTPUTS];
  size_t out_count;
} keras_call;

typedef struct keras_kind {
  const char *name;  // class, or function
  void (*emit)(keras_call *call);
  enum { KERAS_KEEPS_MASK = 1, KERAS_ANY_TYPE = 2, KERAS_TAKES_MASK = 4 } flags;
  const char *op;  // what several rows differ in
} keras_kind;
// Tables, ended by a row without a name.
extern const keras_kind keras_core_kinds[], keras_merge_kinds[], keras_activation_kinds[], keras_conv_kinds[],
    keras_pool_kinds[], keras_norm_kinds[], keras_rnn_kinds[], keras_conv_lstm_kinds[], keras_attention_kinds[],
    keras_preprocessing_kinds[];
extern const keras_kind keras_function_kinds[], keras_op_kinds[], keras_shape_op_kinds[];  // of keras.ops and tf
const keras_kind *keras_find_layer(const char *class_name);
const keras_kind *keras_find_op(const char *name);

// ---- problems ---------------------------------------------------------------------------------------

sdx_status keras_fail(const keras_call *call, sdx_status status, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

// ---- configurations ---------------------------------------------------------------------------------

const char *keras_text(const json_t *config, const char *key, const char *missing);
bool keras_flag(const json_t *config, const char *key, bool missing);
int64_t keras_int(const json_t *config, const char *key, int64_t missing);
double keras_number(const json_t *config, const char *key, double missing);
// One number for all or a list of `count`; fails where it is neither.
bool keras_ints(keras_call *call, const char *key, size_t count, int64_t missing, int64_t *numbers);
bool keras_channels_first(const keras_call *call);
size_t keras_space(const keras_call *call);  // dimensions of space: the digit in "Conv2D"
bool keras_axis(keras_call *call, const keras_tensor *x, int64_t axis, size_t *at);
const char *keras_layer_name(const json_t *layer);
sdx_dtype keras_dtype(const char *name);        // SDX_UNDEFINED: not known
const char *keras_class(const json_t *object);  // of {"class_name": ...}; "" if there is none

// ---- weights ----------------------------------------------------------------------------------------

// Of a layer within a model; `used` counts classes.
bool keras_find_store(keras *k, const keras_store *model, str_map *used, const json_t *layer, keras_store *store);
// The next weight in the layer's order. part: the attribute of the layer that has it, "" itself; index: within it.
bool keras_weight(keras_call *call, const char *part, unsigned index, hdf5_array *w);
// Fails where the shape is another; -1 fits all.
bool keras_expect(keras_call *call, const char *name, const hdf5_array *w, size_t rank, const int64_t *shape);
net_numbers keras_numbers(const hdf5_array *w);
sdx_ref keras_pieces(keras_call *call, const char *name, sdx_dtype dtype, size_t rank, const int64_t *shape,
                     size_t count, const net_piece *pieces);
// The whole array, its dimensions in another order (NULL: as they are).
sdx_ref keras_constant(keras_call *call, const char *name, sdx_dtype dtype, const hdf5_array *w, const int64_t *order);
// The next weight as it is, of this shape. 0 on failure.
sdx_ref keras_next(keras_call *call, const char *part, unsigned index, const char *name, size_t rank,
                   const int64_t *shape);
// Numbers of the configuration.
sdx_ref keras_floats(keras_call *call, sdx_dtype dtype, size_t rank, const int64_t *shape, const double *numbers);

// ---- nodes ------------------------------------------------------------------------------------------

// Named after the layer, or LAYER/PART.
sdx_ref keras_node(const keras_call *call, const char *op, const char *part, size_t count, const sdx_ref *inputs);
keras_tensor keras_like(keras_tensor x, sdx_ref ref);
keras_tensor keras_apply(const keras_call *call, const char *op, const char *part, keras_tensor x);  // same shape
keras_tensor keras_cast(const keras_call *call, keras_tensor x, sdx_dtype to);
keras_tensor keras_transpose(const keras_call *call, keras_tensor x, const int64_t *order);
// spec: as Reshape's; shape: what comes out.
keras_tensor keras_reshape(const keras_call *call, keras_tensor x, size_t rank, const int64_t *spec,
                           const int64_t *shape);
keras_tensor keras_unsqueeze(const keras_call *call, keras_tensor x, size_t axis);
keras_tensor keras_squeeze(const keras_call *call, keras_tensor x, size_t axis);
keras_tensor keras_slice(const keras_call *call, keras_tensor x, size_t axis, int64_t from, int64_t to, int64_t step);
keras_tensor keras_scale(const keras_call *call, const char *op, const char *part, keras_tensor x, double number);
keras_tensor keras_binary(keras_call *call, const char *op, const char *part, keras_tensor a, keras_tensor b);
keras_tensor keras_reduce(const keras_call *call, const char *op, keras_tensor x, size_t count, const int64_t *axes,
                          bool keep);
keras_tensor keras_pad(const keras_call *call, keras_tensor x, const char *mode, double value, const int64_t *before,
                       const int64_t *after);
// Its dimensions, 1-D int64, from one to another.
sdx_ref keras_shape(const keras_call *call, keras_tensor x, int64_t from, int64_t to);
// Channels to the second place and back, where the data has them last.
keras_tensor keras_to_first(const keras_call *call, keras_tensor x);
keras_tensor keras_to_last(const keras_call *call, keras_tensor x);
// Bicubic, [batch, channels, height, width], to sizes that are scalars.
keras_tensor keras_resize_cubic(const keras_call *call, keras_tensor x, sdx_ref height, sdx_ref width);
bool keras_broadcast(keras_call *call, keras_tensor a, keras_tensor b, keras_tensor *shape);

// ---- layers -----------------------------------------------------------------------------------------

bool keras_is_float(sdx_dtype dtype);
bool keras_is_model(const char *class_name);
const keras_kind *keras_find_kind(const json_t *layer);  // NULL: not converted
bool keras_emit_call(keras_call *call, const json_t *layer);
void keras_give(keras_call *call, keras_tensor x);  // the next result
// An input of the whole model that a layer's state of the call before comes in by; states[] is to be set.
bool keras_add_state(keras_call *call, const char *part, size_t rank, const int64_t *shape, keras_tensor *t);
// All tensors within an argument, at most `room`; how many.
size_t keras_tensors(const keras_call *call, const json_t *argument, keras_tensor *to, size_t room);
keras_tensor keras_activate(keras_call *call, keras_tensor x, const json_t *activation, const char *part);
// The activation under `key` of the configuration.
keras_tensor keras_activated(keras_call *call, keras_tensor x, const char *key);
const char *keras_activation_name(const json_t *activation);  // NULL: it is no plain function
// A layer within a layer: its results are in `inner`.
// Argument of a call by its place or its name; NULL: not given.
const json_t *keras_argument(const keras_call *call, size_t place, const char *name);
const keras_tensor *keras_tensor_argument(const keras_call *call, size_t place, const char *name);
bool keras_call_inner(keras_call *call, const json_t *layer, const char *part, keras_store store, size_t count,
                      const keras_tensor *in, keras_call *inner);
bool keras_part(keras_call *call, const char *part, keras_store *store);  // of a layer's store
// The model of a file, and a model that another calls.
sdx_status keras_emit_whole(keras *k, const json_t *model, keras_store store);
sdx_status keras_emit_model(keras *k, const char *scope, const json_t *model, keras_store store, size_t count,
                            const keras_tensor *in, keras_tensor *out, size_t *out_count);
