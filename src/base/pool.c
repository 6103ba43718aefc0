// SPDX-License-Identifier: Apache-2.0
// The process-wide pool; see pool.h. One job at a time: its task indices are handed out by one
// atomic counter. A job is published by raising `epoch`; workers spin on it briefly, then sleep.
#include "base/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WORKERS = 255, SPIN_NS = 50000 };

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() __asm__ volatile("yield")
#endif

typedef struct job {
  pool_task task;
  void *context;
  size_t tasks, threads;
} job;

static struct {
  pthread_mutex_t owner;  // held by the caller whose job runs
  pthread_mutex_t growing;
  atomic_uint epoch;  // raised per job; workers wait for a change
  atomic_uint sleepers;
  atomic_size_t next;    // next task index
  atomic_size_t seats;   // how many workers may still join this job
  atomic_size_t inside;  // workers that have joined and not left
  job current;
  size_t workers;  // threads that exist
} pool = {.owner = PTHREAD_MUTEX_INITIALIZER, .growing = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local bool in_pool;  // a task of this thread is running: nested calls stay on it

static long futex(atomic_uint *word, int op, unsigned value) {
  return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void run_tasks(const job *j, size_t worker) {
  in_pool = true;
  for (;;) {
    size_t i = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed);
    if (i >= j->tasks) break;
    j->task(j->context, i, worker);
  }
  in_pool = false;
}

static void *worker_main(void *unused) {
  unsigned seen = 0;
  for (;;) {
    uint64_t until = 0;
    for (unsigned spins = 0; atomic_load_explicit(&pool.epoch, memory_order_acquire) == seen; spins++) {
      PAUSE();
      if ((spins & 127) != 127) continue;
      uint64_t now = now_ns();
      if (until == 0) until = now + SPIN_NS;
      if (now < until) continue;
      atomic_fetch_add(&pool.sleepers, 1);
      futex(&pool.epoch, FUTEX_WAIT, seen);
      atomic_fetch_sub(&pool.sleepers, 1);
      until = 0;
    }
    // Enter before reading the job: the caller closes the seats, then waits until nobody is inside.
    atomic_fetch_add(&pool.inside, 1);
    seen = atomic_load(&pool.epoch);
    size_t seat = atomic_load(&pool.seats);
    while (seat > 0 && !atomic_compare_exchange_weak(&pool.seats, &seat, seat - 1)) {
    }
    if (seat > 0) {
      job j = pool.current;
      run_tasks(&j, seat);
    }
    atomic_fetch_sub(&pool.inside, 1);
  }
  return NULL;
}

// fork() leaves the child without workers; it starts its own when it first needs them.
static void reset_in_child(void) {
  pthread_mutex_init(&pool.owner, NULL);
  pthread_mutex_init(&pool.growing, NULL);
  atomic_store(&pool.seats, 0);
  atomic_store(&pool.inside, 0);
  atomic_store(&pool.sleepers, 0);
  pool.workers = 0;
}

static void grow(size_t workers) {
  static bool registered;
  pthread_mutex_lock(&pool.growing);
  if (!registered) registered = pthread_atfork(NULL, NULL, reset_in_child) == 0;
  while (pool.workers < workers && pool.workers < MAX_WORKERS) {
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    int failed = pthread_create(&thread, &attributes, worker_main, NULL);
    pthread_attr_destroy(&attributes);
    if (failed) break;  // fewer threads: slower, same result
    pool.workers++;
  }
  pthread_mutex_unlock(&pool.growing);
}

void pool_run(size_t threads, size_t tasks, pool_task task, void *context) {
  if (threads > tasks) threads = tasks;
  if (threads <= 1 || in_pool || pthread_mutex_trylock(&pool.owner) != 0) {
    for (size_t i = 0; i < tasks; i++) task(context, i, 0);
    return;
  }
  if (pool.workers < threads - 1) grow(threads - 1);
  pool.current = (job){task, context, tasks, threads};
  atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
  atomic_store(&pool.seats, threads - 1);
  atomic_fetch_add(&pool.epoch, 1);
  if (atomic_load(&pool.sleepers) > 0) futex(&pool.epoch, FUTEX_WAKE, (unsigned)threads - 1);
  run_tasks(&pool.current, 0);
  atomic_store(&pool.seats, 0);
  for (unsigned spins = 0; atomic_load_explicit(&pool.inside, memory_order_acquire) > 0; spins++) {
    PAUSE();
    if ((spins & 1023) == 1023) sched_yield();
  }
  pthread_mutex_unlock(&pool.owner);
}

// "max 100000" in cpu.max: microseconds of CPU per period. 0 = no quota.
static size_t cgroup_quota(void) {
  char line[512], path[640] = "/sys/fs/cgroup/cpu.max";
  FILE *f = fopen("/proc/self/cgroup", "re");
  if (f) {
    while (fgets(line, sizeof line, f))
      if (strncmp(line, "0::", 3) == 0) {
        line[strcspn(line, "\n")] = 0;
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", line + 3);
      }
    fclose(f);
  }
  long long quota = 0, period = 0;
  f = fopen(path, "re");
  if (!f) return 0;
  if (fscanf(f, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0) quota = 0;
  fclose(f);
  return quota ? (size_t)((quota + period - 1) / period) : 0;
}

static size_t max_threads;
static void count_threads(void) {
  cpu_set_t set;
  long n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
  size_t quota = cgroup_quota();
  max_threads = n < 1 ? 1 : (size_t)n;
  if (quota && quota < max_threads) max_threads = quota;
}

size_t pool_max_threads(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, count_threads);
  return max_threads;
}
