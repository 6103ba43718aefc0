// SPDX-License-Identifier: Apache-2.0
// Core ML's models that prepare the columns of tables: scaling, filling gaps, categories, vectors of features.
#include <string.h>

#include "convert/coreml.h"

static void give(coreml *m, const proto *model, net_tensor y) { coreml_set(m, coreml_output_name(model), y); }

static bool fail(coreml *m, const char *what, const char *wrong) {
  return !convert_fail(m->c, SDX_INVALID_MODEL, what, NULL, "%s", wrong);
}

// The input as rows of doubles.
static bool input(coreml *m, const proto *model, net_tensor *x) {
  if (!coreml_input(m, model, x)) return false;
  if (x->rank != 2 || x->dtype == SDX_STRING || x->dtype == SDX_UNDEFINED)
    return fail(m, m->n.layer, "the input is no row of numbers");
  *x = net_cast(&m->n, *x, SDX_DOUBLE);
  return true;
}

// A list of one number or of one for each column.
static net_tensor row_of(coreml *m, const char *name, size_t count, const double *numbers, net_tensor x) {
  if (count != 1 && (int64_t)count != x.shape[1]) return fail(m, name, "numbers that do not fit the columns"), x;
  return net_values(&m->n, name, SDX_DOUBLE, 1, (int64_t[]){(int64_t)count}, numbers);
}

static void scale(coreml *m, const proto *model, const proto *params) {
  net_tensor x;
  size_t shifts, scales;
  const double *shift = proto_doubles(params, "shiftValue", &shifts),
               *by = proto_doubles(params, "scaleValue", &scales);
  if (!input(m, model, &x)) return;
  if (shifts) x = net_binary(&m->n, "Add", "shift", x, row_of(m, "shiftValue", shifts, shift, x));
  if (scales && !convert_failed(m->c)) x = net_binary(&m->n, "Mul", "scale", x, row_of(m, "scaleValue", scales, by, x));
  give(m, model, x);
}

static net_tensor imputed_value(coreml *m, const proto *params, net_tensor x) {
  proto list;
  size_t count;
  if (proto_get(params, "imputedDoubleArray", &list)) {
    const double *numbers = proto_doubles(&list, "vector", &count);
    return row_of(m, "imputed", count, numbers, x);
  }
  if (proto_get(params, "imputedInt64Array", &list)) {
    const int64_t *numbers = proto_all_ints(&list, "vector", &count);
    double *wide = arena_array(m->c->memory, count + 1, sizeof *wide);
    for (size_t i = 0; wide && i < count; i++) wide[i] = (double)numbers[i];
    if (!wide) return convert_no_memory(m->c), x;
    return row_of(m, "imputed", count, wide, x);
  }
  if (proto_has(params, "imputedStringDictionary") || proto_has(params, "imputedInt64Dictionary") ||
      proto_has(params, "imputedStringValue"))
    return convert_fail(m->c, SDX_NOT_SUPPORTED, m->n.layer, NULL, "gaps of texts or dictionaries are not filled"), x;
  double number = proto_has(params, "imputedInt64Value") ? (double)proto_int(params, "imputedInt64Value", 0)
                                                         : proto_number(params, "imputedDoubleValue", 0);
  return net_scalar(&m->n, SDX_DOUBLE, number);
}

static void impute(coreml *m, const proto *model, const proto *params) {
  net *n = &m->n;
  net_tensor x;
  if (!input(m, model, &x)) return;
  net_tensor value = imputed_value(m, params, x);
  double gap = proto_has(params, "replaceInt64Value") ? (double)proto_int(params, "replaceInt64Value", 0)
                                                      : proto_number(params, "replaceDoubleValue", 0);
  bool number = gap == gap && (proto_has(params, "replaceDoubleValue") || proto_has(params, "replaceInt64Value"));
  sdx_ref missing = number ? net_node(n, "Equal", "missing", SDX_REFS(x.ref, net_scalar(n, SDX_DOUBLE, gap).ref))
                           : net_node(n, "IsNaN", "missing", SDX_REFS(x.ref));
  give(m, model, net_like(x, net_node(n, "Where", NULL, SDX_REFS(missing, value.ref, x.ref))));
}

// ---- categories -------------------------------------------------------------------------------------

// Texts as C strings; NULL: no memory.
static const char **texts_of(coreml *m, const proto *list, size_t *count) {
  str text;
  size_t i = 0;
  *count = proto_count(list, "vector");
  const char **texts = arena_array(m->c->memory, *count + 1, sizeof *texts);
  wire at = list->bytes;
  while (texts && i < *count && proto_each_text(list, &at, "vector", &text))
    if (!(texts[i++] = str_to_c(m->c->memory, text))) texts = NULL;
  if (!texts) convert_no_memory(m->c);
  return texts;
}

static sdx_ref ids_of_texts(coreml *m, sdx_ref x, size_t count, const char *const *texts, const int64_t *ids,
                            int64_t other) {
  sdx_graph *g = m->c->graph;
  sdx_ref y = net_node(&m->n, "ai.onnx.ml::LabelEncoder", NULL, SDX_REFS(x));
  sdx_graph_set_strings(g, "keys_strings", count, texts);
  sdx_graph_set_ints(g, "values_int64s", count, ids);
  sdx_graph_set_int(g, "default_int64", other);
  return y;
}

static void one_hot(coreml *m, const proto *model, const proto *params) {
  net *n = &m->n;
  net_tensor x, categories;
  proto list;
  size_t count;
  if (!coreml_input(m, model, &x)) return;
  if (x.rank != 2 || x.shape[1] != 1) {
    fail(m, "oneHotEncoder", "the input is not one column");
    return;
  }
  if (proto_get(params, "stringCategories", &list)) {
    const char **texts = texts_of(m, &list, &count);
    int64_t *ids = arena_array(m->c->memory, count + 1, sizeof *ids);
    for (size_t i = 0; ids && i < count; i++) ids[i] = (int64_t)i;
    if (!texts || !ids || x.dtype != SDX_STRING || !count) {
      if (!convert_failed(m->c)) fail(m, "oneHotEncoder", "categories of texts for an input of numbers");
      return;
    }
    x.ref = ids_of_texts(m, x.ref, count, texts, ids, -1);
    categories = net_ints(n, count, ids);
  } else {
    proto_get(params, "int64Categories", &list);
    const int64_t *ids = proto_all_ints(&list, "vector", &count);
    if (!count || x.dtype == SDX_STRING || x.dtype == SDX_UNDEFINED) {
      fail(m, "oneHotEncoder", "no categories, or categories of numbers for an input of texts");
      return;
    }
    x = net_cast(n, x, SDX_INT64);
    categories = net_ints(n, count, ids);
  }
  if (!proto_int(params, "handleUnknown", 0))
    convert_note(m->c, "a category that is not known gives zeros, where Core ML stops");
  x.dtype = SDX_INT64;
  give(m, model, net_cast(n, net_compare(n, "Equal", NULL, x, categories), SDX_DOUBLE));
}

static void map_categories(coreml *m, const proto *model, const proto *params) {
  proto map, entry;
  net_tensor x;
  bool to_number = proto_get(params, "stringToInt64Map", &map);
  if (!to_number) proto_get(params, "int64ToStringMap", &map);
  size_t count = proto_count(&map, "map"), i = 0;
  const char **texts = arena_array(m->c->memory, count + 1, sizeof *texts);
  int64_t *numbers = arena_array(m->c->memory, count + 1, sizeof *numbers);
  if (!texts || !numbers) convert_no_memory(m->c);
  if (convert_failed(m->c) || !coreml_input(m, model, &x)) return;
  for (wire at = map.bytes; i < count && proto_each(&map, &at, "map", &entry); i++) {
    texts[i] = str_to_c(m->c->memory, proto_text(&entry, to_number ? "key" : "value"));
    numbers[i] = proto_int(&entry, to_number ? "value" : "key", 0);
    if (!texts[i]) convert_no_memory(m->c);
  }
  if (convert_failed(m->c) || !count || (x.dtype == SDX_STRING) != to_number || x.dtype == SDX_UNDEFINED) {
    if (!convert_failed(m->c)) fail(m, "categoricalMapping", "no categories, or an input of another type");
    return;
  }
  if (to_number) {
    x.ref = ids_of_texts(m, x.ref, count, texts, numbers, proto_int(params, "int64Value", -1));
  } else {
    char *other = str_to_c(m->c->memory, proto_text(params, "strValue"));
    x = net_cast(&m->n, x, SDX_INT64);
    x.ref = net_node(&m->n, "ai.onnx.ml::LabelEncoder", NULL, SDX_REFS(x.ref));
    sdx_graph_set_ints(m->c->graph, "keys_int64s", count, numbers);
    sdx_graph_set_strings(m->c->graph, "values_strings", count, texts);
    sdx_graph_set_string(m->c->graph, "default_string", other ? other : "");
  }
  x.dtype = to_number ? SDX_INT64 : SDX_STRING;
  give(m, model, x);
}

// ---- vectors ----------------------------------------------------------------------------------------

static void vectorize_dictionary(coreml *m, const proto *model, const proto *params) {
  proto list;
  net_tensor x, y = {.dtype = SDX_FLOAT, .rank = 2, .shape = {1, 0}};
  size_t count;
  if (!coreml_input(m, model, &x)) return;
  if (x.dtype != SDX_UNDEFINED) {
    fail(m, "dictVectorizer", "the input is no dictionary");
    return;
  }
  bool of_texts = proto_get(params, "stringToIndex", &list);
  if (!of_texts) proto_get(params, "int64ToIndex", &list);
  const char **texts = of_texts ? texts_of(m, &list, &count) : NULL;
  const int64_t *keys = of_texts ? NULL : proto_all_ints(&list, "vector", &count);
  if (convert_failed(m->c)) return;
  y.ref = net_node(&m->n, "ai.onnx.ml::DictVectorizer", NULL, SDX_REFS(x.ref));
  if (of_texts) sdx_graph_set_strings(m->c->graph, "string_vocabulary", count, texts);
  else sdx_graph_set_ints(m->c->graph, "int64_vocabulary", count, keys);
  y.shape[1] = (int64_t)count;
  give(m, model, net_cast(&m->n, y, SDX_DOUBLE));
}

static void vectorize(coreml *m, const proto *model, const proto *params) {
  enum { MOST = 100000 };
  proto column;
  size_t count = proto_count(params, "inputList"), i = 0;
  net_tensor *all = count && count < MOST ? arena_array(m->c->memory, count, sizeof *all) : NULL;
  if (!all) {
    fail(m, "featureVectorizer", "a list of inputs of such a length");
    return;
  }
  for (wire at = params->bytes; i < count && proto_each(params, &at, "inputList", &column); i++) {
    str name = proto_text(&column, "inputColumn");
    if (!coreml_find(m, name, &all[i])) return;
    if (all[i].rank != 2 || all[i].dtype == SDX_STRING || all[i].dtype == SDX_UNDEFINED) {
      fail(m, "featureVectorizer", "an input is no row of numbers");
      return;
    }
    all[i] = net_cast(&m->n, all[i], SDX_DOUBLE);
  }
  if (i == count) give(m, model, net_concat(&m->n, 1, count, all));
}

static void extract(coreml *m, const proto *model, const proto *params) {
  net_tensor x;
  size_t count;
  const int64_t *at = proto_all_ints(params, "extractIndex", &count);
  if (!coreml_input(m, model, &x)) return;
  for (size_t i = 0; i < count; i++)
    if (x.rank != 2 || at[i] < 0 || (x.shape[1] >= 0 && at[i] >= x.shape[1])) {
      fail(m, "arrayFeatureExtractor", "an index beyond the columns");
      return;
    }
  if (count && x.dtype != SDX_UNDEFINED) give(m, model, net_gather(&m->n, x, net_ints(&m->n, count, at), 1));
  else fail(m, "arrayFeatureExtractor", "no indices, or an input that is no array");
}

// Rows of zeros stay as they are.
static void normalize(coreml *m, const proto *model, const proto *params) {
  static const char *const norms[] = {"ReduceMax", "ReduceL1", "ReduceL2"};
  const int64_t axis = 1;
  net *n = &m->n;
  int64_t type = proto_int(params, "normType", 0);
  net_tensor x;
  if (!input(m, model, &x)) return;
  if (type < 0 || type > 2) {
    fail(m, "normalizer", "a norm that is not known");
    return;
  }
  net_tensor norm = net_reduce(n, norms[type], type ? x : net_apply(n, "Abs", "abs", x), 1, &axis, true);
  sdx_ref zero = net_node(n, "Equal", "zero", SDX_REFS(norm.ref, net_scalar(n, SDX_DOUBLE, 0).ref));
  norm.ref = net_node(n, "Where", "norm", SDX_REFS(zero, net_scalar(n, SDX_DOUBLE, 1).ref, norm.ref));
  give(m, model, net_binary(n, "Div", NULL, x, norm));
}

static void identity(coreml *m, const proto *model, const proto *params) {
  proto description, in, out;
  net_tensor x;
  proto_get(model, "description", &description);
  wire inputs = description.bytes, outputs = description.bytes;
  while (proto_each(&description, &outputs, "output", &out)) {
    if (!proto_each(&description, &inputs, "input", &in)) {
      fail(m, "identity", "more outputs than inputs");
      return;
    }
    if (!coreml_find(m, proto_text(&in, "name"), &x)) return;
    coreml_set(m, proto_text(&out, "name"), x);
  }
}

const coreml_kind coreml_column_kinds[] = {{"scaler", scale},
                                           {"imputer", impute},
                                           {"oneHotEncoder", one_hot},
                                           {"categoricalMapping", map_categories},
                                           {"dictVectorizer", vectorize_dictionary},
                                           {"featureVectorizer", vectorize},
                                           {"arrayFeatureExtractor", extract},
                                           {"normalizer", normalize},
                                           {"identity", identity},
                                           {0}};
