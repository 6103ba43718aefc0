// SPDX-License-Identifier: Apache-2.0
// The pool: every index once, worker numbers in range and never shared, nesting, concurrent callers,
// fork, no processor time when idle.
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
// after the standard headers
#include <cmocka.h>

#include "base/pool.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
// Its run time adds a thread of its own and refuses threads after fork.
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#else
#define THREAD_SANITIZER 0
#endif

enum { TASKS = 1000, THREADS = 4 };

typedef struct count {
  atomic_uint hits[TASKS];
  atomic_uint busy[THREADS];
  atomic_uint wrong;
  size_t threads;
} count;

static void tick(void *context, size_t index, size_t worker) {
  count *c = context;
  if (worker >= c->threads || atomic_fetch_add(&c->busy[worker], 1) != 0) atomic_fetch_add(&c->wrong, 1);
  atomic_fetch_add(&c->hits[index], 1);
  if (worker < c->threads) atomic_fetch_sub(&c->busy[worker], 1);
}

static bool all_ran_once(size_t threads, size_t tasks) {
  count c = {.threads = threads ? threads : 1};
  pool_run(threads, tasks, tick, &c);
  for (size_t i = 0; i < TASKS; i++)
    if (c.hits[i] != (i < tasks)) return false;
  return c.wrong == 0;
}

static void every_index_once(void **state) {
  for (size_t threads = 0; threads <= THREADS; threads++)
    for (size_t tasks = 0; tasks <= 20; tasks++) assert_true(all_ran_once(threads, tasks));
  for (int i = 0; i < 2000; i++) assert_true(all_ran_once(1 + (size_t)i % THREADS, (size_t)i % TASKS));
}

static void sleeping_workers_wake(void **state) {
  for (int i = 0; i < 20; i++) {
    nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);  // longer than they spin
    assert_true(all_ran_once(THREADS, TASKS));
  }
}

static void nested(void *context, size_t index, size_t worker) {
  if (!all_ran_once(THREADS, 50)) atomic_fetch_add((atomic_uint *)context, 1);
}

static void nested_calls_stay_on_their_thread(void **state) {
  atomic_uint wrong = 0;
  pool_run(THREADS, 40, nested, &wrong);
  assert_int_equal(wrong, 0);
}

static void *caller(void *context) {
  for (int i = 0; i < 300; i++)
    if (!all_ran_once(1 + (size_t)i % THREADS, 100)) atomic_fetch_add((atomic_uint *)context, 1);
  return NULL;
}

static void concurrent_callers(void **state) {
  pthread_t threads[6];
  atomic_uint wrong = 0;
  for (int i = 0; i < 6; i++) assert_int_equal(pthread_create(&threads[i], NULL, caller, &wrong), 0);
  for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
  assert_int_equal(wrong, 0);
}

static void uneven(void *context, size_t index, size_t worker) {
  if (index == 1) nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);  // the caller sleeps meanwhile
  atomic_fetch_add((atomic_uint *)context, 1);
}

static void waits_for_the_slowest(void **state) {
  for (int i = 0; i < 20; i++) {
    atomic_uint done = 0;
    pool_run(2, 2, uneven, &done);
    assert_int_equal(done, 2);
  }
}

static void child_after_fork_has_a_pool(void **state) {
  if (THREAD_SANITIZER) skip();
  assert_true(all_ran_once(THREADS, TASKS));
  for (int i = 0; i < 10; i++) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      bool good = true;
      for (int j = 0; j < 20; j++) good = good && all_ran_once(THREADS, TASKS);
      _exit(good ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  assert_true(all_ran_once(THREADS, TASKS));
}

static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void idle_costs_nothing(void **state) {
  if (THREAD_SANITIZER) skip();
  assert_true(all_ran_once(THREADS, TASKS));
  nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  struct rusage before, after;
  double begin = cpu_seconds();
  getrusage(RUSAGE_SELF, &before);
  nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
  getrusage(RUSAGE_SELF, &after);
  assert_true(cpu_seconds() - begin < 1e-3);
  assert_true(after.ru_nvcsw - before.ru_nvcsw <= 2);  // our own sleep
}

static _Thread_local bool is_main;
static void check_mask(void *context, size_t index, size_t worker) {
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, NULL, &mask);
  if (!is_main && !sigismember(&mask, SIGTERM)) atomic_fetch_add((atomic_uint *)context, 1);
  nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

static void workers_take_no_signals(void **state) {
  atomic_uint wrong = 0;
  is_main = true;
  pool_run(THREADS, 20, check_mask, &wrong);
  assert_int_equal(wrong, 0);
}

#if defined(__x86_64__)
static void add_subnormals(void *context, size_t index, size_t worker) {
  volatile float tiny = 0x1p-140f;
  ((float *)context)[index] = tiny + tiny;
  nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static void tasks_run_in_the_callers_float_mode(void **state) {
  float sums[20];
  unsigned before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before | 0x8040);  // flush to zero, subnormals are zero
  pool_run(THREADS, 20, add_subnormals, sums);
  __builtin_ia32_ldmxcsr(before);
  for (int i = 0; i < 20; i++) assert_true(sums[i] == 0);
  pool_run(THREADS, 20, add_subnormals, sums);
  for (int i = 0; i < 20; i++) assert_true(sums[i] == 0x1p-139f);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_index_once),
    cmocka_unit_test(sleeping_workers_wake),
    cmocka_unit_test(nested_calls_stay_on_their_thread),
    cmocka_unit_test(concurrent_callers),
    cmocka_unit_test(waits_for_the_slowest),
    cmocka_unit_test(child_after_fork_has_a_pool),
    cmocka_unit_test(idle_costs_nothing),
    cmocka_unit_test(workers_take_no_signals),
#if defined(__x86_64__)
    cmocka_unit_test(tasks_run_in_the_callers_float_mode),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
