// SPDX-License-Identifier: Apache-2.0
// One call of a layer: what it computes in, which function of the tables makes nodes of it, its arguments.
#include <string.h>

#include "convert/keras.h"

bool keras_is_model(const char *class_name) {
  return !strcmp(class_name, "Functional") || !strcmp(class_name, "Model") || !strcmp(class_name, "Sequential");
}

bool keras_is_float(sdx_dtype dtype) { return dtype == SDX_FLOAT || dtype == SDX_DOUBLE || dtype == SDX_FLOAT16; }

// The type in which a layer computes, from its policy.
static bool read_policy(keras_call *call) {
  const json_t *policy = json_object_get(call->config, "dtype");
  const char *name = json_is_object(policy) ? keras_text(json_object_get(policy, "config"), "name", "float32")
                                            : keras_text(call->config, "dtype", "float32");
  call->dtype = keras_dtype(name);
  if (!strcmp(name, "bfloat16") || !strcmp(name, "mixed_bfloat16"))
    convert_note(call->k->c, "layer '%s' computes in float32, not in bfloat16", call->layer->name);
  if (!keras_is_float(call->dtype) && call->dtype != SDX_UNDEFINED) call->dtype = SDX_FLOAT;
  if (call->dtype) return true;
  return !keras_fail(call, SDX_NOT_SUPPORTED, "save the model without quantization", "its type '%s' is not known",
                     name);
}

// Whether it is a function of Keras 3 ("keras.src.ops") or a TensorFlow function of Keras 2, no layer.
const keras_kind *keras_find_kind(const json_t *layer) {
  const char *class_name = keras_class(layer), *module = keras_text(layer, "module", "");
  const json_t *config = json_object_get(layer, "config");
  if (!strcmp(class_name, "TFOpLambda")) return keras_find_op(keras_text(config, "function", ""));
  if (!strcmp(class_name, "SlicingOpLambda")) return keras_find_op("GetItem");
  bool bare = !*module && !json_object_get(config, "trainable") && !json_object_get(config, "dtype") &&
              json_is_object(json_array_get(json_object_get(layer, "inbound_nodes"), 0));
  return strstr(module, ".ops") || bare ? keras_find_op(class_name) : keras_find_layer(class_name);
}

static bool call_model(keras_call *call, const json_t *model) {
  return !keras_emit_model(call->k, call->layer->name, model, call->layer->store, call->in_count, call->in, call->out,
                           &call->out_count);
}

static bool call_kind(keras_call *call, const keras_kind *kind, bool is_layer) {
  keras_tensor *in = arena_array(call->k->c->memory, call->in_count + 1, sizeof *in);
  if (!in) return !convert_no_memory(call->k->c);
  for (size_t i = 0; i < call->in_count; i++) {
    bool cast =
        is_layer && !(kind->flags & KERAS_ANY_TYPE) && call->in[i].dtype != SDX_BOOL && call->in[i].dtype != SDX_STRING;
    in[i] = cast ? keras_cast(call, call->in[i], call->dtype) : call->in[i];
  }
  call->in = in;
  if (!call->in_count) return !keras_fail(call, SDX_INVALID_MODEL, NULL, "it is called without an input");
  call->emit_kind = kind;
  kind->emit(call);
  if (convert_failed(call->k->c)) return false;
  for (size_t i = 0; i < call->out_count; i++)
    if (!(kind->flags & (KERAS_KEEPS_MASK | KERAS_TAKES_MASK))) call->out[i].mask = 0;
  return call->out_count > 0;
}

bool keras_emit_call(keras_call *call, const json_t *layer) {
  keras *k = call->k;
  bool good = false;
  if (++k->depth > KERAS_DEPTH)
    keras_fail(call, SDX_LIMIT_EXCEEDED, NULL, "layers within layers, more than %d deep", KERAS_DEPTH);
  else if (keras_is_model(call->layer->class_name)) good = call_model(call, layer);
  else if (read_policy(call))
    good = call_kind(call, keras_find_kind(layer), !strstr(keras_text(layer, "module", ""), ".ops"));
  k->depth--;
  return good;
}

const json_t *keras_argument(const keras_call *call, size_t place, const char *name) {
  const json_t *named = json_object_get(call->named, name);
  if (named) return named;
  if (call->by_place) return json_array_get(call->arguments, place);
  if (place) return NULL;
  const json_t *first = json_array_get(call->arguments, 0);  // of a list, unless there is but one
  return json_is_string(first) ? call->arguments : first;
}

const keras_tensor *keras_tensor_argument(const keras_call *call, size_t place, const char *name) {
  const json_t *argument = keras_argument(call, place, name);
  return argument && call->resolve ? call->resolve(call->context, argument) : NULL;
}

size_t keras_tensors(const keras_call *call, const json_t *argument, keras_tensor *to, size_t room) {
  const keras_tensor *one = argument && call->resolve ? call->resolve(call->context, argument) : NULL;
  size_t count = 0;
  if (one && room) to[count++] = *one;
  for (size_t i = 0; !one && call->resolve && i < json_array_size(argument) && count < room; i++) {
    const keras_tensor *t = call->resolve(call->context, json_array_get(argument, i));
    if (t) to[count++] = *t;
  }
  return count;
}

bool keras_call_inner(keras_call *call, const json_t *json, const char *part, keras_store store, size_t count,
                      const keras_tensor *in, keras_call *inner) {
  keras_layer *layer = arena_array(call->k->c->memory, 1, sizeof *layer);
  char *name = arena_format(call->k->c->memory, "%s/%s", call->layer->name, part);
  if (!layer || !name) return !convert_no_memory(call->k->c);
  const json_t *config = json_object_get(json, "config");
  *layer = (keras_layer){.name = name, .class_name = keras_class(json), .config = config, .store = store};
  *inner = (keras_call){
      .k = call->k, .layer = layer, .config = config, .in = in, .in_count = count, .next_weight = call->next_weight};
  bool good = keras_emit_call(inner, json);
  call->next_weight = inner->next_weight;
  return good;
}
