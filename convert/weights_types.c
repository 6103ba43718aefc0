// SPDX-License-Identifier: Apache-2.0
// The types of numbers that files of weights have (weights.h). A packed block begins or ends with its scale in fp16;
// those of 256 numbers ("K") have scales of a few bits for each group beneath it.
#include "base/half.h"
#include "convert/weights.h"

static float half_at(const unsigned char *p) { return fp16_to_float((uint16_t)(p[0] | p[1] << 8)); }

// ---- blocks of 32 -----------------------------------------------------------------------------------

// The low halves of 16 bytes, then the high ones; `high` has a fifth bit of each number.
static void open_halves(const unsigned char *p, const unsigned char *high, block *b) {
  uint32_t fifth =
      high ? (uint32_t)high[0] | (uint32_t)high[1] << 8 | (uint32_t)high[2] << 16 | (uint32_t)high[3] << 24 : 0;
  for (unsigned i = 0; i < 16; i++) {
    b->q[i] = (uint8_t)((p[i] & 15) | (fifth >> i & 1) << 4);
    b->q[i + 16] = (uint8_t)(p[i] >> 4 | (fifth >> (i + 16) & 1) << 4);
  }
}

static void open_q4_0(const unsigned char *p, block *b) {
  b->scale[0] = half_at(p);
  open_halves(p + 2, NULL, b);
}
static void open_q4_1(const unsigned char *p, block *b) {
  b->scale[0] = half_at(p);
  b->shift[0] = -half_at(p + 2);
  open_halves(p + 4, NULL, b);
}
static void open_q5_0(const unsigned char *p, block *b) {
  b->scale[0] = half_at(p);
  open_halves(p + 6, p + 2, b);
}
static void open_q5_1(const unsigned char *p, block *b) {
  b->scale[0] = half_at(p);
  b->shift[0] = -half_at(p + 2);
  open_halves(p + 8, p + 4, b);
}
static void open_q8_0(const unsigned char *p, block *b) {
  b->scale[0] = half_at(p);
  for (unsigned i = 0; i < 32; i++) b->q[i] = p[2 + i] ^ 0x80;
}
static void open_iq4_nl(const unsigned char *p, block *b) {
  static const int8_t steps[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  b->scale[0] = half_at(p);
  open_halves(p + 2, NULL, b);
  for (unsigned i = 0; i < 32; i++) b->q[i] = (uint8_t)(steps[b->q[i]] + 128);
}

// ---- blocks of 256 ----------------------------------------------------------------------------------

static void open_q2_k(const unsigned char *p, block *b) {
  const unsigned char *scales = p, *q = p + 16;
  float d = half_at(p + 80), least = half_at(p + 82);
  for (unsigned g = 0; g < 16; g++) {
    b->scale[g] = d * (float)(scales[g] & 15);
    b->shift[g] = least * (float)(scales[g] >> 4);
  }
  for (unsigned i = 0; i < BLOCK_MOST; i++) b->q[i] = q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

// Scales of 6 bits: the low four of 0 to 7 and 8 to 15 in halves of 8 bytes, the high two in four more.
static void open_q3_k(const unsigned char *p, block *b) {
  const unsigned char *high = p, *q = p + 32, *scales = p + 96;
  float d = half_at(p + 108);
  for (unsigned g = 0; g < 16; g++) {
    int low = g < 8 ? scales[g] & 15 : scales[g - 8] >> 4, top = scales[8 + g % 4] >> (g / 4 * 2) & 3;
    b->scale[g] = d * (float)((low | top << 4) - 32);
  }
  for (unsigned i = 0; i < BLOCK_MOST; i++) {
    unsigned low = q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3, bit = high[i % 32] >> (i / 32) & 1;
    b->q[i] = (uint8_t)(low | bit << 2);
  }
}

// Eight scales and eight shifts of 6 bits in 12 bytes.
static void open_scales_k(const unsigned char *p, block *b) {
  const unsigned char *s = p + 4;
  float d = half_at(p), least = half_at(p + 2);
  for (unsigned g = 0; g < 8; g++) {
    int scale = g < 4 ? s[g] & 63 : (s[g + 4] & 15) | (s[g - 4] >> 6) << 4;
    int shift = g < 4 ? s[g + 4] & 63 : s[g + 4] >> 4 | (s[g] >> 6) << 4;
    b->scale[g] = d * (float)scale;
    b->shift[g] = least * (float)shift;
  }
}
static void open_q4_k(const unsigned char *p, block *b) {
  const unsigned char *q = p + 16;
  open_scales_k(p, b);
  for (unsigned i = 0; i < 128; i++) {
    unsigned at = i / 32 * 64 + i % 32;
    b->q[at] = q[i] & 15;
    b->q[at + 32] = q[i] >> 4;
  }
}
static void open_q5_k(const unsigned char *p, block *b) {
  const unsigned char *high = p + 16, *q = p + 48;
  open_scales_k(p, b);
  for (unsigned i = 0; i < 128; i++) {
    unsigned at = i / 32 * 64 + i % 32, bit = i / 32 * 2;
    b->q[at] = (uint8_t)((q[i] & 15) | (high[i % 32] >> bit & 1) << 4);
    b->q[at + 32] = (uint8_t)(q[i] >> 4 | (high[i % 32] >> (bit + 1) & 1) << 4);
  }
}
static void open_q6_k(const unsigned char *p, block *b) {
  const unsigned char *low = p, *high = p + 128, *scales = p + 192;
  float d = half_at(p + 208);
  for (unsigned g = 0; g < 16; g++) b->scale[g] = d * (float)(int8_t)scales[g];
  for (unsigned i = 0; i < BLOCK_MOST; i++) {
    unsigned half = i / 128, part = i % 128 / 32, at = i % 32;
    unsigned four = low[half * 64 + part % 2 * 32 + at] >> (part / 2 * 4) & 15;
    b->q[i] = (uint8_t)(four | (high[half * 32 + at] >> (part * 2) & 3) << 4);
  }
}

// ---- the table --------------------------------------------------------------------------------------

#define PLAIN(name, size, type) \
  { name, 1, size, type, 1, 0, 0, false, NULL }
#define PACKED(name, count, size, group, bits, zero, shifts, open) \
  { name, count, size, SDX_UNDEFINED, group, bits, zero, shifts, open }
#define LISTED(name, count, size) \
  { name, count, size, SDX_UNDEFINED, 0, 0, 0, false, NULL }

static const weight_type ggml_types[] = {
    [0] = PLAIN("F32", 4, SDX_FLOAT),
    [1] = PLAIN("F16", 2, SDX_FLOAT16),
    [2] = PACKED("Q4_0", 32, 18, 32, 4, 8, false, open_q4_0),
    [3] = PACKED("Q4_1", 32, 20, 32, 4, 0, true, open_q4_1),
    [6] = PACKED("Q5_0", 32, 22, 32, 5, 16, false, open_q5_0),
    [7] = PACKED("Q5_1", 32, 24, 32, 5, 0, true, open_q5_1),
    [8] = PACKED("Q8_0", 32, 34, 32, 8, 128, false, open_q8_0),
    [9] = LISTED("Q8_1", 32, 36),
    [10] = PACKED("Q2_K", 256, 84, 16, 2, 0, true, open_q2_k),
    [11] = PACKED("Q3_K", 256, 110, 16, 3, 4, false, open_q3_k),
    [12] = PACKED("Q4_K", 256, 144, 32, 4, 0, true, open_q4_k),
    [13] = PACKED("Q5_K", 256, 176, 32, 5, 0, true, open_q5_k),
    [14] = PACKED("Q6_K", 256, 210, 16, 6, 32, false, open_q6_k),
    [15] = LISTED("Q8_K", 256, 292),
    [16] = LISTED("IQ2_XXS", 256, 66),
    [17] = LISTED("IQ2_XS", 256, 74),
    [18] = LISTED("IQ3_XXS", 256, 98),
    [19] = LISTED("IQ1_S", 256, 50),
    [20] = PACKED("IQ4_NL", 32, 18, 32, 8, 128, false, open_iq4_nl),
    [21] = LISTED("IQ3_S", 256, 110),
    [22] = LISTED("IQ2_S", 256, 82),
    [23] = LISTED("IQ4_XS", 256, 136),
    [24] = PLAIN("I8", 1, SDX_INT8),
    [25] = PLAIN("I16", 2, SDX_INT16),
    [26] = PLAIN("I32", 4, SDX_INT32),
    [27] = PLAIN("I64", 8, SDX_INT64),
    [28] = PLAIN("F64", 8, SDX_DOUBLE),
    [29] = LISTED("IQ1_M", 256, 56),
    [30] = PLAIN("BF16", 2, SDX_BFLOAT16),
    [34] = LISTED("TQ1_0", 256, 54),
    [35] = LISTED("TQ2_0", 256, 66),
    [39] = LISTED("MXFP4", 32, 17),
};

const weight_type *weight_type_ggml(uint64_t number) {
  bool known = number < sizeof ggml_types / sizeof *ggml_types && ggml_types[number].name;
  return known ? &ggml_types[number] : NULL;
}

const weight_type *weight_type_named(str name) {
  static const weight_type others[] = {PLAIN("U8", 1, SDX_UINT8),      PLAIN("U16", 2, SDX_UINT16),
                                       PLAIN("U32", 4, SDX_UINT32),    PLAIN("U64", 8, SDX_UINT64),
                                       PLAIN("BOOL", 1, SDX_BOOL),     PLAIN("F8_E4M3", 1, SDX_FLOAT8E4M3FN),
                                       PLAIN("C64", 8, SDX_COMPLEX64), PLAIN("F8_E5M2", 1, SDX_FLOAT8E5M2)};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (str_is(name, others[i].name)) return &others[i];
  for (size_t i = 0; i < sizeof ggml_types / sizeof *ggml_types; i++)
    if (ggml_types[i].dtype && str_is(name, ggml_types[i].name)) return &ggml_types[i];
  return NULL;
}
