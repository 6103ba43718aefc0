// SPDX-License-Identifier: Apache-2.0
// MultiThreshold: y = (how many thresholds of its channel x reaches) * out_scale + out_bias. Thresholds are
// [channels or 1, steps], in any order. The channel is where data_layout has its C; without one it is axis 1, and 2 for
// rank 3 (NWC).
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

typedef struct threshold_params {
  double scale, bias;
  int axis;  // -1: by rank
} threshold_params;

static sdx_status multi_threshold_read(op_params_context *c, void *params) {
  threshold_params *p = params;
  str layout = params_string(c, "data_layout");
  const char *channel = layout.size ? memchr(layout.at, 'C', layout.size) : NULL;
  p->scale = (double)params_float(c, "out_scale");
  p->bias = (double)params_float(c, "out_bias");
  p->axis = channel ? (int)(channel - layout.at) : layout.size ? 1 : -1;
  return SDX_OK;
}

static int axis_of(const threshold_params *p, int rank) { return p->axis >= 0 ? p->axis : rank == 3 ? 2 : 1; }

static sdx_status multi_threshold_infer(op_step *c) {
  int rank = infer_rank_of(c, 0), axis = axis_of(c->params, rank);
  SDX_TRY(infer_rank(c, 0, axis < 1 ? 2 : axis + 1, -1));
  SDX_TRY(infer_rank(c, 1, 2, 2));
  int64_t channels = rank < 0 ? DIM_UNKNOWN : infer_dim(c, 0, axis);
  if (infer_dim(c, 1, 0) != 1) SDX_TRY(infer_agree(c, 1, 0, "thresholds of each channel", &channels));
  return infer_same(c, 0, 0);
}

typedef struct threshold_job {
  const threshold_params *params;
  tensor *out;
  const tensor *in, *thresholds;
  size_t channels, inner, steps;
  bool shared;  // by all channels
} threshold_job;

static void threshold_range(void *context, size_t begin, size_t end, size_t worker) {
  enum { BLOCK = 256 };
  const threshold_job *j = context;
  double x[BLOCK], limit[BLOCK], count[BLOCK];
  for (size_t at = begin, n; at < end; at += n) {  // within one channel
    size_t left = j->inner - at % j->inner, channel = j->shared ? 0 : at / j->inner % j->channels;
    n = left < end - at ? left : end - at;
    n = n < BLOCK ? n : BLOCK;
    convert_to_doubles((sdx_dtype)j->in->dtype, j->in->data, at, n, x);
    for (size_t i = 0; i < n; i++) count[i] = 0;
    for (size_t first = 0; first < j->steps; first += BLOCK) {
      size_t some = j->steps - first < BLOCK ? j->steps - first : BLOCK;
      convert_to_doubles((sdx_dtype)j->thresholds->dtype, j->thresholds->data, channel * j->steps + first, some, limit);
      for (size_t t = 0; t < some; t++)
        for (size_t i = 0; i < n; i++) count[i] += x[i] >= limit[t];
      if (pool_stopped()) return;
    }
    for (size_t i = 0; i < n; i++) {
      double scaled = j->params->scale * count[i];
      if (j->out->dtype != SDX_DOUBLE) scaled = (double)(float)scaled;
      x[i] = scaled + j->params->bias;
    }
    convert_from_doubles((sdx_dtype)j->out->dtype, j->out->data, at, n, x);
  }
}

static sdx_status multi_threshold_compute(op_step *c) {
  threshold_job j = {.params = c->params, .out = step_out(c, 0), .in = step_in(c, 0), .thresholds = step_in(c, 1)};
  if (!j.out || j.out->count == 0) return SDX_OK;
  int axis = axis_of(j.params, j.in->rank);
  j.channels = (size_t)j.in->dims[axis];
  j.inner = 1;
  for (int d = axis + 1; d < j.in->rank; d++) j.inner *= (size_t)j.in->dims[d];
  j.shared = j.thresholds->dims[0] == 1;
  j.steps = (size_t)j.thresholds->dims[1];
  call_parallel(c, j.out->count, 1 + GRAIN_CHEAP / (j.steps + 1), threshold_range, &j);
  return call_check(c);
}

SDX_CASES = {"v=float[2,3,4,5] thresholds=float[3,7] out_scale=0.5 out_bias=-2 out_dtype=INT4",
             "v=float[2,4,3] thresholds=float[3,2] out_dtype=UINT2",
             "v=float[2,4,5,3] thresholds=float[1,300] data_layout=NHWC out_dtype=UINT9", NULL};

SDX_OP_QONNX(MultiThreshold) = {.since = 1,
                                .versions = "1",
                                .inputs = "v:T thresholds:N",
                                .outputs = "output:T",
                                .types = "T=" TYPES_FLOAT ";N=" TYPES_NUMBER,
                                .attrs = "data_layout:string= out_bias:float=0 out_dtype:string out_scale:float=1",
                                .flags = OP_INPLACE,
                                .params_size = sizeof(threshold_params),
                                .params = multi_threshold_read,
                                .infer = multi_threshold_infer,
                                .compute = multi_threshold_compute,
                                .cases = cases};
