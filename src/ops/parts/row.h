// SPDX-License-Identifier: Apache-2.0
// ROW(Name, expression): a binary_row called Name_SUFFIX over elements of type T whose result for the
// elements x and y is the expression. Used by the .inl files that are included once per element type;
// ROW_TO gives the result another type. Also the lists of types for tables of rows.
#pragma once

#include "ops/parts/elementwise.h"

#define ROW_JOIN_(name, suffix) name##_##suffix
#define ROW_JOIN(name, suffix) ROW_JOIN_(name, suffix)
#define ROW(Name, expression) ROW_TO(T, Name, expression)
#define ROW_TO(To, Name, expression)                                                                            \
  static void ROW_JOIN(Name, SUFFIX)(const void *context, void *out_, const void *a_, const void *b_, size_t n, \
                                     unsigned scalar) {                                                         \
    To *out = out_;                                                                                             \
    const T *a = a_, *b = b_;                                                                                   \
    if (scalar == 0) {                                                                                          \
      for (size_t i = 0; i < n; i++) {                                                                          \
        T x = a[i], y = b[i];                                                                                   \
        out[i] = (To)(expression);                                                                              \
      }                                                                                                         \
    } else if (scalar == ROW_B_SCALAR) {                                                                        \
      T y = b[0];                                                                                               \
      for (size_t i = 0; i < n; i++) {                                                                          \
        T x = a[i];                                                                                             \
        out[i] = (To)(expression);                                                                              \
      }                                                                                                         \
    } else if (scalar == ROW_A_SCALAR) {                                                                        \
      T x = a[0];                                                                                               \
      for (size_t i = 0; i < n; i++) {                                                                          \
        T y = b[i];                                                                                             \
        out[i] = (To)(expression);                                                                              \
      }                                                                                                         \
    } else {                                                                                                    \
      T x = a[0], y = b[0];                                                                                     \
      To both = (To)(expression);                                                                               \
      for (size_t i = 0; i < n; i++) out[i] = both;                                                             \
    }                                                                                                           \
  }

// Entries of a table indexed by element type.
#define ROWS_SIGNED(Name) \
  [SDX_INT8] = Name##_int8, [SDX_INT16] = Name##_int16, [SDX_INT32] = Name##_int32, [SDX_INT64] = Name##_int64
#define ROWS_UNSIGNED(Name) \
  [SDX_UINT8] = Name##_uint8, [SDX_UINT16] = Name##_uint16, [SDX_UINT32] = Name##_uint32, [SDX_UINT64] = Name##_uint64
#define ROWS_INTEGER(Name) ROWS_SIGNED(Name), ROWS_UNSIGNED(Name)

// Lists for the records' type texts.
#define TYPES_FLOAT "bfloat16,float16,float,double"
#define TYPES_SIGNED "int8,int16,int32,int64"
#define TYPES_UNSIGNED "uint8,uint16,uint32,uint64"
#define TYPES_INTEGER TYPES_UNSIGNED "," TYPES_SIGNED
#define TYPES_NUMBER TYPES_INTEGER "," TYPES_FLOAT
