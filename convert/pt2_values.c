// SPDX-License-Identifier: Apache-2.0
// Values of exported programs and the arguments of their operators, which the file keeps by the names of ATen's
// schemas; what an argument has by default is not in the file. Read next: pt2.h.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "convert/pt2.h"

// ---- values -----------------------------------------------------------------------------------------

pt2_value *pt2_bind(pt2 *p, pt2_scope *scope, const char *name, pt2_value value) {
  pt2_value *kept = arena_copy(p->c->memory, &value, sizeof value);
  if (kept && p->value_count == p->value_room) {
    size_t room = p->value_room ? 2 * p->value_room : 256;
    pt2_value **more = arena_array(p->c->memory, room, sizeof *more);
    if (!more) return convert_no_memory(p->c), NULL;
    if (p->value_count) memcpy(more, p->values, p->value_count * sizeof *more);
    p->values = more;
    p->value_room = room;
  }
  if (!kept || !str_map_put(&scope->names, str_from(name), (uint32_t)p->value_count))
    return convert_no_memory(p->c), NULL;
  return p->values[p->value_count++] = kept;
}

pt2_value *pt2_find(pt2 *p, const char *name) {
  uint32_t at;
  if (str_map_find(&p->scope->names, str_from(name), &at)) return p->values[at];
  net_fail(&p->n, SDX_INVALID_MODEL, NULL, "the value '%.100s' is never computed", name);
  return NULL;
}

const char *pt2_expression(pt2 *p, const json_t *size) {
  const json_t *number = json_object_get(size, "as_int");
  if (!json_is_integer(number)) return pt2_plain(p, text_of(json_object_get(size, "as_expr"), "expr_str"));
  const char *text = arena_format(p->c->memory, "%lld", (long long)json_integer_value(number));
  return text ? text : "";
}

bool pt2_declared(pt2 *p, const pt2_scope *scope, const char *name, pt2_value *v) {
  const json_t *meta = json_object_get(json_object_get(scope->graph, "tensor_values"), name),
               *sizes = json_object_get(meta, "sizes");
  *v = (pt2_value){.tensor = {.dtype = pt2_dtype(number_of(meta, "dtype")), .rank = json_array_size(sizes)}};
  if (!meta) return false;
  if (!v->tensor.dtype || v->tensor.rank > NET_RANK)
    return !net_fail(&p->n, SDX_NOT_SUPPORTED, NULL, "the value '%.100s' of type %lld, of rank %zu", name,
                     (long long)number_of(meta, "dtype"), v->tensor.rank);
  for (size_t i = 0; i < v->tensor.rank; i++) {
    const char *size = pt2_expression(p, json_array_get(sizes, i));
    bool known = pt2_expression_number(size, &v->tensor.shape[i]);
    if (!known) v->tensor.shape[i] = -1, v->size[i] = size;
    if (known ? v->tensor.shape[i] < 0 : !*size)
      return !net_fail(&p->n, SDX_INVALID_MODEL, NULL, "the value '%.100s' has no size %zu", name, i);
  }
  return true;
}

// ---- weights ----------------------------------------------------------------------------------------

static sdx_status fill(void *context, void *bytes, size_t size) {
  const stored_tensor *t = context;
  int64_t index[NET_RANK] = {0}, at = 0;
  size_t each = stored_number_bytes(t->dtype);
  char *to = bytes;
  for (size_t k = 0; k < size; k += each) {
    memcpy(to + k, t->bytes + at * (int64_t)each, each);
    for (size_t i = t->rank; i--;) {
      at += t->stride[i];
      if (++index[i] < t->shape[i]) break;
      at -= t->stride[i] * t->shape[i];
      index[i] = 0;
    }
  }
  return SDX_OK;
}

static sdx_status fill_in_order(void *context, void *bytes, size_t size) {
  if (size) memcpy(bytes, ((const stored_tensor *)context)->bytes, size);
  return SDX_OK;
}

static bool in_order(const stored_tensor *t) {
  int64_t step = 1;
  for (size_t i = t->rank; i--; step *= t->shape[i])
    if (t->shape[i] != 1 && t->stride[i] != step) return false;
  return true;
}

static void emit_pending(pt2 *p, pt2_value *v) {
  pt2_op op = {.p = p, .n = &p->n, .node = v->pending, .kind = pt2_find_kind(text_of(v->pending, "target"))};
  if (p->pending == PT2_DEPTH) {
    net_fail(&p->n, SDX_LIMIT_EXCEEDED, NULL, "conditions of more than %d conditions", PT2_DEPTH);
    return;
  }
  p->pending++;
  op.kind->emit(&op);
  p->pending--;
  v->tensor = op.out[0];
}

net_tensor pt2_tensor_of(pt2 *p, pt2_value *v) {
  if (v->pending && !v->tensor.ref) emit_pending(p, v);
  if (v->number) return pt2_scalar_of(p, v->number);
  if (!v->tensor.ref && v->stored) {
    const stored_tensor *t = v->stored;
    v->tensor = (net_tensor){.dtype = t->dtype, .rank = t->rank};
    memcpy(v->tensor.shape, t->shape, sizeof v->tensor.shape);
    v->tensor.ref = sdx_graph_add_filled(sdx_builder_graph(p->c->builder), v->name, t->dtype, t->rank, t->shape,
                                         in_order(t) ? fill_in_order : fill, (void *)t);
  }
  return v->tensor;
}

// ---- arguments --------------------------------------------------------------------------------------

const char *pt2_argument_name(const json_t *argument) {
  static const char *const kinds[] = {"as_tensor", "as_sym_int", "as_sym_bool", "as_sym_float", "as_optional_tensor"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    const json_t *inner = json_object_get(argument, kinds[i]);
    if (!inner) continue;
    if (json_is_object(json_object_get(inner, "as_tensor"))) inner = json_object_get(inner, "as_tensor");
    return text_of(inner, i == 0 || i == 4 ? "name" : "as_name");
  }
  return *text_of(argument, "name") ? text_of(argument, "name") : text_of(argument, "as_name");
}

const json_t *pt2_arg(const pt2_op *op, const char *name) {
  const json_t *inputs = json_object_get(op->node, "inputs");
  for (size_t i = 0; i < json_array_size(inputs); i++) {
    const json_t *input = json_array_get(inputs, i), *arg = json_object_get(input, "arg");
    if (!strcmp(text_of(input, "name"), name)) return json_object_get(arg, "as_none") ? NULL : arg;
  }
  return NULL;
}

const json_t *pt2_arg_at(const pt2_op *op, size_t index) {
  return json_object_get(json_array_get(json_object_get(op->node, "inputs"), index), "arg");
}

bool pt2_has(const pt2_op *op, const char *name) { return pt2_arg(op, name) != NULL; }

// The number that an argument is; false: it is none that is known.
static bool literal(const json_t *a, double *number) {
  static const char *const kinds[] = {"as_int", "as_float", "as_bool", "as_scalar_type"};
  const json_t *v = NULL;
  for (size_t i = 0; i < 4 && !v; i++) v = json_object_get(a, kinds[i]);
  if (!v && (v = json_object_get(a, "as_sym_int"))) return literal(v, number);
  if (!v && (v = json_object_get(a, "as_sym_float"))) return literal(v, number);
  if (!v && (v = json_object_get(a, "as_sym_bool"))) return literal(v, number);
  if (json_is_string(v)) {  // what JSON has no numbers for
    const char *text = json_string_value(v);
    *number = !strcmp(text, "Infinity") ? INFINITY : !strcmp(text, "-Infinity") ? -INFINITY : NAN;
    return true;
  }
  *number = json_is_boolean(v) ? json_is_true(v) : json_number_value(v);
  return json_is_number(v) || json_is_boolean(v);
}

static int category(sdx_dtype dtype) {
  return dtype == SDX_BOOL                                                                            ? 0
         : dtype == SDX_FLOAT || dtype == SDX_DOUBLE || dtype == SDX_FLOAT16 || dtype == SDX_BFLOAT16 ? 2
                                                                                                      : 1;
}

// A number takes the type of the result where that can hold it.
static sdx_dtype wanted_dtype(pt2_op *op, sdx_dtype dtype) {
  pt2_value y;
  const char *name = op->out_count ? pt2_argument_name(op->outputs[0]) : "";
  bool declared = *name && pt2_declared(op->p, op->p->scope, name, &y);
  return declared && category(y.tensor.dtype) >= category(dtype) ? y.tensor.dtype : dtype;
}

net_tensor pt2_argument(pt2_op *op, const json_t *a) {
  double number;
  const char *name = pt2_argument_name(a);
  if (*name) {
    pt2_value *v = pt2_find(op->p, name);
    return v ? pt2_tensor_of(op->p, v) : (net_tensor){0};
  }
  if (literal(a, &number)) {
    bool real = json_object_get(a, "as_float") || json_object_get(a, "as_sym_float");
    sdx_dtype dtype = real ? SDX_FLOAT : json_object_get(a, "as_bool") ? SDX_BOOL : SDX_INT64;
    return net_scalar(op->n, wanted_dtype(op, dtype), number);
  }
  net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "an argument that is neither a tensor nor a number");
  return (net_tensor){0};
}

bool pt2_optional(pt2_op *op, const char *name, net_tensor *x) {
  const json_t *a = pt2_arg(op, name);
  *x = (net_tensor){0};
  const json_t *optional = json_object_get(a, "as_optional_tensor");
  if (!a || (optional && !json_object_get(optional, "as_tensor"))) return true;
  *x = pt2_argument(op, a);
  return x->ref != 0;
}

bool pt2_in(pt2_op *op, const char *name, net_tensor *x) {
  return pt2_optional(op, name, x) &&
         (x->ref || !net_fail(op->n, SDX_INVALID_MODEL, NULL, "it has no argument '%s'", name));
}

pt2_value *pt2_value_in(pt2_op *op, const char *name) {
  const char *value = pt2_argument_name(pt2_arg(op, name));
  return *value ? pt2_find(op->p, value) : NULL;
}

double pt2_number(pt2_op *op, const char *name, double missing) {
  double number;
  const json_t *a = pt2_arg(op, name);
  if (!a) return missing;
  if (literal(a, &number)) return number;
  pt2_value *v = *pt2_argument_name(a) ? pt2_find(op->p, pt2_argument_name(a)) : NULL;
  int64_t known;
  if (v && v->number && pt2_expression_number(v->number, &known)) return (double)known;
  net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "its argument '%s' is not a number that is known", name);
  return missing;
}

int64_t pt2_int(pt2_op *op, const char *name, int64_t missing) {
  double number = pt2_number(op, name, (double)missing);
  return number >= -0x1p63 && number < 0x1p63 ? (int64_t)number : INT64_MAX;
}

bool pt2_flag(pt2_op *op, const char *name, bool missing) { return pt2_number(op, name, missing) != 0; }

const char *pt2_text(pt2_op *op, const char *name, const char *missing) {
  const json_t *a = pt2_arg(op, name);
  return a ? text_of(a, "as_string") : missing;
}

static const json_t *list_of(const json_t *a) {
  static const char *const kinds[] = {"as_ints",  "as_floats",           "as_tensors",   "as_sym_ints",
                                      "as_bools", "as_optional_tensors", "as_sym_floats"};
  const json_t *list = NULL;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !list; i++) list = json_object_get(a, kinds[i]);
  return list;
}

size_t pt2_list_size(const pt2_op *op, const char *name) { return json_array_size(list_of(pt2_arg(op, name))); }

static bool known_item(pt2_op *op, const json_t *item, int64_t *number) {
  const json_t *whole = json_object_get(item, "as_sym_int") ? json_object_get(item, "as_sym_int") : item;
  if (json_object_get(whole, "as_int")) whole = json_object_get(whole, "as_int");
  if (json_is_integer(whole)) return *number = json_integer_value(whole), true;
  double known;
  if (literal(item, &known)) return *number = (int64_t)known, true;
  const char *name = pt2_argument_name(item);
  pt2_value *v = *name ? pt2_find(op->p, name) : NULL;
  return v && v->number && pt2_expression_number(v->number, number);
}

size_t pt2_ints(pt2_op *op, const char *name, int64_t to[NET_RANK]) {
  const json_t *a = pt2_arg(op, name), *list = list_of(a);
  size_t count = list ? json_array_size(list) : a ? 1 : 0;
  for (size_t i = 0; i < count; i++)
    if (i == NET_RANK || !known_item(op, list ? json_array_get(list, i) : a, &to[i])) {
      net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "its argument '%s' is not a list of numbers that are known", name);
      return 0;
    }
  return count;
}

bool pt2_window_ints(pt2_op *op, const char *name, size_t n, int64_t missing, int64_t *to) {
  int64_t given[NET_RANK] = {missing};
  size_t count = pt2_ints(op, name, given);
  for (size_t i = 0; i < n; i++) to[i] = given[count == n ? i : 0];
  return !convert_failed(op->p->c) &&
         (count <= 1 || count == n ||
          !net_fail(op->n, SDX_INVALID_MODEL, NULL, "%zu numbers of '%s', expected %zu", count, name, n));
}

bool pt2_size_arg(pt2_op *op, const char *name, int64_t missing, int64_t *number, sdx_ref *ref) {
  const json_t *a = pt2_arg(op, name);
  *ref = 0;
  *number = missing;
  if (!a || known_item(op, a, number)) return !convert_failed(op->p->c);
  pt2_value *v = *pt2_argument_name(a) ? pt2_find(op->p, pt2_argument_name(a)) : NULL;
  if (!v || !v->number) return !net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "its argument '%s' is no size", name);
  *number = -1;
  *ref = pt2_symbol(op->p, v->number);
  return *ref != 0;
}

bool pt2_list_in(pt2_op *op, const char *name, size_t index, net_tensor *x) {
  const json_t *a = json_array_get(list_of(pt2_arg(op, name)), index);
  *x = (net_tensor){0};
  if (!a) return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "its list '%s' is too short", name);
  if (json_object_get(a, "as_none")) return true;
  if (json_is_number(a)) return *x = net_scalar(op->n, SDX_INT64, json_number_value(a)), x->ref != 0;
  *x = pt2_argument(op, a);
  return x->ref != 0;
}

// ---- results ----------------------------------------------------------------------------------------

bool pt2_result(pt2_op *op, size_t index, pt2_value *v) {
  const char *name = index < op->out_count ? pt2_argument_name(op->outputs[index]) : "";
  *v = (pt2_value){0};
  if (pt2_declared(op->p, op->p->scope, name, v)) return true;
  return convert_failed(op->p->c)
             ? false
             : !net_fail(op->n, SDX_INVALID_MODEL, NULL, "nothing is declared of its result %zu", index);
}

sdx_dtype pt2_result_dtype(pt2_op *op, size_t index) {
  pt2_value v;
  return pt2_result(op, index, &v) ? v.tensor.dtype : SDX_FLOAT;
}

net_tensor pt2_shape(pt2_op *op, const pt2_value *v) {
  net_tensor parts[NET_RANK];
  size_t count = 0;
  int64_t row[NET_RANK];
  for (size_t i = 0; i < v->tensor.rank;) {
    size_t n = 0;
    while (i + n < v->tensor.rank && v->tensor.shape[i + n] >= 0) row[n] = v->tensor.shape[i + n], n++;
    if (n) parts[count++] = net_ints(op->n, n, row);
    else parts[count++] = (net_tensor){pt2_symbol(op->p, v->size[i]), SDX_INT64, 1, {1}};
    i += n ? n : 1;
  }
  return count ? net_concat(op->n, 0, count, parts) : net_ints(op->n, 0, row);
}

static bool same_size(const char *a, const char *b) { return a && b && !strcmp(a, b); }

// Free sizes that stay in their place are 0, one other is what is left; beyond that they are computed.
net_tensor pt2_reshape(pt2_op *op, net_tensor x, const char *const *sizes, const pt2_value *to) {
  int64_t spec[NET_RANK];
  size_t open = 0, rank = to->tensor.rank;
  bool empty = false;
  for (size_t i = 0; i < rank; i++) {
    spec[i] = to->tensor.shape[i];
    empty = empty || spec[i] == 0;
    if (spec[i] >= 0) continue;
    if (i < x.rank && same_size(sizes[i], to->size[i])) spec[i] = 0;
    else open++;
  }
  net_tensor y = to->tensor;
  y.dtype = x.dtype;
  if (open > 1 || empty) {
    y.ref = net_node(op->n, "Reshape", NULL, SDX_REFS(x.ref, pt2_shape(op, to).ref));
    if (empty) sdx_graph_set_int(op->p->c->graph, "allowzero", 1);
    return y;
  }
  bool same = rank == x.rank;
  for (size_t i = 0; same && i < rank; i++) same = spec[i] == 0 || spec[i] == x.shape[i];
  if (same && !open) return x;
  y.ref = net_node(op->n, "Reshape", NULL, SDX_REFS(x.ref, sdx_graph_add_ints(op->p->c->graph, rank, spec)));
  return y;
}

int64_t pt2_opset(const pt2_op *op) { return sdx_builder_opset(op->p->c->builder, ""); }

net_tensor pt2_where(pt2_op *op, net_tensor test, net_tensor a, net_tensor b) {
  net_tensor y = b;
  y.ref = net_node(op->n, "Where", NULL, SDX_REFS(net_cast(op->n, test, SDX_BOOL).ref, a.ref, b.ref));
  return y;
}

// The type in which two are computed: that of the higher category, then of what has dimensions, then the wider.
static sdx_dtype common(net_tensor a, net_tensor b) {
  int p = category(a.dtype), q = category(b.dtype);
  if (p != q) return p > q ? a.dtype : b.dtype;
  if ((a.rank == 0) != (b.rank == 0)) return a.rank ? a.dtype : b.dtype;
  return stored_number_bytes(a.dtype) >= stored_number_bytes(b.dtype) ? a.dtype : b.dtype;
}

net_tensor pt2_binary(pt2_op *op, const char *what, net_tensor a, net_tensor b) {
  sdx_dtype dtype = common(a, b);
  return net_binary(op->n, what, NULL, net_cast(op->n, a, dtype), net_cast(op->n, b, dtype));
}

// A matrix with its dimensions swapped: stored so where nothing else reads it as it is.
net_tensor pt2_turned(pt2_op *op, const char *name, net_tensor (*otherwise)(net *n, net_tensor x)) {
  pt2_value *v = pt2_value_in(op, name);
  net_tensor x;
  if (!v || v->tensor.ref || !v->stored || v->stored->rank != 2)
    return pt2_in(op, name, &x) ? otherwise(op->n, x) : (net_tensor){0};
  const stored_tensor *t = v->stored;
  stored_tensor turned = *t, *kept;
  for (size_t i = 0; i < 2; i++) turned.shape[i] = t->shape[1 - i], turned.stride[i] = t->stride[1 - i];
  kept = arena_copy(op->p->c->memory, &turned, sizeof turned);
  char *label = arena_format(op->p->c->memory, "%s/transposed", v->name);
  pt2_value as = {.stored = kept, .name = label};
  if (!kept || !label) return convert_no_memory(op->p->c), (net_tensor){0};
  return pt2_tensor_of(op->p, &as);
}
