// SPDX-License-Identifier: Apache-2.0
// Loops of logical.c for one integer type: the includer defines T, SUFFIX and SIGNED.
ROW(BitwiseAnd, x &y)
ROW(BitwiseOr, x | y)
ROW(BitwiseXor, x ^ y)
// A negative amount is a huge one when read as unsigned: past the width only copies of the sign are left.
ROW(ShiftLeft, (uint64_t)y >= 8 * sizeof(T) ? 0 : (uint64_t)x << y)
#if SIGNED
ROW(ShiftRight, (uint64_t)y >= 8 * sizeof(T) ? -(x < 0) : x >> y)
#else
ROW(ShiftRight, (uint64_t)y >= 8 * sizeof(T) ? 0 : x >> y)
#endif
static void ROW_JOIN(BitwiseNot, SUFFIX)(const void *context, void *out_, const void *in_, size_t n) {
  T *out = out_;
  const T *in = in_;
  for (size_t i = 0; i < n; i++) out[i] = (T)~in[i];
}
#undef T
#undef SUFFIX
