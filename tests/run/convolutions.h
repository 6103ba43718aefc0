// SPDX-License-Identifier: Apache-2.0
// Models of convolutions with as many weights as a test wants, made in a file, and one run of a session.
#pragma once

#include "run/session.h"
#include "sardonyx/build.h"
#include "tests/model.h"

static inline sdx_status convolutions_fill(void *context, void *bytes, size_t size) {
  uint32_t *seed = context, state = ++*seed * 2654435761u;
  float *at = bytes;
  for (size_t i = 0; i < size / sizeof *at; i++) {
    state = state * 1664525u + 1013904223u;
    at[i] = ((float)(state >> 8) / 8388608.0f - 1.0f) / 64.0f;
  }
  return SDX_OK;
}

// `layers` convolutions of 3x3 from and to `channels`, on pictures of N x channels x side x side; side -1: free.
// seed: of the weights.
static inline void convolutions_save(const char *path, int layers, int64_t channels, int64_t side, int64_t pad,
                                     uint32_t seed) {
  static const char *const symbols[] = {NULL, NULL, "H", "W"};
  sdx_builder *b = sdx_builder_create(0);
  sdx_graph *g = sdx_builder_graph(b);
  sdx_io io = {.name = "x",
               .dtype = SDX_FLOAT,
               .has_shape = true,
               .rank = 4,
               .shape = (int64_t[]){1, channels, side, side},
               .symbols = symbols};
  sdx_ref x = sdx_graph_add_input(g, &io);
  for (int i = 0; i < layers; i++) {
    int64_t shape[] = {channels, channels, 3, 3};
    sdx_ref w = sdx_graph_add_filled(g, "w", SDX_FLOAT, 4, shape, convolutions_fill, &seed);
    x = sdx_graph_add_node(g, "Conv", NULL, SDX_REFS(x, w));
    sdx_graph_set_ints(g, "pads", 4, (int64_t[]){pad, pad, pad, pad});
  }
  io.name = "y";
  sdx_graph_add_output(g, x, &io);
  if (sdx_builder_save(b, path)) fail_msg("%s", sdx_builder_error(b));
  sdx_builder_destroy(b);
}

// Output 0 for free dimensions of `side`, to be released; NULL with *status where the run fails.
static inline sdx_value *convolutions_run(sdx_session *s, int64_t side, char *message, size_t size) {
  sdx_run *r = model_run(s, side);
  sdx_value *y = NULL;
  if (sdx_run_execute(r) == SDX_OK) y = sdx_value_retain(sdx_run_output(r, 0));
  else if (message) snprintf(message, size, "%s", sdx_run_error(r));
  else fail_msg("%s", sdx_run_error(r));
  sdx_run_destroy(r);
  return y;
}

static inline void convolutions_expect_same(const sdx_value *a, const sdx_value *b) {
  assert_int_equal(sdx_tensor_bytes(a), sdx_tensor_bytes(b));
  assert_memory_equal(sdx_tensor_data(a), sdx_tensor_data(b), sdx_tensor_bytes(a));
}
