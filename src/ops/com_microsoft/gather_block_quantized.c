// SPDX-License-Identifier: Apache-2.0
// GatherBlockQuantized: Gather from a table of 2-, 4- or 8-bit integers or small floats, then (value - zero) * scale;
// a scale holds for block_size values along quantize_axis. uint8 holds 8 / bits values a byte along the last
// dimension, low bits first, and its zero is 2^(bits - 1) if not given. Indices outside of the table give zeros.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/widen.h"

enum { DATA, INDICES, SCALES, ZEROS };

typedef struct gather_params {
  int64_t bits, block, gather, quantize;
} gather_params;

static sdx_status gather_block_quantized_read(op_params_context *c, void *params) {
  gather_params *p = params;
  *p = (gather_params){params_int(c, "bits"), params_int(c, "block_size"), params_int(c, "gather_axis"),
                       params_int(c, "quantize_axis")};
  if (p->bits != 2 && p->bits != 4 && p->bits != 8)
    return params_fail(c, "bits", "is %lld, expected one of 2, 4, 8", (long long)p->bits);
  if (p->block != 0 && (p->block < 16 || (p->block & (p->block - 1))))
    return params_fail(c, "block_size", "is %lld, expected 0 or a power of two from 16 on", (long long)p->block);
  return SDX_OK;
}

// ---- infer ----------------------------------------------------------------------------------------

static size_t values_per_byte(const gather_params *p, sdx_dtype dtype) {
  return dtype == SDX_UINT8 ? (size_t)(8 / p->bits) : 1;
}

static sdx_status check_axes(op_step *c, const gather_params *p, int rank, int64_t *gather, int64_t *quantize) {
  sdx_dtype dtype = infer_dtype_of(c, DATA);
  *gather = p->gather, *quantize = p->quantize;
  SDX_TRY(step_located(c, axis_normalize(gather, (size_t)rank, at_attribute("gather_axis"), c->err)));
  SDX_TRY(step_located(c, axis_normalize(quantize, (size_t)rank, at_attribute("quantize_axis"), c->err)));
  if (dtype && p->block == 0 && !dtype_is_float(dtype))
    return step_fail_at(c, at_attribute("block_size"), SDX_INVALID_ARGUMENT,
                        "is 0, which is for small floats, not for %s", dtype_name(dtype));
  if (dtype == SDX_UINT8 && *gather != 0)
    return step_fail_at(c, at_attribute("gather_axis"), SDX_INVALID_ARGUMENT,
                        "is not 0, as it must be where the data is uint8");
  if (dtype == SDX_UINT8 && p->bits < 8 && *quantize == 0)
    return step_fail_at(c, at_attribute("quantize_axis"), SDX_INVALID_ARGUMENT, "is the same axis as gather_axis");
  if (dtype_is_float(dtype) && infer_has(c, ZEROS))
    return step_fail_at(c, at_input(ZEROS), SDX_INVALID_GRAPH, "is given, but small floats have no zero points");
  return SDX_OK;
}

// One dimension of the scales, and of the zero points.
static sdx_status check_scale(op_step *c, const gather_params *p, int d, bool last, bool quantized, int64_t dim) {
  sdx_dtype dtype = infer_dtype_of(c, DATA);
  int64_t block = p->block ? p->block : dim, blocks = dim;
  if (quantized && dim > 0) blocks = dim / block + (dim % block != 0);
  if (dtype_is_float(dtype) && !quantized && infer_dim(c, SCALES, d) == 1) return SDX_OK;
  if (dim >= 0) SDX_TRY(infer_agree(c, SCALES, d, "scales", &blocks));
  int64_t each = (int64_t)values_per_byte(p, dtype), packed = last && blocks >= 0 ? (blocks + each - 1) / each : blocks;
  return infer_agree(c, ZEROS, d, "zero points", &packed);
}

static sdx_status gather_block_quantized_infer(op_step *c) {
  const gather_params *p = c->params;
  sdx_dtype dtype = infer_dtype_of(c, DATA), out_type = infer_dtype_of(c, SCALES);
  int rank = infer_rank_of(c, DATA), indices = infer_rank_of(c, INDICES), n = 0;
  int64_t dims[2 * TENSOR_MAX_RANK], gather, quantize;
  SDX_TRY(infer_rank(c, DATA, 1, -1));
  if (rank < 0 || !dtype) return infer_output(c, 0, out_type, -1, NULL);
  SDX_TRY(infer_rank(c, SCALES, rank, rank));
  SDX_TRY(infer_rank(c, ZEROS, rank, rank));
  SDX_TRY(check_axes(c, p, rank, &gather, &quantize));
  for (int d = 0; d < rank; d++) {
    int64_t dim = infer_dim(c, DATA, d);
    if (d == rank - 1 && dim >= 0 && !i64_mul(dim, (int64_t)values_per_byte(p, dtype), &dim))
      return step_fail_at(c, at_input(DATA), SDX_INVALID_SHAPE, "is too large");
    SDX_TRY(check_scale(c, p, d, d == rank - 1, d == quantize, dim));
    if (d != gather) dims[n++] = dim;
    for (int i = 0; d == gather && i < indices; i++) dims[n++] = infer_dim(c, INDICES, i);
  }
  return infer_output(c, 0, out_type, indices < 0 ? -1 : n, dims);
}

// ---- compute --------------------------------------------------------------------------------------

// The table as [outer, entries, inner] around the gathered axis.
typedef struct gather_job {
  const tensor *data, *indices, *scales, *zeros;
  tensor *out;
  const gather_params *params;
  size_t entries, inner, per_byte, rank;
  size_t dims[TENSOR_MAX_RANK], steps[TENSOR_MAX_RANK], block[TENSOR_MAX_RANK];  // of values; of scales
} gather_job;

static size_t scale_index(const gather_job *j, size_t value) {
  size_t at = 0;
  for (size_t d = j->rank; d-- > 0; value /= j->dims[d]) at += value % j->dims[d] / j->block[d] * j->steps[d];
  return at;
}

static int bits_at(const gather_job *j, const uint8_t *bytes, size_t at) {
  size_t bits = (size_t)j->params->bits;
  return bytes[at / j->per_byte] >> (at % j->per_byte * bits) & ((1 << bits) - 1);
}

// Zero point of a scale. Rows of packed ones start on a byte.
static float zero_at(const gather_job *j, size_t scale) {
  if (!j->zeros) return j->data->dtype == SDX_UINT8 ? (float)(1 << (j->params->bits - 1)) : 0;
  if (j->data->dtype != SDX_UINT8) return (float)convert_get_int((sdx_dtype)j->zeros->dtype, j->zeros->data, scale);
  size_t columns = (size_t)j->scales->dims[j->rank - 1], bytes = (size_t)j->zeros->dims[j->rank - 1];
  return (float)bits_at(j, (const uint8_t *)j->zeros->data + scale / columns * bytes, scale % columns);
}

static float value_at(const gather_job *j, size_t at) {
  if (j->data->dtype == SDX_UINT8) return (float)bits_at(j, j->data->data, at);
  if (!dtype_is_float((sdx_dtype)j->data->dtype))
    return (float)convert_get_int((sdx_dtype)j->data->dtype, j->data->data, at);
  return (float)tensor_number_at(j->data, at);
}

// Slices [begin, end) of `inner` numbers, one for each outer position and index.
static void slices_range(void *context, size_t begin, size_t end, size_t worker) {
  const gather_job *j = context;
  for (size_t i = begin; i < end; i++) {
    int64_t index = tensor_index_at(j->indices, i % j->indices->count);
    if (index < 0) index += (int64_t)j->entries;
    bool inside = index >= 0 && index < (int64_t)j->entries;
    for (size_t k = 0; k < j->inner; k++) {
      float value = 0;
      if (inside) {
        size_t at = (i / j->indices->count * j->entries + (size_t)index) * j->inner + k, s = scale_index(j, at);
        value = (value_at(j, at) - zero_at(j, s)) * (float)tensor_number_at(j->scales, s);
      }
      widen_write((sdx_dtype)j->out->dtype, j->out->data, i * j->inner + k, 1, &value);
    }
  }
}

static sdx_status gather_block_quantized_compute(op_step *c) {
  const gather_params *p = c->params;
  const tensor *data = step_in(c, DATA);
  tensor *out = step_out(c, 0);
  if (!out || out->count == 0) return SDX_OK;
  gather_job j = {.data = data,
                  .indices = step_in(c, INDICES),
                  .scales = step_in(c, SCALES),
                  .zeros = step_in(c, ZEROS),
                  .out = out,
                  .params = p,
                  .inner = 1,
                  .per_byte = values_per_byte(p, (sdx_dtype)data->dtype),
                  .rank = data->rank};
  size_t gather = (size_t)(p->gather < 0 ? p->gather + data->rank : p->gather), step = 1;
  size_t quantize = (size_t)(p->quantize < 0 ? p->quantize + data->rank : p->quantize);
  for (size_t d = data->rank; d-- > 0;) {
    j.dims[d] = (size_t)data->dims[d] * (d == data->rank - 1u ? j.per_byte : 1);
    j.block[d] = d != quantize ? 1 : p->block ? (size_t)p->block : j.dims[d] ? j.dims[d] : 1;
    j.steps[d] = j.scales->dims[d] == 1 ? 0 : step;
    step *= (size_t)j.scales->dims[d];
    if (d > gather) j.inner *= j.dims[d];
  }
  j.entries = j.dims[gather];
  call_parallel(c, out->count / j.inner, 1 + GRAIN_COSTLY / j.inner, slices_range, &j);
  return call_check(c);
}

SDX_CASES = {"data=uint4[5,32] indices=int64[3] scales=float[5,2] block_size=16",
             "data=float8e4m3fn[5,32] indices=int64[3] scales=float[5,2] block_size=16",
             "data=uint8[5,16] indices=int32[2,2] scales=float16[5,2] block_size=16 not=int4", NULL};

// clang-format off
SDX_OP_MS(GatherBlockQuantized) = {
    .since = 1, .versions = "1", .inputs = "data:T1 indices:Tind scales:T2 zero_points:T1?", .outputs = "output:T2",
    .types = "T1=int4,uint4,uint8,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz,float4e2m1;"
             "T2=float,float16,bfloat16;Tind=int32,int64",
    .attrs = "bits:int=4 block_size:int=128 gather_axis:int=0 quantize_axis:int=1",
    .params_size = sizeof(gather_params), .params = gather_block_quantized_read, .infer = gather_block_quantized_infer,
    .compute = gather_block_quantized_compute, .cases = cases,
};
// clang-format on
