// SPDX-License-Identifier: Apache-2.0
// A tensor written as nested JSON lists, read straight into typed memory: one pass, no tree, numbers
// rounded once. The nesting gives the shape; it must be regular. Every failure names the element:
// "data[0][3]: found a list of 4, the lists before it have 3".
#pragma once

#include "base/json.h"
#include "sardonyx/sardonyx.h"

enum { JSON_TENSOR_RANK = 64 };

typedef struct json_tensor {
  // Set by the caller:
  sdx_dtype dtype;
  const char *path;     // of the value, for messages: "inputs[0].data"
  size_t max_count;     // elements that are wanted at most
  size_t expect_count;  // memory is taken for these at once; 0: grow as they come
  // Result:
  size_t rank;  // 0: a bare number
  int64_t shape[JSON_TENSOR_RANK];
  size_t count;
  void *data;       // 64-byte aligned; strings: `slice` elements that point into the JSON text
  size_t capacity;  // elements
} json_tensor;

// Bytes of an element in `data`; 0 for types without a JSON form.
size_t json_tensor_element_bytes(sdx_dtype dtype);
bool json_tensor_read(json *j, json_tensor *t);  // false: see j->message; nothing is left to free
void json_tensor_free(json_tensor *t);
