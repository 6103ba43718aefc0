// SPDX-License-Identifier: Apache-2.0
// Loops of arithmetic.c for one element type. The includer defines T, SUFFIX and what each_integer.inl or
// each_float.inl would.
#ifdef FLOATING
ROW(Add, x + y)
ROW(Sub, x - y)
ROW(Mul, x *y)
ROW(Div, x / y)
ROW(FloorMod, floor_fmod(x, y))
ROW(TruncMod, fmod(x, y))
ROW(Min, x < y || x != x ? x : y)
ROW(Max, x > y || x != x ? x : y)
ROW(PRelu, x < 0 ? x * y : x)
#else
ROW(Add, (WIDE)x + (WIDE)y)
ROW(Sub, (WIDE)x - (WIDE)y)
ROW(Mul, (WIDE)x *(WIDE)y)
ROW(Min, x < y ? x : y)
ROW(Max, x > y ? x : y)
#if SIGNED
ROW(Div, wrap_div(x, y))
ROW(FloorMod, floor_mod(x, y))
ROW(TruncMod, wrap_rem(x, y))
ROW(PRelu, x < 0 ? (WIDE)x * (WIDE)y : (WIDE)x)
#else
ROW(Div, y ? x / y : 0)
ROW(FloorMod, y ? x % y : 0)
ROW(TruncMod, y ? x % y : 0)
ROW(PRelu, x + 0 * y)  // never below 0
#endif
#endif
#undef T
#undef SUFFIX
