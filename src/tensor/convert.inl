// SPDX-License-Identifier: Apache-2.0
// The two directions of convert.h for one working type. Before including: REAL (float or double) and
// NAME(x) (the name of the function for that type).

bool NAME(convert_to)(sdx_dtype from, const void *data, size_t first, size_t count, REAL *to) {
  switch (from) {
#define CASE(dtype, T, expression)                                 \
  case SDX_##dtype: {                                              \
    const T *at = (const T *)data + first;                         \
    for (size_t i = 0; i < count; i++) to[i] = (REAL)(expression); \
    return true;                                                   \
  }
    CASE(FLOAT, float, at[i])
    CASE(DOUBLE, double, at[i])
    CASE(FLOAT16, uint16_t, fp16_to_float(at[i]))
    CASE(BFLOAT16, uint16_t, bf16_to_float(at[i]))
    CASE(UINT8, uint8_t, at[i])
    CASE(INT8, int8_t, at[i])
    CASE(UINT16, uint16_t, at[i])
    CASE(INT16, int16_t, at[i])
    CASE(UINT32, uint32_t, at[i])
    CASE(INT32, int32_t, at[i])
    CASE(UINT64, uint64_t, at[i])
    CASE(INT64, int64_t, at[i])
    CASE(BOOL, uint8_t, at[i] != 0)
    CASE(FLOAT8E4M3FN, uint8_t, float8_to_float(&float8_e4m3fn, at[i]))
    CASE(FLOAT8E4M3FNUZ, uint8_t, float8_to_float(&float8_e4m3fnuz, at[i]))
    CASE(FLOAT8E5M2, uint8_t, float8_to_float(&float8_e5m2, at[i]))
    CASE(FLOAT8E5M2FNUZ, uint8_t, float8_to_float(&float8_e5m2fnuz, at[i]))
    CASE(FLOAT6E2M3, uint8_t, float8_to_float(&float6_e2m3, at[i]))
    CASE(FLOAT6E3M2, uint8_t, float8_to_float(&float6_e3m2, at[i]))
    CASE(FLOAT8E8M0, uint8_t, float8_e8m0_to_float(at[i]))
#undef CASE
    case SDX_FLOAT4E2M1:
      for (size_t i = 0; i < count; i++) to[i] = (REAL)float8_to_float(&float4_e2m1, nibble(data, first + i));
      return true;
    case SDX_UINT4:
    case SDX_INT4:
    case SDX_UINT2:
    case SDX_INT2:
      for (size_t i = 0; i < count; i++) to[i] = (REAL)convert_get_int(from, data, first + i);
      return true;
    default:
      return false;
  }
}

bool NAME(convert_from)(sdx_dtype to, void *data, size_t first, size_t count, const REAL *from) {
  switch (to) {
#define CASE(dtype, T, expression)                           \
  case SDX_##dtype: {                                        \
    T *at = (T *)data + first;                               \
    for (size_t i = 0; i < count; i++) at[i] = (expression); \
    return true;                                             \
  }
// The upper bound is compared as a power of two, which every floating type holds exactly.
#define INT(dtype, T, low, above)                \
  CASE(dtype, T,                                 \
       from[i] >= (REAL)(above) ? (T)((above)-1) \
       : from[i] > (REAL)(low)  ? (T)from[i]     \
       : from[i] <= (REAL)(low) ? (T)(low)       \
                                : 0)
    CASE(FLOAT, float, (float)from[i])
    CASE(DOUBLE, double, (double)from[i])
    CASE(FLOAT16, uint16_t, NAME(half_from)(from[i]))
    CASE(BFLOAT16, uint16_t, NAME(brain_from)(from[i]))
    INT(UINT8, uint8_t, 0, 0x100)
    INT(INT8, int8_t, -0x80, 0x80)
    INT(UINT16, uint16_t, 0, 0x10000)
    INT(INT16, int16_t, -0x8000, 0x8000)
    INT(UINT32, uint32_t, 0, 0x100000000)
    INT(INT32, int32_t, -0x80000000ll, 0x80000000ll)
    CASE(UINT64, uint64_t, from[i] >= (REAL)0x1p64 ? UINT64_MAX : from[i] > 0 ? (uint64_t)from[i] : 0)
    CASE(INT64, int64_t,
         from[i] >= (REAL)0x1p63    ? INT64_MAX
         : from[i] > (REAL)-0x1p63  ? (int64_t)from[i]
         : from[i] <= (REAL)-0x1p63 ? INT64_MIN
                                    : 0)
    CASE(BOOL, uint8_t, from[i] != 0)
    CASE(FLOAT8E4M3FN, uint8_t, float8_from_float(&float8_e4m3fn, NAME(narrow)(from[i]), true))
    CASE(FLOAT8E4M3FNUZ, uint8_t, float8_from_float(&float8_e4m3fnuz, NAME(narrow)(from[i]), true))
    CASE(FLOAT8E5M2, uint8_t, float8_from_float(&float8_e5m2, NAME(narrow)(from[i]), true))
    CASE(FLOAT8E5M2FNUZ, uint8_t, float8_from_float(&float8_e5m2fnuz, NAME(narrow)(from[i]), true))
    CASE(FLOAT6E2M3, uint8_t, float8_from_float(&float6_e2m3, NAME(narrow)(from[i]), true))
    CASE(FLOAT6E3M2, uint8_t, float8_from_float(&float6_e3m2, NAME(narrow)(from[i]), true))
#undef CASE
#undef INT
    case SDX_FLOAT4E2M1:
      for (size_t i = 0; i < count; i++)
        nibble_set(data, first + i, float8_from_float(&float4_e2m1, NAME(narrow)(from[i]), true));
      return true;
    case SDX_UINT4:
    case SDX_INT4:
    case SDX_UINT2:
    case SDX_INT2:
      for (size_t i = 0; i < count; i++)
        convert_set_int(to, data, first + i,
                        from[i] > 1000       ? 1000
                        : from[i] < -1000    ? -1000
                        : from[i] == from[i] ? (int64_t)from[i]
                                             : 0);
      return true;
    default:
      return false;
  }
}
#undef REAL
#undef NAME
