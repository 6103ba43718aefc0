// SPDX-License-Identifier: Apache-2.0
// Loops of comparison.c for one element type: the includer defines T and SUFFIX.
ROW_TO(bool, Equal, x == y)
ROW_TO(bool, Greater, x > y)
ROW_TO(bool, Less, x < y)
ROW_TO(bool, GreaterOrEqual, x >= y)
ROW_TO(bool, LessOrEqual, x <= y)
#undef T
#undef SUFFIX
