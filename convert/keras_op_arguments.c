// SPDX-License-Identifier: Apache-2.0
// Arguments of functions: values, numbers and options, in the forms of Keras 2 and Keras 3.
#include <string.h>

#include "base/size.h"
#include "convert/keras_op.h"

const json_t *keras_op_option(const keras_call *call, size_t place, const char *name) {
  const json_t *value = json_object_get(call->config, name);
  const json_t *given = place || json_object_get(call->named, name) ? keras_argument(call, place, name) : NULL;
  return given ? given : value;
}

const json_t *keras_op_either(const keras_call *call, size_t place, const char *name, const char *other) {
  const json_t *value = keras_op_option(call, place, name);
  return value ? value : keras_op_option(call, place, other);
}

int64_t keras_op_whole(const json_t *value, int64_t missing) {
  return json_is_integer(value) ? json_integer_value(value) : missing;
}

// Numbers within lists within lists. False: something else is among them.
static bool read_numbers(const json_t *j, size_t depth, keras_tensor *t, double *to, size_t room, size_t *count) {
  if (json_is_number(j) || json_is_boolean(j)) {
    if (*count < room && to) to[*count] = json_is_number(j) ? json_number_value(j) : json_is_true(j);
    return ++*count <= room;
  }
  size_t n = json_array_size(j);
  if (!json_is_array(j) || depth == KERAS_RANK || (depth < t->rank && t->shape[depth] != (int64_t)n)) return false;
  if (depth >= t->rank) t->shape[t->rank++] = (int64_t)n;
  for (size_t i = 0; i < n; i++)
    if (!read_numbers(json_array_get(j, i), depth + 1, t, to, room, count)) return false;
  return true;
}

bool keras_op_constant(keras_call *call, const json_t *j, sdx_dtype like, keras_tensor *t) {
  enum { MOST = 1 << 22 };
  size_t count = 0, again = 0, all;
  *t = (keras_tensor){.dtype = like};
  const json_t *inner = json_object_get(j, "config");
  if (json_is_object(inner)) j = json_object_get(inner, "value");
  if (!read_numbers(j, 0, t, NULL, MOST, &count) || !size_product(t->shape, t->rank, &all) || all != count)
    return !keras_fail(call, SDX_NOT_SUPPORTED, NULL, "an argument is neither a value nor numbers");
  if (json_is_real(j) && !keras_is_float(like)) t->dtype = SDX_FLOAT;
  if (!t->rank) {
    t->ref = sdx_graph_add_scalar(call->k->graph, t->dtype, json_is_number(j) ? json_number_value(j) : json_is_true(j));
    return true;
  }
  double *numbers = arena_array(call->k->c->memory, count, sizeof *numbers);
  if (!numbers) return !convert_no_memory(call->k->c);
  keras_tensor shape = {0};
  read_numbers(j, 0, &shape, numbers, count, &again);
  t->ref = keras_floats(call, keras_is_float(t->dtype) || t->dtype == SDX_INT64 ? t->dtype : SDX_FLOAT, t->rank,
                        t->shape, numbers);
  if (!keras_is_float(t->dtype) && t->dtype != SDX_INT64) {
    sdx_dtype wanted = t->dtype;
    t->dtype = SDX_FLOAT;
    *t = keras_cast(call, *t, wanted);
  }
  return true;
}

static const json_t *written(const keras_call *call, size_t place, const char *name, const char *other) {
  const json_t *j = json_object_get(call->named, name);
  if (!j) j = json_object_get(call->named, other);
  if (j) return j;
  if (call->by_place) return json_array_get(call->arguments, place);
  return place ? NULL : keras_argument(call, 0, name);
}

bool keras_op_operand(keras_call *call, size_t place, const char *name, const char *other, sdx_dtype like,
                      keras_tensor *t) {
  const json_t *j = written(call, place, name, other);
  const keras_tensor *found = j ? call->resolve(call->context, j) : NULL;
  if (found) {
    *t = *found;
    return true;
  }
  const char *first = json_string_value(json_array_get(j, 0));
  if (first && !strcmp(first, "_CONSTANT_VALUE")) j = json_array_get(j, 2);
  if (j && !json_is_null(j)) return keras_op_constant(call, j, like, t);
  return !keras_fail(call, SDX_INVALID_MODEL, NULL, "the argument '%s' is missing", name);
}

bool keras_op_is_tensor(const keras_call *call, size_t place, const char *name, const char *other) {
  const json_t *j = written(call, place, name, other);
  return j && call->resolve(call->context, j);
}

// Axes as Keras takes them: none (all), a number, a list.
bool keras_op_read_axes(keras_call *call, const keras_tensor *x, const json_t *j, int64_t *axes, size_t *count) {
  bool there[KERAS_RANK] = {0};
  bool all = !j || json_is_null(j);
  for (size_t i = 0; i < x->rank; i++) there[i] = all;
  size_t n = json_is_array(j) ? json_array_size(j) : all ? 0 : 1, at;
  for (size_t i = 0; i < n; i++) {
    if (!keras_axis(call, x, keras_op_whole(json_is_array(j) ? json_array_get(j, i) : j, INT32_MAX), &at)) return false;
    there[at] = true;
  }
  *count = 0;
  for (size_t i = 0; i < x->rank; i++)
    if (there[i]) axes[(*count)++] = (int64_t)i;
  return true;
}
