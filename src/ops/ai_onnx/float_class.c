// SPDX-License-Identifier: Apache-2.0
// IsNaN and IsInf, by bit pattern for every float format. float8e4m3fn has no infinity; the fnuz formats
// have none either and one NaN, the pattern of -0.
// History: IsNaN 13 bfloat16, both 20 float8.
#include "ops/infer.h"
#include "ops/parts/row.h"

typedef struct format {
  uint64_t magnitude, infinity, nan_first, nan_last;  // patterns after masking with magnitude
  bool has_infinity;
} format;
static const format formats[SDX_DTYPE_COUNT] = {
    [SDX_FLOAT] = {0x7fffffff, 0x7f800000, 0x7f800001, 0x7fffffff, true},
    [SDX_DOUBLE] = {INT64_MAX, 0x7ff0000000000000, 0x7ff0000000000001, INT64_MAX, true},
    [SDX_FLOAT16] = {0x7fff, 0x7c00, 0x7c01, 0x7fff, true},
    [SDX_BFLOAT16] = {0x7fff, 0x7f80, 0x7f81, 0x7fff, true},
    [SDX_FLOAT8E4M3FN] = {0x7f, 0, 0x7f, 0x7f, false},
    [SDX_FLOAT8E4M3FNUZ] = {0xff, 0, 0x80, 0x80, false},
    [SDX_FLOAT8E5M2] = {0x7f, 0x7c, 0x7d, 0x7f, true},
    [SDX_FLOAT8E5M2FNUZ] = {0xff, 0, 0x80, 0x80, false},
};

typedef struct inf_params {
  bool negative, positive;
} inf_params;

typedef struct classifier {
  format format;
  inf_params wanted;  // infinities; neither: NaN is asked for
} classifier;

static bool matches(const classifier *k, uint64_t pattern) {
  uint64_t magnitude = pattern & k->format.magnitude;
  if (!k->wanted.negative && !k->wanted.positive)
    return magnitude >= k->format.nan_first && magnitude <= k->format.nan_last;
  return k->format.has_infinity && magnitude == k->format.infinity &&
         (pattern == magnitude ? k->wanted.positive : k->wanted.negative);
}
#define CLASSIFY(bits)                                                                      \
  static void classify_##bits(const void *context, void *out_, const void *in_, size_t n) { \
    const classifier k = *(const classifier *)context;                                      \
    bool *out = out_;                                                                       \
    const uint##bits##_t *in = in_;                                                         \
    for (size_t i = 0; i < n; i++) out[i] = matches(&k, in[i]);                             \
  }
CLASSIFY(8)
CLASSIFY(16)
CLASSIFY(32)
CLASSIFY(64)
static const unary_row rows[SDX_DTYPE_COUNT] = {
    [SDX_FLOAT] = classify_32,     [SDX_DOUBLE] = classify_64,        [SDX_FLOAT16] = classify_16,
    [SDX_BFLOAT16] = classify_16,  [SDX_FLOAT8E4M3FN] = classify_8,   [SDX_FLOAT8E4M3FNUZ] = classify_8,
    [SDX_FLOAT8E5M2] = classify_8, [SDX_FLOAT8E5M2FNUZ] = classify_8,
};

static sdx_status float_class_read(op_params_context *c, void *params) {
  *(inf_params *)params = (inf_params){params_int(c, "detect_negative") != 0, params_int(c, "detect_positive") != 0};
  return SDX_OK;
}

static sdx_status float_class_infer(op_step *c) { return infer_same_as(c, 0, 0, SDX_BOOL); }

static sdx_status classify(op_step *c, inf_params wanted) {
  const tensor *in = step_in(c, 0);
  classifier k = {formats[in->dtype], wanted};
  return unary_run(c, step_out(c, 0), in, rows, &k, GRAIN_CHEAP);
}
static sdx_status is_nan_compute(op_step *c) { return classify(c, (inf_params){false, false}); }
static sdx_status is_inf_compute(op_step *c) {
  const inf_params *wanted = c->params;
  tensor *out = step_out(c, 0);
  if (wanted->negative || wanted->positive) return classify(c, *wanted);
  if (out && out->bytes) memset(out->data, 0, out->bytes);
  return SDX_OK;
}

SDX_CASES = {"X=float[2,3]", "X=double[5]", "X=float16[5]", "X=bfloat16[5]", "X=float8e5m2[9]", "X=float[0]", NULL};

#define TYPES "T=" TYPES_FLOAT ",float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz"
SDX_OP(IsNaN) = {.since = 20,
                 .versions = "20 13 9",
                 .inputs = "X:T",
                 .outputs = "Y:bool",
                 .types = TYPES,
                 .flags = OP_POINTWISE,
                 .infer = float_class_infer,
                 .compute = is_nan_compute,
                 .cases = cases};
SDX_OP(IsInf) = {.since = 20,
                 .versions = "20 10",
                 .inputs = "X:T",
                 .outputs = "Y:bool",
                 .types = TYPES,
                 .flags = OP_POINTWISE,
                 .attrs = "detect_negative:int=1 detect_positive:int=1",
                 .params_size = sizeof(inf_params),
                 .params = float_class_read,
                 .infer = float_class_infer,
                 .compute = is_inf_compute,
                 .cases = cases};
