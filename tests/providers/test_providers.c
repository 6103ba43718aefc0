// SPDX-License-Identifier: Apache-2.0
// Providers, by a device whose memory the host may not touch (fake_device.c): networks, loops and strings run on it
// with exactly the copies that must be, results are the host's bits, and libraries that do not fit are refused by name.
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run/session.h"
#include "tests/model.h"
#include "tests/process.h"
#include "tests/providers/fake_device.h"

static char folder[PATH_MAX], path[PATH_MAX + 32];
static fake_counts *counts;

static sdx_session *load(const char *source, const char *settings, const char *provider) {
  text bytes = model_bytes(source);
  sdx_options *o = model_options(settings);
  sdx_session *s;
  if (provider) assert_int_equal(sdx_options_set(o, "provider", provider), SDX_OK);
  if (sdx_session_load_bytes(bytes.at, bytes.size, false, o, &s) != SDX_OK)
    fail_msg("%s\n%s", sdx_session_error(s), source);
  sdx_options_destroy(o);
  text_deinit(&bytes);
  return s;
}

static sdx_run *run_new(sdx_session *s, int64_t free_dim) {
  sdx_run *r = model_run(s, free_dim);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
  return r;
}

static void compare(sdx_session *s, const sdx_run *a, const sdx_run *b) {
  for (size_t i = 0; i < sdx_session_output_count(s); i++)
    assert_true(model_difference(sdx_run_output(a, i), sdx_run_output(b, i)) == 0);
}

// Copies of a second execution, when constants are there; the same bits as on the host; nothing stays behind.
static void check(sdx_session *host, sdx_session *device, int64_t free_dim, size_t in, size_t out, size_t runs) {
  sdx_run *expected = run_new(host, free_dim), *r = run_new(device, free_dim);
  fake_counts before = *counts;
  assert_int_equal(sdx_run_execute(r), SDX_OK);
  compare(host, expected, r);
  assert_int_equal(counts->copies_in - before.copies_in, in);
  assert_int_equal(counts->copies_out - before.copies_out, out);
  assert_int_equal(counts->runs - before.runs, runs);
  assert_int_equal(counts->waits - before.waits, out);
  sdx_run_destroy(expected);
  sdx_run_destroy(r);
  sdx_session_destroy(host);
  sdx_session_destroy(device);
  assert_int_equal(counts->buffers, 0);
  assert_int_equal(counts->kernels, 0);
  assert_int_equal(counts->events, 0);
}

static void check_source(const char *source, int64_t free_dim, size_t in, size_t out, size_t runs) {
  check(load(source, "threads=1 layouts=0", NULL), load(source, "threads=1", path), free_dim, in, out, runs);
}

// ---- what runs there --------------------------------------------------------------------------------

static void a_region_has_one_copy_in_and_one_out(void **state) {
  check_source(
      "graph(%x: float[N,3]) -> (%y) {\n  const %w: float[3,3]{1, 2, 3, 4, 5, 6, 7, 8, 9}\n  %a = MatMul(%x, %w)\n"
      "  %b = Tanh(%a)\n  %c = MatMul(%b, %w)\n  %d = Add(%c, %x)\n  %y = Sigmoid(%d)\n}\n",
      2, 1, 1, 5);
}

// What two steps of the host read is copied out once, what the device reads twice is copied in once.
static void copies_are_shared(void **state) {
  check_source(
      "graph(%x: float[N,3]) -> (%y, %z, %a) {\n  const %w: float[3,3]{1, 2, 3, 4, 5, 6, 7, 8, 9}\n"
      "  const %v: float[3,3]{9, 8, 7, 6, 5, 4, 3, 2, 1}\n  %a = MatMul(%x, %w)\n  %b = Erf(%a)\n"
      "  %d = MatMul(%b, %w)\n  %e = MatMul(%b, %v)\n  %y = Add(%d, %e)\n  %z = Erf(%b)\n}\n",
      2, 2, 2, 4);
}

// A light step alone is not worth two copies; its reason is shown, as are those of the device and of the engine.
static void reasons_are_shown(void **state) {
  sdx_session *s = load(
      "graph(%x: float[2,3], %t: string[2]) -> (%y, %z, %q) {\n  %a = Cast<to=11>(%x)\n  %b = MatMul(%a, %k)\n"
      "  const %k: double[3,1]{1, 2, 3}\n  %y = Tanh(%b)\n  %e = Erf(%x)\n  %f = Tanh(%e)\n  %z = Erf(%f)\n"
      "  %q = Identity(%t)\n  %s = Shape(%x)\n}\n",
      "optimize=none", path);
  char *plan = sdx_session_describe(s, "plan");
  static const char *const wanted[] = {"\"place\":\"cpu\",\"reason\":\"fake: no double precision\"",
                                       "\"reason\":\"fake: cannot run it\"", "two copies would cost more"};
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    if (!strstr(plan, wanted[i])) fail_msg("%s\n%s", wanted[i], plan);
  sdx_string_free(plan);
  sdx_session_destroy(s);
}

static void loops_run_there(void **state) {
  // Each trip copies the state and the captured matrix in, the new state out; the condition stays on the host.
  check_source(
      "graph(%x: float[3,3]) -> (%y, %scan) {\n  const %n: int64[]{4}\n  const %go: bool[]{1}\n"
      "  %y, %scan = Loop<body=graph(%i: int64[], %c: bool[], %s: float[3,3]) -> (%d, %t, %u) {\n    outer %x = %x\n"
      "    %d = Identity(%c)\n    %m = MatMul(%s, %x)\n    %t = Tanh(%m)\n    %u = Identity(%t)\n  }>(%n, %go, "
      "%x)\n}\n",
      1, 8, 4, 8);
}

static void strings_stay_on_the_host(void **state) {
  static const char source[] =
      "graph(%x: float[2,2], %t: string[2]) -> (%y, %u) {\n  const %w: float[2,2]{1, 2, 3, 4}\n"
      "  %u = StringNormalizer<case_change_action=\"UPPER\">(%t)\n  %same = Equal(%t, %u)\n"
      "  %f = Cast<to=1>(%same)\n  %a = MatMul(%x, %w)\n  %y = Mul(%a, %f)\n}\n";
  sdx_session *s[2] = {load(source, "threads=1 layouts=0", NULL), load(source, "threads=1", path)};
  static const char *const words[] = {"UP", "down"};
  static const int64_t two = 2;
  sdx_run *r[2];
  for (int i = 0; i < 2; i++) {
    assert_int_equal(sdx_run_create(s[i], &r[i]), SDX_OK);
    sdx_value *x = model_input(sdx_session_input(s[i], 0), 1), *t = sdx_tensor_create(SDX_STRING, 1, &two);
    for (size_t k = 0; k < 2; k++) assert_int_equal(sdx_tensor_set_string(t, k, words[k], strlen(words[k])), SDX_OK);
    sdx_run_set_input(r[i], 0, x);
    sdx_run_set_input(r[i], 1, t);
    if (sdx_run_execute(r[i]) != SDX_OK) fail_msg("%s", sdx_run_error(r[i]));
    sdx_value_release(x);
    sdx_value_release(t);
  }
  compare(s[0], r[0], r[1]);
  for (int i = 0; i < 2; i++) {
    sdx_run_destroy(r[i]);
    sdx_session_destroy(s[i]);
  }
  assert_int_equal(counts->buffers + counts->kernels + counts->events, 0);
}

static void resnet_runs_there(void **state) {
  static const char model[] = "../shared/models/conformance/light/light_resnet50/model.onnx";
  if (access(model, R_OK) != 0) {
    printf("# SKIPPED: %s is absent\n", model);
    skip();
  }
  if (process_sanitized()) skip();  // kernels are not optimised there
  sdx_session *s[2];
  for (int i = 0; i < 2; i++) {
    sdx_options *o = model_options("layouts=0");
    if (i) assert_int_equal(sdx_options_set(o, "provider", path), SDX_OK);
    if (sdx_session_load_file(model, o, &s[i]) != SDX_OK) fail_msg("%s", sdx_session_error(s[i]));
    sdx_options_destroy(o);
  }
  size_t steps = 0;
  sdx_run *r = run_new(s[1], 1);
  for (uint32_t i = 0; i < s[1]->plans[chain_of(NULL)]->step_count; i++)
    steps += s[1]->plans[chain_of(NULL)]->steps[i].place != 0;
  assert_true(steps > 50);
  sdx_run_destroy(r);
  check(s[0], s[1], 1, 1, 1, steps);
}

// ---- memory -----------------------------------------------------------------------------------------

static void the_host_cannot_touch_it(void **state) {
  if (process_sanitized()) skip();  // it has handlers of its own
  sdx_session *s = load(
      "graph(%x: float[N,2]) -> (%y) {\n  const %w: float[2,2]{1, 2, 3, 4}\n  %a = MatMul(%x, %w)\n"
      "  %y = MatMul(%a, %w)\n}\n",
      "threads=1", path);
  sdx_run *r = run_new(s, 3);
  const volatile float *there = NULL;
  for (value_id v = 1; v < s->plans[chain_of(NULL)]->value_count; v++)
    if (s->plans[chain_of(NULL)]->values[v].place && r->frame->values[v].tensor.data)
      there = r->frame->values[v].tensor.data;
  assert_non_null(there);
  pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    _exit(there[0] > 0 ? 0 : 1);
  }
  int status;
  waitpid(child, &status, 0);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static void failures_name_the_provider(void **state) {
  sdx_session *s = load(
      "graph(%x: float[N,2]) -> (%y, %z) {\n  const %w: float[2,2]{1, 2, 3, 4}\n"
      "  %z = MatMul(%x, %w)\n  %y = MatMul(%z, %w)\n}\n",
      "threads=1", path);
  sdx_run *r = run_new(s, 3);
  counts->fail_run = counts->runs + 2;
  assert_int_equal(sdx_run_execute(r), SDX_INTERNAL);
  assert_non_null(strstr(sdx_run_error(r), "provider 'fake' failed"));
  assert_non_null(strstr(sdx_run_error(r), "MatMul"));
  assert_int_equal(counts->events, 0);
  counts->fail_run = 0;
  assert_int_equal(sdx_run_execute(r), SDX_OK);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  assert_int_equal(counts->buffers + counts->kernels + counts->events, 0);
}

// ---- libraries --------------------------------------------------------------------------------------

static void refuse(const char *provider, sdx_status wanted, const char *words) {
  text bytes = model_bytes("graph(%x: float[N]) -> (%y) {\n  %y = Neg(%x)\n}\n");
  sdx_options *o = sdx_options_create();
  sdx_session *s;
  assert_int_equal(sdx_options_set(o, "provider", provider), SDX_OK);
  assert_int_equal(sdx_session_load_bytes(bytes.at, bytes.size, false, o, &s), wanted);
  if (!strstr(sdx_session_error(s), words)) fail_msg("'%s' lacks '%s'", sdx_session_error(s), words);
  sdx_session_destroy(s);
  sdx_options_destroy(o);
  text_deinit(&bytes);
}

static void libraries_that_do_not_fit_are_refused(void **state) {
  char other[PATH_MAX + 32], second[PATH_MAX + 40];
  snprintf(other, sizeof other, "%s/other_abi.so", folder);
  refuse(other, SDX_NOT_SUPPORTED, "speaks provider ABI 99, this engine (" SDX_VERSION ") ABI 1");
  refuse("/nowhere/fake.so", SDX_NOT_FOUND, "'/nowhere/fake.so' cannot be loaded");
  refuse("libm.so.6", SDX_NOT_SUPPORTED, "is no provider: it has no function sdx_provider_get");
  snprintf(second, sizeof second, "%s@7", path);
  refuse(second, SDX_NOT_FOUND, "has 2 devices, none with number 7");
  snprintf(second, sizeof second, "%s@1", path);
  refuse(second, SDX_CONFLICT, "it is in use elsewhere");
  sdx_options *o = sdx_options_create();
  assert_int_equal(sdx_options_set(o, "provider", ""), SDX_INVALID_ARGUMENT);
  sdx_options_destroy(o);
}

// The host's own table as a device, and two devices of which the second takes what the first cannot.
static void nodes_go_to_the_first_that_takes_them(void **state) {
  static const char source[] =
      "graph(%x: float[N,2]) -> (%y) {\n  const %w: float[2,2]{1, 2, 3, 4}\n  %a = MatMul(%x, %w)\n  %b = Erf(%a)\n"
      "  %c = Erf(%b)\n  %y = MatMul(%c, %w)\n}\n";
  text bytes = model_bytes(source);
  sdx_options *o = model_options("threads=1");
  sdx_session *plain = load(source, "threads=1", NULL), *s;
  assert_int_equal(sdx_options_set(o, "provider", path), SDX_OK);
  assert_int_equal(sdx_options_set(o, "provider", "cpu"), SDX_OK);
  assert_int_equal(sdx_session_load_bytes(bytes.at, bytes.size, false, o, &s), SDX_OK);
  sdx_run *a = run_new(plain, 3), *b = run_new(s, 3);
  compare(s, a, b);
  size_t at[3] = {0};
  for (uint32_t i = 0; i < s->plans[chain_of(NULL)]->step_count; i++) at[s->plans[chain_of(NULL)]->steps[i].place]++;
  assert_int_equal(at[1], 2);
  assert_int_equal(at[2], 2);
  sdx_run_destroy(a);
  sdx_run_destroy(b);
  sdx_session_destroy(s);
  sdx_session_destroy(plain);
  sdx_options_destroy(o);
  text_deinit(&bytes);
}

int main(int count, char **arguments) {
  ssize_t n = readlink("/proc/self/exe", folder, sizeof folder - 1);
  folder[n > 0 ? n : 0] = 0;
  dirname(folder);
  snprintf(path, sizeof path, "%s/fake_device.so", folder);
  void *library = dlopen(path, RTLD_NOW);
  counts = library ? dlsym(library, "fake_device_counts") : NULL;
  if (!counts) fail_msg("%s", dlerror());
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_region_has_one_copy_in_and_one_out),
      cmocka_unit_test(copies_are_shared),
      cmocka_unit_test(reasons_are_shown),
      cmocka_unit_test(loops_run_there),
      cmocka_unit_test(strings_stay_on_the_host),
      cmocka_unit_test(resnet_runs_there),
      cmocka_unit_test(the_host_cannot_touch_it),
      cmocka_unit_test(failures_name_the_provider),
      cmocka_unit_test(libraries_that_do_not_fit_are_refused),
      cmocka_unit_test(nodes_go_to_the_first_that_takes_them),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
