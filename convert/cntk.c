// SPDX-License-Identifier: Apache-2.0
// The file of a CNTK model, and the walk over its functions (cntk.h).
#include "convert/cntk.h"

#include <string.h>

static const wire_schema value_type;

PROTO_TYPE(static, shape_type, "NDShape", PROTO(1, INTS, "shape_dim"))
PROTO_TYPE(static, axis_type, "Axis", PROTO(1, INT, "static_axis_idx"), PROTO(2, BYTES, "name"),
           PROTO(3, INT, "is_ordered_dynamic_axis"))
PROTO_TYPE(static, floats_type, "FloatValues", PROTO(1, FLOATS, "value"))
PROTO_TYPE(static, doubles_type, "DoubleValues", PROTO(1, DOUBLES, "value"))
PROTO_TYPE(static, array_type, "NDArrayView", PROTO(1, INT, "data_type"), PROTO(2, INT, "storage_format"),
           PROTO_MESSAGE(3, "shape", shape_type), PROTO_MESSAGE(4, "float_values", floats_type),
           PROTO_MESSAGE(5, "double_values", doubles_type))
PROTO_TYPE(static, vector_type, "Vector", PROTO_MESSAGES(1, "value", value_type))
PROTO_TYPE(static, entry_type, "MapEntry", PROTO(1, BYTES, "key"), PROTO_MESSAGE(2, "value", value_type))
PROTO_TYPE(static, dictionary_type, "Dictionary", PROTO(1, INT, "version"), PROTO_MESSAGES(2, "data", entry_type))
PROTO_TYPE(static, value_type, "DictionaryValue", PROTO(1, INT, "version"), PROTO(2, INT, "value_type"),
           PROTO(3, INT, "bool_value"), PROTO(4, INT, "int_value"), PROTO(5, INT, "size_t_value"),
           PROTO(6, FLOAT, "float_value"), PROTO(7, DOUBLE, "double_value"), PROTO(8, BYTES, "string_value"),
           PROTO_MESSAGE(9, "nd_shape_value", shape_type), PROTO_MESSAGE(10, "axis_value", axis_type),
           PROTO_MESSAGE(11, "vector_value", vector_type), PROTO_MESSAGE(12, "dictionary_value", dictionary_type),
           PROTO_MESSAGE(13, "nd_array_view_value", array_type))

// ---- dictionaries ---------------------------------------------------------------------------------------

bool cntk_get(const proto *dictionary, const char *key, proto *value) {
  wire at = dictionary->bytes;
  proto entry;
  while (proto_each(dictionary, &at, "data", &entry))
    if (str_is(proto_text(&entry, "key"), key)) return proto_get(&entry, "value", value);
  *value = (proto){dictionary->c, &value_type, {dictionary->bytes.file, dictionary->bytes.end, dictionary->bytes.end}};
  return false;
}

double cntk_number(const proto *dictionary, const char *key, double missing) {
  static const char *const fields[] = {"double_value", "float_value", "size_t_value", "int_value", "bool_value"};
  proto value;
  if (!cntk_get(dictionary, key, &value)) return missing;
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (proto_has(&value, fields[i])) return proto_number(&value, fields[i], missing);
  return missing;
}

int64_t cntk_int(const proto *dictionary, const char *key, int64_t missing) {
  double n = cntk_number(dictionary, key, (double)missing);
  return n >= -1e15 && n <= 1e15 ? (int64_t)n : missing;
}

const char *cntk_text(cntk *k, const proto *dictionary, const char *key) {
  proto value;
  cntk_get(dictionary, key, &value);
  const char *text = str_to_c(k->c->memory, proto_text(&value, "string_value"));
  return text ? text : "";
}

size_t cntk_shape(const proto *dictionary, const char *key, int64_t shape[NET_RANK]) {
  proto value, dims;
  int64_t all[NET_RANK + 1];
  cntk_get(dictionary, key, &value);
  proto_get(&value, "nd_shape_value", &dims);
  size_t rank = proto_ints(&dims, "shape_dim", NET_RANK + 1, all);
  if (rank > NET_RANK) return rank;
  for (size_t i = 0; i < rank; i++) shape[i] = all[rank - 1 - i] < 0 ? -1 : all[rank - 1 - i];
  return rank;
}

size_t cntk_list(const proto *dictionary, const char *key, size_t room, proto *values) {
  proto value, list, one;
  cntk_get(dictionary, key, &value);
  proto_get(&value, "vector_value", &list);
  wire at = list.bytes;
  size_t count = 0;
  while (proto_each(&list, &at, "value", &one))
    if (count++ < room) values[count - 1] = one;
  return count;
}

// ---- functions ------------------------------------------------------------------------------------------

static size_t list_size(const proto *dictionary, const char *key) { return cntk_list(dictionary, key, 0, NULL); }

static proto *whole_list(cntk *k, const proto *dictionary, const char *key, size_t *count) {
  *count = list_size(dictionary, key);
  proto *all = arena_array(k->c->memory, *count + 1, sizeof *all);
  if (!all) convert_no_memory(k->c), *count = 0;
  else cntk_list(dictionary, key, *count, all);
  return all;
}

static bool read_function(cntk *k, const proto *dictionary, cntk_function *f) {
  proto attributes;
  cntk_get(dictionary, "attributes", &attributes);
  *f = (cntk_function){.dictionary = *dictionary,
                       .uid = cntk_text(k, dictionary, "uid"),
                       .name = cntk_text(k, dictionary, "name"),
                       .op = cntk_int(dictionary, "op", -1)};
  proto_get(&attributes, "dictionary_value", &f->attributes);
  proto *inputs = whole_list(k, dictionary, "inputs", &f->input_count);
  f->inputs = arena_array(k->c->memory, f->input_count + 1, sizeof *f->inputs);
  if (!f->inputs) return !convert_no_memory(k->c);
  for (size_t i = 0; i < f->input_count; i++) f->inputs[i] = proto_text(&inputs[i], "string_value");
  return !k->c->f->status;
}

// An argument within a block is a value around it.
static bool add_aliases(cntk *k, const proto *block) {
  size_t count, others;
  proto *keys = whole_list(k, block, "block_function_composite_arguments_map_keys", &count),
        *values = whole_list(k, block, "block_function_composite_arguments_map_values", &others);
  if (count != others)
    return !convert_fail(k->c, SDX_INVALID_MODEL, "block", NULL, "%zu arguments for %zu parameters", others, count);
  str *more = arena_array(k->c->memory, k->alias_count + count + 1, sizeof *more);
  if (!more) return !convert_no_memory(k->c);
  if (k->alias_count) memcpy(more, k->aliases, k->alias_count * sizeof *more);
  k->aliases = more;
  for (size_t i = 0; i < count; i++) {
    k->aliases[k->alias_count] = proto_text(&values[i], "string_value");
    if (!str_map_put(&k->alias_of, proto_text(&keys[i], "string_value"), (uint32_t)k->alias_count++))
      return !convert_no_memory(k->c);
  }
  return true;
}

static bool add_variables(cntk *k, const proto *composite);

// All functions of a composite, those of its blocks included.
static bool add_functions(cntk *k, const proto *composite, unsigned depth) {
  enum { MOST_DEPTH = 16, MOST_FUNCTIONS = 100000 };
  size_t count;
  proto *all = whole_list(k, composite, "primitive_functions", &count), one, inner, value;
  if (depth > MOST_DEPTH || k->function_count + count > MOST_FUNCTIONS)
    return !convert_fail(k->c, SDX_LIMIT_EXCEEDED, "primitive_functions", NULL, "blocks or functions are too many");
  cntk_function *more = arena_array(k->c->memory, k->function_count + count + 1, sizeof *more);
  if (!more) return !convert_no_memory(k->c);
  if (k->function_count) memcpy(more, k->functions, k->function_count * sizeof *more);
  k->functions = more;
  for (size_t i = 0; i < count; i++) {
    proto_get(&all[i], "dictionary_value", &one);
    cntk_function f;
    if (!read_function(k, &one, &f)) return false;
    if (str_map_find(&k->function_of, str_from(f.uid), &(uint32_t){0})) continue;  // a block's lie outside of it, too
    if (!str_map_put(&k->function_of, str_from(f.uid), (uint32_t)k->function_count)) return !convert_no_memory(k->c);
    k->functions[k->function_count++] = f;
  }
  if (!add_variables(k, composite)) return false;
  for (size_t i = 0; i < count; i++) {
    proto_get(&all[i], "dictionary_value", &one);
    if (!cntk_get(&one, "block_function_composite", &value)) continue;
    proto_get(&value, "dictionary_value", &inner);
    if (!add_aliases(k, &one) || !add_functions(k, &inner, depth + 1)) return false;
  }
  return true;
}

// ---- variables ------------------------------------------------------------------------------------------

static bool put_value(cntk *k, str uid, cntk_value v) {
  if (k->value_count == k->value_room) {
    size_t room = 2 * k->value_room + 64;
    cntk_value *more = arena_array(k->c->memory, room, sizeof *more);
    if (!more) return !convert_no_memory(k->c);
    if (k->value_count) memcpy(more, k->values, k->value_count * sizeof *more);
    k->values = more, k->value_room = room;
  }
  k->values[k->value_count] = v;
  return str_map_put(&k->value_of, uid, (uint32_t)k->value_count++) || !convert_no_memory(k->c);
}

static net_tensor constant_of(cntk *k, const proto *variable, const char *name, size_t rank, const int64_t *shape) {
  enum { DENSE, KIND_FLOAT = 1 };
  proto value, array, list;
  net_numbers w = {.coding = NET_F32};
  cntk_get(variable, "value", &value);
  proto_get(&value, "nd_array_view_value", &array);
  if (proto_int(&array, "storage_format", DENSE) != DENSE)
    return net_fail(&k->n, SDX_NOT_SUPPORTED, NULL, "the sparse parameter '%s'", name), (net_tensor){0};
  if (proto_get(&array, "float_values", &list)) w.at = proto_floats(&list, "value", &w.count);
  else if (proto_get(&array, "double_values", &list))
    w.at = proto_doubles(&list, "value", &w.count), w.coding = NET_F64;
  return net_constant(&k->n, name, SDX_FLOAT, rank, shape, &w, NULL);
}

static bool add_variable(cntk *k, const proto *variable) {
  enum { INPUT, OUTPUT, PARAMETER, CONSTANT, PLACEHOLDER };
  const char *uid = cntk_text(k, variable, "uid"), *name = cntk_text(k, variable, "name");
  int64_t kind = cntk_int(variable, "kind", -1), shape[NET_RANK];
  size_t rank = cntk_shape(variable, "shape", shape), axes = list_size(variable, "dynamic_axis");
  cntk_value v = {.x = {.dtype = SDX_FLOAT}};
  if (!*name) name = uid;
  k->n.layer = name;
  if (kind == PLACEHOLDER || kind == OUTPUT || str_map_find(&k->value_of, str_from(uid), &(uint32_t){0})) return true;
  if (rank + axes > NET_RANK)
    return !net_fail(&k->n, SDX_LIMIT_EXCEEDED, NULL, "it has %zu dimensions, more than %d", rank + axes, NET_RANK);
  if (kind == INPUT) {
    if (!axes) axes = 1;
    v.outside = axes;
    v.x.rank = rank + axes;
    for (size_t i = 0; i < v.x.rank; i++) v.x.shape[i] = i < axes ? -1 : shape[i - axes];
    v.x = net_input(&k->n, name, v.x, true);
  } else {
    v.x = constant_of(k, variable, name, rank, shape);
  }
  return v.x.ref ? put_value(k, str_from(uid), v) : !(k->c->f->status || !convert_no_memory(k->c));
}

static bool add_variables(cntk *k, const proto *composite) {
  size_t count;
  proto *all = whole_list(k, composite, "inputs", &count), one;
  for (size_t i = 0; i < count; i++) {
    proto_get(&all[i], "dictionary_value", &one);
    if (!add_variable(k, &one) && !convert_failed(k->c)) return false;
  }
  return !convert_failed(k->c);
}

// ---- the walk -------------------------------------------------------------------------------------------

enum { BLOCK = 57, COMBINE = 44 };

// "uid_Output_0" is the result of a function: its uid, and the number of the result.
static const cntk_function *function_behind(const cntk *k, str value, size_t *number) {
  static const char mark[] = "_Output_";
  const char *at = NULL, *from = value.at;
  uint32_t index;
  while ((from = memmem(from, value.size - (size_t)(from - value.at), mark, sizeof mark - 1))) at = from++;
  if (!at || !str_map_find(&k->function_of, (str){value.at, (size_t)(at - value.at)}, &index)) return NULL;
  *number = 0;
  for (const char *digit = at + sizeof mark - 1; digit < value.at + value.size; digit++)
    *number = *number * 10 % 1000 + (size_t)(*digit - '0') % 10;
  return &k->functions[index];
}

// The name of the value that a name stands for: out of blocks, through those that only combine.
static str resolve(cntk *k, str name) {
  enum { MOST_STEPS = 100 };
  uint32_t index;
  size_t number;
  proto value, composite;
  for (unsigned i = 0; i < MOST_STEPS; i++) {
    const cntk_function *f = function_behind(k, name, &number);
    if (str_map_find(&k->alias_of, name, &index)) {
      name = k->aliases[index];
    } else if (f && f->op == COMBINE && number < f->input_count) {
      name = f->inputs[number];
    } else if (f && f->op == BLOCK && cntk_get(&f->dictionary, "block_function_composite", &value)) {
      proto_get(&value, "dictionary_value", &composite);
      const char *root = cntk_text(k, &composite, "root");
      name = str_from(arena_format(k->c->memory, "%s_Output_%zu", root, number));
    } else {
      break;
    }
  }
  return name;
}

static const cntk_value *value_named(cntk *k, str name) {
  uint32_t index;
  return str_map_find(&k->value_of, resolve(k, name), &index) ? &k->values[index] : NULL;
}

static bool emit(cntk *k, cntk_function *f) {
  cntk_value in[CNTK_INPUTS] = {0};
  const cntk_op *op = cntk_op_of(f->op);
  if (f->input_count > CNTK_INPUTS) return !net_fail(&k->n, SDX_LIMIT_EXCEEDED, NULL, "it has too many inputs");
  for (size_t i = 0; i < f->input_count; i++) {
    const cntk_value *v = value_named(k, f->inputs[i]);
    if (!v) return false;
    in[i] = *v;
  }
  k->n.layer = *f->name ? f->name : f->uid;
  k->n.kind = op->name;
  f->done = true;
  if (!f->input_count) return !net_fail(&k->n, SDX_INVALID_MODEL, NULL, "it has no input");
  cntk_value out = op->emit(k, f, in);
  if (!out.x.ref) return convert_failed(k->c) ? false : !net_fail(&k->n, SDX_INVALID_MODEL, NULL, "it has no result");
  return put_value(k, str_from(arena_format(k->c->memory, "%s_Output_0", f->uid)), out);
}

// What the results need.
static bool mark(cntk *k, str result, bool *needed) {
  size_t room = k->function_count + 1, count = 0, number;
  const cntk_function **stack = arena_array(k->c->memory, room, sizeof *stack), *f;
  if (!stack) return !convert_no_memory(k->c);
  if ((f = function_behind(k, resolve(k, result), &number)) && !needed[f - k->functions])
    needed[f - k->functions] = true, stack[count++] = f;
  while (count) {
    const cntk_function *of = stack[--count];
    for (size_t i = 0; i < of->input_count; i++)
      if ((f = function_behind(k, resolve(k, of->inputs[i]), &number)) && !needed[f - k->functions])
        needed[f - k->functions] = true, stack[count++] = f;
  }
  return true;
}

static bool check_ops(cntk *k, const bool *needed) {
  for (size_t i = 0; i < k->function_count; i++) {
    const cntk_function *f = &k->functions[i];
    const char *name = cntk_op_name(f->op);
    if (needed[i] && !cntk_op_of(f->op))
      convert_fail(k->c, SDX_NOT_SUPPORTED, *f->name ? f->name : f->uid,
                   "in CNTK: model.save(\"model.onnx\", format=ModelFormat.ONNX)",
                   "the operation %lld%s%s is not converted", (long long)f->op, *name ? ", " : "", name);
  }
  return !convert_failed(k->c);
}

// Functions whose inputs are there, again and again: the file has them nearly in order.
static bool walk(cntk *k, const bool *needed) {
  enum { MOST_ROUNDS = 1000 };
  size_t left = 0;
  for (size_t i = 0; i < k->function_count; i++) left += needed[i];
  for (unsigned round = 0; left && round < MOST_ROUNDS; round++) {
    size_t before = left;
    for (size_t i = 0; i < k->function_count; i++)
      if (needed[i] && !k->functions[i].done && (emit(k, &k->functions[i]) || k->functions[i].done)) left--;
    if (convert_failed(k->c)) return false;
    if (left == before) break;
  }
  if (!left) return true;
  for (size_t i = 0; i < k->function_count; i++)
    if (needed[i] && !k->functions[i].done)
      return !convert_fail(k->c, SDX_INVALID_MODEL, k->functions[i].uid, NULL, "what it reads is nowhere computed");
  return false;
}

static size_t result_count(const cntk_function *root) { return root->op == COMBINE ? root->input_count : 1; }
static str result_at(cntk *k, const cntk_function *root, size_t i) {
  if (root->op == COMBINE) return root->inputs[i];
  const char *name = arena_format(k->c->memory, "%s_Output_0", root->uid);
  return str_from(name ? name : "");
}

// What a result is called: after its function.
static const char *result_name(cntk *k, str result) {
  size_t number;
  const cntk_function *f = function_behind(k, resolve(k, result), &number);
  const char *name = f && *f->name ? f->name : str_to_c(k->c->memory, result);
  return name ? name : "";
}

static bool give_results(cntk *k, const cntk_function *root) {
  for (size_t i = 0; i < result_count(root); i++) {
    const cntk_value *v = value_named(k, result_at(k, root, i));
    if (!v) return !convert_fail(k->c, SDX_INVALID_MODEL, root->uid, NULL, "a result is nowhere computed");
    net_output(&k->n, result_name(k, result_at(k, root, i)), v->x);
  }
  return true;
}

static bool compute(cntk *k, const cntk_function *root) {
  bool *needed = arena_array(k->c->memory, k->function_count + 1, sizeof *needed);
  if (!needed) return !convert_no_memory(k->c);
  for (size_t i = 0; i < result_count(root); i++) {
    if (!mark(k, result_at(k, root, i), needed)) return false;
    net_reserve(&k->n, str_from(result_name(k, result_at(k, root, i))));
  }
  return check_ops(k, needed) && walk(k, needed) && give_results(k, root);
}

static sdx_status convert(conversion *c) {
  cntk k = {.c = c};
  proto model;
  uint32_t index;
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  if (c->source->size > 1 && !c->source->bytes[1])
    return convert_fail(c, SDX_NOT_SUPPORTED, NULL, "CNTK 2 reads it and saves ONNX: Function.load, then model.save",
                        "this is a model of CNTK 1");
  net_init(&k.n, c);
  str_map_init(&k.function_of, c->memory);
  str_map_init(&k.value_of, c->memory);
  str_map_init(&k.alias_of, c->memory);
  if (!proto_open(c, &dictionary_type, wire_of(c->source->bytes, (size_t)c->source->size), &model)) return c->f->status;
  convert_made_by(c, "CNTK 2");
  const char *root = cntk_text(&k, &model, "root");
  if (!add_functions(&k, &model, 0)) return c->f->status;
  if (!str_map_find(&k.function_of, str_from(root), &index))
    return convert_fail(c, SDX_INVALID_MODEL, "root", NULL, "the dictionary has no function '%.100s'", root);
  compute(&k, &k.functions[index]);
  sdx_builder_describe(c->builder, "graph_name", "cntk");
  return c->f->status;
}

CONVERT_FORMAT(cntk) = {
    .name = "cntk",
    .title = "CNTK",
    .files = "models of version 2 (.model, .dnn), without recurrences",
    .kinds = CONVERT_KINDS("cntk"),
    .convert = convert,
    .operator_at = cntk_operator_at,
};
