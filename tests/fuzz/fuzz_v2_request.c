// SPDX-License-Identifier: Apache-2.0
// Any bytes as an inference request: the first byte says how many of those behind it, times four, are JSON; the rest
// are raw tensors. Tensors for the model's inputs and wishes that name its outputs, or a message.
#include "server/v2_request.h"
#include "tests/fuzz/requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  size_t head = data[0] == 255 ? size - 1 : (size_t)data[0] * 4;
  data++, size--;
  if (head > size) head = size;
  sdx_value *inputs[REQUEST_INPUTS] = {0};
  char *text = malloc(size + 1), *raw = malloc(size + 1);
  v2_request *request = v2_request_create(request_session());
  need(text && raw && request);
  memcpy(text, data, head);
  memcpy(raw, data + head, size - head);
  json j;
  json_init(&j, text, head, 32, 100000);
  bool read = v2_request_read(request, &j, request_session(), "fuzz", inputs, size > head ? raw : NULL, size - head);
  need(read || j.message[0]);
  for (size_t i = 0; read && i < request->wanted_count; i++) need(request->wanted[i].index < REQUEST_INPUTS);
  check_inputs(inputs, size);
  free(request);
  free(raw);
  free(text);
  return 0;
}
