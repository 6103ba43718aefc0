// SPDX-License-Identifier: Apache-2.0
// Includes LOOPS, the name of an .inl file, for float and for double. That file finds T and SUFFIX (and undefines
// both) and FLOATING, which tells it from the types of each_integer.inl.
#define FLOATING
#define T float
#define SUFFIX float
#include LOOPS
#define T double
#define SUFFIX double
#include LOOPS
#undef FLOATING
