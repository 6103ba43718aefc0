// SPDX-License-Identifier: Apache-2.0
// A model of many element types for the targets that read requests, and what both ask of what was read.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sardonyx/build.h"

enum { REQUEST_INPUTS = 6 };

static inline void need(bool holds) {
  if (!holds) abort();
}

// Each input comes out again. Kept for the whole process.
static inline const sdx_session *request_session(void) {
  static const sdx_dtype types[REQUEST_INPUTS] = {SDX_FLOAT, SDX_INT64, SDX_STRING, SDX_BOOL, SDX_UINT8, SDX_FLOAT16};
  static const char *const names[REQUEST_INPUTS] = {"x", "i", "s", "b", "u", "h"};
  static sdx_session *session;
  if (session) return session;
  sdx_builder *b = sdx_builder_create(0);
  for (size_t i = 0; i < REQUEST_INPUTS; i++) {
    sdx_io io = {.name = names[i], .dtype = types[i], .has_shape = true, .rank = 2, .shape = (int64_t[]){-1, 2}};
    sdx_ref in = sdx_graph_add_input(sdx_builder_graph(b), &io);
    char name[] = {'o', names[i][0], 0};
    io.name = name;
    sdx_graph_add_output(sdx_builder_graph(b), in, &io);
  }
  size_t size = 0;
  char *bytes = sdx_builder_bytes(b, &size);
  need(bytes && sdx_session_load_bytes(bytes, size, false, NULL, &session) == SDX_OK);
  sdx_string_free(bytes);
  sdx_builder_destroy(b);
  return session;
}

// What was read fits its input, and no more was made of a text than it can hold.
static inline void check_inputs(sdx_value *const *inputs, size_t text_bytes) {
  for (size_t i = 0; i < REQUEST_INPUTS; i++) {
    if (!inputs[i]) continue;
    need(sdx_tensor_dtype(inputs[i]) == sdx_session_input(request_session(), i)->dtype);
    need(sdx_tensor_count(inputs[i]) <= text_bytes + 1);
    sdx_value_release(inputs[i]);
  }
}
