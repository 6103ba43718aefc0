// SPDX-License-Identifier: Apache-2.0
// Status codes and element types: the two lists that everything else (error names, HTTP codes,
// Python exceptions, dtype tables) is derived from. Read next: sardonyx.h.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

// X(NAME, sentence, HTTP status, Python exception)
#define SDX_STATUS_LIST(X)                                                                          \
  X(OK, "success", 200, None)                                                                       \
  X(INVALID_ARGUMENT, "an argument of the call is not valid", 400, InvalidArgument)                 \
  X(INVALID_MODEL, "the bytes are not a valid ONNX model", 400, InvalidProtobuf)                    \
  X(INVALID_GRAPH, "the model's graph breaks a rule of ONNX", 400, InvalidGraph)                    \
  X(NOT_FOUND, "a file or a name does not exist", 404, NoSuchFile)                                  \
  X(NOT_SUPPORTED, "the model asks for something this build does not support", 501, NotImplemented) \
  X(INVALID_SHAPE, "shapes, ranks or element types do not fit", 400, InvalidArgument)               \
  X(OUT_OF_RANGE, "an index or a value lies outside its bounds", 400, InvalidArgument)              \
  X(NO_MEMORY, "memory is exhausted or the memory budget is spent", 507, Fail)                      \
  X(LIMIT_EXCEEDED, "a limit other than memory is exceeded", 400, Fail)                             \
  X(DEADLINE_EXCEEDED, "the deadline passed before the work was done", 504, Fail)                   \
  X(CANCELLED, "the caller cancelled the work", 499, Fail)                                          \
  X(IO_ERROR, "reading or writing a file failed", 500, Fail)                                        \
  X(FORBIDDEN, "the path is outside of what the model may read", 403, InvalidArgument)              \
  X(INTERNAL, "an internal rule was broken; please report it", 500, RuntimeException)               \
  X(CONFLICT, "what exists already does not allow it", 409, Fail)                                   \
  X(NO_SPACE, "the disk or a quota is full", 507, Fail)

typedef enum sdx_status {
#define X(name, sentence, http, exception) SDX_##name,
  SDX_STATUS_LIST(X)
#undef X
      SDX_STATUS_COUNT
} sdx_status;

// Element types with the numbers of ONNX TensorProto.DataType.
// X(NAME, number, ONNX type name, numpy name or NULL, bits per element in memory; float6 takes a byte)
#define SDX_DTYPE_LIST(X)                            \
  X(FLOAT, 1, "float", "float32", 32)                \
  X(UINT8, 2, "uint8", "uint8", 8)                   \
  X(INT8, 3, "int8", "int8", 8)                      \
  X(UINT16, 4, "uint16", "uint16", 16)               \
  X(INT16, 5, "int16", "int16", 16)                  \
  X(INT32, 6, "int32", "int32", 32)                  \
  X(INT64, 7, "int64", "int64", 64)                  \
  X(STRING, 8, "string", "object", 128)              \
  X(BOOL, 9, "bool", "bool", 8)                      \
  X(FLOAT16, 10, "float16", "float16", 16)           \
  X(DOUBLE, 11, "double", "float64", 64)             \
  X(UINT32, 12, "uint32", "uint32", 32)              \
  X(UINT64, 13, "uint64", "uint64", 64)              \
  X(COMPLEX64, 14, "complex64", "complex64", 64)     \
  X(COMPLEX128, 15, "complex128", "complex128", 128) \
  X(BFLOAT16, 16, "bfloat16", 0, 16)                 \
  X(FLOAT8E4M3FN, 17, "float8e4m3fn", 0, 8)          \
  X(FLOAT8E4M3FNUZ, 18, "float8e4m3fnuz", 0, 8)      \
  X(FLOAT8E5M2, 19, "float8e5m2", 0, 8)              \
  X(FLOAT8E5M2FNUZ, 20, "float8e5m2fnuz", 0, 8)      \
  X(UINT4, 21, "uint4", 0, 4)                        \
  X(INT4, 22, "int4", 0, 4)                          \
  X(FLOAT4E2M1, 23, "float4e2m1", 0, 4)              \
  X(FLOAT8E8M0, 24, "float8e8m0", 0, 8)              \
  X(UINT2, 25, "uint2", 0, 2)                        \
  X(INT2, 26, "int2", 0, 2)                          \
  X(FLOAT6E2M3, 27, "float6e2m3", 0, 8)              \
  X(FLOAT6E3M2, 28, "float6e3m2", 0, 8)

typedef enum sdx_dtype {
  SDX_UNDEFINED = 0,
#define X(name, number, onnx, numpy, bits) SDX_##name = number,
  SDX_DTYPE_LIST(X)
#undef X
      SDX_DTYPE_COUNT
} sdx_dtype;

#ifdef __cplusplus
}
#endif
