// SPDX-License-Identifier: Apache-2.0
// Any bytes as a workspace's config.json: the four names, printable and bounded, or a message.
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "registry/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *const keys[] = {"subscription_id", "resource_group", "workspace_name", "location"};
  fault f = {0};
  json_t *config = registry_parse_config((const char *)data, size, &f);
  if (!config != (f.status != SDX_OK) || (!config && !f.message[0])) abort();
  for (size_t i = 0; config && i < 4; i++) {
    const char *text = json_string_value(json_object_get(config, keys[i]));
    if (!text || !*text || strpbrk(text, "\n\r\t\x1b")) abort();
  }
  json_t *words = config ? registry_words(config, &f) : NULL;
  json_decref(words);
  json_decref(config);
  return 0;
}
