// SPDX-License-Identifier: Apache-2.0
// config.pbtxt: what is read of it, and files that are damaged: a configuration or a message, within their bounds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/model_config.h"

static const char whole[] =
    "name: \"m\" platform: \"onnxruntime_onnx\" max_batch_size: 8\n"
    "input [ { name: \"x\" data_type: TYPE_FP32 dims: [ 2 ] }, { name: \"y\", data_type: TYPE_INT64 dims: 3 dims: -1 } "
    "]\n"
    "output { name: \"z\" data_type: TYPE_STRING dims: [ 2 ] reshape { shape: [ ] } }\n"
    "version_policy: { specific: { versions: [ 3, 1 ] } } # two\n"
    "dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 }\n"
    "instance_group [ { count: 2 kind: KIND_CPU } ] response_cache { enable: true }\n"
    "model_warmup [ { name: \"w\" batch_size: 2 count: 3 inputs { key: \"x\" value: { dims: [ 2 ] zero_data: true } } "
    "} ]\n";

static model_config *parse(const char *text, size_t size) {
  char why[400] = "", *exact = malloc(size ? size : 1);  // so that a sanitizer sees one byte too far
  memcpy(exact, text, size);
  model_config *c = model_config_read((str){exact, size}, why, sizeof why);
  free(exact);
  assert_true(c || *why);
  return c;
}

static void reads(void **state) {
  (void)state;
  model_config *c = parse(whole, sizeof whole - 1);
  config_warmup w;
  config_sample s;
  wire at = model_config_message(c);
  assert_int_equal(c->max_batch, 8);
  assert_true(c->batches && c->caches);
  assert_string_equal(c->ignored, "instance_group");
  assert_string_equal(c->file, "model.onnx");
  assert_true(model_config_serves(c, 1, 5) && model_config_serves(c, 3, 0) && !model_config_serves(c, 2, 0));
  assert_true(model_config_warmup(&at, &w));
  assert_true(w.batch == 2 && w.count == 3);
  assert_true(model_config_sample(&w.message, &s));
  assert_string_equal(s.of.name, "x");
  assert_true(s.of.rank == 1 && s.of.dims[0] == 2 && !s.random && !*s.file);
  assert_false(model_config_sample(&w.message, &s));
  assert_false(model_config_warmup(&at, &w));
  model_config_free(c);
}

// Bytes changed, cut out, doubled: 20,000 files.
static void damaged(void **state) {
  (void)state;
  uint64_t random = 1;
  size_t read = 0, refused = 0;
  for (int i = 0; i < 20000; i++) {
    char text[sizeof whole + 64];
    size_t size = sizeof whole - 1;
    memcpy(text, whole, size);
    for (int k = 0; k < 1 + i % 4; k++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      size_t from = (random >> 33) % size, count = (random >> 20) % 16;
      if (from + count > size) count = size - from;
      if (random >> 62 == 0) memmove(text + from, text + from + count, size - from - count), size -= count;
      else text[from] = "{}[]<>\"'#:,;-\\09az\n \377"[(random >> 8) % 21];
    }
    model_config *c = parse(text, size);
    if (c) read++;
    else refused++;
    if (c) assert_true(c->version_count <= CONFIG_VERSIONS);
    model_config_free(c);
  }
  assert_true(read > 1000 && refused > 1000);
}

// Deep, wide, and with many versions.
static void extremes(void **state) {
  (void)state;
  enum { DEEP = 5000 };
  char *text = malloc(DEEP * 4 + 100);
  memset(text, 0, DEEP * 4 + 100);
  for (int i = 0; i < DEEP; i++) strcat(text, "a {");
  assert_null(parse(text, strlen(text)));
  strcpy(text, "version_policy { specific { versions: [ 1");
  for (int i = 0; i < 1000; i++) strcat(text, ", 7");
  strcat(text, " ] } }");
  model_config *c = parse(text, strlen(text));
  assert_non_null(c);
  assert_int_equal(c->version_count, CONFIG_VERSIONS);
  model_config_free(c);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(reads), cmocka_unit_test(damaged), cmocka_unit_test(extremes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
