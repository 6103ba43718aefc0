// SPDX-License-Identifier: Apache-2.0
// DFT: the transform of signals along an axis of [..., 1] (real) or [..., 2] (complex), cut or filled with zeros to
// dft_length; onesided keeps the first half of a real signal's spectrum or, inverse, makes a real signal of it.
// STFT: the spectra of frames of frame_length every frame_step, weighted by a window.
// Computed in double whatever the type. History: DFT 20 made the attribute `axis` an input and allows inverse with
// onesided.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/fft.h"
#include "ops/parts/row.h"

typedef struct dft_params {
  bool inverse, onesided;
} dft_params;

static sdx_status read_flag(op_params_context *c, const char *name, bool *flag) {
  int64_t value = params_int(c, name);
  *flag = value == 1;
  if (value == 0 || value == 1) return SDX_OK;
  return params_fail(c, name, "is %lld, expected 0 or 1", (long long)value);
}
static sdx_status dft_read(op_params_context *c, void *params) {
  dft_params *p = params;
  SDX_TRY(read_flag(c, "inverse", &p->inverse));
  return read_flag(c, "onesided", &p->onesided);
}
static sdx_status stft_read(op_params_context *c, void *params) {
  return read_flag(c, "onesided", &((dft_params *)params)->onesided);
}

static sdx_status dft_upgrade(op_upgrade *u) {
  if (u->version >= 20) return SDX_OK;
  value_id axis = graph_constant_scalar(u->graph, SDX_INT64, (double)node_attr_int(u->node, "axis", 1));
  if (!axis) return error_no_memory(u->err, sizeof axis);
  node_remove_attr(u->node, "axis");
  return upgrade_set_input(u, 2, axis);
}

// ---- infer ----------------------------------------------------------------------------------------

// A scalar input: absent gives `otherwise`; *known is false where it is not known yet.
static sdx_status read_scalar(op_step *c, size_t input, int64_t otherwise, int64_t *value, bool *known) {
  size_t count;
  *value = otherwise;
  *known = true;
  if (input >= c->input_count || !c->in_types[input]) return SDX_OK;
  const int64_t *at = infer_constant_ints(c, input, &count);
  *known = at != NULL;
  if (!at) return SDX_OK;
  if (count != 1) return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has %zu elements, expected 1", count);
  *value = *at;
  return SDX_OK;
}

static sdx_status check_complex(op_step *c, int rank, const dft_params *p) {
  int64_t parts = infer_dim(c, 0, rank - 1);
  if (parts >= 0 && parts != 1 && parts != 2)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE,
                        "has %lld as its last dimension, expected 1 (real) or 2 (complex)", (long long)parts);
  if (parts == 2 && p->onesided && !p->inverse)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE,
                        "is complex, expected a real signal as attribute 'onesided' is set");
  return SDX_OK;
}

static sdx_status dft_length(op_step *c, const dft_params *p, int64_t dim, int64_t *length) {
  bool known;
  SDX_TRY(read_scalar(c, 1, DIM_UNKNOWN, length, &known));
  bool given = infer_has(c, 1);
  if (given && known && *length < 1)
    return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %lld, expected at least 1", (long long)*length);
  if (given || dim < 0) return SDX_OK;
  *length = p->inverse && p->onesided ? 2 * (dim - 1) : dim;
  if (*length < 1 || dim > INT64_MAX / 4)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE,
                        "has %lld elements along the axis: there is nothing to transform", (long long)dim);
  return SDX_OK;
}

static sdx_status dft_infer(op_step *c) {
  const dft_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  int64_t axis, length, dims[TENSOR_MAX_RANK];
  bool known;
  SDX_TRY(infer_rank(c, 0, 2, -1));
  SDX_TRY(infer_rank(c, 1, 0, 1));
  SDX_TRY(infer_rank(c, 2, 0, 1));
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  SDX_TRY(check_complex(c, rank, p));
  SDX_TRY(read_scalar(c, 2, -2, &axis, &known));
  for (int d = 0; d < rank; d++) dims[d] = known ? infer_dim(c, 0, d) : DIM_UNKNOWN;
  dims[rank - 1] = p->inverse && p->onesided ? 1 : 2;
  if (!known) return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
  if (axis < -rank || axis > rank - 2 || axis == -1)
    return step_fail_at(c, at_input(2), SDX_OUT_OF_RANGE, "is %lld, expected within [-%d, -2] and [0, %d]",
                        (long long)axis, rank, rank - 2);
  if (axis < 0) axis += rank;
  SDX_TRY(dft_length(c, p, dims[axis], &length));
  dims[axis] = length >= 0 && p->onesided && !p->inverse ? length / 2 + 1 : length;
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
}

// Frame length from its input, the window, or the signal.
static sdx_status stft_length(op_step *c, int64_t *length) {
  bool known;
  SDX_TRY(read_scalar(c, 3, DIM_UNKNOWN, length, &known));
  if (infer_has(c, 3)) {
    if (known && *length < 1)
      return step_fail_at(c, at_input(3), SDX_OUT_OF_RANGE, "is %lld, expected at least 1", (long long)*length);
    return known ? infer_agree(c, 2, 0, "frame_length", length) : SDX_OK;
  }
  *length = infer_has(c, 2) ? infer_dim(c, 2, 0) : infer_dim(c, 0, 1);
  if (*length == 0)
    return step_fail_at(c, at_input(infer_has(c, 2) ? 2 : 0), SDX_INVALID_SHAPE,
                        "has no elements, of which frames are made");
  return SDX_OK;
}

static sdx_status stft_infer(op_step *c) {
  const dft_params *p = c->params;
  int64_t step, length, signal = infer_dim(c, 0, 1), frames = DIM_UNKNOWN;
  bool known;
  SDX_TRY(infer_rank(c, 0, 2, 3));  // torch.onnx writes real signals as [batch, length]
  SDX_TRY(infer_rank(c, 1, 0, 1));
  SDX_TRY(infer_rank(c, 2, 1, 1));
  SDX_TRY(infer_rank(c, 3, 0, 1));
  SDX_TRY(check_complex(c, 3, p));
  SDX_TRY(read_scalar(c, 1, 1, &step, &known));
  if (known && step < 1)
    return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %lld, expected at least 1", (long long)step);
  SDX_TRY(stft_length(c, &length));
  if (length >= 0 && signal >= 0 && length > signal)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE,
                        "is a signal that frames of %lld do not fit into: it has %lld elements", (long long)length,
                        (long long)signal);
  if (known && length >= 0 && signal >= 0) frames = (signal - length) / step + 1;
  int64_t bins = length >= 0 && p->onesided ? length / 2 + 1 : length;
  return infer_output(c, 0, infer_dtype_of(c, 0), 4, (int64_t[]){infer_dim(c, 0, 0), frames, bins, 2});
}

// ---- compute --------------------------------------------------------------------------------------

// Transforms number i < count: `taken` elements of the input, `step` elements apart, to `bins` of the output.
typedef struct dft_job {
  fft f;
  const tensor *in, *window;
  tensor *out;
  size_t parts, out_parts, taken, bins, inner;
  size_t in_axis, out_axis;   // elements of the axis
  size_t frames, frame_step;  // STFT: 0 where there are none
  bool inverse, mirror;       // mirror: the input is half of a spectrum
  char *scratch;
  size_t worker_bytes;
} dft_job;

static double get(const tensor *t, size_t i) {
  return t->dtype == SDX_DOUBLE ? ((const double *)t->data)[i] : (double)((const float *)t->data)[i];
}
static void put(tensor *t, size_t i, double x) {
  if (t->dtype == SDX_DOUBLE) ((double *)t->data)[i] = x;
  else ((float *)t->data)[i] = (float)x;
}

static void read_signal(const dft_job *j, size_t first, double *x) {
  for (size_t k = 0; k < j->f.n && !pool_stopped_in(k); k++) {
    double re = 0, im = 0;
    if (k < j->taken) {
      size_t at = (first + k * j->inner) * j->parts;
      double weight = j->window ? get(j->window, k) : 1;
      re = get(j->in, at) * weight;
      im = j->parts == 2 ? get(j->in, at + 1) * weight : 0;
    }
    x[2 * k] = re, x[2 * k + 1] = im;
  }
  for (size_t k = j->f.n / 2 + 1; j->mirror && k < j->f.n; k++)
    x[2 * k] = x[2 * (j->f.n - k)], x[2 * k + 1] = -x[2 * (j->f.n - k) + 1];
}

static void dft_range(void *context, size_t begin, size_t end, size_t worker) {
  const dft_job *j = context;
  double *x = (double *)(void *)(j->scratch + worker * j->worker_bytes);
  double scale = j->inverse ? 1 / (double)j->f.n : 1;
  for (size_t i = begin; i < end; i++) {
    size_t from = i / j->inner * j->in_axis * j->inner + i % j->inner,
           to = i / j->inner * j->out_axis * j->inner + i % j->inner;
    if (j->frames) from = i / j->frames * j->in_axis + i % j->frames * j->frame_step, to = i * j->bins;
    read_signal(j, from, x);
    fft_run(&j->f, x, j->inverse, x + 2 * j->f.n);
    for (size_t k = 0; k < j->bins && !pool_stopped_in(k); k++)
      for (size_t part = 0; part < j->out_parts; part++)
        put(j->out, (to + k * j->inner) * j->out_parts + part, x[2 * k + part] * scale);
  }
}

static sdx_status transform_all(op_step *c, dft_job *j, size_t n, size_t count) {
  size_t tables, scratch, bytes = 0, threads = c->threads ? c->threads : 1;
  bool fits = fft_sizes(n, &tables, &scratch) && size_add(scratch, 2 * n * sizeof(double), &j->worker_bytes) &&
              size_mul(j->worker_bytes, threads, &bytes) && size_add(bytes, tables, &bytes);
  char *memory = fits ? call_alloc(c, bytes) : NULL;
  if (!memory) return call_no_memory(c, bytes);
  fft_init(&j->f, n, memory);
  j->scratch = memory + tables;
  call_parallel(c, count, 1 + GRAIN_COSTLY / n, dft_range, j);
  return call_check(c);
}

static sdx_status dft(op_step *c) {
  const dft_params *p = c->params;
  const tensor *in = step_in(c, 0), *length = step_in(c, 1), *axis_input = step_in(c, 2);
  tensor *out = step_out(c, 0);
  if (!out || out->count == 0) return SDX_OK;
  int64_t axis = axis_input ? tensor_index_at(axis_input, 0) : -2;
  if (axis < 0) axis += in->rank;
  size_t n = (size_t)in->dims[axis], outer = 1;
  dft_job j = {.in = in, .out = out, .parts = (size_t)in->dims[in->rank - 1], .out_parts = 2, .inner = 1};
  j.in_axis = n, j.out_axis = (size_t)out->dims[axis];
  j.inverse = p->inverse, j.mirror = p->inverse && p->onesided;
  if (j.mirror) j.out_parts = 1, n = 2 * (n ? n - 1 : 0);
  if (length) n = (size_t)tensor_index_at(length, 0);
  size_t needed = j.mirror ? n / 2 + 1 : n;
  j.taken = needed < j.in_axis ? needed : j.in_axis;
  j.bins = j.out_axis;
  for (int64_t d = 0; d < axis; d++) outer *= (size_t)in->dims[d];
  for (int64_t d = axis + 1; d < in->rank - 1; d++) j.inner *= (size_t)in->dims[d];
  return transform_all(c, &j, n, outer * j.inner);
}
static sdx_status dft_compute(op_step *c) { return call_widened(c, dft); }

static sdx_status stft(op_step *c) {
  const tensor *in = step_in(c, 0), *length = step_in(c, 3), *window = step_in(c, 2);
  tensor *out = step_out(c, 0);
  if (!out || out->count == 0) return SDX_OK;
  size_t n = length ? (size_t)tensor_index_at(length, 0) : (size_t)(window ? window->dims[0] : in->dims[1]);
  dft_job j = {.in = in,
               .out = out,
               .window = window,
               .parts = in->rank == 3 ? (size_t)in->dims[2] : 1,
               .out_parts = 2,
               .taken = n,
               .bins = (size_t)out->dims[2],
               .inner = 1,
               .in_axis = (size_t)in->dims[1],
               .out_axis = (size_t)out->dims[2],
               .frames = (size_t)out->dims[1],
               .frame_step = (size_t)tensor_index_at(step_in(c, 1), 0)};
  return transform_all(c, &j, n, (size_t)in->dims[0] * j.frames);
}
static sdx_status stft_compute(op_step *c) { return call_widened(c, stft); }

SDX_CASES = {"input=float[2,8,1]",
             "input=float[2,7,3,2] inverse=1",
             "input=double[1,30,1] onesided=1",
             "input=float[2,8,1] dft_length=int64(5)",
             "input=float[2,6,3,2] dft_length=int32(8) axis=int64(2)",
             NULL};

static sdx_status dft_prepare(op_step *c) { return prepare_widened(c, 0); }

// clang-format off
SDX_OP(DFT) = {
    .since = 20, .versions = "20 17", .inputs = "input:T1 dft_length:T2? axis:int64?", .outputs = "output:T1",
    .types = "T1=" TYPES_FLOAT ";T2=int32,int64", .attrs = "inverse:int=0 onesided:int=0", .attrs_old = "axis:int<20",
    .params_size = sizeof(dft_params), .params = dft_read, .upgrade = dft_upgrade, .infer = dft_infer,
    .prepare = dft_prepare, .compute = dft_compute, .cases = cases,
};
static const char *const stft_cases[] = {"signal=float[1,64,1] frame_step=int64(8) frame_length=const(16)",
    "signal=float[2,40,1] frame_step=int64(5) window=float[12]",
    "signal=float[2,40] frame_step=int64(5) window=float[12]",
    "signal=float[1,32,2] frame_step=int64(4) window=float[8] onesided=0", NULL};

SDX_OP(STFT) = {
    .since = 17, .versions = "17", .inputs = "signal:T1 frame_step:T2 window:T1? frame_length:T2?",
    .outputs = "output:T1", .types = "T1=" TYPES_FLOAT ";T2=int32,int64", .attrs = "onesided:int=1",
    .params_size = sizeof(dft_params), .params = stft_read, .infer = stft_infer, .prepare = dft_prepare,
    .compute = stft_compute,
    .cases = stft_cases,
};
// clang-format on
