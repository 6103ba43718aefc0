// SPDX-License-Identifier: Apache-2.0
// Any bytes as a model's config.pbtxt: a configuration whose tensors and warm-ups can be stepped through, or a message.
#include "server/model_config.h"
#include "tests/fuzz/requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char why[400] = "";
  model_config *c = model_config_read((str){(const char *)data, size}, why, sizeof why);
  need(c || *why);
  if (!c) return 0;
  config_warmup w;
  config_sample s;
  wire at = model_config_message(c);
  while (model_config_warmup(&at, &w))
    for (wire of = w.message; model_config_sample(&of, &s);) need(s.of.rank <= CONFIG_RANK);
  need(model_config_check(c, request_session(), why, sizeof why) || *why);
  need(c->version_count <= CONFIG_VERSIONS && c->max_batch >= 0);
  model_config_serves(c, 1, 0);
  model_config_free(c);
  return 0;
}
