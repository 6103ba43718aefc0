// SPDX-License-Identifier: Apache-2.0
// Any bytes as the body of POST /score: tensors for the model's inputs, or a message.
#include "server/score_body.h"
#include "tests/fuzz/requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  sdx_value *inputs[REQUEST_INPUTS] = {0};
  char *text = malloc(size + !size);
  need(text);
  if (size) memcpy(text, data, size);
  json j;
  json_init(&j, text, size, 32, 100000);
  bool read = score_body_read(&j, request_session(), inputs);
  need(read || j.message[0]);
  check_inputs(inputs, size);
  free(text);
  return 0;
}
