// SPDX-License-Identifier: Apache-2.0
// Configurations of layers: JSON that nobody trusts, asked key by key.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convert/keras.h"

sdx_status keras_fail(const keras_call *call, sdx_status status, const char *hint, const char *format, ...) {
  char place[300], message[400];
  snprintf(place, sizeof place, "layer '%s' (%s)", call->layer->name, call->layer->class_name);
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  return convert_fail(call->k->c, status, place, hint, "%s", message);
}

const char *keras_text(const json_t *config, const char *key, const char *missing) {
  const char *text = json_string_value(json_object_get(config, key));
  return text ? text : missing;
}

bool keras_flag(const json_t *config, const char *key, bool missing) {
  const json_t *value = json_object_get(config, key);
  return json_is_boolean(value) ? json_is_true(value) : json_is_number(value) ? json_number_value(value) != 0 : missing;
}

static int64_t whole(const json_t *value, int64_t missing) {
  double number = json_number_value(value);
  if (json_is_integer(value)) return json_integer_value(value);
  return json_is_real(value) && number > -1e15 && number < 1e15 ? (int64_t)number : missing;
}

int64_t keras_int(const json_t *config, const char *key, int64_t missing) {
  return whole(json_object_get(config, key), missing);
}

double keras_number(const json_t *config, const char *key, double missing) {
  const json_t *value = json_object_get(config, key);
  return json_is_number(value) ? json_number_value(value) : missing;
}

bool keras_ints(keras_call *call, const char *key, size_t count, int64_t missing, int64_t *numbers) {
  const json_t *value = json_object_get(call->config, key);
  bool list = json_is_array(value);
  if (list && json_array_size(value) == 1) value = json_array_get(value, 0), list = false;
  if (list && json_array_size(value) != count)
    return !keras_fail(call, SDX_INVALID_MODEL, NULL, "%s has %zu numbers, expected %zu", key, json_array_size(value),
                       count);
  for (size_t i = 0; i < count; i++) {
    numbers[i] = whole(list ? json_array_get(value, i) : value, missing);
    if (numbers[i] < 0 || numbers[i] > INT32_MAX)
      return !keras_fail(call, SDX_INVALID_MODEL, NULL, "%s is %lld", key, (long long)numbers[i]);
  }
  return true;
}

bool keras_channels_first(const keras_call *call) {
  if (!strcmp(keras_text(call->config, "dim_ordering", ""), "th")) return true;  // of Keras 1
  return !strcmp(keras_text(call->config, "data_format", "channels_last"), "channels_first");
}

bool keras_axis(keras_call *call, const keras_tensor *x, int64_t axis, size_t *at) {
  int64_t rank = (int64_t)x->rank;
  *at = (size_t)(axis < 0 ? axis + rank : axis);
  if (axis >= -rank && axis < rank) return true;
  return !keras_fail(call, SDX_INVALID_MODEL, NULL, "axis %lld of an input of rank %zu", (long long)axis, x->rank);
}

sdx_dtype keras_dtype(const char *name) {
  static const struct {
    const char *name;
    sdx_dtype dtype;
  } types[] = {{"float32", SDX_FLOAT},  {"float64", SDX_DOUBLE},        {"float16", SDX_FLOAT16},
               {"bfloat16", SDX_FLOAT}, {"int32", SDX_INT32},           {"int64", SDX_INT64},
               {"bool", SDX_BOOL},      {"string", SDX_STRING},         {"uint8", SDX_UINT8},
               {"int8", SDX_INT8},      {"int16", SDX_INT16},           {"uint16", SDX_UINT16},
               {"uint32", SDX_UINT32},  {"uint64", SDX_UINT64},         {"float", SDX_FLOAT},
               {"int", SDX_INT32},      {"mixed_float16", SDX_FLOAT16}, {"mixed_bfloat16", SDX_FLOAT}};
  for (size_t i = 0; name && i < sizeof types / sizeof *types; i++)
    if (!strcmp(name, types[i].name)) return types[i].dtype;
  return SDX_UNDEFINED;
}

const char *keras_class(const json_t *object) { return keras_text(object, "class_name", ""); }

const char *keras_layer_name(const json_t *layer) {
  return keras_text(json_object_get(layer, "config"), "name", keras_text(layer, "name", ""));
}

size_t keras_space(const keras_call *call) {
  const char *digit = strpbrk(call->layer->class_name, "123");
  return digit ? (size_t)(*digit - '0') : 2;
}
