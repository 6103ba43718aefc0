// SPDX-License-Identifier: Apache-2.0
// Models: which layer is called with what. A functional model is a list of layers, each with its calls ("nodes"); a
// call refers to results of others by layer, call and place. They are taken in the order that results need.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/keras.h"

// ---- layers of a model ------------------------------------------------------------------------------

typedef struct node {
  enum { NEW, BEGUN, DONE } state;
  keras_tensor *out;
  size_t out_count;
} node;

typedef struct entry {
  const json_t *json, *calls;
  keras_layer layer;
  node *nodes;
  size_t node_count;
  bool from_one;  // calls of models within models are counted from 1 by Keras 2.4 and later
} entry;

typedef struct model {
  keras *k;
  const char *scope;  // "" or "outer/"
  keras_store store;
  entry *entries;
  size_t count;
  str_map by_name;
} model;

static const json_t *layers_of(const json_t *config) {
  return json_is_array(config) ? config : json_object_get(config, "layers");  // a bare list before Keras 2.2.3
}

static sdx_status check_layer(keras *k, const char *scope, const json_t *layer) {
  char place[300];
  const char *class_name = keras_class(layer);
  const json_t *inner = json_object_get(json_object_get(layer, "config"), "layer");
  if (keras_is_model(class_name) || !strcmp(class_name, "InputLayer")) return SDX_OK;
  if (keras_find_kind(layer)) return json_is_object(inner) ? check_layer(k, scope, inner) : SDX_OK;
  snprintf(place, sizeof place, "layer '%s%s'", scope, keras_layer_name(layer));
  const char *function = keras_text(json_object_get(layer, "config"), "function", NULL);
  if (!strcmp(class_name, "TFOpLambda"))
    return convert_fail(k->c, SDX_NOT_SUPPORTED, place, NULL, "the TensorFlow function '%s' is not converted",
                        function ? function : "");
  return convert_fail(k->c, SDX_NOT_SUPPORTED, place,
                      !strcmp(class_name, "Lambda") ? "a Lambda is Python code; write it with keras.ops"
                                                    : "build what a custom layer does of Keras' own layers",
                      "the class '%s' is not converted", class_name);
}

static sdx_status open_model(model *m, const json_t *config) {
  keras *k = m->k;
  const json_t *layers = layers_of(config);
  str_map used;
  m->count = json_array_size(layers);
  str_map_init(&m->by_name, k->c->memory);
  str_map_init(&used, k->c->memory);
  m->entries = arena_array(k->c->memory, m->count + 1, sizeof *m->entries);
  if (!m->entries) return convert_no_memory(k->c);
  for (size_t i = 0; i < m->count; i++) check_layer(k, m->scope, json_array_get(layers, i));
  for (size_t i = 0; i < m->count && !convert_failed(k->c); i++) {
    entry *e = &m->entries[i];
    e->json = json_array_get(layers, i);
    const char *name = keras_layer_name(e->json);
    e->layer = (keras_layer){.name = arena_format(k->c->memory, "%s%s", m->scope, name),
                             .class_name = keras_class(e->json),
                             .config = json_object_get(e->json, "config")};
    e->calls = json_object_get(e->json, "inbound_nodes");
    e->node_count = json_array_size(e->calls) ? json_array_size(e->calls) : 1;
    e->nodes = arena_array(k->c->memory, e->node_count, sizeof *e->nodes);
    if (str_map_find(&m->by_name, str_from(name), &(uint32_t){0}) && *name)
      return convert_fail(k->c, SDX_INVALID_MODEL, e->layer.name, NULL, "two layers have this name");
    if (!e->layer.name || !e->nodes || !str_map_put(&m->by_name, str_from(name), (uint32_t)i))
      return convert_no_memory(k->c);
    keras_find_store(k, &m->store, &used, e->json, &e->layer.store);
  }
  return k->c->f->status;
}

// ---- references -------------------------------------------------------------------------------------

typedef struct reference {
  const char *layer;
  int64_t node, tensor;
} reference;

// {"class_name": "__keras_tensor__", "config": {"keras_history": [layer, node, tensor]}} or the list alone.
static bool is_reference(const json_t *j, reference *r) {
  if (json_is_object(j)) {
    if (strcmp(keras_class(j), "__keras_tensor__") != 0) return false;
    j = json_object_get(json_object_get(j, "config"), "keras_history");
  }
  const json_t *node = json_array_get(j, 1), *tensor = json_array_get(j, 2);
  r->layer = json_string_value(json_array_get(j, 0));
  if (!r->layer || !json_is_integer(node) || !json_is_integer(tensor) || !strcmp(r->layer, "_CONSTANT_VALUE"))
    return false;
  r->node = json_integer_value(node);
  r->tensor = json_integer_value(tensor);
  return true;
}

typedef bool visit(void *context, const reference *r);

// Calls it for every reference within; false once it has returned false.
static bool each_reference(const json_t *j, unsigned depth, visit *v, void *context) {
  reference r;
  if (depth > KERAS_DEPTH) return true;
  if (is_reference(j, &r)) {
    const json_t *named = json_is_array(j) ? json_array_get(j, 3) : NULL;
    return v(context, &r) && (!named || each_reference(named, depth + 1, v, context));
  }
  if (json_is_array(j)) {
    for (size_t i = 0; i < json_array_size(j); i++)
      if (!each_reference(json_array_get(j, i), depth + 1, v, context)) return false;
  } else if (json_is_object(j)) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)j, key, value) if (!each_reference(value, depth + 1, v, context)) return false;
  }
  return true;
}

static node *node_at(model *m, const reference *r, entry **e) {
  uint32_t i;
  if (!str_map_find(&m->by_name, str_from(r->layer), &i)) {
    convert_fail(m->k->c, SDX_INVALID_MODEL, m->scope, NULL, "there is no layer '%s'", r->layer);
    return NULL;
  }
  *e = &m->entries[i];
  int64_t at = r->node - (*e)->from_one;
  if (r->node >= 0 && at >= 0 && (uint64_t)at < (*e)->node_count) return &(*e)->nodes[at];
  convert_fail(m->k->c, SDX_INVALID_MODEL, (*e)->layer.name, NULL, "there is no call %lld of it", (long long)r->node);
  return NULL;
}

static bool note_count(void *context, const reference *r) {
  model *m = context;
  uint32_t i;
  if (!str_map_find(&m->by_name, str_from(r->layer), &i)) return true;
  entry *e = &m->entries[i];
  if (keras_is_model(e->layer.class_name) && r->node >= 0 && (uint64_t)r->node == e->node_count) e->from_one = true;
  return true;
}

static const keras_tensor *tensor_at(model *m, const reference *r) {
  entry *e;
  node *n = node_at(m, r, &e);
  if (!n) return NULL;
  if (n->state == DONE && r->tensor >= 0 && (uint64_t)r->tensor < n->out_count) return &n->out[r->tensor];
  convert_fail(m->k->c, SDX_INVALID_MODEL, e->layer.name, NULL, "there is no result %lld of its call %lld",
               (long long)r->tensor, (long long)r->node);
  return NULL;
}

static const keras_tensor *resolve(void *context, const json_t *argument) {
  reference r;
  return is_reference(argument, &r) ? tensor_at(context, &r) : NULL;
}

// ---- the order --------------------------------------------------------------------------------------

typedef struct stack {
  model *m;
  reference *at;
  size_t count, room;
  bool failed;
} stack;

static bool push(stack *s, const reference *r) {
  if (s->count == s->room) {
    size_t room = s->room ? 2 * s->room : 64;
    reference *more = realloc(s->at, room * sizeof *more);
    if (!more) return !convert_no_memory(s->m->k->c);
    s->at = more;
    s->room = room;
  }
  s->at[s->count++] = *r;
  return true;
}

static bool push_unless_done(void *context, const reference *r) {
  stack *s = context;
  entry *e;
  node *n = node_at(s->m, r, &e);
  if (!n) return false;
  if (n->state == BEGUN) {
    s->failed = true;
    return !convert_fail(s->m->k->c, SDX_INVALID_MODEL, e->layer.name, NULL, "it needs its own result");
  }
  return n->state == DONE || push(s, r);
}

typedef struct gathered {
  model *m;
  keras_tensor *at;
  size_t count, room;
} gathered;

static bool gather(void *context, const reference *r) {
  gathered *g = context;
  const keras_tensor *t = tensor_at(g->m, r);
  if (!t) return false;
  if (g->count == g->room) {
    keras_tensor *more = arena_array(g->m->k->c->memory, 2 * g->room + 8, sizeof *more);
    if (!more) return !convert_no_memory(g->m->k->c);
    if (g->count) memcpy(more, g->at, g->count * sizeof *more);
    g->at = more;
    g->room = 2 * g->room + 8;
  }
  g->at[g->count++] = *t;
  return true;
}

// The references of arguments in their order, but not those that have names.
static bool gather_arguments(gathered *g, const json_t *j, unsigned depth) {
  reference r;
  if (depth > KERAS_DEPTH) return true;
  if (is_reference(j, &r)) return gather(g, &r);
  if (json_is_array(j)) {
    for (size_t i = 0; i < json_array_size(j); i++)
      if (!gather_arguments(g, json_array_get(j, i), depth + 1)) return false;
  } else if (json_is_object(j)) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)j, key, value) if (!gather_arguments(g, value, depth + 1)) return false;
  }
  return true;
}

static bool keep_results(model *m, node *n, const keras_tensor *out, size_t count) {
  n->out = arena_copy(m->k->c->memory, out, count * sizeof *out);
  n->out_count = count;
  n->state = DONE;
  return n->out || !convert_no_memory(m->k->c);
}

static bool emit_node(model *m, entry *e, node *n, const json_t *written) {
  gathered g = {.m = m};
  bool by_place = json_is_object(written);
  const json_t *first = json_is_string(json_array_get(written, 0)) ? written : json_array_get(written, 0);
  keras_call call = {.k = m->k,
                     .layer = &e->layer,
                     .config = e->layer.config,
                     .by_place = by_place,
                     .arguments = by_place ? json_object_get(written, "args") : written,
                     .named = by_place ? json_object_get(written, "kwargs") : json_array_get(first, 3),
                     .resolve = resolve,
                     .context = m};
  if (!gather_arguments(&g, call.arguments, 0)) return false;
  call.in = g.at;
  call.in_count = g.count;
  return keras_emit_call(&call, e->json) && keep_results(m, n, call.out, call.out_count);
}

// Depth first, without recursion.
static bool evaluate(model *m, const reference *wanted) {
  stack s = {.m = m};
  bool good = push(&s, wanted);
  while (good && s.count) {
    entry *e;
    reference r = s.at[s.count - 1];
    node *n = node_at(m, &r, &e);
    if (!n || n->state == DONE) {
      s.count--;
      good = n != NULL;
      continue;
    }
    const json_t *written = json_array_get(e->calls, (size_t)(n - e->nodes));
    size_t before = s.count;
    if (n->state == NEW) {
      n->state = BEGUN;
      good = each_reference(written, 0, push_unless_done, &s);
      if (s.count > before) continue;
    }
    good = good && emit_node(m, e, n, written);
    s.count -= good;
  }
  free(s.at);
  return good;
}

// ---- inputs and outputs -----------------------------------------------------------------------------

bool keras_add_state(keras_call *call, const char *part, size_t rank, const int64_t *shape, keras_tensor *t) {
  keras *k = call->k;
  if (k->state_count == KERAS_STATES)
    return !keras_fail(call, SDX_NOT_SUPPORTED, NULL, "more than %d states are kept between calls", KERAS_STATES);
  *t = (keras_tensor){.dtype = call->dtype, .rank = rank};
  memcpy(t->shape, shape, rank * sizeof *shape);
  char *name = arena_format(k->c->memory, "%s/%s", call->layer->name, part);
  sdx_io io = {.name = name, .dtype = t->dtype, .has_shape = true, .rank = rank, .shape = t->shape};
  t->ref = k->state_inputs[k->state_count++] = sdx_graph_add_input(sdx_builder_graph(k->c->builder), &io);
  convert_note(k->c, "layer '%s' keeps its state: feed '%s' with zeros first, then with '%s/next'", call->layer->name,
               name ? name : "", name ? name : "");
  return !convert_failed(k->c);
}

static bool add_input(keras *k, const char *name, const json_t *shape, const char *dtype, keras_tensor *t) {
  char symbols[KERAS_RANK][120];
  const char *names[KERAS_RANK] = {0};
  *t = (keras_tensor){.dtype = keras_dtype(dtype), .rank = json_array_size(shape)};
  if (!t->dtype)
    return !convert_fail(k->c, SDX_NOT_SUPPORTED, name, NULL, "inputs of type '%s' are not converted", dtype);
  if (!t->rank || t->rank > KERAS_RANK)
    return !convert_fail(k->c, SDX_INVALID_MODEL, name, NULL, "the input has %zu dimensions, expected 1 to %d", t->rank,
                         KERAS_RANK);
  for (size_t i = 0; i < t->rank; i++) {
    const json_t *size = json_array_get(shape, i);
    t->shape[i] = json_is_integer(size) && json_integer_value(size) >= 0 ? json_integer_value(size) : -1;
    if (t->shape[i] > INT32_MAX) return !convert_fail(k->c, SDX_INVALID_MODEL, name, NULL, "the input is too large");
    snprintf(symbols[i], sizeof symbols[i], i ? "%.100s_%zu" : "N", name, i);
    names[i] = t->shape[i] < 0 ? symbols[i] : NULL;
  }
  sdx_io io = {
      .name = name, .dtype = t->dtype, .has_shape = true, .rank = t->rank, .shape = t->shape, .symbols = names};
  t->ref = sdx_graph_add_input(k->graph, &io);
  return !convert_failed(k->c);
}

static const json_t *shape_of(const json_t *config) {
  const json_t *shape = json_object_get(config, "batch_input_shape");
  if (!shape) shape = json_object_get(config, "batch_shape");
  return json_is_object(shape) ? json_object_get(shape, "items") : shape;
}

static bool input_of(model *m, entry *e, const keras_tensor *given, keras_tensor *t) {
  if (given) {
    *t = *given;
    return true;
  }
  if (keras_flag(e->layer.config, "sparse", false) || keras_flag(e->layer.config, "ragged", false))
    return !convert_fail(m->k->c, SDX_NOT_SUPPORTED, e->layer.name, NULL, "sparse and ragged inputs are not converted");
  return add_input(m->k, e->layer.name, shape_of(e->layer.config), keras_text(e->layer.config, "dtype", "float32"), t);
}

typedef struct inputs {
  model *m;
  const keras_tensor *given;
  size_t count, next;
} inputs;

static bool take_input(void *context, const reference *r) {
  inputs *in = context;
  entry *e;
  keras_tensor t;
  node *n = node_at(in->m, r, &e);
  if (!n) return false;
  if (in->given && in->next >= in->count)
    return !convert_fail(in->m->k->c, SDX_INVALID_MODEL, in->m->scope, NULL, "the model is called with %zu inputs",
                         in->count);
  return input_of(in->m, e, in->given ? &in->given[in->next++] : NULL, &t) && keep_results(in->m, n, &t, 1);
}

typedef struct results {
  model *m;
  keras_tensor *out;
  const char **names;
  size_t count;
} results;

static bool take_result(void *context, const reference *r) {
  results *out = context;
  entry *e;
  if (out->count == KERAS_OUTPUTS)
    return !convert_fail(out->m->k->c, SDX_NOT_SUPPORTED, out->m->scope, NULL, "more than %d outputs", KERAS_OUTPUTS);
  if (!node_at(out->m, r, &e) || !evaluate(out->m, r)) return false;
  const keras_tensor *t = tensor_at(out->m, r);
  if (!t) return false;
  out->names[out->count] = e->layer.name;
  out->out[out->count++] = *t;
  return true;
}

static bool mark_output(void *context, const reference *r) {
  entry *e;
  if (!node_at(context, r, &e)) return false;
  e->layer.gives_output = true;
  return true;
}

static bool run_functional(model *m, const json_t *config, size_t count, const keras_tensor *in, results *out) {
  const json_t *outputs = json_object_get(config, "output_layers");
  for (size_t i = 0; i < m->count; i++) each_reference(m->entries[i].calls, 0, note_count, m);
  each_reference(outputs, 0, note_count, m);
  if (!in && !each_reference(outputs, 0, mark_output, m)) return false;
  inputs from = {m, in, count, 0};
  return each_reference(json_object_get(config, "input_layers"), 0, take_input, &from) &&
         each_reference(outputs, 0, take_result, out);
}

// What a sequential model begins with: an InputLayer, or the shape that its first layer was given.
static bool first_input(model *m, const json_t *config, keras_tensor *x) {
  keras *k = m->k;
  char name[300];
  const entry *e = m->entries;
  const json_t *c = e->layer.config;
  if (!strcmp(e->layer.class_name, "InputLayer")) return input_of(m, (entry *)e, NULL, x);
  for (unsigned depth = 0; depth < KERAS_DEPTH && keras_is_model(keras_class(e->json)) && !shape_of(c); depth++) {
    const json_t *first = json_array_get(layers_of(c), 0);
    c = json_object_get(first, "config");
    if (!keras_is_model(keras_class(first))) break;
  }
  const json_t *shape = shape_of(c), *built = json_object_get(config, "build_input_shape");
  if (!json_is_array(shape)) shape = json_object_get(json_object_get(c, "layer"), "batch_input_shape");
  if (!json_is_array(shape)) shape = built;
  if (!json_is_array(shape))
    return !convert_fail(k->c, SDX_INVALID_MODEL, e->layer.name, "give the model an Input before it is saved",
                         "the shape of the input is not in the file");
  snprintf(name, sizeof name, "%.250s_input", e->layer.name);
  const char *dtype = json_is_string(json_object_get(c, "dtype")) ? keras_text(c, "dtype", "float32") : "float32";
  return add_input(k, name, shape, dtype, x);
}

static bool run_sequential(model *m, const json_t *config, size_t count, const keras_tensor *in, results *out) {
  keras_tensor x;
  if (!m->count || (in && count != 1))
    return !convert_fail(m->k->c, SDX_INVALID_MODEL, m->scope, NULL, "a sequential model of %zu layers with %zu inputs",
                         m->count, count);
  if (in) x = *in;
  else if (!first_input(m, config, &x)) return false;
  m->entries[m->count - 1].layer.gives_output = !in;
  for (size_t i = 0; i < m->count; i++) {
    entry *e = &m->entries[i];
    if (!strcmp(e->layer.class_name, "InputLayer")) continue;
    keras_call call = {.k = m->k, .layer = &e->layer, .config = e->layer.config, .in = &x, .in_count = 1};
    if (!keras_emit_call(&call, e->json)) return false;
    x = call.out[0];
  }
  out->names[0] = m->entries[m->count - 1].layer.name;
  out->out[out->count++] = x;
  return true;
}

static bool run(keras *k, const char *scope, const json_t *json, keras_store store, size_t count,
                const keras_tensor *in, results *out) {
  const json_t *config = json_object_get(json, "config");
  model *m = arena_array(k->c->memory, 1, sizeof *m);
  if (!m) return !convert_no_memory(k->c);
  *m = (model){.k = k, .scope = scope, .store = store};
  out->m = m;
  if (open_model(m, config)) return false;
  bool sequential = !strcmp(keras_class(json), "Sequential");
  if (!(sequential ? run_sequential : run_functional)(m, config, count, in, out)) return false;
  return out->count || !convert_fail(k->c, SDX_INVALID_MODEL, scope, NULL, "the model has no outputs");
}

sdx_status keras_emit_model(keras *k, const char *scope, const json_t *json, keras_store store, size_t count,
                            const keras_tensor *in, keras_tensor *out, size_t *out_count) {
  const char *names[KERAS_OUTPUTS];
  results r = {.out = out, .names = names};
  char *inside = arena_format(k->c->memory, "%s%s", scope, *scope ? "/" : "");
  if (!inside) return convert_no_memory(k->c);
  bool good = run(k, inside, json, store, count, in, &r);
  *out_count = r.count;
  if (!good && !convert_failed(k->c)) return convert_fail(k->c, SDX_INVALID_MODEL, scope, NULL, "the model is damaged");
  return good ? SDX_OK : SDX_INVALID_MODEL;
}

sdx_status keras_emit_whole(keras *k, const json_t *json, keras_store store) {
  const char *names[KERAS_OUTPUTS];
  keras_tensor out[KERAS_OUTPUTS];
  results r = {.out = out, .names = names};
  if (!run(k, "", json, store, 0, NULL, &r)) {
    if (convert_failed(k->c)) return SDX_INVALID_MODEL;
    return convert_fail(k->c, SDX_INVALID_MODEL, NULL, NULL, "the model is damaged");
  }
  for (size_t i = 0; i < r.count; i++) {
    char name[300];
    unsigned same = 0;
    for (size_t j = 0; j < i; j++) same += !strcmp(names[i], names[j]);
    snprintf(name, sizeof name, same ? "%.250s_%u" : "%.250s", names[i], same);
    const char *symbols[KERAS_RANK] = {0};
    for (size_t d = 0; d < out[i].rank; d++) symbols[d] = d || out[i].shape[d] >= 0 ? NULL : "N";
    sdx_io io = {.name = name,
                 .dtype = out[i].dtype,
                 .has_shape = true,
                 .rank = out[i].rank,
                 .shape = out[i].shape,
                 .symbols = symbols};
    sdx_graph_add_output(k->graph, out[i].ref, &io);
  }
  for (size_t i = 0; i < k->state_count; i++) {
    const keras_tensor *t = &k->states[i];
    char *name = arena_format(k->c->memory, "%s/next", sdx_graph_name(k->graph, k->state_inputs[i]));
    sdx_graph_add_output(
        k->graph, t->ref,
        &(sdx_io){.name = name, .dtype = t->dtype, .has_shape = true, .rank = t->rank, .shape = t->shape});
  }
  return SDX_OK;
}
