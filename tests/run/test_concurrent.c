// SPDX-License-Identifier: Apache-2.0
// Several threads on one session, loads beside runs, cancels and deadlines inside of long operators, a fork
// while pool workers exist. Meant to be run under ThreadSanitizer as well (preset tsan).
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/host.h"
#include "plan/frame.h"
#include "run/session.h"
#include "tests/model.h"
#include "tests/process.h"

enum { THREADS = 4 };
static const char digits[] = "examples/digits/digits.onnx";

static sdx_session *load_digits(const char *settings) {
  sdx_options *o = model_options(settings);
  sdx_session *s;
  if (sdx_session_load_file(digits, o, &s) != SDX_OK) fail_msg("%s", sdx_session_error(s));
  sdx_options_destroy(o);
  return s;
}

// Result 0 of a run with `batch` images, copied.
static float *result_of(sdx_session *s, int64_t batch, size_t *bytes) {
  sdx_run *r = model_run(s, batch);
  if (!r || sdx_run_execute(r) != SDX_OK) return NULL;
  *bytes = sdx_tensor_bytes(sdx_run_output(r, 0));
  float *copy = malloc(*bytes);
  memcpy(copy, sdx_tensor_data(sdx_run_output(r, 0)), *bytes);
  sdx_run_destroy(r);
  return copy;
}

typedef struct job {
  sdx_session *session;
  int64_t first_batch;
  float *want[THREADS + 3];
  size_t bytes[THREADS + 3];
  atomic_int wrong;
} job;

// Batches change from run to run, so that plans come and go in a cache that holds two.
static void *run_many(void *context) {
  job *j = context;
  sdx_run *r;
  if (sdx_run_create(j->session, &r) != SDX_OK) return NULL;
  for (int i = 0; i < 40; i++) {
    int64_t batch = 1 + (j->first_batch + i / 4) % (THREADS + 2);
    sdx_value *x = model_input(sdx_session_input(j->session, 0), batch);
    sdx_run_set_input(r, 0, x);
    sdx_value_release(x);
    bool ok = sdx_run_execute(r) == SDX_OK && sdx_tensor_bytes(sdx_run_output(r, 0)) == j->bytes[batch] &&
              memcmp(sdx_tensor_data(sdx_run_output(r, 0)), j->want[batch], j->bytes[batch]) == 0;
    if (!ok) atomic_fetch_add(&j->wrong, 1);
  }
  sdx_run_destroy(r);
  return NULL;
}

static void *load_many(void *context) {
  job *j = context;
  for (int i = 0; i < 10; i++) {
    sdx_session *s = NULL;
    size_t bytes = 0;
    float *got = sdx_session_load_file(digits, NULL, &s) == SDX_OK ? result_of(s, 3, &bytes) : NULL;
    if (!got || bytes != j->bytes[3] || memcmp(got, j->want[3], bytes) != 0) atomic_fetch_add(&j->wrong, 1);
    char *plan = sdx_session_describe(j->session, "memory");
    sdx_string_free(plan);
    free(got);
    sdx_session_destroy(s);
  }
  return NULL;
}

static void threads_share_a_session(void **state) {
  sdx_session *s = load_digits("plan_cache=2 threads=2");
  job jobs[THREADS + 1] = {0};
  pthread_t threads[THREADS + 1];
  for (int64_t batch = 1; batch < THREADS + 3; batch++) {
    jobs[0].want[batch] = result_of(s, batch, &jobs[0].bytes[batch]);
    assert_non_null(jobs[0].want[batch]);
  }
  for (int i = 0; i < THREADS + 1; i++) {
    memcpy(jobs[i].want, jobs[0].want, sizeof jobs[0].want);
    memcpy(jobs[i].bytes, jobs[0].bytes, sizeof jobs[0].bytes);
    jobs[i].session = s;
    jobs[i].first_batch = i;
    assert_int_equal(pthread_create(&threads[i], NULL, i < THREADS ? run_many : load_many, &jobs[i]), 0);
  }
  for (int i = 0; i < THREADS + 1; i++) {
    pthread_join(threads[i], NULL);
    assert_int_equal(jobs[i].wrong, 0);
  }
  for (int64_t batch = 1; batch < THREADS + 3; batch++) free(jobs[0].want[batch]);
  sdx_session_destroy(s);
}

// ---- the plan cache ---------------------------------------------------------------------------------

static size_t plans_of(sdx_session *s) {
  size_t count = 0;
  for (const plan *p = s->plans[chain_of(NULL)]; p; p = p->next) count++;
  return count;
}

static bool has_plan(sdx_session *s, int64_t batch) {
  for (const plan *p = s->plans[chain_of(NULL)]; p; p = p->next)
    if (p->signature[0].dims[0] == batch) return true;
  return false;
}

static void least_recently_used_plans_go(void **state) {
  sdx_session *s = load_digits("plan_cache=3 threads=1");
  static const int64_t order[] = {1, 2, 3, 1, 4};
  for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
    size_t bytes;
    free(result_of(s, order[i], &bytes));
  }
  assert_int_equal(plans_of(s), 3);
  assert_true(has_plan(s, 1) && has_plan(s, 3) && has_plan(s, 4) && !has_plan(s, 2));
  sdx_session_destroy(s);
}

static void a_plan_lives_as_long_as_a_run_needs_it(void **state) {
  sdx_session *s = load_digits("plan_cache=1 threads=1");
  sdx_run *first = model_run(s, 2), *second = model_run(s, 3);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(sdx_run_execute(first), SDX_OK);
    assert_int_equal(sdx_run_execute(second), SDX_OK);
  }
  assert_int_equal(plans_of(s), 1);
  sdx_run_destroy(first);
  sdx_run_destroy(second);
  sdx_session_destroy(s);
}

// ---- ends of long runs ------------------------------------------------------------------------------

static double now(void) { return (double)clock_ns() / 1e9; }

static const char product[] =
    "graph(%x: float[N,N]) -> (%y) {\n  %a = MatMul(%x, %x)\n  %b = MatMul(%a, %x)\n  %y = MatMul(%b, %a)\n}\n";
static const char convolution[] =
    "graph(%x: float[1,64,N,N]) -> (%y) {\n  const %s: int64[4]{64, 64, 13, 13}\n  %w = ConstantOfShape(%s)\n"
    "  %y = Conv(%x, %w)\n}\n";
static const char depthwise[] =
    "graph(%x: float[1,64,N,N]) -> (%y) {\n  const %s: int64[4]{64, 1, 15, 15}\n  %w = ConstantOfShape(%s)\n"
    "  %y = Conv<group=64>(%x, %w)\n}\n";
static const char endless[] =
    "graph(%x: float[N]) -> (%y) {\n  const %true: bool[]{1}\n"
    "  %y = Loop<body=graph body(%i: int64[], %c: bool[], %s: float) -> (%go, %next) {\n    %go = Identity(%c)\n"
    "    %next = Neg(%s)\n  }>(_, %true, %x)\n}\n";

// One plane, one strip, one region: nothing but the inside of the operator can be cut.
static const char one_plane[] =
    "graph(%x: double[1,1,N,N]) -> (%y) {\n  const %s: int64[4]{1, 1, 71, 71}\n"
    "  %f = ConstantOfShape(%s)\n  %w = Cast<to=11>(%f)\n  %y = Conv(%x, %w)\n}\n";
static const char one_strip[] = "graph(%x: float[1,N,8,8]) -> (%y) {\n  %y = LRN<size=30000>(%x)\n}\n";
static const char one_region[] =
    "graph(%x: float[1,1,N,N]) -> (%y) {\n  const %r: float[1,4]{0, 0, 7, 7}\n  const %b: int64[1]{0}\n"
    "  %y = RoiAlign<output_height=40, output_width=40, sampling_ratio=512>(%x, %r, %b)\n}\n";

static const struct {
  const char *model;
  int64_t size;
} long_runs[] = {{product, 3000},  {convolution, 400}, {depthwise, 600}, {endless, 10},
                 {one_plane, 500}, {one_strip, 10000}, {one_region, 8}};

static void *cancel_soon(void *run) {
  nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
  sdx_run_cancel(run);
  return NULL;
}

// Sanitizers and a busy machine slow everything down: what is asserted is that a run ends long before its work is done.
static void long_operators_can_be_ended(void **state) {
  for (size_t i = 0; i < sizeof long_runs / sizeof *long_runs; i++)
    for (int threads = 1; threads <= 2; threads++) {
      char settings[40];
      snprintf(settings, sizeof settings, "threads=%d", threads);
      sdx_session *s = model_load(long_runs[i].model, settings);
      sdx_run *r = model_run(s, long_runs[i].size);
      sdx_run_set_timeout_ms(r, 50);
      double start = now();
      if (sdx_run_execute(r) != SDX_DEADLINE_EXCEEDED) fail_msg("model %zu: %s", i, sdx_run_error(r));
      double late = now() - start - 0.05;
      pthread_t canceller;
      sdx_run_set_timeout_ms(r, 0);
      assert_int_equal(pthread_create(&canceller, NULL, cancel_soon, r), 0);
      start = now();
      if (sdx_run_execute(r) != SDX_CANCELLED) fail_msg("model %zu: %s", i, sdx_run_error(r));
      double cancelled = now() - start - 0.06;
      pthread_join(canceller, NULL);
      print_message("model %zu, %d threads: %.0f ms past the deadline, %.0f ms past the cancel\n", i, threads,
                    late * 1e3, cancelled * 1e3);
      double most = process_sanitized() ? 20 : 1;
      assert_true(late < most && cancelled < most);
      sdx_run_destroy(r);
      sdx_session_destroy(s);
    }
}

// ---- processes --------------------------------------------------------------------------------------

static void a_forked_child_runs(void **state) {
  if (process_sanitized()) skip();  // ThreadSanitizer ends a child that starts threads
  sdx_session *s = load_digits("threads=2");
  size_t bytes = 0, again = 0;
  float *want = result_of(s, 5, &bytes);
  fflush(NULL);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    float *got = result_of(s, 5, &again);
    _exit(got && again == bytes && memcmp(got, want, bytes) == 0 ? 0 : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  free(want);
  sdx_session_destroy(s);
}

static double cpu_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void an_idle_process_uses_no_cpu(void **state) {
  sdx_session *s = load_digits("threads=2");
  size_t bytes;
  free(result_of(s, 5, &bytes));
  nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  double before = cpu_seconds();
  nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
  assert_true(cpu_seconds() - before < 0.01);
  sdx_session_destroy(s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(threads_share_a_session),
      cmocka_unit_test(least_recently_used_plans_go),
      cmocka_unit_test(a_plan_lives_as_long_as_a_run_needs_it),
      cmocka_unit_test(long_operators_can_be_ended),
      cmocka_unit_test(a_forked_child_runs),
      cmocka_unit_test(an_idle_process_uses_no_cpu),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
