// SPDX-License-Identifier: Apache-2.0
// Operators that look values up in a list of keys: a sorted copy made when the model is read, one binary
// search an element. NaN is a key like any other; of equal keys the first counts.
//
//   LabelEncoder    keys -> values of any two of the types, else the default
//   CategoryMapper  strings <-> integers, the direction follows from the input
//   OneHotEncoder   1 at the key's position of a new last axis; an unknown value gives zeros, or an error
//                   if `zeros` is 0
//
// History: LabelEncoder 1 had classes_strings, whose positions are the integers: it becomes a CategoryMapper;
// 4 adds tensors of keys and values.
#include <math.h>
#include <stdlib.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "tensor/convert.h"

// ---- a list of numbers or strings, whatever attribute it came from ------------------------------

typedef struct list {
  sdx_dtype dtype;  // SDX_UNDEFINED: none given
  size_t count;
  const void *data;
} list;

static void use(list *l, sdx_dtype dtype, size_t count, const void *data) {
  if (count) *l = (list){dtype, count, data};
}

// The one of four attributes that is given; two are an error.
static sdx_status read_list(op_params_context *c, const char *ints, const char *floats, const char *strings,
                            const char *as_tensor, list *out) {
  size_t n = 0, m = 0, k = 0;
  const int64_t *i = params_ints(c, ints, &n);
  const float *f = floats ? params_floats(c, floats, &m) : NULL;
  const str *s = params_strings(c, strings, &k);
  const tensor *t = as_tensor ? params_tensor(c, as_tensor) : NULL;
  if (!!n + !!m + !!k + (t && t->count) > 1)
    return params_fail(c, ints, "and another list of the same kind are both given");
  *out = (list){0};
  use(out, SDX_INT64, n, i), use(out, SDX_FLOAT, m, f), use(out, SDX_STRING, k, s);
  if (t) use(out, (sdx_dtype)t->dtype, t->count, t->data);
  double probe;
  if (out->dtype && out->dtype != SDX_STRING && !convert_to_doubles(out->dtype, out->data, 0, 1, &probe))
    return params_fail(c, as_tensor, "is a tensor of %s", dtype_name(out->dtype));
  return SDX_OK;
}

// Copies element i of a list (or of a tensor) to element k of a tensor of the same type.
static void put(const list *l, size_t i, tensor *y, size_t k) {
  size_t width = l->dtype == SDX_STRING ? sizeof(str) : (size_t)dtype_bits(l->dtype) / 8;
  memcpy((char *)y->data + k * width, (const char *)l->data + i * width, width);
}

// ---- dictionary ---------------------------------------------------------------------------------

typedef struct entry {
  union {
    int64_t i;
    double d;
    str s;
  };
  uint32_t index;
} entry;

typedef struct dictionary {
  entry *entries;  // sorted
  size_t count;
  sdx_dtype dtype;  // of the keys
} dictionary;

static entry entry_at(sdx_dtype dtype, const void *data, size_t i) {
  entry e = {.index = (uint32_t)i};
  if (dtype == SDX_STRING) e.s = ((const str *)data)[i];
  else if (dtype_is_float(dtype)) convert_to_doubles(dtype, data, i, 1, &e.d);
  else e.i = convert_get_int(dtype, data, i);
  return e;
}

static int by_string(const void *a, const void *b) {
  str x = ((const entry *)a)->s, y = ((const entry *)b)->s;
  size_t n = x.size < y.size ? x.size : y.size;
  int order = n ? memcmp(x.at, y.at, n) : 0;
  return order ? order : x.size < y.size ? -1 : x.size > y.size;
}
static int by_real(const void *a, const void *b) {
  double x = ((const entry *)a)->d, y = ((const entry *)b)->d;
  if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);  // NaN last
  return x < y ? -1 : x > y;
}
static int by_int(const void *a, const void *b) {
  int64_t x = ((const entry *)a)->i, y = ((const entry *)b)->i;
  return x < y ? -1 : x > y;
}
typedef int (*order)(const void *, const void *);
static order order_of(sdx_dtype d) { return d == SDX_STRING ? by_string : dtype_is_float(d) ? by_real : by_int; }

static int with_index(const void *a, const void *b, order by) {
  int o = by(a, b);
  return o ? o : ((const entry *)a)->index < ((const entry *)b)->index ? -1 : 1;
}
static int string_then_index(const void *a, const void *b) { return with_index(a, b, by_string); }
static int real_then_index(const void *a, const void *b) { return with_index(a, b, by_real); }
static int int_then_index(const void *a, const void *b) { return with_index(a, b, by_int); }

static sdx_status build(op_params_context *c, const list *keys, dictionary *d) {
  if (keys->count > UINT32_MAX) return params_fail(c, "keys", "has %zu entries", keys->count);
  *d = (dictionary){arena_array(c->memory, keys->count + 1, sizeof *d->entries), 0, keys->dtype};
  if (!d->entries) return error_no_memory(c->err, keys->count * sizeof *d->entries);
  for (size_t i = 0; i < keys->count; i++) d->entries[i] = entry_at(keys->dtype, keys->data, i);
  qsort(d->entries, keys->count, sizeof *d->entries,
        keys->dtype == SDX_STRING     ? string_then_index
        : dtype_is_float(keys->dtype) ? real_then_index
                                      : int_then_index);
  order by = order_of(keys->dtype);
  for (size_t i = 0; i < keys->count; i++)  // of equal ones keep the first
    if (!d->count || by(&d->entries[d->count - 1], &d->entries[i]) != 0) d->entries[d->count++] = d->entries[i];
  return SDX_OK;
}

// Position in the list of keys, or SIZE_MAX.
static size_t find(const dictionary *d, const tensor *x, size_t i) {
  entry e = entry_at((sdx_dtype)x->dtype, x->data, i);
  const entry *found = bsearch(&e, d->entries, d->count, sizeof e, order_of(d->dtype));
  return found ? found->index : SIZE_MAX;
}

// ---- LabelEncoder and CategoryMapper ------------------------------------------------------------

typedef struct encoder_params {
  dictionary keys[2];  // CategoryMapper: strings, then integers; LabelEncoder: only the first
  list values[2], fallback[2];
  int64_t default_int;
  float default_float;
  str default_string;
} encoder_params;

static sdx_status label_encoder_read(op_params_context *c, void *params) {
  encoder_params *p = params;
  list keys;
  SDX_TRY(read_list(c, "keys_int64s", "keys_floats", "keys_strings", "keys_tensor", &keys));
  SDX_TRY(read_list(c, "values_int64s", "values_floats", "values_strings", "values_tensor", &p->values[0]));
  if (!keys.count) return params_fail(c, "keys_tensor", "and the other lists of keys are missing or empty");
  if (keys.count != p->values[0].count)
    return params_fail(c, "values_tensor", "or another list of values has %zu entries, but there are %zu keys",
                       p->values[0].count, keys.count);
  p->default_int = params_int(c, "default_int64"), p->default_float = params_float(c, "default_float"),
  p->default_string = params_string(c, "default_string");
  const tensor *t = params_tensor(c, "default_tensor");
  sdx_dtype d = p->values[0].dtype;
  if (t && (t->count != 1 || (sdx_dtype)t->dtype != d))
    return params_fail(c, "default_tensor", "has %zu elements of %s, expected 1 of %s", t->count,
                       dtype_name((sdx_dtype)t->dtype), dtype_name(d));
  if (t) p->fallback[0] = (list){d, 1, t->data};
  else if (d == SDX_STRING) p->fallback[0] = (list){d, 1, &p->default_string};
  else if (d == SDX_INT64) p->fallback[0] = (list){d, 1, &p->default_int};
  else if (d == SDX_FLOAT) p->fallback[0] = (list){d, 1, &p->default_float};
  else {  // a tensor of another type: the default is a zero of it
    void *zero = arena_zalloc(c->memory, sizeof(str));
    if (!zero) return error_no_memory(c->err, sizeof(str));
    p->fallback[0] = (list){d, 1, zero};
  }
  return build(c, &keys, &p->keys[0]);
}

static sdx_status label_encoder_upgrade(op_upgrade *u) {
  const attr *classes = node_attr(u->node, "classes_strings");
  if (u->version > 1 || !classes) return SDX_OK;
  size_t n = classes->strings.count;
  int64_t *numbers = arena_array(u->graph->memory, n + 1, sizeof *numbers);
  if (!numbers) return error_no_memory(u->err, n * sizeof *numbers);
  for (size_t i = 0; i < n; i++) numbers[i] = (int64_t)i;
  attr strings = *classes;
  strings.name = STR("cats_strings");
  node_remove_attr(u->node, "classes_strings");
  SDX_TRY(node_set_attr(u->graph, u->node, strings));
  SDX_TRY(node_set_attr(u->graph, u->node, attr_of_ints("cats_int64s", numbers, n)));
  upgrade_rename(u, "CategoryMapper");
  return SDX_OK;
}

static sdx_status category_mapper_read(op_params_context *c, void *params) {
  encoder_params *p = params;
  list strings = {SDX_STRING, 0, NULL}, ints = {SDX_INT64, 0, NULL};
  strings.data = params_strings(c, "cats_strings", &strings.count),
  ints.data = params_ints(c, "cats_int64s", &ints.count);
  if (strings.count != ints.count || !ints.count)
    return params_fail(c, "cats_strings", "has %zu entries and 'cats_int64s' %zu, expected as many of both",
                       strings.count, ints.count);
  p->default_int = params_int(c, "default_int64"), p->default_string = params_string(c, "default_string");
  p->values[0] = ints, p->fallback[0] = (list){SDX_INT64, 1, &p->default_int};
  p->values[1] = strings, p->fallback[1] = (list){SDX_STRING, 1, &p->default_string};
  SDX_TRY(build(c, &strings, &p->keys[0]));
  return build(c, &ints, &p->keys[1]);
}

// Which dictionary serves an input of type d; -1: none.
static int side_of(const encoder_params *p, sdx_dtype d) {
  return d == p->keys[0].dtype ? 0 : d == p->keys[1].dtype ? 1 : -1;
}

static sdx_status label_encoder_infer(op_step *c) {
  const encoder_params *p = c->params;
  sdx_dtype d = infer_dtype_of(c, 0);
  int side = d ? side_of(p, d) : -1;
  if (d && side < 0)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "is %s, expected %s: like the keys", dtype_name(d),
                        dtype_name(p->keys[0].dtype));
  return infer_same_as(c, 0, 0, side < 0 ? SDX_UNDEFINED : p->values[side].dtype);
}

static sdx_status label_encoder_compute(op_step *c) {
  const encoder_params *p = c->params;
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  int side = side_of(p, (sdx_dtype)x->dtype);
  if (side < 0)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "is %s, expected %s: like the keys",
                        dtype_name((sdx_dtype)x->dtype), dtype_name(p->keys[0].dtype));
  for (size_t i = 0; i < x->count; i++) {
    size_t at = find(&p->keys[side], x, i);
    SDX_TRY(call_check_in(c, i));
    put(at == SIZE_MAX ? &p->fallback[side] : &p->values[side], at == SIZE_MAX ? 0 : at, y, i);
  }
  return call_check(c);
}

// ---- OneHotEncoder ------------------------------------------------------------------------------

typedef struct onehot_params {
  dictionary keys;
  size_t count;
  bool zeros;
} onehot_params;

static sdx_status one_hot_encoder_read(op_params_context *c, void *params) {
  onehot_params *p = params;
  list keys;
  SDX_TRY(read_list(c, "cats_int64s", NULL, "cats_strings", NULL, &keys));
  if (!keys.count) return params_fail(c, "cats_int64s", "and 'cats_strings' are both missing or empty");
  p->count = keys.count;
  p->zeros = params_int(c, "zeros") != 0;
  return build(c, &keys, &p->keys);
}

static sdx_status one_hot_encoder_infer(op_step *c) {
  const onehot_params *p = c->params;
  sdx_dtype d = infer_dtype_of(c, 0);
  int rank = infer_rank_of(c, 0);
  if (d && (d == SDX_STRING) != (p->keys.dtype == SDX_STRING))
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "is %s, expected %s: like the categories", dtype_name(d),
                        dtype_name(p->keys.dtype));
  if (rank < 0) return infer_output(c, 0, SDX_FLOAT, -1, NULL);
  int64_t out[TENSOR_MAX_RANK + 1];
  for (int i = 0; i < rank; i++) out[i] = c->in_types[0]->dims[i];
  out[rank] = (int64_t)p->count;
  return infer_output(c, 0, SDX_FLOAT, rank + 1, out);
}

// Numbers of other types are compared as integers, as onnxruntime does.
static sdx_status one_hot_encoder_compute(op_step *c) {
  const onehot_params *p = c->params;
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  SDX_TRY(call_zero(c, y->data, y->bytes));
  for (size_t i = 0; i < x->count; i++) {
    SDX_TRY(call_check_in(c, i));
    int64_t number = 0;
    tensor one = *x;
    size_t at = i;
    if (x->dtype != SDX_STRING) {
      double real = tensor_number_at(x, i);
      if (dtype_is_float((sdx_dtype)x->dtype)) convert_from_doubles(SDX_INT64, &number, 0, 1, &real);
      else number = convert_get_int((sdx_dtype)x->dtype, x->data, i);
      one = (tensor){.data = &number, .count = 1, .dtype = SDX_INT64};
      at = 0;
    }
    size_t found = find(&p->keys, &one, at);
    if (found != SIZE_MAX) ((float *)y->data)[i * p->count + found] = 1;
    else if (!p->zeros)
      return step_fail_at(c, at_input(0), SDX_INVALID_ARGUMENT,
                          "has element %zu, expected one of the %zu categories, as attribute 'zeros' is 0", i,
                          p->count);
  }
  return call_check(c);
}

SDX_CASES = {"X=int64[3,4] keys_int64s=0,1,2 values_floats=0.5,1.5,2.5 default_float=-1",
             "X=string(a,b,zz) keys_strings=a,b values_int64s=3,4 default_int64=-7",
             "X=float(0.5,1,2) keys_floats=0.5,2 values_strings=x,y default_string=none",
             "X=int32(0,1,5) keys_tensor=int32[2](0,1) values_tensor=double[2](0.5,1.5) default_tensor=double[1](7)",
             "X=double(0.5,1) keys_tensor=double[2](0.5,2) values_tensor=int16[2](1,2) default_tensor=int16[1](9)",
             "X=int16(1,2,3) keys_tensor=int16[2](1,2) values_tensor=int32[2](5,6) default_tensor=int32[1](9)",
             NULL};
static const char *const onehot_cases[] = {"X=int64[3,4] cats_int64s=0,1,2", "X=float[5] cats_int64s=0,1",
                                           "X=string(a,b,q) cats_strings=a,b", NULL};

SDX_OP_ML(LabelEncoder) = {
    .since = 4,
    .versions = "4 2 1",
    .inputs = "X:T1",
    .outputs = "Y:T2",
    .types = "T1=string,int64,float,int32,int16,double;T2=string,int64,float,int32,int16,double",
    .attrs =
        "default_float:float=-0.0 default_int64:int=-1 default_string:string=_Unused default_tensor:tensor "
        "keys_floats:floats keys_int64s:ints keys_strings:strings keys_tensor:tensor values_floats:floats "
        "values_int64s:ints values_strings:strings values_tensor:tensor",
    .attrs_old = "classes_strings:strings<2",
    .params_size = sizeof(encoder_params),
    .params = label_encoder_read,
    .upgrade = label_encoder_upgrade,
    .infer = label_encoder_infer,
    .compute = label_encoder_compute,
    .cases = cases,
};

static const char *const category_mapper_cases[] = {
    "X=string(a,b,c,zz) cats_int64s=1,2,3 cats_strings=a,b,c default_int64=-7",
    "X=int64(1,2,9) cats_int64s=1,2,3 cats_strings=a,b,c default_string=none", NULL};

SDX_OP_ML(CategoryMapper) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T1",
    .outputs = "Y:T2",
    .types = "T1=string,int64;T2=string,int64",
    .attrs = "cats_int64s:ints cats_strings:strings default_int64:int=-1 default_string:string=_Unused",
    .params_size = sizeof(encoder_params),
    .params = category_mapper_read,
    .infer = label_encoder_infer,
    .compute = label_encoder_compute,
    .cases = category_mapper_cases,
};

SDX_OP_ML(OneHotEncoder) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T",
    .outputs = "Y:float",
    .types = "T=string,int64,int32,float,double",
    .attrs = "cats_int64s:ints cats_strings:strings zeros:int=1",
    .params_size = sizeof(onehot_params),
    .params = one_hot_encoder_read,
    .infer = one_hot_encoder_infer,
    .compute = one_hot_encoder_compute,
    .cases = onehot_cases,
};
