// SPDX-License-Identifier: Apache-2.0
// Values of JSON objects where a key may be missing or hold something else: what is not there reads as empty. Documents
// of strangers are checked before they are read so (deploy/oci.c).
#pragma once

#include <jansson.h>
#include <stdint.h>

// The string of a key; "" where there is none.
static inline const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

// The whole number of a key; 0 where there is none.
static inline int64_t number_of(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}
