// SPDX-License-Identifier: Apache-2.0
// ZipMap: each row of scores becomes a map from class label to score; the result is a sequence of maps.
#include "base/size.h"
#include "ops/call.h"
#include "ops/parts/ml.h"

typedef struct zip_params {
  ml_labels labels;
} zip_params;

static sdx_status zip_map_read(op_params_context *c, void *params) {
  zip_params *p = params;
  SDX_TRY(ml_labels_read(c, "classlabels_int64s", "classlabels_strings", &p->labels));
  return p->labels.count ? SDX_OK
                         : params_fail(c, "classlabels_int64s", "and 'classlabels_strings' are both missing or empty");
}

static sdx_status zip_map_infer(op_step *c) {
  const zip_params *p = c->params;
  int64_t rows, columns;
  SDX_TRY(ml_infer_rows(c, 0, &rows, &columns));
  if (columns >= 0 && (size_t)columns != p->labels.count)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld columns, but there are %zu class labels",
                        (long long)columns, p->labels.count);
  if (!c->output_count) return SDX_OK;
  type_info *map = arena_zalloc(c->memory, sizeof *map);
  if (!map) return error_no_memory(c->err, sizeof *map);
  *map = (type_info){.kind = TYPE_MAP, .dtype = (uint8_t)ml_labels_dtype(&p->labels), .rank = -1};
  map->element = type_tensor(c->memory, SDX_FLOAT, 0, NULL);
  if (!map->element) return error_no_memory(c->err, sizeof *map);
  c->out_types[0] = (type_info){.kind = TYPE_SEQUENCE, .rank = -1, .element = map};
  return SDX_OK;
}

// Keys are made once and shared by all rows.
static sdx_status make_keys(op_step *c, const ml_labels *l, sdx_value **keys) {
  int64_t count = (int64_t)l->count;
  SDX_TRY(value_create(call_account(c), ml_labels_dtype(l), 1, &count, NULL, NULL, NULL, keys, c->err));
  sdx_status status = SDX_OK;
  for (size_t i = 0; i < l->count && status == SDX_OK; i++) {
    if (l->strings) status = value_set_string(*keys, i, l->strings[i], c->err);
    else ((int64_t *)(*keys)->value.tensor.data)[i] = l->ints[i];
  }
  return status;
}

static sdx_status make_map(op_step *c, sdx_value *keys, const float *scores, int64_t count, sdx_value **map) {
  sdx_value *values = NULL;
  SDX_TRY(value_create(call_account(c), SDX_FLOAT, 1, &count, NULL, NULL, NULL, &values, c->err));
  memcpy(values->value.tensor.data, scores, (size_t)count * sizeof *scores);
  sdx_status status = value_create_map(call_account(c), keys, values, map, c->err);
  value_release(values);
  return status;
}

static sdx_status zip_map_compute(op_step *c) {
  const zip_params *p = c->params;
  const tensor *x = step_in(c, 0);
  size_t rows = ml_rows(x), columns = ml_columns(x), bytes = 0;
  if (columns != p->labels.count)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %zu columns, but there are %zu class labels", columns,
                        p->labels.count);
  if (!size_mul(rows, sizeof(sdx_value *), &bytes)) return call_no_memory(c, SIZE_MAX);
  sdx_value *keys = NULL, *sequence = NULL;
  sdx_value **maps = mem_zalloc(call_account(c), bytes);
  if (!maps) return call_no_memory(c, bytes);
  sdx_status status = make_keys(c, &p->labels, &keys);
  for (size_t i = 0; i < rows && status == SDX_OK; i++) {
    status = make_map(c, keys, (const float *)x->data + i * columns, (int64_t)columns, &maps[i]);
    if (status == SDX_OK) status = call_check(c);
  }
  if (status == SDX_OK) status = value_create_sequence(call_account(c), rows, maps, &sequence, c->err);
  if (status == SDX_OK) status = call_set_value(c, 0, sequence);
  for (size_t i = 0; i < rows; i++) value_release(maps[i]);
  value_release(keys);
  mem_free(maps);
  return status;
}

SDX_CASES = {"X=float[3,2] classlabels_int64s=4,7", "X=float[2,2] classlabels_strings=no,yes", NULL};

SDX_OP_ML(ZipMap) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:float",
    .outputs = "Z:T",
    .types = "T=seq(map(string,float)),seq(map(int64,float))",
    .attrs = "classlabels_int64s:ints classlabels_strings:strings",
    .params_size = sizeof(zip_params),
    .params = zip_map_read,
    .infer = zip_map_infer,
    .compute = zip_map_compute,
    .cases = cases,
};
