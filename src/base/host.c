// SPDX-License-Identifier: Apache-2.0
// The process's machine; see host.h.
#include "base/host.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/cgroup.h"

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

size_t host_cpus_online(void) {
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online > 0 ? (size_t)online : 1;
}

static size_t affinity_cpus(void) {
  cpu_set_t sets[8];  // 8192 processors, the most Linux can be built for
  if (sched_getaffinity(0, sizeof sets, sets) == 0) return (size_t)CPU_COUNT_S(sizeof sets, sets);
  return host_cpus_online();
}

static size_t cpus;
static void count_cpus(void) {
  cpus = least(affinity_cpus(), cgroup_read("").cpus);
  if (cpus == 0) cpus = 1;
}

size_t host_cpus(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, count_cpus);
  return cpus;
}

static size_t resource_limit(int resource) {
  struct rlimit limit;
  return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? (size_t)limit.rlim_cur : SIZE_MAX;
}

static size_t memory;
static void count_memory(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  size_t built_in = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX / 2;
  memory = least(built_in, cgroup_read("").memory_bytes);
}

size_t host_memory_bytes(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, count_memory);
  return least(memory, least(resource_limit(RLIMIT_AS), resource_limit(RLIMIT_DATA)));
}

size_t host_resident_bytes(void) {
  unsigned long long pages = 0;
  FILE *f = fopen("/proc/self/statm", "re");
  if (f && fscanf(f, "%*u %llu", &pages) != 1) pages = 0;
  if (f) fclose(f);
  return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}

static uint64_t read_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_ns(void) { return read_clock(CLOCK_MONOTONIC); }
uint64_t clock_wall_ns(void) { return read_clock(CLOCK_REALTIME); }

void clock_stamp(char text[CLOCK_STAMP]) {
  uint64_t ms = clock_wall_ns() / 1000000;
  time_t seconds = (time_t)(ms / 1000);
  struct tm parts = {0};
  gmtime_r(&seconds, &parts);
  size_t used = strftime(text, CLOCK_STAMP, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text + used, CLOCK_STAMP - used, ".%03uZ", (unsigned)(ms % 1000));
}
