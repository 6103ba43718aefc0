// SPDX-License-Identifier: Apache-2.0
// What functions share: how they ask for their arguments, wherever these stand in the call or in the configuration.
#pragma once

#include "convert/keras.h"

const json_t *keras_op_option(const keras_call *call, size_t place, const char *name);
const json_t *keras_op_either(const keras_call *call, size_t place, const char *name, const char *other);
int64_t keras_op_whole(const json_t *value, int64_t missing);
bool keras_op_constant(keras_call *call, const json_t *j, sdx_dtype like, keras_tensor *t);
bool keras_op_operand(keras_call *call, size_t place, const char *name, const char *other, sdx_dtype like,
                      keras_tensor *t);
bool keras_op_is_tensor(const keras_call *call, size_t place, const char *name, const char *other);
bool keras_op_read_axes(keras_call *call, const keras_tensor *x, const json_t *j, int64_t *axes, size_t *count);

// Two rows: the class of Keras 3, the TensorFlow function of Keras 2.
#define BOTH(keras_name, tf_name, emit, op) \
  {keras_name, emit, 0, op}, { tf_name, emit, 0, op }
