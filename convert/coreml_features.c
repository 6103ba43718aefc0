// SPDX-License-Identifier: Apache-2.0
// Features of a Core ML model: inputs and outputs as its description has them. A number or text is [N, 1], an array of
// a table's row [N, size], a picture [N, channels, height, width] with values from 0 to 255.
#include <stdio.h>
#include <string.h>

#include "convert/coreml.h"

enum { FLOAT32 = 65568, FLOAT64 = 65600, INT32 = 131104, GRAY = 10, RGB = 20, BGR = 30, GRAY_FLOAT16 = 40 };

void coreml_set(coreml *m, str name, net_tensor value) {
  if (m->feature_count == m->feature_room) {
    size_t room = m->feature_room ? 2 * m->feature_room : 32;
    coreml_feature *more = arena_array(m->c->memory, room, sizeof *more);
    if (!more) {
      convert_no_memory(m->c);
      return;
    }
    if (m->feature_count) memcpy(more, m->features, m->feature_count * sizeof *more);
    m->features = more;
    m->feature_room = room;
  }
  if (!str_map_put(&m->feature_of, name, (uint32_t)m->feature_count)) convert_no_memory(m->c);
  m->features[m->feature_count++] = (coreml_feature){name, value};
}

bool coreml_find(coreml *m, str name, net_tensor *value) {
  str_nearest near;
  char hint[200];
  uint32_t index;
  if (str_map_find(&m->feature_of, name, &index)) return *value = m->features[index].value, true;
  str_nearest_init(&near, name);
  for (size_t i = 0; i < m->feature_count; i++) str_nearest_offer(&near, m->features[i].name);
  return !convert_fail(m->c, SDX_INVALID_MODEL, "description", str_nearest_hint(&near, hint, sizeof hint),
                       "there is no feature '%.*s'", STR_ARG(name));
}

static bool first_feature(const proto *model, const char *list, proto *feature) {
  proto description;
  if (!proto_get(model, "description", &description)) return false;
  wire at = description.bytes;
  return proto_each(&description, &at, list, feature);
}

bool coreml_input(coreml *m, const proto *model, net_tensor *value) {
  proto feature;
  if (!first_feature(model, "input", &feature))
    return !convert_fail(m->c, SDX_INVALID_MODEL, "description", NULL, "there is no input");
  return coreml_find(m, proto_text(&feature, "name"), value);
}

str coreml_output_name(const proto *model) {
  proto feature;
  return first_feature(model, "output", &feature) ? proto_text(&feature, "name") : (str){"", 0};
}

// ---- inputs -----------------------------------------------------------------------------------------

static int64_t dimension(int64_t size) { return size < 0 || size > INT32_MAX ? -1 : size; }

// Of a range of sizes that may be more than one.
static bool varies(const proto *range) {
  return proto_int(range, "lowerBound", 0) != proto_int(range, "upperBound", 0);
}

static void free_dimensions(const proto *array, size_t count, int64_t *shape) {
  proto ranges, shapes, one;
  if (proto_get(array, "shapeRange", &ranges)) {
    wire at = ranges.bytes;
    for (size_t i = 0; i < count && proto_each(&ranges, &at, "sizeRanges", &one); i++)
      if (varies(&one)) shape[i] = -1;
  } else if (proto_get(array, "enumeratedShapes", &shapes)) {
    wire at = shapes.bytes;
    while (proto_each(&shapes, &at, "shapes", &one)) {
      int64_t other[NET_RANK];
      size_t rank = proto_ints(&one, "shape", NET_RANK, other);
      for (size_t i = 0; i < count && i < rank; i++)
        if (other[i] != shape[i]) shape[i] = -1;
    }
  }
}

static bool array_shape(coreml *m, const proto *array, net_tensor *x) {
  int64_t shape[NET_RANK];
  size_t count = proto_ints(array, "shape", NET_RANK, shape), first = m->exact ? 0 : 1;
  if (count + first > NET_RANK || count == 0)
    return !convert_fail(m->c, SDX_NOT_SUPPORTED, "description", NULL, "an array of %zu dimensions", count);
  free_dimensions(array, count, shape);
  x->rank = count + first;
  x->shape[0] = -1;
  for (size_t i = 0; i < count; i++) x->shape[first + i] = dimension(shape[i]);
  int64_t type = proto_int(array, "dataType", 0);
  x->dtype = type == INT32 ? SDX_INT32 : m->network || type == FLOAT32 ? SDX_FLOAT : SDX_DOUBLE;
  return true;
}

static bool image_shape(coreml *m, str name, const proto *image, net_tensor *x) {
  int64_t color = proto_int(image, "colorSpace", RGB);
  char *key = arena_format(m->c->memory, "image.%.*s", STR_ARG(name));
  proto range, one, sizes;
  bool free_width = false, free_height = false;
  if (proto_get(image, "imageSizeRange", &range)) {
    free_width = proto_get(&range, "widthRange", &one) && varies(&one);
    free_height = proto_get(&range, "heightRange", &one) && varies(&one);
  } else if (proto_get(image, "enumeratedSizes", &sizes)) {
    free_width = free_height = true;
  }
  *x = (net_tensor){.dtype = SDX_FLOAT,
                    .rank = 4,
                    .shape = {m->exact ? 1 : -1, color == RGB || color == BGR ? 3 : 1,
                              free_height ? -1 : dimension(proto_int(image, "height", -1)),
                              free_width ? -1 : dimension(proto_int(image, "width", -1))}};
  if (!key) return !convert_no_memory(m->c);
  sdx_builder_add_metadata(m->c->builder, key,
                           color == RGB   ? "RGB, 0 to 255"
                           : color == BGR ? "BGR, 0 to 255"
                                          : "gray, 0 to 255");
  return true;
}

static bool shape_of(coreml *m, str name, const proto *type, net_tensor *x, const char **kind) {
  proto inner;
  const char *which = proto_which(type, 1, &inner);
  *x = (net_tensor){.rank = 2, .shape = {-1, 1}};
  *kind = NULL;
  if (which && !strcmp(which, "multiArrayType")) return array_shape(m, &inner, x);
  if (which && !strcmp(which, "imageType")) return image_shape(m, name, &inner, x);
  if (which && !strcmp(which, "int64Type")) return x->dtype = SDX_INT64, true;
  if (which && !strcmp(which, "doubleType")) return x->dtype = SDX_DOUBLE, true;
  if (which && !strcmp(which, "stringType")) return x->dtype = SDX_STRING, true;
  if (which && !strcmp(which, "dictionaryType")) {
    *kind = proto_has(&inner, "int64KeyType") ? "map(int64,tensor(float))" : "map(string,tensor(float))";
    return true;
  }
  return !convert_fail(m->c, SDX_NOT_SUPPORTED, "description", NULL, "the input '%.*s' is %s", STR_ARG(name),
                       which ? which : "of no known type");
}

static void add_input(coreml *m, str name, const proto *type) {
  net_tensor x;
  const char *kind;
  char *label = str_to_c(m->c->memory, name);
  if (!label) convert_no_memory(m->c);
  if (!label || !shape_of(m, name, type, &x, &kind)) return;
  if (kind) x.ref = sdx_graph_add_input(m->c->graph, &(sdx_io){.name = label, .type = kind});
  else x = net_input(&m->n, label, x, true);
  coreml_set(m, name, x);
}

void coreml_reserve_outputs(coreml *m, const proto *model) {
  proto description, feature;
  proto_get(model, "description", &description);
  wire at = description.bytes;
  while (proto_each(&description, &at, "output", &feature)) net_reserve(&m->n, proto_text(&feature, "name"));
}

void coreml_add_inputs(coreml *m, const proto *model) {
  proto description, feature, type;
  proto_get(model, "description", &description);
  wire at = description.bytes;
  while (proto_each(&description, &at, "input", &feature)) {
    proto_get(&feature, "type", &type);
    add_input(m, proto_text(&feature, "name"), &type);
  }
}

// ---- outputs ----------------------------------------------------------------------------------------

// As many dimensions as are declared, where those that go are 1.
static net_tensor as_declared(coreml *m, const proto *type, net_tensor x) {
  proto inner;
  const char *which = proto_which(type, 1, &inner);
  bool scalar = which && (!strcmp(which, "int64Type") || !strcmp(which, "doubleType") || !strcmp(which, "stringType"));
  if (scalar) return x.rank == 2 && x.shape[1] == 1 ? net_squeeze(&m->n, x, 1) : x;
  bool array = which && !strcmp(which, "multiArrayType");
  if (m->exact || !array) return x;
  size_t rank = proto_count(&inner, "shape");
  if (x.rank == 4 && (rank == 1 || (rank == 0 && x.shape[2] == 1 && x.shape[3] == 1))) return net_flatten(&m->n, x, 1);
  if (x.rank == 2 && rank == 3) return net_unsqueeze(&m->n, net_unsqueeze(&m->n, x, 2), 3);
  return x;
}

static void add_output(coreml *m, str name, const proto *type) {
  net_tensor x;
  char *label = str_to_c(m->c->memory, name);
  if (!label) convert_no_memory(m->c);
  if (!label || !coreml_find(m, name, &x)) return;
  m->n.layer = label;
  m->n.kind = "output";
  x = as_declared(m, type, x);
  if (convert_failed(m->c)) return;
  if (x.dtype == SDX_UNDEFINED)
    convert_fail(m->c, SDX_NOT_SUPPORTED, "description", NULL, "the output '%s' is a dictionary", label);
  else net_output(&m->n, label, x);
}

void coreml_add_outputs(coreml *m, const proto *model) {
  proto description, feature, type;
  proto_get(model, "description", &description);
  wire at = description.bytes;
  while (!convert_failed(m->c) && proto_each(&description, &at, "output", &feature)) {
    proto_get(&feature, "type", &type);
    add_output(m, proto_text(&feature, "name"), &type);
  }
}

// ---- what models of tables share --------------------------------------------------------------------

bool coreml_columns(coreml *m, const proto *model, net_tensor *x) {
  enum { MOST = 100000 };
  proto description, feature;
  proto_get(model, "description", &description);
  size_t count = proto_count(&description, "input"), i = 0;
  net_tensor *all = count && count < MOST ? arena_array(m->c->memory, count, sizeof *all) : NULL;
  if (!all) return !convert_fail(m->c, SDX_INVALID_MODEL, "description", NULL, "a model of %zu inputs", count);
  for (wire at = description.bytes; i < count && proto_each(&description, &at, "input", &feature); i++) {
    if (!coreml_find(m, proto_text(&feature, "name"), &all[i])) return false;
    if (all[i].dtype == SDX_STRING || all[i].dtype == SDX_UNDEFINED || all[i].rank != 2)
      return !convert_fail(m->c, SDX_INVALID_MODEL, "description", NULL, "the input '%.*s' is no row of numbers",
                           STR_ARG(proto_text(&feature, "name")));
    all[i] = net_cast(&m->n, all[i], SDX_DOUBLE);
  }
  if (i < count) return false;
  *x = net_concat(&m->n, 1, count, all);
  return !convert_failed(m->c);
}

bool coreml_read_classes(coreml *m, const proto *classifier, coreml_classes *classes) {
  proto list;
  *classes = (coreml_classes){0};
  if (proto_get(classifier, "stringClassLabels", &list)) {
    classes->count = proto_count(&list, "vector");
    classes->texts = arena_array(m->c->memory, classes->count + 1, sizeof *classes->texts);
    if (!classes->texts) return !convert_no_memory(m->c);
    wire at = list.bytes;
    for (size_t i = 0; i < classes->count && proto_each_text(&list, &at, "vector", &classes->texts[i]); i++) continue;
    m->labels = classes->texts;
    m->label_count = classes->count;
  } else if (proto_get(classifier, "int64ClassLabels", &list)) {
    classes->numbers = proto_all_ints(&list, "vector", &classes->count);
    m->labels = arena_array(m->c->memory, classes->count + 1, sizeof *m->labels);
    m->label_count = m->labels ? classes->count : 0;
    for (size_t i = 0; i < m->label_count; i++)
      m->labels[i] = str_from(arena_format(m->c->memory, "%lld", (long long)classes->numbers[i]));
  }
  return classes->count || !convert_fail(m->c, SDX_INVALID_MODEL, "classifier", NULL, "it has no class labels");
}

void coreml_classified(coreml *m, const proto *model, const coreml_classes *classes, net_tensor scores,
                       net_tensor best) {
  conversion *c = m->c;
  proto description;
  proto_get(model, "description", &description);
  if (scores.rank != 2 || (scores.shape[1] >= 0 && scores.shape[1] != (int64_t)classes->count)) {
    convert_fail(c, SDX_INVALID_MODEL, "classifier", NULL, "%zu class labels for scores of shape %s", classes->count,
                 net_shape_text(&m->n, &scores));
    return;
  }
  int64_t count = (int64_t)classes->count;
  sdx_value *labels = classes->texts ? sdx_tensor_create(SDX_STRING, 1, &count) : NULL;
  for (size_t i = 0; labels && i < classes->count; i++)
    sdx_tensor_set_string(labels, i, classes->texts[i].at, classes->texts[i].size);
  sdx_ref table = classes->texts ? sdx_graph_add_initializer(c->graph, "class_labels", labels)
                                 : sdx_graph_add_ints(c->graph, classes->count, classes->numbers);
  if (!best.ref) {
    best.ref = net_node(&m->n, "ArgMax", "class", SDX_REFS(scores.ref));
    sdx_graph_set_int(c->graph, "axis", 1);
    sdx_graph_set_int(c->graph, "keepdims", 0);
  }
  net_tensor label = {sdx_graph_add_node(c->graph, "Gather", NULL, SDX_REFS(table, best.ref)),
                      classes->texts ? SDX_STRING : SDX_INT64,
                      1,
                      {scores.shape[0]}};
  coreml_set(m, proto_text(&description, "predictedFeatureName"), label);
  if (proto_has(&description, "predictedProbabilitiesName"))
    coreml_set(m, proto_text(&description, "predictedProbabilitiesName"), scores);
}

void coreml_regressed(coreml *m, const proto *model, net_tensor y) {
  proto description;
  proto_get(model, "description", &description);
  str name = proto_text(&description, "predictedFeatureName");
  coreml_set(m, name.size ? name : coreml_output_name(model), y);
}
