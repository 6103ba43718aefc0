// SPDX-License-Identifier: Apache-2.0
// Includes LOOPS, the name of an .inl file, once per integer type. That file finds T and SUFFIX (and undefines both),
// SIGNED (1 or 0) and WIDE, an unsigned type that T is promoted to and that holds sums and products without a
// signed overflow. See row.h for what SUFFIX is for, each_float.inl for the other types.
#define SIGNED 1
#define WIDE uint64_t
#define T int64_t
#define SUFFIX int64
#include LOOPS
#undef WIDE
#define WIDE uint32_t
#define T int32_t
#define SUFFIX int32
#include LOOPS
#define T int16_t
#define SUFFIX int16
#include LOOPS
#define T int8_t
#define SUFFIX int8
#include LOOPS
#undef SIGNED
#define SIGNED 0
#define T uint8_t
#define SUFFIX uint8
#include LOOPS
#define T uint16_t
#define SUFFIX uint16
#include LOOPS
#define T uint32_t
#define SUFFIX uint32
#include LOOPS
#undef WIDE
#define WIDE uint64_t
#define T uint64_t
#define SUFFIX uint64
#include LOOPS
#undef SIGNED
#undef WIDE
