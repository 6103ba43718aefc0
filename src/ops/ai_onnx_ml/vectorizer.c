// SPDX-License-Identifier: Apache-2.0
// Features from several places as one row of numbers:
//
//   FeatureVectorizer  joins the columns of its inputs, each cut or filled with zeros to its inputdimensions
//   DictVectorizer     the values of a map in the order of a vocabulary, 0 (or "") where a key is missing
//   CastMap            the values of a map with integer keys: DENSE in the order of the keys, SPARSE with the
//                      key as position in max_map columns
#include "base/number.h"
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/ml.h"
#include "ops/parts/widen.h"

// ---- FeatureVectorizer ----------------------------------------------------------------------------

typedef struct feature_params {
  const int64_t *widths;
  size_t count;
} feature_params;

static sdx_status feature_vectorizer_read(op_params_context *c, void *params) {
  feature_params *p = params;
  p->widths = params_ints(c, "inputdimensions", &p->count);
  for (size_t i = 0; i < p->count; i++)
    if (p->widths[i] < 0 || p->widths[i] > INT32_MAX)
      return params_fail(c, "inputdimensions", "[%zu] is %lld, expected 0 to 2^31 - 1", i, (long long)p->widths[i]);
  return SDX_OK;
}

static sdx_status feature_vectorizer_infer(op_step *c) {
  const feature_params *p = c->params;
  int64_t rows = DIM_UNKNOWN, total = 0;
  if (p->count && p->count != c->input_count)
    return step_fail_at(c, at_attribute("inputdimensions"), SDX_INVALID_GRAPH, "has %zu entries for %u inputs",
                        p->count, c->input_count);
  for (size_t i = 0; i < c->input_count; i++) {
    int64_t n, columns;
    SDX_TRY(ml_infer_rows(c, i, &n, &columns));
    if (rows < 0) rows = n;
    else if (n >= 0 && n != rows)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %lld rows, expected %lld", (long long)n,
                          (long long)rows);
    int64_t width = p->count ? p->widths[i] : columns;
    if (total >= 0 && (width < 0 || !i64_add(total, width, &total))) total = DIM_UNKNOWN;
  }
  return infer_output(c, 0, SDX_FLOAT, 2, (int64_t[]){rows, total});
}

static sdx_status feature_vectorizer_compute(op_step *c) {
  const feature_params *p = c->params;
  tensor *y = step_out(c, 0);
  size_t rows = (size_t)y->dims[0], total = (size_t)y->dims[1], offset = 0;
  SDX_TRY(call_zero(c, y->data, y->bytes));
  for (size_t i = 0; i < c->input_count; i++) {
    const tensor *x = step_in(c, i);
    size_t columns = ml_columns(x), width = p->count ? (size_t)p->widths[i] : columns,
           n = width < columns ? width : columns;
    for (size_t r = 0; r < rows; r++) {
      widen_read((sdx_dtype)x->dtype, x->data, r * columns, n, (float *)y->data + r * total + offset);
      SDX_TRY(call_check_in(c, r));
    }
    offset += width;
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

// ---- DictVectorizer -------------------------------------------------------------------------------

typedef struct dict_params {
  ml_labels vocabulary;
} dict_params;

static sdx_status dict_vectorizer_read(op_params_context *c, void *params) {
  dict_params *p = params;
  SDX_TRY(ml_labels_read(c, "int64_vocabulary", "string_vocabulary", &p->vocabulary));
  return p->vocabulary.count ? SDX_OK
                             : params_fail(c, "string_vocabulary", "and 'int64_vocabulary' are both missing or empty");
}

// Element type of a map's values, if known.
static sdx_dtype value_dtype(const op_step *c) {
  const type_info *t = c->in_types[0];
  return t && t->kind == TYPE_MAP && t->element ? (sdx_dtype)t->element->dtype : SDX_UNDEFINED;
}

static sdx_status dict_vectorizer_infer(op_step *c) {
  const dict_params *p = c->params;
  SDX_TRY(infer_need(c, 0));
  return infer_output(c, 0, value_dtype(c), 2, (int64_t[]){1, (int64_t)p->vocabulary.count});
}

static sdx_status open_map(op_step *c, const tensor **keys, const tensor **values) {
  const value *map = c->in[0];
  if (map->kind != VALUE_MAP || map->item_count != 2)
    return step_fail_at(c, at_input(0), SDX_INVALID_ARGUMENT, "is not a map");
  *keys = &map->items[0]->tensor, *values = &map->items[1]->tensor;
  if ((*keys)->count != (*values)->count)
    return step_fail_at(c, at_input(0), SDX_INVALID_ARGUMENT, "has %zu keys and %zu values", (*keys)->count,
                        (*values)->count);
  return SDX_OK;
}

static bool has_key(const ml_labels *l, size_t i, const tensor *keys, size_t k) {
  return l->strings ? str_equal(l->strings[i], ((const str *)keys->data)[k])
                    : l->ints[i] == ((const int64_t *)keys->data)[k];
}

static sdx_status dict_vectorizer_compute(op_step *c) {
  const dict_params *p = c->params;
  const tensor *keys, *values;
  SDX_TRY(open_map(c, &keys, &values));
  if (keys->dtype != ml_labels_dtype(&p->vocabulary))
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has keys of %s, expected %s as in the vocabulary",
                        dtype_name((sdx_dtype)keys->dtype), dtype_name(ml_labels_dtype(&p->vocabulary)));
  if (values->dtype == SDX_UNDEFINED)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has values that are no tensors");
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)values->dtype, 2, (int64_t[]){1, (int64_t)p->vocabulary.count}));
  tensor *y = step_out(c, 0);
  size_t element = y->bytes / y->count;
  SDX_TRY(call_zero(c, y->data, y->bytes));
  for (size_t i = 0; i < p->vocabulary.count; i++) {
    for (size_t k = 0; k < keys->count; k++)
      if (has_key(&p->vocabulary, i, keys, k))
        memcpy((char *)y->data + i * element, (const char *)values->data + k * element, element);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

// ---- CastMap --------------------------------------------------------------------------------------

typedef struct cast_params {
  sdx_dtype to;
  bool sparse;
  int64_t columns;
} cast_params;

static sdx_status cast_map_read(op_params_context *c, void *params) {
  cast_params *p = params;
  str to = params_string(c, "cast_to"), form = params_string(c, "map_form");
  p->to = str_is(to, "TO_FLOAT") ? SDX_FLOAT : str_is(to, "TO_INT64") ? SDX_INT64 : SDX_STRING;
  if (p->to == SDX_STRING && !str_is(to, "TO_STRING"))
    return params_fail(c, "cast_to", "is '%.*s', expected TO_FLOAT, TO_INT64 or TO_STRING", STR_ARG(to));
  p->sparse = str_is(form, "SPARSE");
  if (!p->sparse && !str_is(form, "DENSE"))
    return params_fail(c, "map_form", "is '%.*s', expected DENSE or SPARSE", STR_ARG(form));
  p->columns = params_int(c, "max_map");
  if (p->sparse && (p->columns < 1 || p->columns > INT32_MAX))
    return params_fail(c, "max_map", "is %lld, expected 1 to 2^31 - 1", (long long)p->columns);
  return SDX_OK;
}

static sdx_status cast_map_infer(op_step *c) {
  const cast_params *p = c->params;
  SDX_TRY(infer_need(c, 0));
  return infer_output(c, 0, p->to, 2, (int64_t[]){1, p->sparse ? p->columns : DIM_UNKNOWN});
}

// Element k of `values` as element i of y; text and numbers as Cast has them.
static sdx_status cast_element(op_step *c, const tensor *values, size_t k, tensor *y, size_t i) {
  sdx_dtype from = (sdx_dtype)values->dtype, to = (sdx_dtype)y->dtype;
  str s = from == SDX_STRING ? ((const str *)values->data)[k] : STR("");
  double v = 0;
  if (from == SDX_STRING && to == SDX_STRING) {
    ((str *)y->data)[i] = s;
    return SDX_OK;
  }
  if (from == SDX_STRING) {
    if (to == SDX_INT64 && number_read_int(s, (int64_t *)y->data + i)) return SDX_OK;
    if (s.size > 100) s.size = 100;
    if (!number_read_real(s, to == SDX_FLOAT, &v))
      return step_fail_at(c, at_input(0), SDX_INVALID_ARGUMENT, "has value %zu '%.*s', expected a number", k,
                          STR_ARG(s));
  } else if (!convert_to_doubles(from, values->data, k, 1, &v)) {
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has values of %s, expected numbers or strings",
                        dtype_name(from));
  }
  if (to != SDX_STRING) {
    convert_from_doubles(to, y->data, i, 1, &v);
    return SDX_OK;
  }
  char *at = call_alloc(c, NUMBER_TEXT);
  if (!at) return call_no_memory(c, NUMBER_TEXT);
  number_print(at, v, from != SDX_DOUBLE);
  ((str *)y->data)[i] = str_from(at);
  return SDX_OK;
}

static sdx_status cast_map_compute(op_step *c) {
  const cast_params *p = c->params;
  const tensor *keys, *values;
  SDX_TRY(open_map(c, &keys, &values));
  if (keys->dtype != SDX_INT64)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has keys of %s, expected int64",
                        dtype_name((sdx_dtype)keys->dtype));
  SDX_TRY(call_set_shape(c, 0, p->to, 2, (int64_t[]){1, p->sparse ? p->columns : (int64_t)keys->count}));
  tensor *y = step_out(c, 0);
  const int64_t *key = keys->data;
  SDX_TRY(call_zero(c, y->data, y->bytes));
  for (size_t k = 0; k < keys->count; k++) {
    size_t at = 0;
    if (p->sparse && (key[k] < 0 || key[k] >= p->columns))
      return step_fail_at(c, at_input(0), SDX_OUT_OF_RANGE,
                          "has key %lld, expected less than attribute 'max_map' (%lld)", (long long)key[k],
                          (long long)p->columns);
    if (p->sparse) at = (size_t)key[k];
    else
      for (size_t other = 0; other < keys->count; other++)
        at += key[other] < key[k] || (key[other] == key[k] && other < k);
    SDX_TRY(cast_element(c, values, k, y, at));
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

SDX_CASES = {"X=float[3,2] X=int64[3,3] inputdimensions=2,3", NULL};

SDX_OP_ML(FeatureVectorizer) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T1+",
    .outputs = "Y:float",
    .types = "T1=float,double,int32,int64",
    .attrs = "inputdimensions:ints",
    .flags = OP_MIXED,
    .params_size = sizeof(feature_params),
    .params = feature_vectorizer_read,
    .infer = feature_vectorizer_infer,
    .compute = feature_vectorizer_compute,
    .cases = cases,
};

static const char *const dict_vectorizer_cases[] = {"X=map[string,int64](a:1,c:3) string_vocabulary=a,b,c",
                                                    "X=map[int64,float](1:0.5,4:2) int64_vocabulary=4,3,2,1",
                                                    "X=map[string,float](b:0.5) string_vocabulary=a,b",
                                                    "X=map[string,double](a:1.5) string_vocabulary=b,a",
                                                    "X=map[int64,double](1:0.5,4:2) int64_vocabulary=4,3,1",
                                                    "X=map[int64,string](1:x,4:y) int64_vocabulary=4,3,1",
                                                    NULL};

SDX_OP_ML(DictVectorizer) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T1",
    .outputs = "Y:T2",
    .types =
        "T1=map(string,int64),map(int64,string),map(int64,float),map(int64,double),map(string,float),map(string,double)"
        ";"
        "T2=int64,float,double,string",
    .attrs = "int64_vocabulary:ints string_vocabulary:strings",
    .params_size = sizeof(dict_params),
    .params = dict_vectorizer_read,
    .infer = dict_vectorizer_infer,
    .compute = dict_vectorizer_compute,
    .cases = dict_vectorizer_cases,
};

static const char *const cast_map_cases[] = {
    "X=map[int64,float](1:0.5,3:2.5) cast_to=TO_FLOAT",
    "X=map[int64,string](0:1.5,2:-2) cast_to=TO_FLOAT",
    "X=map[int64,float](1:0.5,3:2.5) cast_to=TO_INT64 map_form=SPARSE max_map=5",
    "X=map[int64,string](4:7,2:-2) cast_to=TO_INT64",
    "X=map[int64,string](4:x,2:y) cast_to=TO_STRING",
    "X=map[int64,float](1:3,3:-2) cast_to=TO_STRING map_form=SPARSE max_map=4",
    NULL};

SDX_OP_ML(CastMap) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T1",
    .outputs = "Y:T2",
    .types = "T1=map(int64,string),map(int64,float);T2=string,float,int64",
    .attrs = "cast_to:string=TO_FLOAT map_form:string=DENSE max_map:int=1",
    .params_size = sizeof(cast_params),
    .params = cast_map_read,
    .infer = cast_map_infer,
    .compute = cast_map_compute,
    .cases = cast_map_cases,
};
