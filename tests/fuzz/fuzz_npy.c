// SPDX-License-Identifier: Apache-2.0
// Any bytes as a .npy file: a tensor that is no larger than what stands in the bytes, or a message.
#include <stdint.h>
#include <stdlib.h>

#include "cli/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
  if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  why w = {""};
  sdx_value *v = npy_read(data, size, &w);
  need(v || w.text[0]);
  if (v) need(sdx_tensor_dtype(v) == SDX_STRING || sdx_tensor_bytes(v) <= size);
  sdx_value_release(v);
  return 0;
}
