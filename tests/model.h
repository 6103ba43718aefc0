// SPDX-License-Identifier: Apache-2.0
// What tests of passes, plans and runs share: models written as graph text (src/graph/README.md) become
// ONNX bytes and sessions; inputs get reproducible numbers; results are compared.
#pragma once

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/half.h"
#include "onnx/onnx.h"
#include "sardonyx/sardonyx.h"

// The bytes of a file; text_deinit them.
static inline text file_bytes(const char *path) {
  text t = {0};
  char block[65536];
  FILE *f = fopen(path, "re");
  assert_non_null(f);
  for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;) text_append(&t, block, n);
  fclose(f);
  return t;
}

// ModelProto bytes of a graph's text; text_deinit them.
static inline text model_bytes(const char *source) {
  model m = {.ir_version = 10};
  opset_import opsets[] = {{STR(""), 23}, {STR("com.microsoft"), 1}, {STR("ai.onnx.ml"), 3}, {STR("my"), 1}};
  error err = {0};
  wire_out out = {0};
  arena_init(&m.memory, NULL);
  if (graph_parse(&m.memory, str_from(source), &m.graph, &err) != SDX_OK) fail_msg("%s\n%s", err.message, source);
  m.graph->name = STR("test");
  m.opsets = opsets;
  m.opset_count = sizeof opsets / sizeof *opsets;
  assert_int_equal(onnx_export(&m, NULL, &out), SDX_OK);
  arena_deinit(&m.memory);
  return out.kept;
}

// `settings`: "name=value name=value".
static inline sdx_options *model_options(const char *settings) {
  sdx_options *o = sdx_options_create();
  char copy[1000], *rest = copy;
  assert_non_null(o);
  assert_true(strlen(settings) < sizeof copy);
  memcpy(copy, settings, strlen(settings) + 1);
  for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
    char *equals = strchr(word, '=');
    *equals = 0;
    if (sdx_options_set(o, word, equals + 1) != SDX_OK) fail_msg("%s", sdx_options_error(o));
  }
  return o;
}

static inline sdx_session *model_load(const char *source, const char *settings) {
  text bytes = model_bytes(source);
  sdx_options *o = model_options(settings);
  sdx_session *s;
  if (sdx_session_load_bytes(bytes.at, bytes.size, false, o, &s) != SDX_OK)
    fail_msg("%s\n%s", sdx_session_error(s), source);
  sdx_options_destroy(o);
  text_deinit(&bytes);
  return s;
}

// Numbers between -2 and 2 for floats, 0 to 3 for integers; free dimensions are `free_dim`.
static inline sdx_value *model_input(const sdx_io *io, int64_t free_dim) {
  int64_t shape[64];
  if (!io->dtype || io->dtype == SDX_STRING) return NULL;
  for (size_t i = 0; i < io->rank; i++) shape[i] = io->shape[i] < 0 ? free_dim : io->shape[i];
  sdx_value *v = sdx_tensor_create(io->dtype, io->rank, shape);
  if (!v) return NULL;
  void *at = sdx_tensor_data(v);
  for (size_t i = 0; i < sdx_tensor_count(v); i++) {
    uint32_t r = (uint32_t)((i * 2654435761u + 12345u) >> 7);
    float f = (float)(r % 4001) / 1000.0f - 2.0f;
    switch (io->dtype) {
      case SDX_FLOAT:
        ((float *)at)[i] = f;
        break;
      case SDX_DOUBLE:
        ((double *)at)[i] = (double)f;
        break;
      case SDX_FLOAT16:
        ((uint16_t *)at)[i] = fp16_from_float(f);
        break;
      case SDX_INT64:
        ((int64_t *)at)[i] = r % 4;
        break;
      case SDX_INT32:
        ((int32_t *)at)[i] = (int32_t)(r % 4);
        break;
      case SDX_BOOL:
        ((uint8_t *)at)[i] = r & 1;
        break;
      case SDX_INT8:
      case SDX_UINT8:
        ((uint8_t *)at)[i] = (uint8_t)(r % 100);
        break;
      default:
        break;  // zeros
    }
  }
  return v;
}

// A run with every input bound. NULL if some input is of a kind model_input does not make.
static inline sdx_run *model_run(sdx_session *s, int64_t free_dim) {
  sdx_run *r;
  bool complete = true;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  for (size_t i = 0; i < sdx_session_input_count(s); i++) {
    sdx_value *v = model_input(sdx_session_input(s, i), free_dim);
    complete &= v != NULL;
    sdx_run_set_input(r, i, v);
    sdx_value_release(v);
  }
  if (complete) return r;
  sdx_run_destroy(r);
  return NULL;
}

// Largest difference of two results, relative to the largest element; 0 = the same bits. Infinite where
// type or shape differ.
static inline double model_difference(const sdx_value *a, const sdx_value *b) {
  if (!a || !b || sdx_value_kind(a) != sdx_value_kind(b)) return INFINITY;
  if (sdx_value_kind(a) != SDX_KIND_TENSOR) {
    size_t count = sdx_value_item_count(a);
    double worst = count == sdx_value_item_count(b) ? 0 : INFINITY;
    for (size_t i = 0; i < count && worst < INFINITY; i++)
      worst = fmax(worst, model_difference(sdx_value_item(a, i), sdx_value_item(b, i)));
    return worst;
  }
  size_t rank = sdx_tensor_rank(a), count = sdx_tensor_count(a);
  if (sdx_tensor_dtype(a) != sdx_tensor_dtype(b) || rank != sdx_tensor_rank(b) ||
      (rank && memcmp(sdx_tensor_shape(a), sdx_tensor_shape(b), rank * sizeof(int64_t)) != 0))
    return INFINITY;
  if (sdx_tensor_dtype(a) == SDX_STRING) {
    for (size_t i = 0; i < count; i++) {
      size_t n[2];
      const char *x = sdx_tensor_string(a, i, &n[0]), *y = sdx_tensor_string(b, i, &n[1]);
      if (n[0] != n[1] || (n[0] && memcmp(x, y, n[0]) != 0)) return INFINITY;
    }
    return 0;
  }
  if (count == 0 || memcmp(sdx_tensor_data(a), sdx_tensor_data(b), sdx_tensor_bytes(a)) == 0) return 0;
  if (sdx_tensor_dtype(a) != SDX_FLOAT) return INFINITY;
  const float *x = sdx_tensor_data(a), *y = sdx_tensor_data(b);
  double worst = 0, scale = 0;
  for (size_t i = 0; i < count; i++) {
    if (memcmp(&x[i], &y[i], sizeof *x) == 0 || (isnan(x[i]) && isnan(y[i]))) continue;
    worst = fmax(worst, fabs((double)x[i] - (double)y[i]));
    if (isnan(x[i]) || isnan(y[i])) return INFINITY;
  }
  for (size_t i = 0; i < count; i++)
    if (isfinite(x[i])) scale = fmax(scale, fabs((double)x[i]));
  return worst > 0 ? worst / fmax(scale, 1e-30) + 1e-300 : 1e-300;
}
