// SPDX-License-Identifier: Apache-2.0
// Loops of unary.c for one type. The includer defines T, SUFFIX and FLOATING or SIGNED (1 or 0).
#ifdef FLOATING  // functions without a float kernel, through double
ROW1(Tan, tan(x))
ROW1(Asin, asin(x))
ROW1(Acos, acos(x))
ROW1(Atan, atan(x))
ROW1(Sinh, sinh(x))
ROW1(Cosh, cosh(x))
ROW1(Asinh, asinh(x))
ROW1(Acosh, acosh(x))
ROW1(Atanh, atanh(x))
#elif SIGNED
ROW1(Abs, x < 0 ? wrap_neg(x) : x)  // the minimum stays
ROW1(Neg, wrap_neg(x))
ROW1(Sign, (x > 0) - (x < 0))
ROW1(Erf, (x > 3) - (x < -3))  // from 4 on it rounds to 1 in single precision; below, it truncates to 0
ROW1(Relu, x < 0 ? 0 : x)
#else
ROW1(Abs, x)
ROW1(Sign, x != 0)
ROW1(Erf, x > 3)
#endif
#undef T
#undef SUFFIX
