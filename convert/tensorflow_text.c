// SPDX-License-Identifier: Apache-2.0
// Texts, and tables that are looked up in: a table becomes a LabelEncoder with the keys and values that its initializer
// has, from constants or from a file among the model's assets.
#include <stdlib.h>
#include <string.h>

#include "convert/tensorflow_proto.h"

enum { STRING_OPERATORS = 20, WHOLE_LINE = -2, LINE_NUMBER = -1 };

// Keys or values of a table, of one kind.
typedef struct column {
  sdx_dtype dtype;
  size_t count;
  const char **texts;
  int64_t *ints;
  float *floats;
} column;

static bool needs_opset_20(tf_op *op) {
  return sdx_builder_opset(op->t->c->builder, "") >= STRING_OPERATORS ||
         !tf_fail(op, SDX_NOT_SUPPORTED, "--opset 20 or newer", "operators on texts need opset 20");
}

// ---- tables -----------------------------------------------------------------------------------------

static bool make_column(tf_op *op, sdx_dtype dtype, size_t count, column *c) {
  arena *memory = op->t->c->memory;
  *c = (column){.dtype = dtype, .count = count};
  if (dtype == SDX_STRING) c->texts = arena_array(memory, count + 1, sizeof *c->texts);
  else if (tf_is_float(dtype)) c->floats = arena_array(memory, count + 1, sizeof *c->floats);
  else c->ints = arena_array(memory, count + 1, sizeof *c->ints);
  return c->texts || c->floats || c->ints || !convert_no_memory(op->t->c);
}

static bool column_of(tf_op *op, const tf_value *x, column *c) {
  size_t element = tf_element_bytes(x->dtype), count = x->texts ? x->element_count : element ? x->size / element : 0;
  if ((!x->texts && (!x->data || !x->data->bytes)) ||
      (x->dtype != SDX_STRING && x->dtype != SDX_INT64 && x->dtype != SDX_INT32 && x->dtype != SDX_FLOAT &&
       x->dtype != SDX_BOOL))
    return !tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a table whose entries are computed, or of other types");
  if (!make_column(op, x->dtype, count, c)) return false;
  for (size_t i = 0; i < count; i++) {
    int32_t n;
    const char *bytes = x->texts ? NULL : (const char *)x->data->bytes + i * element;
    if (c->texts && !(c->texts[i] = str_to_c(op->t->c->memory, x->texts[i]))) return !convert_no_memory(op->t->c);
    if (c->floats) memcpy(&c->floats[i], bytes, 4);
    else if (c->ints && element == 8) memcpy(&c->ints[i], bytes, 8);
    else if (c->ints && element == 4) memcpy(&n, bytes, 4), c->ints[i] = n;
    else if (c->ints) c->ints[i] = *bytes;
  }
  return true;
}

static bool from_constants(tf_op *op, tf_scope *scope, const tf_node *node, column *keys, column *values) {
  for (size_t i = 1; i < 3; i++) {
    tf_end end;
    const tf_value *x;
    if (i >= node->input_count || !tf_end_of(scope, node->inputs[i], &end) || !(x = tf_compute(op->t, end)) ||
        !column_of(op, x, i == 1 ? keys : values))
      return false;
  }
  return true;
}

// The file that a value names: one of the assets, which lie in the model's own folder.
static bool asset_of(tf_op *op, tf_end end, str *file) {
  tf *t = op->t;
  tf_scope *scope;
  size_t filler;
  if (!tf_resolve(t, &end)) return false;
  const tf_node *node = &end.scope->graph->nodes[end.node];
  if (tf_filler(t, end, &filler, &scope)) {
    const tf_node *assign = &scope->graph->nodes[filler];
    tf_end from;
    return assign->input_count > 1 && tf_end_of(scope, assign->inputs[1], &from) && tf_resolve(t, &from) &&
           !tf_filler(t, from, &filler, &scope) && asset_of(op, from, file);
  }
  for (size_t i = 0; i < t->asset_count; i++) {
    str value = t->assets[i].value;
    if (value.size > 2 && !memcmp(value.at + value.size - 2, ":0", 2)) value.size -= 2;
    if (!str_equal(value, node->name)) continue;
    *file = t->assets[i].file;
    return file->size && !memchr(file->at, '/', file->size) && !memchr(file->at, 0, file->size);
  }
  return false;
}

// One field of a line.
static bool put_field(tf_op *op, column *c, int64_t index, size_t line, str text, char delimiter) {
  char *end;
  if (index == LINE_NUMBER) {
    if (!c->ints) return false;
    c->ints[line] = (int64_t)line;
    return true;
  }
  for (int64_t i = 0; i < index; i++) {
    const char *next = memchr(text.at, delimiter, text.size);
    if (!next) return false;
    text = (str){next + 1, text.size - (size_t)(next + 1 - text.at)};
  }
  const char *stop = index >= 0 ? memchr(text.at, delimiter, text.size) : NULL;
  if (stop) text.size = (size_t)(stop - text.at);
  char *copy = str_to_c(op->t->c->memory, text);
  if (!copy) return false;
  if (c->texts) return c->texts[line] = copy, true;
  if (c->floats) c->floats[line] = strtof(copy, &end);
  else c->ints[line] = strtoll(copy, &end, 10);
  return end != copy && !*end;
}

static bool read_lines(tf_op *op, const tf_node *node, str lines, column *keys, column *values) {
  int64_t key = tf_attr_int(node, "key_index", WHOLE_LINE), value = tf_attr_int(node, "value_index", LINE_NUMBER);
  int64_t most = tf_attr_int(node, "vocab_size", -1);
  str delimiter = tf_attr_text(node, "delimiter");
  char by = delimiter.size ? delimiter.at[0] : '\t';
  size_t count = 0, at = 0;
  for (size_t i = 0; i < lines.size; i++) count += lines.at[i] == '\n' || i + 1 == lines.size;
  if (most >= 0 && count > (size_t)most) count = (size_t)most;
  if (!make_column(op, tf_attr_dtype(op->node, "Tin"), count, keys) ||
      !make_column(op, tf_attr_dtype(op->node, "Tout"), count, values))
    return false;
  for (size_t line = 0; line < count; line++) {
    const char *end = memchr(lines.at + at, '\n', lines.size - at);
    str text = {lines.at + at, end ? (size_t)(end - lines.at) - at : lines.size - at};
    at += text.size + 1;
    if (text.size && text.at[text.size - 1] == '\r') text.size--;
    if (!put_field(op, keys, key, line, text, by) || !put_field(op, values, value, line, text, by))
      return !tf_fail(op, SDX_INVALID_MODEL, NULL, "line %zu of its table's file has not the fields that are expected",
                      line + 1);
  }
  return true;
}

static bool from_file(tf_op *op, tf_scope *scope, const tf_node *node, column *keys, column *values) {
  conversion *c = op->t->c;
  tf_end end;
  str file;
  source *s = NULL;
  fault f = {0};
  if (node->input_count < 2 || !tf_end_of(scope, node->inputs[1], &end)) return false;
  if (!op->t->folder || !asset_of(op, end, &file))
    return !tf_fail(op, SDX_NOT_SUPPORTED, "export a SavedModel, which has the file",
                    "its table is read from a file that does not come with the model");
  char *path = arena_format(c->memory, "%s/assets/%.*s", op->t->folder, STR_ARG(file));
  if (!path) return !convert_no_memory(c);
  bool good = !source_open(path, &s, &f) && !source_load(s, NULL, NULL, &f);
  if (!good) tf_fail(op, f.status, NULL, "%s", f.message);
  else good = read_lines(op, node, (str){s->bytes, (size_t)s->size}, keys, values);
  source_close(s);
  return good;
}

static void set_column(tf_op *op, const char *kind, const column *c) {
  char *name = arena_format(op->t->c->memory, "%s_%s", kind, c->texts ? "strings" : c->floats ? "floats" : "int64s");
  if (!name) return;
  if (c->texts) sdx_graph_set_strings(op->g, name, c->count, c->texts);
  else if (c->floats) sdx_graph_set_floats(op->g, name, c->count, c->floats);
  else sdx_graph_set_ints(op->g, name, c->count, c->ints);
}

static void find(tf_op *op) {
  const tf_value *x = tf_in(op, 1), *missing = tf_in(op, 2);
  tf_end table = tf_input_end(op, 0);
  tf_scope *scope;
  size_t at;
  column keys, values, other;
  sdx_ref in = x ? tf_get(op, 1) : 0;
  if (!in || !missing || !table.scope) return;
  if (!tf_filler(op->t, table, &at, &scope)) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "nothing fills its table '%.*s'",
            STR_ARG(table.scope->graph->nodes[table.node].name));
    return;
  }
  const tf_node *node = &scope->graph->nodes[at];
  bool file = memmem(node->op.at, node->op.size, "TextFile", 8) != NULL;
  if (!(file ? from_file(op, scope, node, &keys, &values) : from_constants(op, scope, node, &keys, &values))) {
    if (!convert_failed(op->t->c)) tf_fail(op, SDX_INVALID_MODEL, NULL, "its table is damaged");
    return;
  }
  if (!column_of(op, missing, &other)) return;
  if (keys.count != values.count || !keys.count || other.count != 1) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a table of %zu keys and %zu values", keys.count, values.count);
    return;
  }
  if (x->dtype == SDX_INT32) in = tf_cast(op, in, SDX_INT64);
  sdx_ref y = tf_node_add(op, "ai.onnx.ml::LabelEncoder", SDX_REFS(in));
  set_column(op, "keys", &keys);
  set_column(op, "values", &values);
  if (other.texts) sdx_graph_set_string(op->g, "default_string", other.texts[0]);
  else if (other.floats) sdx_graph_set_float(op->g, "default_float", other.floats[0]);
  else sdx_graph_set_int(op->g, "default_int64", other.ints[0]);
  bool cast = other.ints && other.dtype != SDX_INT64;
  tf_set_like(op, 0, cast ? tf_cast(op, y, other.dtype) : y, x)->dtype = other.dtype;
}

// The handle alone holds nothing.
static void table(tf_op *op) { op->out[0] = (tf_value){.what = TF_TABLE, .dtype = (sdx_dtype)TF_RESOURCE, .rank = 0}; }

// ---- texts ------------------------------------------------------------------------------------------

static void change_case(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (!in) return;
  sdx_ref flat = tf_node_add(op, "Reshape", SDX_REFS(in, tf_list(op, 1, (int64_t[]){-1})));
  sdx_ref y = tf_node_add(op, "StringNormalizer", SDX_REFS(flat));
  if (y) sdx_graph_set_string(op->g, "case_change_action", op->kind->op);
  if (y && !tf_attr_text(op->node, "encoding").size) sdx_graph_set_string(op->g, "locale", "C");  // ASCII letters only
  tf_set_like(op, 0, tf_node_add(op, "Reshape", SDX_REFS(y, tf_node_add(op, "Shape", SDX_REFS(in)))), x);
}

static sdx_ref text_scalar(tf_op *op, str text) {
  sdx_value *tensor = sdx_tensor_create(SDX_STRING, 0, NULL);
  if (tensor && sdx_tensor_set_string(tensor, 0, text.at, text.size)) return convert_no_memory(op->t->c), 0;
  return sdx_graph_add_initializer(sdx_builder_graph(op->t->c->builder), "text", tensor);
}

static void join(tf_op *op) {
  tf_value sum = {.rank = 0};
  str separator = tf_attr_text(op->node, "separator");
  sdx_ref y = 0, between = separator.size ? text_scalar(op, separator) : 0;
  if (!needs_opset_20(op)) return;
  for (size_t i = 0; i < op->node->input_count; i++) {
    const tf_value *x = tf_in(op, i);
    sdx_ref in = x ? tf_get(op, i) : 0;
    if (!in) return;
    tf_value before = sum;
    tf_broadcast(&before, x, &sum.rank, sum.shape);
    if (y && between) y = tf_node_add(op, "StringConcat", SDX_REFS(y, between));
    y = y ? tf_node_add(op, "StringConcat", SDX_REFS(y, in)) : in;
  }
  if (y)
    tf_set(op, 0, op->node->input_count > 1 ? y : tf_node_add(op, "Identity", SDX_REFS(y)), SDX_STRING, sum.rank,
           sum.shape);
}

static void full_match(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (!in || !needs_opset_20(op)) return;
  sdx_ref y = tf_node_add(op, "RegexFullMatch", SDX_REFS(in));
  char *pattern = str_to_c(op->t->c->memory, tf_attr_text(op->node, "pattern"));
  if (y && pattern) sdx_graph_set_string(op->g, "pattern", pattern);
  tf_set(op, 0, y, SDX_BOOL, x->rank, x->shape);
}

// Results of a sparse tensor: indices, values, shape. What is there of a row is told by its length.
static void split(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *by = tf_in(op, 1);
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (!in || !by || !needs_opset_20(op)) return;
  if (!by->texts || by->element_count != 1 || tf_attr_int(op->node, "maxsplit", -1) >= 0) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a separator that is computed, or a bound on the parts");
    return;
  }
  sdx_ref parts = tf_node_add(op, "StringSplit", SDX_REFS(in));
  if (!parts) return;
  char *separator = str_to_c(op->t->c->memory, by->texts[0]);
  if (separator && *separator) sdx_graph_set_string(op->g, "delimiter", separator);
  sdx_ref counts = sdx_graph_add_node_output(op->g), one = tf_list(op, 1, (int64_t[]){1});
  sdx_ref shape = tf_node_add(op, "Shape", SDX_REFS(parts));
  sdx_ref width = tf_squeeze(op, tf_slice_axis(op, shape, 0, 1, 2, 1), 0), zero = tf_scalar(op, SDX_INT64, 0);
  sdx_ref step = tf_scalar(op, SDX_INT64, 1);
  sdx_ref places = tf_node_add(op, "Range", SDX_REFS(zero, width, step));
  sdx_ref there = tf_node_add(op, "Less", SDX_REFS(places, tf_node_add(op, "Unsqueeze", SDX_REFS(counts, one))));
  sdx_ref at = tf_transpose(op, tf_node_add(op, "NonZero", SDX_REFS(there)), 2, (int64_t[]){1, 0});
  tf_set(op, 0, at, SDX_INT64, 2, (int64_t[]){-1, 2});
  tf_set(op, 1, tf_node_add(op, "GatherND", SDX_REFS(parts, at)), SDX_STRING, 1, NULL);
  tf_set(op, 2, shape, SDX_INT64, 1, (int64_t[]){2});
}

static void as_string(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (!in) return;
  bool plain = tf_attr_int(op->node, "width", -1) < 0 && !tf_attr_text(op->node, "fill").size;
  if (tf_is_float(x->dtype) || x->dtype == SDX_BOOL || !plain) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "texts of other than whole numbers, or of a width");
    return;
  }
  tf_set(op, 0, tf_cast(op, in, SDX_STRING), SDX_STRING, x->rank, x->shape);
}

static void to_number(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_dtype to = tf_attr_dtype(op->node, "out_type");
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (in) tf_set(op, 0, tf_cast(op, in, to ? to : SDX_FLOAT), to ? to : SDX_FLOAT, x->rank, x->shape);
}

const tf_kind tf_text_kinds[] = {
    {"AsString", .emit = as_string},
    {"HashTable", .emit = table},
    {"HashTableV2", .emit = table},
    {"LookupTableFind", .emit = find},
    {"LookupTableFindV2", .emit = find},
    {"StaticRegexFullMatch", .emit = full_match},
    {"StringJoin", .emit = join},
    {"StringLower", change_case, .op = "LOWER"},
    {"StringSplitV2", split, .outputs = "indices,values,shape"},
    {"StringToNumber", .emit = to_number},
    {"StringUpper", change_case, .op = "UPPER"},
    {0},
};
