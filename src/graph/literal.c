// SPDX-License-Identifier: Apache-2.0
// Numbers as text; see literal.h. Floats take the fewest digits that bring the same bits back; NaNs
// with a payload and the 8- and 4-bit floats are spelled by their bits, 0x...
#include "graph/literal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/half.h"
#include "base/number.h"

// The types whose numbers are of this kind share a spelling.
typedef enum spelling { AS_SIGNED, AS_UNSIGNED, AS_FLOAT, AS_BITS } spelling;

static spelling spelling_of(sdx_dtype d) {
  switch (d) {
    case SDX_INT8:
    case SDX_INT16:
    case SDX_INT32:
    case SDX_INT64:
    case SDX_INT4:
    case SDX_INT2:
      return AS_SIGNED;
    case SDX_FLOAT:
    case SDX_DOUBLE:
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
    case SDX_COMPLEX64:
    case SDX_COMPLEX128:
      return AS_FLOAT;
    case SDX_UINT8:
    case SDX_UINT16:
    case SDX_UINT32:
    case SDX_UINT64:
    case SDX_UINT4:
    case SDX_UINT2:
    case SDX_BOOL:
      return AS_UNSIGNED;
    default:
      return AS_BITS;
  }
}

static unsigned number_bits(sdx_dtype d) { return (unsigned)dtype_bits(d) / (unsigned)text_numbers(d); }

static uint64_t load(sdx_dtype d, const void *data, size_t i) {
  unsigned bits = number_bits(d);
  const unsigned char *at = data;
  if (bits < 8) return at[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
  uint64_t code = 0;
  memcpy(&code, at + i * (bits / 8), bits / 8);
  return code;
}

static void store(sdx_dtype d, void *data, size_t i, uint64_t code) {
  unsigned bits = number_bits(d);
  unsigned char *at = data;
  if (bits >= 8) {
    memcpy(at + i * (bits / 8), &code, bits / 8);
    return;
  }
  unsigned shift = (unsigned)(i * bits % 8), mask = (1u << bits) - 1;
  at[i * bits / 8] = (unsigned char)((at[i * bits / 8] & ~(mask << shift)) | (code & mask) << shift);
}

static double to_double(sdx_dtype d, uint64_t code) {
  double number;
  switch (number_bits(d)) {
    case 16:
      return d == SDX_FLOAT16 ? fp16_to_float((uint16_t)code) : bf16_to_float((uint16_t)code);
    case 32:
      return float_from_bits((uint32_t)code);
    default:
      memcpy(&number, &code, sizeof number);
      return number;
  }
}

// word is NUL-terminated.
static bool from_text(sdx_dtype d, const char *word, uint64_t *code) {
  char *end;
  unsigned bits = number_bits(d);
  if (bits == 64) {
    double number = number_parse_double(word, &end);
    memcpy(code, &number, sizeof number);
  } else {
    float number = number_parse_float(word, &end);
    *code = bits == 32 ? float_bits(number) : d == SDX_FLOAT16 ? fp16_from_float(number) : bf16_from_float(number);
  }
  return *end == 0;
}

static void put_float(text *out, sdx_dtype d, uint64_t code) {
  static const int digits[] = {3, 6, 9, 17};  // three for half precision only, where they often do
  char word[40];
  uint64_t back;
  for (size_t i = number_bits(d) == 16 ? 0 : 1; i < sizeof digits / sizeof *digits; i++) {
    locale_t before = number_locale_enter();
    snprintf(word, sizeof word, "%.*g", digits[i], to_double(d, code));
    number_locale_leave(before);
    if ((i == 0 && strchr(word, 'e')) || !from_text(d, word, &back) || back != code) continue;
    text_append(out, word, strlen(word));
    return;
  }
  text_format(out, "0x%llx", (unsigned long long)code);
}

void text_put_number(text *out, sdx_dtype dtype, const void *data, size_t i) {
  uint64_t code = load(dtype, data, i);
  unsigned bits = number_bits(dtype);
  switch (spelling_of(dtype)) {
    case AS_SIGNED:
      text_format(out, "%lld", (long long)((int64_t)(code << (64 - bits)) >> (64 - bits)));
      break;
    case AS_UNSIGNED:
      text_format(out, "%llu", (unsigned long long)code);
      break;
    case AS_FLOAT:
      put_float(out, dtype, code);
      break;
    case AS_BITS:
      text_format(out, "0x%llx", (unsigned long long)code);
      break;
  }
}

bool text_get_number(str word, sdx_dtype dtype, void *data, size_t i) {
  char copy[64], *end;
  if (word.size == 0 || word.size >= sizeof copy) return false;
  memcpy(copy, word.at, word.size);
  copy[word.size] = 0;
  if (copy[0] == '+' || strlen(copy) != word.size) return false;
  spelling how = spelling_of(dtype);
  bool bits_given = copy[0] == '0' && copy[1] == 'x';
  uint64_t code;
  errno = 0;
  if (bits_given && (how == AS_FLOAT || how == AS_BITS)) {
    code = strtoull(copy + 2, &end, 16);
    if (copy[2] == '-' || copy[2] == '+' || end == copy + 2 || *end || errno) return false;
    if (number_bits(dtype) < 64 && code >> number_bits(dtype)) return false;
  } else if (how == AS_FLOAT) {
    if (!from_text(dtype, copy, &code)) return false;
  } else if (how == AS_SIGNED) {
    long long number = strtoll(copy, &end, 10);
    unsigned bits = number_bits(dtype);
    if (*end || errno || (bits < 64 && (number >> (bits - 1) != 0 && number >> (bits - 1) != -1))) return false;
    code = (uint64_t)number;
  } else {
    if (how == AS_BITS || copy[0] == '-') return false;
    code = strtoull(copy, &end, 10);
    unsigned bits = dtype == SDX_BOOL ? 1 : number_bits(dtype);
    if (*end || errno || (bits < 64 && code >> bits)) return false;
  }
  store(dtype, data, i, code);
  return true;
}
