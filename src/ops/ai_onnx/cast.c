// SPDX-License-Identifier: Apache-2.0
// Cast, CastLike: elements as another type. One rule per pair, the same on every machine:
// * integer or bool -> integer: low bits, two's complement (as ONNX says); -> bool: not zero
// * integer -> float kinds: round to nearest even, infinity when out of range
// * float -> integer: towards zero; out of range saturates, NaN is 0 (ONNX leaves both open;
//   ONNX Runtime on x86 gives the lowest number); from version 24 on the 4- and 2-bit kinds keep the
//   low bits of the int64 instead, as ONNX's own data has it    * float -> bool: not zero (NaN is true)
// * float -> float: nearest even; float8 saturates or not by `saturate`; float4 and 6 always, NaN is -0
//   (for float4 6 up to version 23); float8e8m0 rounds its exponent by `round_mode` (up, down, nearest)
// * number -> string: the shortest digits that read back as the same number, without exponent for
//   1e-5 <= |x| < 1e16; NaN, INF, -INF; bool as 1 and 0
// * string -> number: decimal integers exactly, else as strtod reads the whole string (spaces around
//   are allowed), then by the rules above; anything else is an error, also above 1000 characters
// Version 6 moved `to` from a name to a number; 9 added strings, 19 float8, 24 float8e8m0, 28 float6.
#include <math.h>
#include <stdio.h>

#include "base/float8.h"
#include "base/number.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"
#include "tensor/convert.h"

typedef enum round_mode { UP, DOWN, NEAREST } round_mode;
typedef struct params {
  sdx_dtype to;
  bool saturate;
  bool clamp4;  // up to version 23: 4-bit integers saturate, too, and NaN is float4's largest number
  round_mode round;
} params;  // `to` 0: that of input 1

static sdx_status cast_read(op_params_context *c, void *p) {
  params *out = p;
  bool like = str_is(c->node->op_type, "CastLike");
  int64_t to = like ? 0 : params_int(c, "to");
  if (!like && (to <= 0 || to >= SDX_DTYPE_COUNT || dtype_is_complex((sdx_dtype)to)))
    return params_fail(c, "to", "is %lld, expected a type to cast to", (long long)to);
  *out = (params){.to = (sdx_dtype)to, .saturate = params_int(c, "saturate") != 0};
  out->clamp4 = params_int(c, "_clamp4") != 0;
  str mode = params_string(c, "round_mode");
  out->round = str_is(mode, "down") ? DOWN : str_is(mode, "nearest") ? NEAREST : UP;
  if (out->round == UP && !str_is(mode, "up"))
    return params_fail(c, "round_mode", "is '%.*s', expected up, down or nearest", STR_ARG(mode));
  return SDX_OK;
}

static sdx_status keep_clamp(op_upgrade *u) {
  return u->version < 24 ? node_set_attr(u->graph, u->node, attr_of_int("_clamp4", 1)) : SDX_OK;
}

// "FLOAT" -> 1
static sdx_status cast_upgrade(op_upgrade *u) {
  const attr *a = node_attr(u->node, "to");
  if (!a || a->kind != ATTR_STRING) {  // some exporters kept the name after version 6
    int64_t to = node_attr_int(u->node, "to", 0);
    return to == SDX_INT4 || to == SDX_UINT4 || to == SDX_FLOAT4E2M1 ? keep_clamp(u) : SDX_OK;
  }
  char name[24] = "";
  for (size_t i = 0; i < a->s.size && i + 1 < sizeof name; i++)
    name[i] = a->s.at[i] >= 'A' && a->s.at[i] <= 'Z' ? (char)(a->s.at[i] + 32) : a->s.at[i];
  sdx_dtype dtype = dtype_from_name(str_from(name));
  if (dtype == SDX_UNDEFINED)
    return upgrade_fail_at(u, at_attribute("to"), SDX_INVALID_GRAPH, "is '%.*s', which is not a type",
                           (int)(a->s.size < 40 ? a->s.size : 40), a->s.at);
  return node_set_attr(u->graph, u->node, attr_of_int("to", dtype));
}

static sdx_status cast_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  const params *p = c->params;
  sdx_dtype from = infer_dtype_of(c, 0);
  if (dtype_is_complex(from))
    return step_fail_at(c, at_input(0), SDX_NOT_SUPPORTED, "is %s, which cannot be cast", dtype_name(from));
  return infer_same_as(c, 0, 0, p->to ? p->to : infer_dtype_of(c, 1));
}

// ---- numbers ----------------------------------------------------------------------------------------

enum { BLOCK = 512 };  // a multiple of 4: blocks of packed types start at a byte

static void load_ints(sdx_dtype d, const void *data, size_t first, size_t n, int64_t *to) {
  switch (d) {
#define CASE(name, T)                                                             \
  case SDX_##name:                                                                \
    for (size_t i = 0; i < n; i++) to[i] = (int64_t)((const T *)data)[first + i]; \
    break;
    CASE(INT64, int64_t)
    CASE(UINT64, uint64_t)
    CASE(INT32, int32_t)
    CASE(UINT8, uint8_t)
    CASE(INT8, int8_t)
#undef CASE
    default:
      for (size_t i = 0; i < n; i++) to[i] = convert_get_int(d, data, first + i);
  }
}

// Keeps the low bits.
static void store_ints(sdx_dtype d, void *data, size_t first, size_t n, const int64_t *from) {
  switch (d) {
#define CASE(name, T)                                                             \
  case SDX_##name:                                                                \
    for (size_t i = 0; i < n; i++) ((T *)data)[first + i] = (T)(uint64_t)from[i]; \
    break;
    CASE(INT64, uint64_t)
    CASE(UINT64, uint64_t)
    CASE(INT32, uint32_t)
    CASE(UINT32, uint32_t)
    CASE(INT16, uint16_t)
    CASE(UINT16, uint16_t)
    CASE(INT8, uint8_t)
    CASE(UINT8, uint8_t)
#undef CASE
    default: {  // bool and the packed kinds
      int bits = dtype_bits(d);
      for (size_t i = 0; i < n; i++) {
        int64_t low = from[i] & ((1 << bits) - 1);
        if ((d == SDX_INT4 || d == SDX_INT2) && low >> (bits - 1)) low -= 1 << bits;
        convert_set_int(d, data, first + i, d == SDX_BOOL ? from[i] != 0 : low);
      }
    }
  }
}

// Exponent of 2^(code - 127) for a positive number; mantissa bits decide by the mode.
static uint8_t e8m0_from(float f, const params *p) {
  if (f != f) return 255;
  if (isinf(f)) return f < 0 ? 0 : p->saturate ? 254 : 255;
  if (f <= 0) return p->saturate || f < 0 ? 0 : 255;
  int exponent;
  float m = frexpf(f, &exponent);  // f = m 2^exponent, m in [0.5, 1)
  int code = exponent - 1 + 127;
  if (p->round == UP ? m > 0.5f : p->round == NEAREST && m >= 0.75f) code++;
  if (code > 254) return p->saturate ? 254 : 255;
  return code < 0 ? (p->saturate ? 0 : 255) : (uint8_t)code;
}

static bool lacks_nan(sdx_dtype d) { return d == SDX_FLOAT4E2M1 || float6_of(d); }

static void store_floats(const params *p, sdx_dtype d, void *data, size_t first, size_t n, const float *from) {
  const float8_kind *kind = float8_of(d);
  uint8_t *codes = (uint8_t *)data + first;
  if (d == SDX_FLOAT8E8M0)
    for (size_t i = 0; i < n; i++) codes[i] = e8m0_from(from[i], p);
  else if (kind)
    for (size_t i = 0; i < n; i++) codes[i] = float8_from_float(kind, from[i], p->saturate);
  else convert_from_floats(d, data, first, n, from);
  for (size_t i = 0; lacks_nan(d) && !p->clamp4 && i < n; i++)
    if (from[i] != from[i]) convert_from_floats(d, data, first + i, 1, &(float){-0.0f});
}

static void store_doubles(const params *p, sdx_dtype d, void *data, size_t first, size_t n, const double *from) {
  if (!float8_of(d) && d != SDX_FLOAT8E8M0 && !lacks_nan(d)) {
    convert_from_doubles(d, data, first, n, from);
    return;
  }
  float narrow[BLOCK];
  for (size_t i = 0; i < n; i++) narrow[i] = float_sticky(from[i]);  // one rounding in all
  store_floats(p, d, data, first, n, narrow);
}

typedef struct job {
  const params *p;
  const tensor *x;
  tensor *y;
} job;

static void cast_block(const job *j, size_t first, size_t n) {
  sdx_dtype from = (sdx_dtype)j->x->dtype, to = (sdx_dtype)j->y->dtype;
  union {
    int64_t i[BLOCK];
    float f[BLOCK];
    double d[BLOCK];
  } u;
  int64_t wide[BLOCK];
  bool from_int = dtype_is_int(from) || from == SDX_BOOL;
  if (from_int && !dtype_is_float(to)) {
    load_ints(from, j->x->data, first, n, u.i);
    store_ints(to, j->y->data, first, n, u.i);
  } else if (from_int && to == SDX_FLOAT) {
    convert_to_floats(from, j->x->data, first, n, (float *)j->y->data + first);
  } else if (dtype_is_packed(to) && !dtype_is_float(to) && !j->p->clamp4) {  // float kinds to 4 and 2 bits
    convert_to_doubles(from, j->x->data, first, n, u.d);
    convert_from_doubles(SDX_INT64, wide, 0, n, u.d);
    store_ints(to, j->y->data, first, n, wide);
  } else if (from_int || from == SDX_DOUBLE) {
    convert_to_doubles(from, j->x->data, first, n, u.d);
    store_doubles(j->p, to, j->y->data, first, n, u.d);
  } else {
    convert_to_floats(from, j->x->data, first, n, u.f);
    store_floats(j->p, to, j->y->data, first, n, u.f);
  }
}

static void cast_range(void *context, size_t begin, size_t end, size_t worker) {  // in blocks
  const job *j = context;
  for (size_t b = begin; b < end; b++) {
    size_t first = b * BLOCK, left = j->x->count - first;
    cast_block(j, first, left < BLOCK ? left : BLOCK);
  }
}

// ---- strings ----------------------------------------------------------------------------------------

static sdx_status to_strings(op_step *c, const tensor *x, tensor *y) {
  sdx_dtype d = (sdx_dtype)x->dtype;
  str *to = y->data;
  for (size_t i = 0; i < x->count; i++) {
    char text[NUMBER_TEXT];
    if (dtype_is_float(d)) {
      double v = 0;
      convert_to_doubles(d, x->data, i, 1, &v);
      number_print(text, v, d != SDX_DOUBLE);
    } else if (d == SDX_UINT64) {
      snprintf(text, sizeof text, "%llu", (unsigned long long)((const uint64_t *)x->data)[i]);
    } else {
      snprintf(text, sizeof text, "%lld", (long long)convert_get_int(d, x->data, i));
    }
    size_t size = strlen(text);
    char *at = call_alloc(c, size);
    if (!at) return call_no_memory(c, size);
    to[i] = (str){memcpy(at, text, size), size};
    if ((i & 0xfff) == 0xfff) SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

static sdx_status parse_one(op_step *c, const job *j, size_t i) {
  str s = ((const str *)j->x->data)[i];
  sdx_dtype to = (sdx_dtype)j->y->dtype;
  int64_t whole;
  double real;
  if (!dtype_is_float(to) && number_read_int(s, &whole)) {
    store_ints(to, j->y->data, i, 1, &whole);
  } else if (!number_read_real(s, to == SDX_FLOAT, &real)) {
    if (s.size > 100) s.size = 100;
    return step_fail_at(c, at_input(0), SDX_INVALID_ARGUMENT, "has element %zu '%.*s', expected a number", i,
                        STR_ARG(s));
  } else if (to == SDX_FLOAT) {
    ((float *)j->y->data)[i] = (float)real;
  } else {
    store_doubles(j->p, to, j->y->data, i, 1, &real);
  }
  return SDX_OK;
}

static sdx_status cast_strings(op_step *c, const job *j) {
  if (j->y->dtype == SDX_STRING) return to_strings(c, j->x, j->y);
  for (size_t i = 0; i < j->x->count; i++) {
    SDX_TRY(parse_one(c, j, i));
    if ((i & 0xfff) == 0xfff) SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

static sdx_status cast_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  job j = {c->params, x, y};
  if (x->dtype == y->dtype) {
    move_bytes(c, y->data, x->data, y->bytes);
    return SDX_OK;
  }
  if (dtype_is_packed((sdx_dtype)y->dtype)) memset(y->data, 0, y->bytes);  // padding bits too
  if (x->dtype == SDX_STRING || y->dtype == SDX_STRING) return cast_strings(c, &j);
  call_parallel(c, (x->count + BLOCK - 1) / BLOCK, 16, cast_range, &j);
  return SDX_OK;
}

#define CASTABLE                                                                                                  \
  "float,double,float16,bfloat16,bool,string,int8,int16,int32,int64,uint8,uint16,uint32,uint64,"                  \
  "float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz,uint4,int4,float4e2m1,float8e8m0,uint2,int2,float6e2m3," \
  "float6e3m2"
#define CAST_TYPES "T1=" CASTABLE ";T2=" CASTABLE

static const char *const cast_cases[] = {"input=float[2,5] to=1",
                                         "input=float[2,5]@0..200 to=2",
                                         "input=float[2,5]@-100..100 to=3",
                                         "input=float[2,5]@0..999 to=4",
                                         "input=float[2,5] to=5",
                                         "input=float[2,5] to=6",
                                         "input=float[2,5] to=7",
                                         "input=float[2,5] to=9",
                                         "input=float[2,5] to=10",
                                         "input=float[2,5] to=11",
                                         "input=float[2,5]@0..999 to=12",
                                         "input=float[2,5]@0..999 to=13",
                                         "input=float[2,5] to=16",
                                         "input=float[2,5] to=17",
                                         "input=float[2,5] to=18",
                                         "input=float[2,5] to=19",
                                         "input=float[2,5] to=20",
                                         "input=float[2,5]@0..15 to=21",
                                         "input=float[2,5]@-8..7 to=22",
                                         "input=float[2,5] to=23",
                                         "input=float[2,5]@0.1..9 to=24",
                                         "input=float[2,5]@0..3 to=25",
                                         "input=float[2,5]@-2..1 to=26",
                                         "input=string(1,-2.5,3e2,inf,NaN,0) to=1",
                                         "input=string(1,-2,30) to=7",
                                         "input=string(1.5,-2) to=11",
                                         "input=int64[2,3] to=8",
                                         "input=bool[4] to=8",
                                         "input=float[5] to=17 saturate=0",
                                         "input=float[5]@0.1..9 to=24 round_mode=nearest",
                                         NULL};

SDX_OP(Cast) = {
    .since = 28,
    .versions = "28 25 24 23 21 19 13 9 6 1",
    .inputs = "input:T1",
    .outputs = "output:T2",
    .types = CAST_TYPES,
    .attrs = "to:int! saturate:int=1 round_mode:string=up _clamp4:int=0",
    .attrs_old = "to:string",
    .flags = OP_POINTWISE,
    .params_size = sizeof(params),
    .params = cast_read,
    .upgrade = cast_upgrade,
    .infer = cast_infer,
    .compute = cast_compute,
    .cases = cast_cases,
};

static const char *const cast_like_cases[] = {"input=float[2,5]@-100..100 target_type=int8[1]",
                                              "input=float[2,5]@0..200 target_type=uint8[1]",
                                              "input=float[2,5]@-9..9 target_type=int16[1]",
                                              "input=float[2,5]@0..9 target_type=uint16[1]",
                                              "input=float[2,5]@-9..9 target_type=int32[1]",
                                              "input=float[2,5]@-9..9 target_type=int64[1]",
                                              "input=float[2,5]@0..9 target_type=uint32[1]",
                                              "input=float[2,5]@0..9 target_type=uint64[1]",
                                              "input=float[2,5]@-2..2 target_type=float[1]",
                                              "input=float[2,5]@-2..2 target_type=double[1]",
                                              "input=float[2,5]@-2..2 target_type=float16[1]",
                                              "input=float[2,5]@-2..2 target_type=bfloat16[1]",
                                              "input=float[2,5]@-2..2 target_type=bool[1]",
                                              "input=float[2,5]@-2..2 target_type=float8e4m3fn[1]",
                                              "input=float[2,5]@-2..2 target_type=float8e4m3fnuz[1]",
                                              "input=float[2,5]@-2..2 target_type=float8e5m2[1]",
                                              "input=float[2,5]@-2..2 target_type=float8e5m2fnuz[1]",
                                              "input=float[2,5]@-5..5 target_type=float4e2m1[1]",
                                              "input=float[2,5]@-8..7 target_type=int4[1]",
                                              "input=float[2,5]@0..15 target_type=uint4[1]",
                                              "input=float[2,5]@-2..1 target_type=int2[1]",
                                              "input=float[2,5]@0..3 target_type=uint2[1]",
                                              "input=string(1,-2,30) target_type=int64[2]",
                                              "input=int64[5] target_type=string[1]",
                                              NULL};

SDX_OP(CastLike) = {
    .since = 25,
    .versions = "25 24 23 21 19 15",
    .inputs = "input:T1 target_type:T2",
    .outputs = "output:T2",
    .types = CAST_TYPES,
    .attrs = "saturate:int=1 round_mode:string=up _clamp4:int=0",
    .params_size = sizeof(params),
    .params = cast_read,
    .upgrade = keep_clamp,
    .infer = cast_infer,
    .compute = cast_compute,
    .cases = cast_like_cases,
};

// ---- BitCast ----------------------------------------------------------------------------------------
// BitCast: the same bits under another type of the same width.

typedef struct bits_params {
  sdx_dtype to;
} bits_params;

static sdx_status bit_cast_read(op_params_context *c, void *p) {
  int64_t to = params_int(c, "to");
  if (to <= 0 || to >= SDX_DTYPE_COUNT || to == SDX_STRING)
    return params_fail(c, "to", "is %lld, expected a type to cast to", (long long)to);
  ((bits_params *)p)->to = (sdx_dtype)to;
  return SDX_OK;
}

static sdx_status bit_cast_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  sdx_dtype from = infer_dtype_of(c, 0), to = ((const bits_params *)c->params)->to;
  if (from && (from == SDX_STRING || dtype_bits(from) != dtype_bits(to)))
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "is %s, which has not the width of %s", dtype_name(from),
                        dtype_name(to));
  return infer_same_as(c, 0, 0, to);
}

static const char *const bit_cast_cases[] = {"input=complex128[2] to=15", "input=complex64[3] to=11",
                                             "input=int2[5] to=25",       "input=uint2[6] to=26",
                                             "input=int4[5] to=21",       "input=uint4[3] to=23",
                                             "input=float4e2m1[7] to=22", "input=float[2,3] to=6",
                                             "input=int32[5] to=1",       "input=double[2,2] to=13",
                                             "input=uint8[7] to=3",       "input=float16[3] to=16",
                                             "input=int16[4] to=4",       "input=uint16[4] to=10",
                                             "input=uint32[3] to=1",      "input=int64[3] to=11",
                                             "input=uint64[3] to=7",      "input=bool[4] to=2",
                                             "input=int8[4] to=2",        "input=complex64[2] to=11",
                                             "input=bfloat16[3] to=5",    NULL};

SDX_OP(BitCast) = {
    .since = 26,
    .versions = "26",
    .inputs = "input:T1",
    .outputs = "output:T2",
    .types = "T1=any;T2=any",
    .attrs = "to:int!",
    .params_size = sizeof(bits_params),
    .params = bit_cast_read,
    .infer = bit_cast_infer,
    .compute = move_view,
    .cases = bit_cast_cases,
};
