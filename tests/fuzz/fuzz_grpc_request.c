// SPDX-License-Identifier: Apache-2.0
// Any bytes as a ModelInferRequest: tensors for the model's inputs and wishes that name its outputs, or a message.
#include "server/grpc_request.h"
#include "tests/fuzz/requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  sdx_value *inputs[REQUEST_INPUTS] = {0};
  char *bytes = malloc(size + 1);
  v2_request *request = v2_request_create(request_session());
  need(bytes && request);
  memcpy(bytes, data, size);
  json j = {0};
  str model, version;
  bool named = grpc_request_names(wire_of(bytes, size), &j, &model, &version);
  need(named || j.message[0]);
  j = (json){0};
  bool read = grpc_request_read(request, &j, wire_of(bytes, size), request_session(), "fuzz", inputs);
  need(read || j.message[0]);
  for (size_t i = 0; read && i < request->wanted_count; i++) need(request->wanted[i].index < REQUEST_INPUTS);
  check_inputs(inputs, size);
  free(request);
  free(bytes);
  return 0;
}
