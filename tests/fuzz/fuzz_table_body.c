// SPDX-License-Identifier: Apache-2.0
// Any bytes as a body that holds rows: tensors for the model's inputs, or a message.
#include "server/table_body.h"
#include "tests/fuzz/requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  sdx_value *inputs[REQUEST_INPUTS] = {0};
  char *bytes = malloc(size + 1);
  need(bytes);
  memcpy(bytes, data, size);
  json j;
  bool by_rows;
  json_init(&j, bytes, size, 32, 100000);
  need(table_body_read(&j, request_session(), inputs, &by_rows) || j.message[0]);
  check_inputs(inputs, size);
  free(bytes);
  return 0;
}
