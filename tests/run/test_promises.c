// SPDX-License-Identifier: Apache-2.0
// What the engine promises about running: no allocation in the steady state, the same bits for any
// number of threads and any rerun, memory as predicted and given back. On the repository's own model
// and, where it lies beside the checkout, on a full-size ResNet-50.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "sardonyx/sardonyx.h"
#include "tests/locks.h"

static const char digits[] = "examples/digits/digits.onnx";
static const char resnet[] = "../shared/models/conformance/light/light_resnet50/model.onnx";

static sdx_session *load(const char *path, const char *threads) {
  sdx_options *o = sdx_options_create();
  sdx_session *s;
  assert_int_equal(sdx_options_set(o, "threads", threads), SDX_OK);
  if (sdx_session_load_file(path, o, &s) != SDX_OK) fail_msg("%s", sdx_session_error(s));
  sdx_options_destroy(o);
  return s;
}

// A run with input 0 bound to reproducible values; free dimensions are `batch`.
static sdx_run *ready(sdx_session *s, int64_t batch) {
  const sdx_io *io = sdx_session_input(s, 0);
  int64_t shape[8];
  sdx_run *r;
  for (size_t i = 0; i < io->rank; i++) shape[i] = io->shape[i] < 0 ? batch : io->shape[i];
  sdx_value *x = sdx_tensor_create(SDX_FLOAT, io->rank, shape);
  float *at = sdx_tensor_data(x);
  for (size_t i = 0; i < sdx_tensor_count(x); i++) at[i] = (float)((i * 2654435761u >> 8) % 1000) / 1000.0f;
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  assert_int_equal(sdx_run_set_input(r, 0, x), SDX_OK);
  sdx_value_release(x);
  return r;
}

static void execute(sdx_run *r) {
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
}

static const char *big_model(void) {
  if (process_sanitized()) return digits;  // ten times slower
  if (access(resnet, R_OK) == 0) return resnet;
  print_message("SKIPPED ResNet-50: %s is absent\n", resnet);
  return digits;
}

static void steady_state_allocates_nothing(void **unused) {
  sdx_session *s = load(big_model(), "2");
  sdx_run *r = ready(s, 1);
  execute(r);
  execute(r);
  uint64_t before = mem_alloc_count();
  for (int i = 0; i < 5; i++) execute(r);
  assert_int_equal(mem_alloc_count(), before);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static void steady_state_takes_no_lock(void **unused) {
  sdx_session *s = load(big_model(), "1");
  sdx_run *r = ready(s, 1);
  execute(r);
  unsigned long before = locks_taken;
  for (int i = 0; i < 5; i++) execute(r);
  assert_int_equal(locks_taken, before);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static void same_bits_for_any_threads_and_reruns(void **unused) {
  const char *path = big_model(), *const threads[] = {"1", "2", "3"};
  float first[1000] = {0};
  size_t bytes = 0;
  for (int t = 0; t < 3; t++) {
    sdx_session *s = load(path, threads[t]);
    sdx_run *r = ready(s, 1);
    for (int i = 0; i < (t == 0 ? 100 : 5); i++) {
      execute(r);
      sdx_value *y = sdx_run_output(r, 0);
      if (!bytes) {
        bytes = sdx_tensor_bytes(y);
        assert_in_range(bytes, 4, sizeof first);
        memcpy(first, sdx_tensor_data(y), bytes);
      }
      assert_memory_equal(first, sdx_tensor_data(y), bytes);
    }
    sdx_run_destroy(r);
    sdx_session_destroy(s);
  }
}

static void batch_neighbours_change_nothing(void **unused) {
  sdx_session *s = load(digits, "2");
  float alone[10], *images = NULL;
  for (int64_t batch = 17; batch > 0; batch -= 16) {
    sdx_run *r = ready(s, batch);
    execute(r);
    images = sdx_tensor_data(sdx_run_output(r, 0));
    if (batch == 17) memcpy(alone, images, sizeof alone);
    else assert_memory_equal(alone, images, sizeof alone);
    sdx_run_destroy(r);
  }
  sdx_session_destroy(s);
}

static double json_number(const char *json, const char *key) {
  const char *at = strstr(json, key);
  assert_non_null(at);
  return strtod(at + strlen(key), NULL);
}

// Peak memory of a fresh process that loads and runs, against what describe says beforehand.
static void peak_memory_is_as_predicted(void **unused) {
  if (process_sanitized()) skip();
  int ends[2];
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) {
    sdx_session *s = load(big_model(), "1");
    char *memory = sdx_session_describe(s, "memory");
    double figures[2] = {json_number(memory, "\"predicted_peak_bytes\":"), 0};
    sdx_run *r = ready(s, 1);
    execute(r);
    execute(r);
    figures[1] = (double)process_kb("VmHWM:") * 1024;
    _exit(write(ends[1], figures, sizeof figures) == (ssize_t)sizeof figures ? 0 : 1);
  }
  double figures[2] = {0, 0};
  assert_int_equal(read(ends[0], figures, sizeof figures), sizeof figures);
  waitpid(child, NULL, 0);
  print_message("predicted %.1f MB, peak %.1f MB\n", figures[0] / 1e6, figures[1] / 1e6);
  assert_true(figures[1] <= 1.3 * figures[0]);
  assert_true(figures[0] <= 1.5 * figures[1]);
}

static void memory_returns_after_unload(void **unused) {
  long baseline = 0;
  for (int i = 0; i < 1000; i++) {
    sdx_session *s = load(digits, "2");
    sdx_run *r = ready(s, 1 + i % 3);
    execute(r);
    sdx_run_destroy(r);
    sdx_session_destroy(s);
    if (i == 20) baseline = process_kb("VmRSS:");
  }
  long after = process_kb("VmRSS:");
  print_message("baseline %ld kB, after 1000 cycles %ld kB\n", baseline, after);
  if (!process_sanitized()) assert_true(after <= baseline + baseline / 20);
}

static void values_outlive_run_and_session(void **unused) {
  sdx_session *s = load(digits, "1");
  sdx_run *r = ready(s, 2);
  execute(r);
  sdx_value *y = sdx_value_retain(sdx_run_output(r, 0));
  float copy[20];
  memcpy(copy, sdx_tensor_data(y), sizeof copy);
  execute(r);  // must not write into the value that is held
  assert_ptr_not_equal(y, sdx_run_output(r, 0));
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  assert_memory_equal(copy, sdx_tensor_data(y), sizeof copy);
  sdx_value_release(y);
}

static void budget_and_cancel_end_a_run(void **unused) {
  sdx_session *s = load(digits, "1");
  sdx_run *r = ready(s, 64);
  sdx_run_set_memory_limit_bytes(r, 1000);
  assert_int_equal(sdx_run_execute(r), SDX_NO_MEMORY);
  sdx_run_set_memory_limit_bytes(r, 0);
  sdx_run_cancel(r);
  assert_int_equal(sdx_run_execute(r), SDX_CANCELLED);
  execute(r);  // one cancel ends one execution
  assert_non_null(sdx_run_output(r, 0));
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(peak_memory_is_as_predicted),     cmocka_unit_test(steady_state_allocates_nothing),
      cmocka_unit_test(steady_state_takes_no_lock),      cmocka_unit_test(same_bits_for_any_threads_and_reruns),
      cmocka_unit_test(batch_neighbours_change_nothing), cmocka_unit_test(memory_returns_after_unload),
      cmocka_unit_test(values_outlive_run_and_session),  cmocka_unit_test(budget_and_cancel_end_a_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
