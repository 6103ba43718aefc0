// SPDX-License-Identifier: Apache-2.0
// The process-wide pool; see pool.h. One job at a time: its task indices are handed out by one
// atomic counter. A job is published by raising `epoch`; workers spin on it briefly, then sleep.
//
// The protocol. A worker enters (`inside` + 1), then takes a seat if there is one, runs tasks, and
// leaves. The caller fills in the job while nobody holds a seat, opens seats, raises the epoch, works
// itself, closes the seats and waits until nobody is inside. Entering before looking for a seat, and
// closing seats before looking who is inside, are both sequentially consistent: either the worker finds
// no seat or the caller waits for it. So whoever reads the job reads a complete one.
#include "base/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/host.h"

enum { MAX_WORKERS = 255, SPIN_NS = 50000, STACK_BYTES = 1 << 20 };

// The floating-point mode (flush to zero, rounding) is per thread; tasks run in the caller's, or the
// bits of a result would depend on which thread computed it.
#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
typedef unsigned fp_mode;
static fp_mode fp_mode_get(void) { return __builtin_ia32_stmxcsr() & ~0x3fu; }  // without the sticky flags
static void fp_mode_set(fp_mode mode) { __builtin_ia32_ldmxcsr(mode); }
#elif defined(__aarch64__)
#define PAUSE() __asm__ volatile("yield")
typedef uint64_t fp_mode;
static fp_mode fp_mode_get(void) {
  fp_mode mode;
  __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
static void fp_mode_set(fp_mode mode) { __asm__ volatile("msr fpcr, %0" : : "r"(mode)); }
#else
#define PAUSE() ((void)0)
typedef int fp_mode;
static fp_mode fp_mode_get(void) { return 0; }
static void fp_mode_set(fp_mode mode) { (void)mode; }
#endif

typedef struct job {
  pool_task task;
  void *context;
  size_t tasks;
  fp_mode mode;
  pool_watch *watch;
} job;

static struct {
  pthread_mutex_t owner;  // held by the caller whose job runs; guards current and workers
  job current;
  size_t workers;  // threads that exist
  bool handles_fork;
  // What workers and the caller touch while a job runs, each on a line of its own.
  _Alignas(64) atomic_uint epoch;  // raised per job; workers wait for a change
  atomic_uint sleepers;
  _Alignas(64) atomic_size_t next;   // next task index
  _Alignas(64) atomic_size_t seats;  // how many workers may still join this job
  _Alignas(64) atomic_uint inside;   // workers that have entered and not left
  atomic_bool caller_sleeps;
} pool = {.owner = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local bool in_pool;  // a task of this thread is running: nested calls stay on it
static _Thread_local pool_watch *watch;

static long futex(atomic_uint *word, int op, unsigned value) {
  return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

// Counts a turn of a waiting loop; false once SPIN_NS have passed since the first.
typedef struct spin {
  unsigned turns;
  uint64_t until;
} spin;
static bool spin_on(spin *s) {
  PAUSE();
  if ((++s->turns & 63) != 0) return true;  // the clock costs more than the pauses
  uint64_t now = clock_ns();
  if (s->until == 0) s->until = now + SPIN_NS;
  return now < s->until;
}

pool_watch *pool_watch_set(pool_watch *next) {
  pool_watch *former = watch;
  watch = next;
  return former;
}

bool pool_stopped(void) {
  pool_watch *w = watch;
  if (!w) return false;
  if (atomic_load_explicit(&w->stopped, memory_order_relaxed)) return true;
  bool stop = (w->cancel && atomic_load_explicit(w->cancel, memory_order_relaxed)) ||
              (w->deadline_ns && clock_ns() >= w->deadline_ns);
  if (stop) atomic_store_explicit(&w->stopped, true, memory_order_relaxed);
  return stop;
}

static void run_tasks(const job *j, size_t worker) {
  pool_watch *former = pool_watch_set(j->watch);
  in_pool = true;
  for (;;) {
    size_t i = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed);
    if (i >= j->tasks || pool_stopped()) break;
    j->task(j->context, i, worker);
  }
  in_pool = false;
  pool_watch_set(former);
}

static void await_job(unsigned seen) {
  spin s = {0};
  while (atomic_load_explicit(&pool.epoch, memory_order_acquire) == seen) {
    if (spin_on(&s)) continue;
    // A job published after this count finds a sleeper to wake; before it, the epoch differs.
    atomic_fetch_add(&pool.sleepers, 1);
    futex(&pool.epoch, FUTEX_WAIT, seen);
    atomic_fetch_sub(&pool.sleepers, 1);
    s = (spin){0};
  }
}

static void *worker_main(void *unused) {
  fp_mode mode = fp_mode_get();
  unsigned seen = 0;
  for (;;) {
    await_job(seen);
    atomic_fetch_add(&pool.inside, 1);
    seen = atomic_load(&pool.epoch);
    size_t seat = atomic_load(&pool.seats);
    while (seat > 0 && !atomic_compare_exchange_weak(&pool.seats, &seat, seat - 1)) {
    }
    if (seat > 0) {
      job j = pool.current;
      if (j.mode != mode) fp_mode_set(mode = j.mode);
      run_tasks(&j, seat);
    }
    if (atomic_fetch_sub(&pool.inside, 1) == 1 && atomic_load(&pool.caller_sleeps)) futex(&pool.inside, FUTEX_WAKE, 1);
  }
  return NULL;
}

// All seats are closed. Tasks may differ in length: after a while the caller sleeps, too.
static void await_workers(void) {
  spin s = {0};
  unsigned inside;
  while ((inside = atomic_load(&pool.inside)) > 0) {
    if (spin_on(&s)) continue;
    atomic_store(&pool.caller_sleeps, true);
    if ((inside = atomic_load(&pool.inside)) > 0) futex(&pool.inside, FUTEX_WAIT, inside);
    atomic_store(&pool.caller_sleeps, false);
  }
}

// fork() leaves the child without workers; it starts its own when it first needs them.
static void reset_in_child(void) {
  pthread_mutex_init(&pool.owner, NULL);
  atomic_store(&pool.seats, 0);
  atomic_store(&pool.inside, 0);
  atomic_store(&pool.sleepers, 0);
  atomic_store(&pool.caller_sleeps, false);
  pool.workers = 0;
}

// Called by the owner. Fewer threads than wanted: slower, same result.
static void grow(size_t workers) {
  if (!pool.handles_fork) pool.handles_fork = pthread_atfork(NULL, NULL, reset_in_child) == 0;
  sigset_t all, before;
  sigfillset(&all);  // the program's signal handlers run on the program's threads
  pthread_attr_t attributes;
  if (pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  while (pool.workers < workers && pool.workers < MAX_WORKERS) {
    pthread_t thread;
    if (pthread_create(&thread, &attributes, worker_main, NULL) != 0) break;
    pool.workers++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

void pool_run(size_t threads, size_t tasks, pool_task task, void *context) {
  if (threads > tasks) threads = tasks;
  if (threads <= 1 || in_pool || pthread_mutex_trylock(&pool.owner) != 0) {
    for (size_t i = 0; i < tasks && !pool_stopped(); i++) task(context, i, 0);
    return;
  }
  if (pool.workers < threads - 1) grow(threads - 1);
  job j = pool.current = (job){task, context, tasks, fp_mode_get(), watch};
  atomic_store_explicit(&pool.next, 0, memory_order_relaxed);
  atomic_store(&pool.seats, threads - 1);
  atomic_fetch_add(&pool.epoch, 1);
  if (atomic_load(&pool.sleepers) > 0) futex(&pool.epoch, FUTEX_WAKE, (unsigned)threads - 1);
  run_tasks(&j, 0);
  atomic_store(&pool.seats, 0);
  await_workers();
  pthread_mutex_unlock(&pool.owner);
}
