// SPDX-License-Identifier: Apache-2.0
// Where the weights of a layer are: in .h5 files in a list by the layer's name, in .keras archives in a group by its
// class. Read next: keras_weights.c.
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "convert/keras.h"

// As Keras names the groups of its files: MultiHeadAttention, multi_head_attention.
static void snake_case(const char *name, char *to, size_t size) {
  size_t n = 0;
  for (size_t i = 0; name[i] && n + 3 < size; i++) {
    bool upper = isupper((unsigned char)name[i]), word = upper && islower((unsigned char)name[i + 1]);
    bool after_small = i && upper && islower((unsigned char)name[i - 1]);
    if (!isalnum((unsigned char)name[i]) && name[i] != '_') continue;
    if (i && (word || after_small)) to[n++] = '_';
    to[n++] = (char)tolower((unsigned char)name[i]);
  }
  to[n] = 0;
}

// "encoder/conv_1/kernel:0" is of layer "conv", should there be no better one: TensorFlow made its names unique.
static bool is_weight_of(str weight, str layer, bool loosely) {
  while (weight.size) {
    const char *slash = memchr(weight.at, '/', weight.size);
    if (!slash) return false;
    str part = {weight.at, (size_t)(slash - weight.at)};
    if (str_equal(part, layer)) return true;
    if (loosely && part.size > layer.size + 1 && !memcmp(part.at, layer.at, layer.size) && part.at[layer.size] == '_') {
      size_t i = layer.size + 1;
      while (i < part.size && isdigit((unsigned char)part.at[i])) i++;
      if (i == part.size) return true;
    }
    weight = (str){slash + 1, weight.size - part.size - 1};
  }
  return false;
}

static bool choose_weights(keras *k, const keras_store *model, str name, keras_store *store) {
  uint64_t *list = arena_array(k->c->memory, model->count + 1, sizeof *list);
  str *names = arena_array(k->c->memory, model->count + 1, sizeof *names);
  if (!list || !names) return !convert_no_memory(k->c);
  for (int loosely = 0; loosely < 2 && !store->count; loosely++)
    for (size_t i = 0; i < model->count; i++)
      if (is_weight_of(model->names[i], name, loosely))
        list[store->count] = model->list[i], names[store->count++] = model->names[i];
  store->list = list;
  store->names = names;
  return true;
}

// Adds the weights that an attribute names to the list.
static bool append_weights(keras *k, uint64_t group, const char *attribute, keras_store *store) {
  size_t count;
  str *names;
  if (!hdf5_texts(&k->h5, k->c->memory, group, attribute, &names, &count)) return false;
  uint64_t *list = arena_array(k->c->memory, store->count + count + 1, sizeof *list);
  str *all = arena_array(k->c->memory, store->count + count + 1, sizeof *all);
  if (!list || !all) return !convert_no_memory(k->c);
  for (size_t i = 0; i < store->count; i++) list[i] = store->list[i], all[i] = store->names[i];
  for (size_t i = 0; i < count; i++) {
    all[store->count] = names[i];
    if (hdf5_find(&k->h5, group, names[i], &list[store->count])) store->count++;
  }
  store->list = list;
  store->names = all;
  return !hdf5_failed(&k->h5);
}

// The weights of a layer of the model at the top of an .h5 file. Names too long for one attribute have several.
static bool list_weights(keras *k, uint64_t model, str name, keras_store *store) {
  uint64_t group;
  if (hdf5_find(&k->h5, model, name, &group) && !append_weights(k, group, "weight_names", store)) {
    char attribute[40];
    unsigned part = 0;
    do snprintf(attribute, sizeof attribute, "weight_names%u", part++);
    while (!hdf5_failed(&k->h5) && append_weights(k, group, attribute, store));
  }
  return !hdf5_failed(&k->h5) || !convert_fail(k->c, SDX_INVALID_MODEL, "model_weights", NULL, "%s", k->h5.message);
}

static bool group_of(keras *k, const keras_store *model, const char *path, keras_store *store) {
  static const char *const folders[] = {"layers", "_layer_checkpoint_dependencies"};
  store->path =
      str_from(arena_format(k->c->memory, "%.*s%slayers/%s", STR_ARG(model->path), model->path.size ? "/" : "", path));
  for (int i = 0; i < 2 && model->group; i++) {
    char full[300];
    snprintf(full, sizeof full, "%s/%s", folders[i], path);
    if (hdf5_find(&k->h5, model->group, str_from(full), &store->group)) return true;
    store->group = 0;
    if (hdf5_failed(&k->h5)) return !convert_fail(k->c, SDX_INVALID_MODEL, "weights", NULL, "%s", k->h5.message);
  }
  return true;
}

// A class counts its groups: dense, dense_1, ... Functions have none.
bool keras_find_store(keras *k, const keras_store *model, str_map *used, const json_t *json, keras_store *store) {
  char name[200], numbered[220];
  if (k->by_position) {
    str layer = str_from(keras_layer_name(json));
    return model->list ? choose_weights(k, model, layer, store) : list_weights(k, model->group, layer, store);
  }
  if (strstr(keras_text(json, "module", ""), ".ops")) return true;
  const char *class_name = keras_class(json);
  if (!strcmp(class_name, "Model")) class_name = "Functional";  // what the classes are called within
  if (!strcmp(class_name, "GroupQueryAttention")) class_name = "GroupedQueryAttention";
  snake_case(class_name, name, sizeof name);
  uint32_t number = 0;
  bool again = str_map_find(used, str_from(name), &number);
  snprintf(numbered, sizeof numbered, again ? "%s_%u" : "%s", name, ++number);
  number -= !again;
  char *kept = arena_format(k->c->memory, "%s", name);
  if (!kept || !str_map_put(used, str_from(kept), number)) return !convert_no_memory(k->c);
  return group_of(k, model, numbered, store);
}
